//! `ressort score` from outside: formats in and out, bad rows, exit codes. What a kill leaves is in `resume`.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::models_dir;

pub const TEXTS: [&str; 4] = [
    "Angela Merkel sprach in München über Wahlen.",
    "Der FC Bayern gewann. Das Spiel war in Berlin-Mitte 😀 und\n„Olaf“ sprach.",
    "Kurz.",
    "Siemens und Volkswagen sind an der Börse, die Bahn ist nicht dort.",
];

/// `ressort score` with a model that gives both tasks.
pub fn score() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ressort"));
    let model = models_dir().join("two-heads");
    command.arg("score").args(["--providers", "cpu", "--streams", "2"]).arg("--model").arg(model);
    command
}

/// Scores `inputs` of `dir` into `output`; gives exit code and messages.
pub fn run(dir: &TempDir, inputs: &[&str], output: &str, flags: &[&str]) -> (i32, String) {
    let mut command = score();
    command.current_dir(dir.path()).args(inputs).args(["--output", output]).args(flags);
    outcome(&command.output().unwrap())
}

pub fn outcome(output: &Output) -> (i32, String) {
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn lines(path: PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn batch() -> RecordBatch {
    let ids = Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef;
    let texts = Arc::new(StringArray::from(TEXTS.to_vec())) as ArrayRef;
    let kinds = Arc::new(StringArray::from(vec![Some("a"), None, Some("b"), Some("b")])) as ArrayRef;
    RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("text", texts, true), ("kind", kinds, true)])
        .unwrap()
}

/// The same four rows in every format.
fn write_inputs(dir: &Path) -> Vec<&'static str> {
    let batch = batch();
    let json = |id, text, kind: Option<&str>| json!({"id": id, "text": text, "kind": kind}).to_string() + "\n";
    let kinds = [Some("a"), None, Some("b"), Some("b")];
    let jsonl: String = TEXTS.iter().zip(kinds).enumerate().map(|(i, (text, kind))| json(i + 1, text, kind)).collect();
    std::fs::write(dir.join("a.jsonl"), &jsonl).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(File::create(dir.join("a.jsonl.gz")).unwrap(), Default::default());
    gzip.write_all(jsonl.as_bytes()).unwrap();
    gzip.finish().unwrap();
    std::fs::write(dir.join("a.ndjson.zst"), zstd::encode_all(jsonl.as_bytes(), 1).unwrap()).unwrap();
    for (name, delimiter) in [("a.csv", b','), ("a.tsv", b'\t')] {
        let mut csv = csv::WriterBuilder::new().delimiter(delimiter).from_path(dir.join(name)).unwrap();
        csv.write_record(["id", "text", "kind"]).unwrap();
        for (i, (text, kind)) in TEXTS.iter().zip(kinds).enumerate() {
            csv.write_record([&(i + 1).to_string(), *text, kind.unwrap_or_default()]).unwrap();
        }
    }
    let create = |name: &str| File::create(dir.join(name)).unwrap();
    let mut parquet = ArrowWriter::try_new(create("a.parquet"), batch.schema(), None).unwrap();
    parquet.write(&batch).unwrap();
    parquet.close().unwrap();
    let mut file = FileWriter::try_new(create("a.arrow"), &batch.schema()).unwrap();
    file.write(&batch).unwrap();
    file.finish().unwrap();
    let mut stream = StreamWriter::try_new(create("a.arrows"), &batch.schema()).unwrap();
    stream.write(&batch).unwrap();
    stream.finish().unwrap();
    vec!["a.jsonl", "a.jsonl.gz", "a.ndjson.zst", "a.csv", "a.tsv", "a.parquet", "a.arrow", "a.arrows"]
}

#[test]
fn every_format_is_read_with_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    let mut first: Option<Vec<Value>> = None;
    for input in write_inputs(dir.path()) {
        let (code, message) = run(&dir, &[input], "out.jsonl", &["--overwrite"]);
        assert_eq!(code, 0, "{input}: {message}");
        let rows = lines(dir.path().join("out.jsonl"));
        assert_eq!(rows.len(), TEXTS.len(), "{input}");
        // Separated values know neither numbers nor nulls.
        let is_text = [".csv", ".tsv"].iter().any(|ending| input.ends_with(ending));
        assert_eq!(rows[1]["id"], if is_text { json!("2") } else { json!(2) }, "{input}");
        assert_eq!(rows[1]["kind"], if is_text { json!("") } else { Value::Null }, "{input}");
        assert_eq!((&rows[0]["kind"], rows[0].get("text")), (&json!("a"), None), "{input}");
        let answers: Vec<Value> =
            rows.into_iter().map(|row| json!([row["topics"], row["entities"], row["usage"], row["models"]])).collect();
        assert_eq!(*first.get_or_insert_with(|| answers.clone()), answers, "{input}");
    }
}

#[test]
fn an_entity_of_a_file_is_the_slice_of_its_text() {
    let dir = tempfile::tempdir().unwrap();
    write_inputs(dir.path());
    assert_eq!(run(&dir, &["a.jsonl"], "out.jsonl", &[]).0, 0);
    let mut n_entities = 0;
    for (row, text) in lines(dir.path().join("out.jsonl")).iter().zip(TEXTS) {
        for entity in row["entities"].as_array().unwrap() {
            let offset = |end: &str| entity[end].as_u64().unwrap() as usize;
            let slice: String = text.chars().skip(offset("start")).take(offset("end") - offset("start")).collect();
            assert_eq!(entity["text"], slice);
            n_entities += 1;
        }
    }
    assert!(n_entities > 0);
}

/// A file of typed columns as JSON, row by row.
fn typed_rows(path: &Path) -> Vec<Value> {
    let file = || File::open(path).unwrap();
    let batches: Vec<RecordBatch> = match path.extension().unwrap().to_str().unwrap() {
        "parquet" => ParquetRecordBatchReaderBuilder::try_new(file()).unwrap().build().unwrap().flatten().collect(),
        "arrow" => FileReader::try_new(file(), None).unwrap().flatten().collect(),
        _ => StreamReader::try_new(file(), None).unwrap().flatten().collect(),
    };
    rows_of(&batches)
}

fn rows_of(batches: &[RecordBatch]) -> Vec<Value> {
    let mut writer = arrow_json::LineDelimitedWriter::new(Vec::new());
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    let text = String::from_utf8(writer.into_inner()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Without nulls, which typed columns and JSON lines tell apart and this test does not.
fn without_nulls(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(|field| *field = without_nulls(field.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_nulls(item.take())),
        _ => {}
    }
    value
}

#[test]
fn every_format_is_written_with_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    write_inputs(dir.path());
    assert_eq!(run(&dir, &["a.jsonl"], "out.jsonl", &[]).0, 0);
    let expected: Vec<Value> = lines(dir.path().join("out.jsonl")).into_iter().map(without_nulls).collect();
    for input in ["a.parquet", "a.jsonl"] {
        for output in ["out.parquet", "out.arrow", "out.arrows"] {
            let (code, message) = run(&dir, &[input], output, &["--overwrite"]);
            assert_eq!(code, 0, "{input} to {output}: {message}");
            let rows: Vec<Value> = typed_rows(&dir.path().join(output)).into_iter().map(without_nulls).collect();
            assert_eq!(rows, expected, "{input} to {output}");
        }
        let (code, message) = run(&dir, &[input], "out.csv", &["--overwrite"]);
        assert_eq!(code, 0, "{message}");
        let mut csv = csv::Reader::from_path(dir.path().join("out.csv")).unwrap();
        let header = csv.headers().unwrap().clone();
        let names = "id,kind,topic,topic_score,best_topic,best_topic_score,accepted_topics,topics,persons,places,organisations,\
             entities,characters,tokens,windows,truncated,topics_model,entities_model";
        assert_eq!(header.iter().collect::<Vec<_>>().join(","), names);
        for (row, expected) in csv.records().map(Result::unwrap).zip(&expected) {
            assert_eq!(&row[4], expected["topics"][0]["label"].as_str().unwrap_or_default(), "{input}");
            assert_eq!(serde_json::from_str::<Value>(&row[11]).unwrap(), expected["entities"], "{input}");
            assert_eq!(row[12], expected["usage"]["characters"].to_string());
        }
    }
}

#[test]
fn bad_rows_are_listed_counted_and_stop_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let long = "Berlin ".repeat(200);
    let jsonl = [
        br#"{"nr": 7, "text": "Angela Merkel"}"#.to_vec(),
        b"{broken".to_vec(),
        br#"{"nr": 8}"#.to_vec(),
        b"{\"text\": \"M\xfcnchen\"}".to_vec(),
        json!({"nr": 9, "text": long}).to_string().into_bytes(),
        json!({"nr": 10, "text": "x".repeat(3000)}).to_string().into_bytes(),
        br#"{"nr": 11, "text": "Berlin"}"#.to_vec(),
    ];
    std::fs::write(dir.path().join("a.jsonl"), jsonl.join(&b'\n')).unwrap();
    let flags = ["--id-column", "nr", "--overflow", "error", "--max-characters", "2000", "--summary", "sum.json"]
        .into_iter()
        .chain(["--encoding", "utf-8"])
        .collect::<Vec<_>>();
    let (code, message) = run(&dir, &["a.jsonl"], "out.jsonl", &flags);
    assert_eq!(code, 3, "{message}");
    assert!(message.contains("5 rows could not be scored") && message.contains("out.jsonl.errors.jsonl"), "{message}");
    let found: Vec<_> = lines(dir.path().join("out.jsonl.errors.jsonl"))
        .into_iter()
        .map(|error| (error["line"].as_u64().unwrap(), error["id"].clone(), error["code"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [
        (2, Value::Null, "invalid_json".to_owned()),
        (3, json!(8), "no_text".to_owned()),
        (4, Value::Null, "not_utf8".to_owned()),
        (5, json!(9), "window_exceeded".to_owned()),
        (6, json!(10), "text_too_long".to_owned()),
    ];
    assert_eq!(found, expected);
    let ids: Vec<_> = lines(dir.path().join("out.jsonl")).into_iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [json!(7), json!(11)]);
    let summary: Value = serde_json::from_slice(&std::fs::read(dir.path().join("sum.json")).unwrap()).unwrap();
    assert_eq!(
        (&summary["documents"], &summary["errors"], &summary["errors_by_code"]["no_text"]),
        (&json!(2), &json!(5), &json!(1))
    );
}

#[test]
fn plain_texts_have_their_path_as_id_and_their_last_line_as_section() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("archive/2020")).unwrap();
    std::fs::write(dir.path().join("archive/2020/b.txt"), "Angela Merkel sprach.\n\ntoi-allgemeines\n").unwrap();
    std::fs::write(dir.path().join("archive/a.txt"), "Der FC Bayern gewann.").unwrap();
    std::fs::write(dir.path().join("archive/c.txt"), "").unwrap();
    let (code, message) = run(&dir, &["archive"], "out.jsonl", &["--section", "last-line"]);
    assert_eq!(code, 3, "{message}");
    let rows = lines(dir.path().join("out.jsonl"));
    let found: Vec<_> = rows.iter().map(|row| (row["id"].as_str().unwrap(), row["section"].as_str())).collect();
    assert_eq!(found, [("archive/2020/b.txt", Some("toi-allgemeines")), ("archive/a.txt", None)]);
    assert_eq!(rows[0]["usage"]["characters"], "Angela Merkel sprach.".len());
    assert_eq!(lines(dir.path().join("out.jsonl.errors.jsonl"))[0]["file"], "archive/c.txt");
}

#[test]
fn several_inputs_and_text_columns_become_one_table() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.csv"), "title,body,n\nAngela Merkel,in Berlin,1\n").unwrap();
    std::fs::write(dir.path().join("b.csv"), "body,title,m\n,Olaf Scholz,2\n").unwrap();
    let flags = ["--text-column", "title", "--text-column", "body"];
    let (code, message) = run(&dir, &["*.csv"], "out.arrow", &flags);
    assert_eq!(code, 0, "{message}");
    let rows = typed_rows(&dir.path().join("out.arrow"));
    let found: Vec<_> = rows.iter().map(|row| json!([row["n"], row["m"], row["usage"]["characters"]])).collect();
    assert_eq!(found, [json!(["1", null, 24]), json!([null, "2", 11])]);
}

#[test]
fn binary_columns_are_text_where_they_are_utf8() {
    let dir = tempfile::tempdir().unwrap();
    let texts = Arc::new(BinaryArray::from(vec![Some(&b"Berlin"[..]), Some(b"M\xfcnchen"), None])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
    let mut file = FileWriter::try_new(File::create(dir.path().join("a.arrow")).unwrap(), &batch.schema()).unwrap();
    file.write(&batch).unwrap();
    file.finish().unwrap();
    assert_eq!(run(&dir, &["a.arrow"], "out.parquet", &[]).0, 3);
    assert_eq!(typed_rows(&dir.path().join("out.parquet")).len(), 1);
    let errors = lines(dir.path().join("out.parquet.errors.jsonl"));
    let found: Vec<_> = errors.iter().map(|error| json!([error["row"], error["code"]])).collect();
    assert_eq!(found, [json!([2, "not_utf8"]), json!([3, "no_text"])]);
}

#[test]
fn each_batch_of_a_piped_stream_is_answered_before_the_next_is_sent() {
    let mut process = score()
        .args(["--format", "arrow-stream", "-", "--output", "-", "--errors", "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let batch = batch();
    let mut writer = StreamWriter::try_new(process.stdin.take().unwrap(), &batch.schema()).unwrap();
    let mut stdout = Some(process.stdout.take().unwrap());
    let mut reader = None;
    for n_rows in [4, 1, 3] {
        writer.write(&batch.slice(0, n_rows)).unwrap();
        writer.flush().unwrap();
        let reader = reader.get_or_insert_with(|| StreamReader::try_new(stdout.take().unwrap(), None).unwrap());
        let answer = reader.next().unwrap().unwrap();
        let ids = answer.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(ids, (1..=n_rows as i64).collect::<Vec<_>>());
        assert_eq!(answer.column_by_name("topics").unwrap().null_count(), 0);
    }
    writer.finish().unwrap();
    drop(writer);
    assert!(reader.unwrap().next().is_none());
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

#[test]
fn standard_input_becomes_standard_output_in_its_format() {
    let mut process =
        score().args(["-", "--format", "csv", "-o", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all("id,text\n1,Berlin\n2,München\n".as_bytes()).unwrap();
    let mut text = String::new();
    process.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0));
    let starts: Vec<_> = text.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(starts, ["id", "1", "2"]);
}

#[test]
fn bad_usage_ends_with_2_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    write_inputs(dir.path());
    std::fs::write(dir.path().join("a.doc"), "x").unwrap();
    for (input, output, flags, part) in [
        ("b.jsonl", "o.jsonl", &[][..], "b.jsonl: no such file or folder"),
        ("*.json", "o.jsonl", &[], "no file matches this pattern"),
        ("a.doc", "o.jsonl", &[], "give --format"),
        ("a.jsonl", "o.doc", &[], "give --output-format"),
        ("a.jsonl", "o.txt", &[], "cannot be written as `txt`"),
        ("a.jsonl", ".", &[], "is a folder"),
        ("a.csv", "o.csv", &["--text-column", "body"], "a.csv: no column `body`; it has: id, text, kind"),
        ("a.csv", "o.csv", &["--id-column", "nr"], "no column `nr`"),
        ("a.parquet", "o.csv", &["--text-column", "id"], "holds Int64, and not text"),
        ("-", "o.jsonl", &[], "give --format"),
        ("a.parquet", "-", &[], "cannot be written to standard output"),
        ("a.jsonl", "o.parquet.gz", &[], "not compressed as a whole"),
        (
            "a.jsonl",
            "o.jsonl",
            &["--threshold", "0,1"],
            "two values for a task; give one for each, with a decimal point",
        ),
        ("a.jsonl", "o.jsonl", &["--threshold", "entities=0,1"], "with a decimal point"),
        ("a.jsonl", "o.jsonl", &["--threshold", "1.5"], "`1.5` is not a score: give a number between 0 and 1"),
        ("a.jsonl", "o.jsonl", &["--tasks", "mood"], "`mood` is not one of"),
        ("a.jsonl", "o.jsonl", &["--look-ahead", "0"], "give a whole number of at least 1"),
        ("a.csv", "o.jsonl", &["--delimiter", "ab"], "one ASCII character"),
    ] {
        let (code, message) = run(&dir, &[input], output, flags);
        assert_eq!(code, 2, "{input} {output} {flags:?}: {message}");
        assert!(message.contains(part), "{input} {output} {flags:?}: {message}");
    }
    assert!(!dir.path().join("o.jsonl.parts").exists());
}
