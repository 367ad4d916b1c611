//! `ressort score` on files that are large, damaged or changing: bounded, named, and no row lost without a word.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::score::{outcome, run, score};

fn lines(dir: &TempDir, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write_columns(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "parquet") {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    } else {
        let mut writer = FileWriter::try_new(file, &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
    }
}

#[test]
fn a_row_over_the_bound_is_a_row_error_in_typed_columns_too() {
    let dir = tempfile::tempdir().unwrap();
    let long = "Bonn ".repeat(400);
    for name in ["a.parquet", "a.arrow"] {
        let texts = StringArray::from(vec!["Bonn", &long, "Ulm"]);
        let ids = Int64Array::from(vec![1, 2, 3]);
        write_columns(&dir.path().join(name), vec![("id", Arc::new(ids)), ("text", Arc::new(texts))]);
        let flags = ["--overwrite", "--max-row-bytes", "1000", "--keep-errors"];
        let (code, message) = run(&dir, &[name], "o.jsonl", &flags);
        assert_eq!(code, 3, "{name}: {message}");
        let errors = lines(&dir, "o.jsonl.errors.jsonl");
        let found: Vec<_> = errors.iter().map(|error| json!([error["row"], error["id"], error["code"]])).collect();
        assert_eq!(found, [json!([2, 2, "invalid_row"])], "{name}");
        assert!(errors[0]["reason"].as_str().unwrap().contains("raise --max-row-bytes"), "{name}");
        assert_eq!(lines(&dir, "o.jsonl").len(), 3, "{name}");
    }
}

#[test]
fn a_column_of_values_that_no_memory_is_to_hold_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    // Compressed, it is small.
    let texts = StringArray::from(vec!["Bonn ".repeat(40_000)]);
    write_columns(&dir.path().join("a.parquet"), vec![("body", Arc::new(texts))]);
    let flags = ["--text-column", "body", "--max-row-bytes", "1000", "--model", "no/such"];
    let (code, message) = run(&dir, &["a.parquet"], "o.jsonl", &flags);
    assert!(code == 1 && message.contains("column `body` has values of 2"), "{message}");
}

#[test]
fn integers_and_fractions_of_two_inputs_share_a_column_without_losing_digits() {
    let dir = tempfile::tempdir().unwrap();
    let columns = |numbers: ArrayRef| -> Vec<(&str, ArrayRef)> {
        vec![("text", Arc::new(StringArray::from(vec!["Bonn", "Ulm"]))), ("n", numbers)]
    };
    let integers = vec![9_007_199_254_740_993, 9_007_199_254_740_992];
    write_columns(&dir.path().join("i.parquet"), columns(Arc::new(Int64Array::from(integers.clone()))));
    write_columns(&dir.path().join("f.parquet"), columns(Arc::new(Float64Array::from(vec![0.5, 1e300]))));
    let row = |n: &i64| json!({"text": "Bonn", "n": n}).to_string() + "\n";
    std::fs::write(dir.path().join("i.jsonl"), integers.iter().map(row).collect::<String>()).unwrap();
    for input in ["i.parquet", "i.jsonl"] {
        let (code, message) = run(&dir, &[input, "f.parquet"], "o.parquet", &["--overwrite"]);
        assert_eq!(code, 3, "{input}: {message}");
        let errors = lines(&dir, "o.parquet.errors.jsonl");
        assert_eq!(errors.len(), 1, "{input}");
        assert!(errors[0]["reason"].as_str().unwrap().starts_with("`n` is 9007199254740993;"), "{input}: {errors:?}");
        for output in ["o.jsonl", "o.csv"] {
            assert_eq!(run(&dir, &[input, "f.parquet"], output, &["--overwrite"]).0, 0, "{input} to {output}");
            let text = std::fs::read_to_string(dir.path().join(output)).unwrap();
            assert!(text.contains("9007199254740993"), "{input} to {output}: {text}");
        }
    }
}

#[test]
fn an_input_that_changes_while_it_is_read_ends_the_run() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap().success());
    let rows = "{\"text\": \"Bonn\"}\n".repeat(50);
    std::fs::write(dir.path().join("b.jsonl"), &rows).unwrap();
    let mut command = score();
    command.current_dir(dir.path()).args(["pipe", "b.jsonl", "--format", "jsonl", "--output", "o.jsonl"]);
    let process = command.stderr(Stdio::piped()).spawn().unwrap();
    // Opens when the process opens the other end, which is after it has looked at the sizes.
    let mut pipe = File::options().write(true).open(dir.path().join("pipe")).unwrap();
    std::fs::write(dir.path().join("b.jsonl"), &rows[..rows.len() / 2]).unwrap();
    pipe.write_all(b"{\"text\": \"Ulm\"}\n").unwrap();
    drop(pipe);
    let (code, message) = outcome(&process.wait_with_output().unwrap());
    assert!(code == 1 && message.contains("b.jsonl: has changed while it was read"), "{message}");
    assert!(!dir.path().join("o.jsonl").exists());
}

/// Gives the checkpoint the checksum of its fields.
fn sign(checkpoint: &mut Value) {
    let fields = checkpoint.as_object_mut().unwrap();
    fields.remove("checksum");
    let text: String = fields.iter().map(|(name, value)| format!("{name}\0{value}\0")).collect();
    let digest = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>();
    fields.insert("checksum".to_owned(), digest.into());
}

#[test]
fn a_checkpoint_that_counts_more_rows_than_the_input_has_ends_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "text\nBonn\nUlm\n";
    std::fs::write(dir.path().join("a.csv"), rows).unwrap();
    std::fs::write(dir.path().join("a.txt"), "Bonn").unwrap();
    std::fs::write(dir.path().join("a.jsonl"), "{\"text\": \"Bonn\"}\n{}\n").unwrap();
    write_columns(&dir.path().join("a.parquet"), vec![("text", Arc::new(StringArray::from(vec!["Bonn"])))]);
    for (input, position) in [
        ("a.csv", json!({"source": 7, "record": 0})),
        ("a.csv", json!({"source": 0, "record": 9})),
        ("a.jsonl", json!({"source": 0, "record": 9})),
        ("a.txt", json!({"source": 0, "record": 9})),
        ("a.parquet", json!({"source": 0, "record": 9})),
    ] {
        let parts = dir.path().join("o.jsonl.parts");
        // Stops with its parts.
        std::fs::write(dir.path().join("bad.jsonl"), "no JSON\n").unwrap();
        let flags = ["--max-errors", "0", "--text-column", "text"];
        assert_eq!(run(&dir, &[input, "bad.jsonl"], "o.jsonl", &flags).0, 1, "{input}");
        let path = parts.join("checkpoint.json");
        let mut checkpoint: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        checkpoint["position"] = position;
        sign(&mut checkpoint);
        std::fs::write(&path, checkpoint.to_string()).unwrap();
        let (code, message) = run(&dir, &[input, "bad.jsonl"], "o.jsonl", &["--text-column", "text"]);
        assert!(code == 1 && !dir.path().join("o.jsonl").exists(), "{input}: {message}");
        assert!(message.contains("has fewer rows") || message.contains("are not there"), "{input}: {message}");
        std::fs::remove_dir_all(&parts).unwrap();
    }
}
