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

#[test]
fn what_is_odd_about_the_data_is_said_in_the_report() {
    let sandbox = Sandbox::new();
    let document = |id: &str, entities: &str| {
        format!(r#"{{"id": "{id}", "text": "Angela Merkel sprach", "entities": [{entities}]}}"#)
    };
    let person = r#"{"start": 0, "end": 13, "label": "PER", "text": "Angela Merkel"}"#;
    let inner = r#"{"start": 6, "end": 13, "label": "LOC"}"#;
    let lines = [document("a", person), document("a", &format!("{person}, {inner}")), document("b", person)];
    sandbox.write("gold.jsonl", &lines.join("\n"));
    let args = "--data gold.jsonl --model ner=@/lexicon-ner";
    let data = sandbox.report(args)["data"].clone();
    let counts = ["n_overlapping_entities", "n_repeated_ids", "n_trimmed_entities"].map(|key| &data[key]);
    assert_eq!(counts, [&json!(1); 3]);
    let printed = String::from_utf8(sandbox.run(args).stdout).unwrap();
    for part in [
        "gold entities that overlap an earlier one: 1;",
        "documents with the id of an earlier one: 1;",
        "gold entities with white space at an end: 1;",
    ] {
        assert!(printed.contains(part), "{printed}");
    }
    let without = sandbox.report(&format!("{args} --labels PER"))["data"].clone();
    assert_eq!(without["n_overlapping_entities"], json!(0));
}

#[test]
fn answers_to_documents_that_are_not_in_the_data_are_counted_in_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.write("gold.jsonl", r#"{"id": "a", "text": "Angela Merkel sprach", "entities": []}"#);
    let answer = |id: &str| format!(r#"{{"id": "{id}", "entities": []}}"#);
    sandbox.write("answers.jsonl", &[answer("a"), answer("x"), answer("y")].join("\n"));
    let output = sandbox.run("--data gold.jsonl --model answers.jsonl");
    assert!(output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    for part in ["WARN", "documents that are not in the data", "n_answers=2", "first_id=\"x\""] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
}
