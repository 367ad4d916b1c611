//! `ressort score` with a title, a lead and a text from columns: the answers of the API for such documents, in every format.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ressort::classify::request::RequestLimits;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{classify, service_of};
use crate::score::run;

const TITLE: &str = "Zoë 😀: Angela Merkel reist";
const LEAD: &str = "Sie kommt nach München.";
const TEXT: &str = "Merkel sprach in Berlin über Siemens.";

const FLAGS: [&str; 9] = [
    "--title-column",
    "head",
    "--lead-column",
    "teaser",
    "--text-column",
    "body",
    "--group",
    "--evidence",
    "--threshold=topics=0",
];

/// The same row in files of several formats; the second row has a title only.
fn inputs(dir: &Path) -> [&'static str; 4] {
    let row = json!({"id": "1", "head": TITLE, "teaser": LEAD, "body": TEXT});
    let lines = format!("{row}\n{}\n", json!({"id": "2", "head": TITLE, "teaser": "", "body": null}));
    std::fs::write(dir.join("a.jsonl"), lines).unwrap();
    std::fs::write(dir.join("a.csv"), format!("id;head;teaser;body\n1;{TITLE};{LEAD};{TEXT}\n2;{TITLE};;\n")).unwrap();
    let column = |values: [Option<&str>; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let batch = RecordBatch::try_from_iter([
        ("id", column([Some("1"), Some("2")])),
        ("head", column([Some(TITLE), Some(TITLE)])),
        ("teaser", column([Some(LEAD), Some("")])),
        ("body", column([Some(TEXT), None])),
    ]);
    let batch = batch.unwrap();
    let mut arrow = FileWriter::try_new(File::create(dir.join("a.arrow")).unwrap(), &batch.schema()).unwrap();
    arrow.write(&batch).unwrap();
    arrow.finish().unwrap();
    let mut parquet = ArrowWriter::try_new(File::create(dir.join("a.parquet")).unwrap(), batch.schema(), None).unwrap();
    parquet.write(&batch).unwrap();
    parquet.close().unwrap();
    ["a.jsonl", "a.csv", "a.arrow", "a.parquet"]
}

fn lines(dir: &TempDir, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_make_the_document_that_the_api_takes() {
    let service = service_of(&["two-heads"], RequestLimits::default()).await;
    let document = json!({"title": TITLE, "lead": LEAD, "text": TEXT});
    let documents = json!([document, {"title": TITLE}]);
    let body = json!({"documents": documents, "group": true, "evidence": true, "threshold": {"topics": 0.0}});
    let expected = classify(&service, body).await;
    let dir = tempfile::tempdir().unwrap();
    for input in inputs(dir.path()) {
        let flags = [&FLAGS[..], &["--overwrite"]].concat();
        let (code, message) = run(&dir, &[input], "o.jsonl", &flags);
        assert_eq!(code, 0, "{input}: {message}");
        for (row, expected) in lines(&dir, "o.jsonl").iter().zip(expected["results"].as_array().unwrap()) {
            for part in ["topics", "entities", "groups"] {
                assert_eq!(row[part], expected[part], "{part} of {input}");
            }
            assert_eq!(row["usage"]["characters"], expected["usage"]["characters"]);
            assert_eq!((row.get("head"), row.get("body")), (None, None), "fields are text columns");
        }
    }
}

#[test]
fn the_field_of_an_offset_is_a_column_of_every_format() {
    let dir = tempfile::tempdir().unwrap();
    inputs(dir.path());
    for output in ["o.jsonl", "o.parquet", "o.csv"] {
        assert_eq!(run(&dir, &["a.jsonl"], output, &FLAGS).0, 0, "{output}");
    }
    let entities = lines(&dir, "o.jsonl")[0]["entities"].clone();
    for (field, source) in [("title", TITLE), ("lead", LEAD), ("text", TEXT)] {
        let found: Vec<&Value> = entities.as_array().unwrap().iter().filter(|it| it["field"] == field).collect();
        assert!(!found.is_empty(), "no entity in the {field}: {entities}");
        for entity in found {
            let at = |end: &str| entity[end].as_u64().unwrap() as usize;
            let slice: String = source.chars().skip(at("start")).take(at("end") - at("start")).collect();
            assert_eq!(entity["text"], slice);
        }
    }
    let mut csv = csv::Reader::from_path(dir.path().join("o.csv")).unwrap();
    let at = csv.headers().unwrap().iter().position(|name| name == "entities").unwrap();
    let row = csv.records().next().unwrap().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&row[at]).unwrap(), entities);
    let file = File::open(dir.path().join("o.parquet")).unwrap();
    let batch = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().next().unwrap().unwrap();
    let mut writer = arrow_json::LineDelimitedWriter::new(Vec::new());
    writer.write(&batch).unwrap();
    let typed: Value =
        serde_json::from_slice(writer.into_inner().split(|&byte| byte == b'\n').next().unwrap()).unwrap();
    let row = &lines(&dir, "o.jsonl")[0];
    for list in ["entities", "groups"] {
        let fields =
            |row: &Value| row[list].as_array().unwrap().iter().map(|it| it["field"].clone()).collect::<Vec<_>>();
        assert_eq!(fields(&typed), fields(row), "{list}");
    }
    assert_eq!(typed["topics"][0]["evidence"][0]["field"], row["topics"][0]["evidence"][0]["field"]);
}

#[test]
fn a_column_that_is_no_field_is_refused_before_a_model_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    inputs(dir.path());
    std::fs::write(dir.path().join("a.txt"), "Bonn").unwrap();
    for (input, flags, part) in [
        ("a.csv", &["--text-column", "body", "--title-column", "titel"][..], "no column `titel`"),
        ("a.jsonl", &["--text-column", "body", "--lead-column", "led"], "no column `led`"),
        ("a.csv", &["--text-column", "body", "--title-column", "body"], "both name the column `body`"),
        ("a.txt", &["--title-column", "head"], "plain texts have no columns"),
    ] {
        let flags = [flags, &["--model", "no/such"]].concat();
        let (code, message) = run(&dir, &[input], "o.jsonl", &flags);
        assert!(code == 2 && message.contains(part), "{flags:?}: {code} {message}");
    }
    // A plain text among rows with a title is the field `text`.
    let (code, message) = run(&dir, &["a.jsonl", "a.txt"], "o.jsonl", &FLAGS);
    assert_eq!(code, 0, "{message}");
    assert_eq!(lines(&dir, "o.jsonl")[2]["topics"][0]["evidence"][0]["field"], "text");
}
