//! `ressort evaluate` replaces no file that it reads, and takes the languages of topics that models have.

use serde_json::json;

use crate::evaluate::{Sandbox, text};

#[test]
fn a_language_is_found_in_any_spelling_or_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("gold.jsonl", r#"{"text": "Der FC Bayern gewann.", "topics": ["sport"]}"#);
    let topics =
        sandbox.report("--data gold.jsonl --model two=@/two-heads --label-language EN-gb")["models"][0]["topics"]
            .clone();
    assert_eq!(topics["unmatched"]["only_gold"], json!([]));
    let refused = sandbox.run("--data gold.jsonl --model two=@/two-heads --label-language fr");
    let message = text(&refused.stderr);
    assert!(refused.status.code() == Some(2) && message.contains("label_language `fr` is not a language"), "{message}");
}

#[test]
fn nothing_that_is_read_is_replaced_by_what_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("map", "PERSON=PER\n");
    std::fs::create_dir(sandbox.dir.path().join("p")).unwrap();
    std::fs::copy(sandbox.dir.path().join("gold.jsonl"), sandbox.dir.path().join("p/ner.jsonl")).unwrap();
    for (args, written) in [
        ("--data gold.jsonl --json gold.jsonl", "--json gold.jsonl: is also --data gold.jsonl"),
        ("--data gold.jsonl --html ./gold.jsonl", "--html ./gold.jsonl: is also --data gold.jsonl"),
        ("--data gold.jsonl --map-file map --json map", "--json map: is also --map-file map"),
        ("--data gold.jsonl --json same --html same", "--html same: is also --json same"),
        ("--data p/ner.jsonl --predictions p", "--predictions p/ner.jsonl: is also --data p/ner.jsonl"),
        ("--data gold.jsonl --model answers=p/ner.jsonl --json p/ner.jsonl", "--json p/ner.jsonl: is also --model"),
    ] {
        let before = (sandbox.read("gold.jsonl"), sandbox.read("map"), sandbox.read("p/ner.jsonl"));
        let refused = sandbox.run(&format!("{args} --model ner=@/lexicon-ner"));
        let message = text(&refused.stderr);
        assert!(refused.status.code() == Some(2) && message.contains(written), "{args}: {message}");
        assert_eq!((sandbox.read("gold.jsonl"), sandbox.read("map"), sandbox.read("p/ner.jsonl")), before, "{args}");
    }
}
