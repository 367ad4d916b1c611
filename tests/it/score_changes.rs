//! An input that another program changes while `ressort score` reads it ends the run, and no changed row counts.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_ipc::writer::FileWriter;
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

use crate::resume::n_done;
use crate::score::{outcome, score};

const N_ROWS: usize = 3000;

/// What the other program does to a file; it knows the content and that of another file of the same size.
type Change = fn(&Path, &[u8], &[u8]);

fn rewrite(path: &Path, _: &[u8], other: &[u8]) {
    let time = path.metadata().unwrap().modified().unwrap();
    let mut file = File::options().write(true).open(path).unwrap();
    file.write_all(other).unwrap();
    file.set_modified(time).unwrap();
}

fn truncate(path: &Path, content: &[u8], _: &[u8]) {
    File::options().write(true).open(path).unwrap().set_len(content.len() as u64 * 2 / 3).unwrap();
}

fn append(path: &Path, content: &[u8], _: &[u8]) {
    File::options().append(true).open(path).unwrap().write_all(content).unwrap();
}

fn replace(path: &Path, _: &[u8], other: &[u8]) {
    let new = path.with_extension("new");
    write(&new, other);
    std::fs::rename(new, path).unwrap();
}

/// Writes files whose times tell nothing.
fn write(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
}

/// Rows about `place` in the format of `name`.
fn content(name: &str, place: &str) -> Vec<u8> {
    let text = |i: usize| format!("Zeile {i} meldet aus {place}, dass die Bank in New York Gewinn macht. {}", i * i);
    let texts: Vec<String> = (0..N_ROWS).map(text).collect();
    let lines: String = texts.iter().map(|text| format!("{{\"text\": \"{text}\"}}\n")).collect();
    let batches = || {
        let batch = |texts: &[String]| {
            let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
            RecordBatch::try_from_iter([("text", column)]).unwrap()
        };
        texts.chunks(100).map(batch).collect::<Vec<_>>()
    };
    let schema = batches()[0].schema();
    match name {
        "a.csv" => format!("text\n{}", texts.iter().map(|text| format!("\"{text}\"\n")).collect::<String>()).into(),
        "a.jsonl" => lines.into(),
        "a.jsonl.gz" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
            encoder.write_all(lines.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        "a.parquet" => {
            let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
            batches().iter().for_each(|batch| writer.write(batch).and_then(|()| writer.flush()).unwrap());
            writer.into_inner().unwrap()
        }
        "a.arrow" => {
            let mut writer = FileWriter::try_new(Vec::new(), &schema).unwrap();
            batches().iter().for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
            writer.into_inner().unwrap()
        }
        _ => text(0).into(),
    }
}

/// What the input is called, the file that changes, and its content before and in another version.
fn input(dir: &TempDir, name: &str) -> (PathBuf, [Vec<u8>; 2]) {
    let contents = ["Köln", "Rom!?"].map(|place| content(name, place));
    let path = match name {
        "texts" => {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            let texts = (0..N_ROWS).map(|i| dir.path().join(name).join(format!("{i:04}.txt")));
            texts.for_each(|path| write(&path, &contents[0]));
            dir.path().join("texts/0400.txt")
        }
        _ => dir.path().join(name),
    };
    write(&path, &contents[0]);
    (path, contents)
}

fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
}

#[test]
fn an_input_that_another_program_changes_ends_the_run_and_no_changed_row_counts() {
    let cases: [(&str, Change); 9] = [
        ("a.csv", rewrite),
        ("a.csv", truncate),
        ("a.jsonl", append),
        ("a.jsonl", rewrite),
        ("a.jsonl.gz", truncate),
        ("a.parquet", rewrite),
        ("a.arrow", rewrite),
        ("a.arrow", replace),
        ("texts", rewrite),
    ];
    for (index, (name, change)) in cases.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let (path, [before, after]) = input(&dir, name);
        let flags = ["--look-ahead", "16", "--keep-text", "--output", "o.jsonl", name];
        let process = score().current_dir(dir.path()).args(flags).stderr(Stdio::piped()).spawn().unwrap();
        while n_done(&dir.path().join("o.jsonl.parts")) == 0 {
            std::thread::yield_now();
        }
        signal(process.id(), "-STOP");
        change(&path, &before, &after);
        signal(process.id(), "-CONT");
        let (code, message) = outcome(&process.wait_with_output().unwrap());
        let case = format!("case {index}, {name}");
        assert!(code == 1 && message.contains("has changed while it was read"), "{case}: {code} {message}");
        assert!(!dir.path().join("o.jsonl").exists(), "{case}");
        let saved = std::fs::read_to_string(dir.path().join("o.jsonl.parts/rows")).unwrap();
        assert!(saved.contains("Köln") && !saved.contains("Rom!?"), "{case}: rows of two versions");
        assert!(saved.lines().count() < N_ROWS, "{case}");
    }
}
