//! `ressort score` for other tools: tasks for Label Studio, news items in ninjs, documents for spaCy. `scripts/formats` reads the
//! same outputs with those tools.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::score::{outcome, run};

const TOOLS: [&str; 3] = ["label-studio", "ninjs", "spacy"];

/// `ressort score` with the small model that ships, whose topics have codes.
fn score(dir: &TempDir, input: &str, flags: &[&str]) -> Output {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ressort-mini");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ressort"));
    command.current_dir(dir.path()).args(["score", input, "--providers", "cpu", "--streams", "2", "--overwrite"]);
    command.arg("--model").arg(model).args(flags).output().unwrap()
}

/// The documents of `output`, an array or one a line.
fn documents(output: &str) -> Vec<Value> {
    match output.starts_with('[') {
        true => serde_json::from_str(output).unwrap_or_else(|error| panic!("{error}: {output}")),
        false => output.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
    }
}

fn scored(dir: &TempDir, input: &str, tool: &str, flags: &[&str]) -> Vec<Value> {
    let flags = [&["--output", "o.json", "--output-format", tool], flags].concat();
    let (code, message) = outcome(&score(dir, input, &flags));
    assert!(code == 0 || code == 3, "{tool}: {message}");
    documents(&std::fs::read_to_string(dir.path().join("o.json")).unwrap())
}

const TITLE: &str = "😀 Merkel & <Söder> in Köln";
const TEXT: &str = "Angela Merkel 👩\u{200d}👧 sprach in München.\nDer FC Bayern München gewann das Spiel 3:1 gegen Borussia Dortmund.";

fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let rows = [
        json!({"id": "urn:x:1", "title": TITLE, "text": TEXT, "n": 0.5}).to_string(),
        r#"{"id": 7, "title": "", "text": "Bonn", "n": "\ud83d"}"#.to_owned(),
        r#"{"title": null, "text": "Ulm"}"#.to_owned(),
        r#"{"id": 9}"#.to_owned(),
    ];
    std::fs::write(dir.path().join("a.jsonl"), rows.join("\n")).unwrap();
    dir
}

fn characters(text: &Value, span: &Value) -> String {
    let at = |end: &str| span[end].as_u64().unwrap() as usize;
    text.as_str().unwrap().chars().skip(at("start")).take(at("end") - at("start")).collect()
}

#[test]
fn offsets_count_the_characters_of_the_text_that_a_document_has() {
    let dir = folder();
    for fields in [&[][..], &["--title-column", "title"]] {
        let flags = [&["--output", "o.jsonl"], fields].concat();
        assert_eq!(score(&dir, "a.jsonl", &flags).status.code(), Some(3));
        let rows = std::fs::read_to_string(dir.path().join("o.jsonl")).unwrap();
        let row: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
        let entities = row["entities"].as_array().unwrap();
        let expected: Vec<(&Value, &Value, &Value)> =
            entities.iter().map(|it| (&it["text"], &it["label"], &it["score"])).collect();
        let tasks = scored(&dir, "a.jsonl", "label-studio", fields);
        let (text, result) = (&tasks[0]["data"]["text"], tasks[0]["predictions"][0]["result"].as_array().unwrap());
        let regions: Vec<&Value> = result.iter().filter(|region| region["type"] == "labels").collect();
        let slices: Vec<Value> = regions.iter().map(|region| characters(text, &region["value"]).into()).collect();
        let found = regions.iter().zip(&slices).map(|(it, slice)| (slice, &it["value"]["labels"][0], &it["score"]));
        assert_eq!(found.collect::<Vec<_>>(), expected);
        let spacy = scored(&dir, "a.jsonl", "spacy", fields);
        let spans = spacy[0]["ents"].as_array().unwrap();
        let slices: Vec<Value> = spans.iter().map(|span| characters(&spacy[0]["text"], span).into()).collect();
        let found = spans.iter().zip(&slices).map(|(it, slice)| (slice, &it["label"], &it["score"]));
        assert_eq!(found.collect::<Vec<_>>(), expected);
        let whole = if fields.is_empty() { TEXT.to_owned() } else { format!("{TITLE}\n\n{TEXT}") };
        assert_eq!((text, &spacy[0]["text"]), (&json!(whole), &json!(whole)));
    }
}

#[test]
fn a_task_has_the_columns_and_a_prediction_with_scores() {
    let dir = folder();
    let tasks = scored(&dir, "a.jsonl", "label-studio", &["--threshold", "topics=0.2"]);
    assert_eq!(tasks.len(), 3);
    let topics = &tasks[0]["predictions"][0]["result"][0];
    assert_eq!(
        (&topics["type"], &topics["from_name"], &topics["to_name"]),
        (&json!("choices"), &json!("topics"), &json!("text"))
    );
    assert!(topics["value"]["choices"].as_array().unwrap().contains(&json!("Sport")), "{topics}");
    let prediction = &tasks[0]["predictions"][0];
    assert!(prediction["model_version"].as_str().unwrap().starts_with("ressort-mini@"), "{prediction}");
    let scores: Vec<f64> =
        prediction["result"].as_array().unwrap().iter().map(|region| region["score"].as_f64().unwrap()).collect();
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    assert!((prediction["score"].as_f64().unwrap() - mean).abs() < 1e-6, "{prediction}");
    let data = &tasks[0]["data"];
    assert_eq!((&data["id"], &data["n"], &data["title"]), (&json!("urn:x:1"), &json!(0.5), &json!(TITLE)));
    assert_eq!(tasks[1]["data"]["n"], "\u{fffd}", "half of a surrogate pair");
    // A column of the name that the text needs gives way.
    let body = scored(&dir, "a.jsonl", "label-studio", &["--text-column", "title"]);
    assert_eq!((&body[0]["data"]["text"], &body[0]["data"]["input_text"]), (&json!(TITLE), &json!(TEXT)));
    assert_eq!(body.len(), 1);
    // Nothing found is a prediction without regions and score.
    let none = scored(&dir, "a.jsonl", "label-studio", &["--threshold", "1"]);
    assert_eq!(none[1]["predictions"][0], json!({"model_version": prediction["model_version"], "result": []}));
}

#[test]
fn a_news_item_has_subjects_and_each_name_once() {
    let dir = folder();
    let flags = ["--threshold", "topics=0.4", "--title-column", "title", "--group"];
    let items = scored(&dir, "a.jsonl", "ninjs", &flags);
    let names = |of: &Value| {
        of.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let item = &items[0];
    assert_eq!((&item["uri"], item.get("altIds")), (&json!("urn:x:1"), None));
    assert_eq!(item["headlines"], json!([{"role": "headline", "contentType": "text/plain", "value": TITLE}]));
    assert_eq!((&item["bodies"][0]["value"], item.get("descriptions")), (&json!(TEXT), None));
    let sport = item["subjects"].as_array().unwrap().iter().find(|subject| subject["name"] == "Sport").unwrap();
    assert_eq!(sport["uri"], "http://cv.iptc.org/newscodes/mediatopic/15000000");
    assert_eq!(sport["literal"], "medtop:15000000");
    assert!((40..=100).contains(&sport["confidence"].as_u64().unwrap()), "{sport}");
    assert!(names(&item["people"]).contains(&"Angela Merkel".to_owned()), "{item}");
    assert!(!names(&item["people"]).contains(&"Merkel".to_owned()), "a group has one name: {item}");
    assert!(names(&item["organisations"]).contains(&"Borussia Dortmund".to_owned()), "{item}");
    assert!(names(&item["places"]).contains(&"München".to_owned()), "{item}");
    let uris: Vec<&str> = items.iter().map(|item| item["uri"].as_str().unwrap()).collect();
    assert!(uris[1].starts_with("urn:uuid:") && uris[2].starts_with("urn:uuid:") && uris[1] != uris[2], "{uris:?}");
    assert_eq!(items[1]["altIds"], json!([{"role": "id", "value": "7"}]));
    let mentions = scored(&dir, "a.jsonl", "ninjs", &["--title-column", "title"]);
    assert!(names(&mentions[0]["people"]).contains(&"Merkel".to_owned()), "without groups: {mentions:?}");
}

#[test]
fn a_title_is_safe_where_displacy_writes_it() {
    let dir = folder();
    let documents = scored(&dir, "a.jsonl", "spacy", &["--title-column", "title"]);
    let titles: Vec<&Value> = documents.iter().map(|document| &document["title"]).collect();
    assert_eq!(titles, [&json!("😀 Merkel &amp; &lt;Söder&gt; in Köln"), &json!("7"), &Value::Null]);
    assert_eq!(documents[0]["meta"], json!({"id": "urn:x:1", "n": 0.5}));
    assert_eq!(documents[0]["cats"].as_object().unwrap().len(), 5, "one for each topic of the answer");
}

#[test]
fn an_array_is_whole_wherever_blocks_end() {
    let dir = tempfile::tempdir().unwrap();
    let rows = ["{}", "x", "{\"text\": \"Bonn\"}", "{}", "{\"text\": \"Ulm\"}", "{\"text\": \"Köln\"}", "{}"];
    std::fs::write(dir.path().join("a.jsonl"), rows.join("\n")).unwrap();
    for tool in TOOLS {
        for (look_ahead, limit, n_expected) in
            [("1", "9", 3), ("2", "9", 3), ("9", "9", 3), ("1", "2", 0), ("1", "0", 0)]
        {
            let flags = ["--output-format", tool, "--look-ahead", look_ahead, "--limit", limit];
            let (file, pipe) = ([&flags[..], &["--overwrite"]].concat(), [&flags[..], &["--output", "-"]].concat());
            run(&dir, &["a.jsonl"], "o.json", &file);
            let written = std::fs::read_to_string(dir.path().join("o.json")).unwrap();
            assert_eq!(documents(&written).len(), n_expected, "{tool} {flags:?}: {written}");
            let mut command = crate::score::score();
            let piped = command.current_dir(dir.path()).arg("a.jsonl").args(pipe).output().unwrap();
            assert_eq!(String::from_utf8(piped.stdout).unwrap(), written, "{tool} {flags:?}");
        }
    }
}

#[test]
fn what_a_tool_has_no_form_for_is_refused_before_a_model_is_loaded() {
    let dir = folder();
    for tool in TOOLS {
        for (flags, is_refused) in [
            (&["--keep-errors"][..], true),
            (&["--keep-text"], true),
            (&["--evidence"], true),
            (&["--output-bom"], true),
            (&["--group"], tool != "ninjs"),
            (&["--offset-unit", "utf16"], tool != "ninjs"),
        ] {
            let given = [flags, &["--output-format", tool, "--model", "no/such"]].concat();
            let (code, message) = run(&dir, &["a.jsonl"], "o.json", &given);
            assert_eq!(code == 2, is_refused, "{given:?}: {message}");
            assert!(!is_refused || (message.contains(flags[0]) && message.contains(tool)), "{message}");
        }
        assert!(run(&dir, &["a.jsonl"], "o.jsonl", &["--format", tool]).1.contains("only written"));
    }
    let message = run(&dir, &["a.jsonl"], "o.json", &["--output-format", "foo"]).1;
    assert!(message.contains("`ninjs`") && !message.contains("`txt`"), "{message}");
    let message = run(&dir, &["a.jsonl"], "o.jsonl", &["--format", "foo"]).1;
    assert!(message.contains("`txt`") && !message.contains("`ninjs`"), "{message}");
    let message = run(&dir, &["a.jsonl"], "o.json", &[]).1;
    assert!(message.contains("give --output-format, one of") && message.contains("`label-studio`"), "{message}");
}
