//! Files of texts for `score` and `evaluate`: read to the end, and written again as rows that failed.
//!
//! The first three bytes choose format, options and the format of the output; the rest is the file.

#![no_main]

mod shared;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use ressort::classify::request::ClassifyOptions;
use ressort::evaluate::gold::{Gold, GoldSource};
use ressort::score::fuzz::{Rewritten, rewrite};
use ressort::score::{ColumnChoice, DocumentColumns, Format, ScoreJob, OutputChoice, ReadSettings, Target};

/// By extension, as users name them.
const FILES: [&str; 10] =
    ["a.jsonl", "a.csv", "a.tsv", "a.parquet", "a.arrow", "a.arrows", "a.txt", "gold.jsonl", "gold.conll", "gold.csv"];
const OUTPUTS: [Format; 4] = [Format::Jsonl, Format::Csv, Format::Tsv, Format::ArrowStream];
const ENCODINGS: [&str; 4] = ["utf-8", "windows-1252", "utf-16le", "shift_jis"];
const MAX_ROW_BYTES: usize = 100_000;

type Columns = BTreeMap<String, Box<serde_json::value::RawValue>>;

thread_local! {
    static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

/// A file in memory with this content.
fn file(name: &str, content: &[u8]) -> PathBuf {
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(shared::folder_in_memory);
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("the folder is writable");
        path
    })
}

fn job(path: &Path, options: u8, output: u8) -> ScoreJob {
    let is_set = |bit: u8| options >> bit & 1 == 1;
    let encoding = is_set(0).then(|| ENCODINGS[usize::from(options >> 6)].parse());
    ScoreJob {
        inputs: vec![path.to_string_lossy().into_owned()],
        input_format: None,
        reading: ReadSettings {
            delimiter: is_set(1).then_some(b';'),
            has_quotes: !is_set(2),
            encoding: encoding.transpose().expect("a known encoding"),
            max_row_bytes: MAX_ROW_BYTES,
            section: is_set(3),
        },
        columns: ColumnChoice {
            document: DocumentColumns {
                title: (output & 8 != 0).then(|| "title".into()),
                lead: None,
                text: if is_set(4) { vec!["title".into(), "text".into()] } else { Vec::new() },
            },
            id: None,
            keep_text: is_set(5),
            keep_errors: true,
            has_evidence: output & 64 != 0,
            has_groups: output & 128 != 0,
        },
        target: Target::Stdout { errors_file: None },
        reports: Vec::new(),
        inputs_unchanged: false,
        output: OutputChoice {
            format: Some(OUTPUTS[usize::from(output) % OUTPUTS.len()]),
            delimiter: None,
            has_bom: output & 16 != 0,
        },
        options: ClassifyOptions::default(),
        max_characters: 10_000,
        max_errors: None,
        limit: (output & 32 != 0).then_some(3),
        dry_run: true,
        look_ahead: 16,
    }
}

/// Every row of the input is one of the output.
fn check(rewritten: &Rewritten) {
    let Rewritten { n_rows, format, bytes } = rewritten;
    match format {
        Format::Jsonl => {
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            // Other columns are as they were, even half of a character (`\ud800`).
            let objects = lines.map(|line| serde_json::from_slice::<Columns>(line).expect("JSON lines"));
            assert_eq!(objects.count(), *n_rows);
        }
        Format::Csv | Format::Tsv => {
            let delimiter = if *format == Format::Tsv { b'\t' } else { b',' };
            let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(&bytes[..]);
            let rows = reader.byte_records().map(|row| row.expect("rows of one length"));
            assert_eq!(rows.count(), *n_rows);
        }
        _ => {
            let reader = arrow_ipc::reader::StreamReader::try_new(&bytes[..], None).expect("an Arrow stream");
            let n_read: usize = reader.map(|batch| batch.expect("a whole batch").num_rows()).sum();
            assert_eq!(n_read, *n_rows);
        }
    }
}

fuzz_target!(init: shared::allow_panics_of_libraries(), |input: &[u8]| {
    let Some((&[name, options, output], content)) = input.split_first_chunk() else { return };
    let name = FILES[usize::from(name) % FILES.len()];
    let path = file(name, content);
    if name.starts_with("gold") {
        let source = GoldSource { path, ..GoldSource::default() };
        if let Ok(gold) = Gold::read(&source) {
            assert!(!gold.documents.is_empty());
        }
        return;
    }
    match rewrite(job(&path, options, output)) {
        Ok(rewritten) => check(&rewritten),
        Err(_) => {}
    }
});
