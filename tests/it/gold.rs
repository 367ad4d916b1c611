//! What `ressort evaluate` reads: labelled data as other programs write it, and answers that were stored before.

use serde_json::json;

use crate::evaluate::{NER, Sandbox};

#[test]
fn tags_without_prefixes_and_other_columns_are_read() {
    let sandbox = Sandbox::new();
    sandbox.write("gold.conll", "Angela PER\nMerkel PER\nsprach O\nin O\nBerlin LOC\n. O\n");
    let entities = sandbox.report("--data gold.conll --model ner=@/lexicon-ner")["models"][0]["entities"].clone();
    assert_eq!(entities["micro"]["f1"], json!(1.0));
    sandbox.write("gold.csv", "titel;inhalt;desk\nFC Bayern;Der FC Bayern gewann.;Sport\n");
    let args =
        "--data gold.csv --text-column titel --text-column inhalt --topics-column desk --model t=@/lexicon-topics";
    assert_eq!(sandbox.report(args)["models"][0]["topics"]["accuracy"], json!(1.0));
}

#[test]
fn answers_of_another_execution_provider_are_made_again_or_refused() {
    let sandbox = Sandbox::new();
    let first = sandbox.report(&format!("{NER} --predictions kept"));
    let record = sandbox.read("kept/ner.run.json");
    assert!(record.contains("\"provider\": \"cpu\"") && record.contains(env!("CARGO_PKG_VERSION")), "{record}");
    sandbox.write("kept/ner.run.json", &record.replace("\"provider\": \"cpu\"", "\"provider\": \"cuda\""));
    let message = sandbox.failure("--data gold.jsonl --map PERSON=PER --model ner=kept/ner.jsonl");
    assert!(message.contains("made by `cuda`") && message.contains("evaluate the model's folder"), "{message}");
    let again = sandbox.report(&format!("{NER} --predictions kept"));
    assert_eq!(again["models"][0]["entities"], first["models"][0]["entities"]);
    assert!(sandbox.dir.path().join("kept/ner.jsonl.old").exists());
}
