//! `ressort score` as a person uses it: kept texts and errors, tables for Excel, the first rows only, nothing written.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BinaryArray, RecordBatch};
use arrow_cast::cast;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::FileWriter;
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use tempfile::TempDir;

use crate::score::{TEXTS, run};
use crate::support::models_dir;

const OUTPUTS: [&str; 6] = ["o.jsonl", "o.csv", "o.tsv", "o.parquet", "o.arrow", "o.arrows"];

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, content)| std::fs::write(dir.path().join(name), content).unwrap());
    dir
}

/// Scores `inputs` into `output` and expects `code`; gives the messages.
fn scored(dir: &TempDir, inputs: &[&str], output: &str, flags: &[&str], code: i32) -> String {
    let flags = [&["--overwrite"], flags].concat();
    let (found, message) = run(dir, inputs, output, &flags);
    assert_eq!(found, code, "{inputs:?} to {output}: {message}");
    message
}

/// A column of the output as text, row by row; `None` where the row has no value.
fn column(path: &Path, name: &str) -> Vec<Option<String>> {
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    let file = || File::open(path).unwrap();
    let batches: Vec<RecordBatch> = match path.extension().unwrap().to_str().unwrap() {
        "jsonl" => {
            let text = std::fs::read_to_string(path).unwrap();
            let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            return rows.map(|row| row[name].as_str().map(str::to_owned)).collect();
        }
        extension @ ("csv" | "tsv") => {
            let delimiter = if extension == "tsv" { b'\t' } else { b',' };
            let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_path(path).unwrap();
            let at = reader.headers().unwrap().iter().position(|header| header == name).unwrap();
            return reader.records().map(|row| filled(row.unwrap()[at].to_owned())).collect();
        }
        "parquet" => ParquetRecordBatchReaderBuilder::try_new(file()).unwrap().build().unwrap().flatten().collect(),
        "arrow" => FileReader::try_new(file(), None).unwrap().flatten().collect(),
        _ => StreamReader::try_new(file(), None).unwrap().flatten().collect(),
    };
    let values = batches.iter().flat_map(|batch| {
        let column = cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
        column.as_string::<i32>().iter().map(|value| value.map(str::to_owned)).collect::<Vec<_>>()
    });
    values.collect()
}

fn all(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn groups_and_evidence_are_columns_of_every_format() {
    let dir =
        folder(&[("a.jsonl", "{\"text\": \"Angela Merkel war in Berlin. Merkel sprach.\"}\n{\"text\": \"Ulm\"}\n")]);
    for output in OUTPUTS {
        scored(&dir, &["a.jsonl"], output, &["--group", "--evidence", "--threshold", "topics=0"], 0);
        assert_eq!(column(&dir.path().join(output), "evidence_method"), all(&["exact", "exact"]), "{output}");
    }
    let groups = &column(&dir.path().join("o.csv"), "groups")[0];
    let groups: Value = serde_json::from_str(groups.as_deref().unwrap()).unwrap();
    let file = File::open(dir.path().join("o.parquet")).unwrap();
    let batch = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().next().unwrap().unwrap();
    let typed = batch.column_by_name("groups").unwrap().as_list::<i32>().value(0);
    assert_eq!(typed.len(), groups.as_array().unwrap().len());
    let topics = batch.column_by_name("topics").unwrap().as_list::<i32>().value(0);
    let evidence = topics.as_struct().column_by_name("evidence").unwrap().as_list::<i32>().value(0);
    assert_eq!(evidence.len(), 2);
    // Without the flags, an input may have columns of these names.
    std::fs::write(dir.path().join("b.jsonl"), "{\"text\": \"Ulm\", \"groups\": \"x\"}\n").unwrap();
    scored(&dir, &["b.jsonl"], "o.csv", &[], 0);
    assert_eq!(column(&dir.path().join("o.csv"), "groups"), all(&["x"]));
    scored(&dir, &["b.jsonl"], "o.csv", &["--group"], 0);
    assert_eq!(column(&dir.path().join("o.csv"), "input_groups"), all(&["x"]));
}

#[test]
fn a_kept_text_is_the_text_that_was_read_in_every_format() {
    let dir = folder(&[("a.csv", "id,body\n1,\"Köln; \"\"Bonn\"\"\n😀\"\n2,Ulm\n"), ("a.txt", "Bonn\n\ntoi-kultur\n")]);
    let json = "{\"id\": 1, \"body\": \"Köln; \\\"Bonn\\\"\\n😀\"}\n{\"id\": 2, \"body\": \"Ulm\"}\n";
    std::fs::write(dir.path().join("a.jsonl"), json).unwrap();
    let texts = Arc::new(BinaryArray::from(vec!["Köln; \"Bonn\"\n😀".as_bytes(), b"Ulm"])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("body", texts)]).unwrap();
    let mut file = FileWriter::try_new(File::create(dir.path().join("a.arrow")).unwrap(), &batch.schema()).unwrap();
    file.write(&batch).unwrap();
    file.finish().unwrap();
    for output in OUTPUTS {
        for input in ["a.csv", "a.jsonl", "a.arrow"] {
            scored(&dir, &[input], output, &["--text-column", "body", "--keep-text"], 0);
            let kept = column(&dir.path().join(output), "body");
            assert_eq!(kept, all(&["Köln; \"Bonn\"\n😀", "Ulm"]), "{input} to {output}");
        }
        scored(&dir, &["a.txt"], output, &["--keep-text", "--section", "last-line"], 0);
        assert_eq!(column(&dir.path().join(output), "text"), all(&["Bonn"]), "{output}");
    }
    scored(&dir, &["a.jsonl", "a.arrow"], "o.parquet", &["--text-column", "body", "--keep-text"], 0);
    assert_eq!(column(&dir.path().join("o.parquet"), "body").len(), 4, "texts of two types are one column");
}

#[test]
fn a_text_column_that_cannot_keep_its_name_is_refused_before_a_model_is_loaded() {
    let dir = folder(&[
        ("a.csv", "id,topics,topic,error\n1,Bonn,Ulm,Köln\n"),
        ("a.jsonl", "{\"id\": 1, \"topics\": \"Bonn\", \"topic\": \"Ulm\", \"error\": \"Köln\"}"),
        ("twice.csv", "topics,input_topics\nBonn,Ulm\n"),
    ]);
    for (input, output, text, flags) in [
        ("a.csv", "o.jsonl", "topics", &["--keep-text"][..]),
        ("a.jsonl", "o.parquet", "topics", &["--keep-text"]),
        ("a.jsonl", "o.csv", "topic", &["--keep-text"]),
        ("a.csv", "o.csv", "id", &["--keep-text"]),
        ("a.csv", "o.jsonl", "error", &["--keep-text", "--keep-errors"]),
        ("twice.csv", "o.jsonl", "input_topics", &["--keep-text"]),
    ] {
        let message =
            scored(&dir, &[input], output, &[flags, &["--text-column", text, "--model", "no/such"]].concat(), 2);
        let named = message.contains(&format!("column `{text}`")) || message.contains(&format!("called `{text}`"));
        assert!(named, "{input} {text}: {message}");
        scored(&dir, &[input], output, &["--text-column", text], 0);
    }
    scored(&dir, &["a.csv"], "o.jsonl", &["--text-column", "error", "--keep-text"], 0);
}

#[test]
fn with_kept_errors_the_output_has_a_row_for_each_row_of_the_input() {
    let jsonl = "{\"id\": \"1\", \"text\": \"Bonn\"}\nnot JSON\n{\"id\": \"3\"}\n{\"id\": \"4\", \"text\": \"Ulm\"}\n";
    let dir = folder(&[("a.jsonl", jsonl), ("a.csv", "id,text\n1,Bonn\n2,Ulm,zu viel\n3,\n4,Ulm\n")]);
    for output in OUTPUTS {
        for (input, second) in [("a.jsonl", "invalid_json: "), ("a.csv", "invalid_row: ")] {
            scored(&dir, &[input], output, &["--keep-errors", "--keep-text", "--look-ahead", "3"], 3);
            let path = dir.path().join(output);
            let ids = column(&path, "id");
            assert_eq!(ids, [Some("1".to_owned()), None, Some("3".to_owned()), Some("4".to_owned())], "{output}");
            let errors = column(&path, "error");
            assert!(errors[1].as_ref().unwrap().starts_with(second), "{errors:?}");
            assert!(errors[2].as_ref().unwrap().starts_with("no_text: `text`"), "{errors:?}");
            assert_eq!((&errors[0], &errors[3]), (&None, &None), "{output}");
            let n_listed = std::fs::read_to_string(dir.path().join(format!("{output}.errors.jsonl"))).unwrap();
            assert_eq!(n_listed.lines().count(), 2, "{output}");
        }
    }
}

#[test]
fn a_topic_that_is_not_accepted_is_the_best_one_and_no_more() {
    let dir = folder(&[("a.csv", "text\nDie Börse und die Wirtschaft.\n")]);
    let model = models_dir().join("two-heads");
    let model = format!("a={}", model.display());
    for (threshold, is_accepted) in [("topics=0", true), ("topics=1", false)] {
        scored(&dir, &["a.csv"], "o.csv", &["--threshold", threshold, "--model", &model, "--top-k", "2"], 0);
        let value = |name| column(&dir.path().join("o.csv"), name).remove(0);
        let topics: Value = serde_json::from_str(&value("topics").unwrap()).unwrap();
        let label = |index: usize| topics[index]["label"].as_str().unwrap().to_owned();
        let score = topics[0]["score"].to_string();
        assert_eq!((value("best_topic"), value("best_topic_score")), (Some(label(0)), Some(score.clone())));
        let accepted = is_accepted.then(|| format!("{}|{}", label(0), label(1)));
        assert_eq!((value("topic"), value("accepted_topics")), (is_accepted.then(|| label(0)), accepted));
        assert_eq!(value("topic_score"), is_accepted.then_some(score));
    }
}

#[test]
fn names_stand_in_flat_columns_whatever_the_model_calls_them() {
    let dir = folder(&[]);
    let text = "Angela Merkel sprach in Berlin und München. Siemens war dort, Angela\nMerkel und Berlin auch.";
    let mut csv = csv::Writer::from_path(dir.path().join("a.csv")).unwrap();
    [["text"], [text]].iter().for_each(|row| csv.write_record(row).unwrap());
    csv.flush().unwrap();
    let renamed = crate::support::copy_of("lexicon-ner");
    let settings = std::fs::read_to_string(renamed.path().join("ressort.toml")).unwrap_or_default();
    let renames = "\n[entities.rename]\nPER = \"Menschen\"\nLOC = \"Orte\"\n";
    std::fs::write(renamed.path().join("ressort.toml"), settings + renames).unwrap();
    for model in [models_dir().join("lexicon-ner"), renamed.path().to_owned()] {
        let model = format!("ner={}", model.display());
        scored(&dir, &["a.csv"], "o.csv", &["--model", &model, "--entities", "ner"], 0);
        let value = |name| column(&dir.path().join("o.csv"), name).remove(0);
        let found = ["persons", "places", "organisations"].map(|name| value(name).unwrap_or_default());
        assert_eq!(found, ["Angela Merkel", "Berlin|München", "Siemens"], "{:?}", value("entities"));
    }
}

#[test]
fn a_table_for_excel_has_its_delimiter_and_its_mark() {
    let dir = folder(&[("a.csv", "id,text\n1,Köln\n")]);
    for (output, flags, start) in [
        ("o.csv", &["--output-delimiter", ";", "--output-bom"][..], "\u{feff}id;topic;"),
        ("o.csv", &[], "id,topic,"),
        ("o.tsv", &["--output-bom"], "\u{feff}id\ttopic\t"),
    ] {
        scored(&dir, &["a.csv"], output, flags, 0);
        let text = std::fs::read_to_string(dir.path().join(output)).unwrap();
        assert!(text.starts_with(start), "{flags:?}: {text}");
        assert_eq!(text.matches('\u{feff}').count(), start.matches('\u{feff}').count());
        // What was written is read again.
        std::fs::rename(dir.path().join(output), dir.path().join(format!("again-{output}"))).unwrap();
        scored(&dir, &[&format!("again-{output}")], "o.jsonl", &["--text-column", "id"], 0);
    }
    for (output, flag) in [("o.jsonl", "--output-bom"), ("o.parquet", "--output-delimiter=;")] {
        assert!(scored(&dir, &["a.csv"], output, &[flag], 2).contains("is for CSV and TSV"));
    }
    scored(&dir, &["a.csv"], "o.csv", &["--output-delimiter", "\""], 2);
}

#[test]
fn a_limit_gives_the_first_rows_over_all_inputs() {
    let dir = folder(&[("a.csv", "text\nBonn\nUlm\n"), ("b.jsonl", "{\"text\": \"Köln\"}\n{}\nno JSON\n{\"x\": [\n")]);
    for (limit, n_rows, code) in [("1", 1, 0), ("2", 2, 0), ("3", 3, 0), ("4", 3, 3), ("0", 0, 0)] {
        for output in ["o.jsonl", "o.parquet"] {
            let inputs = ["a.csv", "b.jsonl"];
            scored(&dir, &inputs, output, &["--limit", limit, "--keep-text", "--look-ahead", "2"], code);
            assert_eq!(column(&dir.path().join(output), "text").len(), n_rows, "{limit} to {output}");
        }
    }
}

#[test]
fn a_dry_run_checks_all_rows_and_writes_nothing() {
    let rows: String = TEXTS.iter().map(|text| serde_json::json!({"text": text}).to_string() + "\n").collect();
    let dir = folder(&[("good.jsonl", &rows), ("bad.jsonl", &(rows.clone() + "{\"text\": \"\"}\n"))]);
    for (input, code, parts) in [
        ("good.jsonl", 0, &["4 rows in 1 input; 4 can be scored", "estimate from 4 texts"][..]),
        ("bad.jsonl", 3, &["5 rows in 1 input; 4 can be scored", "bad.jsonl, line 5: no text", "no_text 1"]),
    ] {
        let mut command = crate::score::score();
        command.current_dir(dir.path()).args([input, "--dry-run", "--output", "new/o.parquet"]);
        let ended = command.output().unwrap();
        let report = String::from_utf8(ended.stdout).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{report}");
        parts.iter().for_each(|part| assert!(report.contains(part), "{part}: {report}"));
        assert!(report.contains("nothing was written"));
    }
    assert!(scored(&dir, &["good.jsonl"], "o.csv", &["--dry-run", "--text-column", "body"], 2).contains("no column"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "only the inputs are there");
}

#[test]
fn a_dry_run_needs_no_free_output_and_says_what_a_run_would_do() {
    let rows = "{\"text\": \"Bonn\"}\n{\"text\": \"Ulm\"}\nno JSON\n{\"text\": \"Hof\"}\n";
    let dir = folder(&[("a.jsonl", rows), ("there.jsonl", "mine")]);
    let report = |output: &str, flags: &[&str]| {
        let mut command = crate::score::score();
        command.current_dir(dir.path()).args(["a.jsonl", "--dry-run", "--output", output]).args(flags);
        let ended = command.output().unwrap();
        let said = String::from_utf8(ended.stdout).unwrap() + &String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{said}");
        said
    };
    assert!(!report("new.jsonl", &[]).contains("the run would"));
    let said = report("there.jsonl", &[]);
    assert!(said.contains("the run would be refused: there.jsonl is there already; move it"), "{said}");
    let said = report("there.jsonl", &["--overwrite"]);
    assert!(said.contains("the run would replace there.jsonl"), "{said}");
    scored(&dir, &["a.jsonl"], "o.jsonl", &["--max-errors", "0", "--look-ahead", "3"], 1);
    let said = report("o.jsonl", &["--look-ahead", "3"]);
    assert!(said.contains("the run would resume after 3 rows of o.jsonl.parts"), "{said}");
    let said = report("o.jsonl", &["--look-ahead", "3", "--top-k", "2"]);
    assert!(said.contains("the run would be refused: ") && said.contains("top-k was 5 and is 2"), "{said}");
    assert_eq!(std::fs::read(dir.path().join("there.jsonl")).unwrap(), b"mine");
}

#[test]
fn a_run_says_at_once_what_it_loads_unless_it_is_to_be_quiet() {
    let dir = folder(&[("a.csv", "text\nBonn\n"), ("b.csv", "text\nBonn\n\"\"\n")]);
    let message = scored(&dir, &["a.csv"], "o.jsonl", &[], 0);
    assert!(message.contains("loading two-heads (") && message.contains("1 document in"), "{message}");
    assert_eq!(scored(&dir, &["a.csv"], "o.jsonl", &["--quiet"], 0), "");
    let message = scored(&dir, &["b.csv"], "o.jsonl", &["--quiet"], 3);
    assert!(message.starts_with("1 row could not be scored (no_text 1)") && message.lines().count() == 1, "{message}");
}

#[test]
fn the_folder_of_the_output_is_made() {
    let dir = folder(&[("a.csv", "text\nBonn\n")]);
    scored(&dir, &["a.csv"], "new/folder/o.jsonl", &[], 0);
    assert_eq!(column(&dir.path().join("new/folder/o.jsonl"), "text"), [None], "one row, without its text");
}

#[test]
fn the_models_that_ship_are_found_next_to_the_program() {
    let dir = folder(&[("a.csv", "text\nBonn\n")]);
    std::fs::create_dir_all(dir.path().join("installed/bin")).unwrap();
    let program = dir.path().join("installed/bin/ressort");
    let built = env!("CARGO_BIN_EXE_ressort");
    std::fs::hard_link(built, &program).or_else(|_| std::fs::copy(built, &program).map(|_| ())).unwrap();
    let score = || {
        let mut command = std::process::Command::new(&program);
        command.current_dir(dir.path()).env_remove("RESSORT_MODELS_DIR");
        command.args(["score", "a.csv", "--providers", "cpu", "--overwrite", "--output", "o.jsonl"]).output().unwrap()
    };
    let message = String::from_utf8(score().stderr).unwrap();
    assert!(message.contains("models/ressort: no such model folder") && message.contains("--models-dir"), "{message}");
    std::fs::create_dir(dir.path().join("installed/models")).unwrap();
    std::os::unix::fs::symlink(models_dir().join("two-heads"), dir.path().join("installed/models/ressort")).unwrap();
    assert_eq!(score().status.code(), Some(0));
}

#[test]
fn a_file_for_errors_that_would_stay_empty_is_refused() {
    let dir = folder(&[("in.csv", "text\nBerlin\n")]);
    let message = scored(&dir, &["in.csv"], "o.csv", &["--errors", "failed.jsonl"], 2);
    assert!(message.contains("OUT.errors.jsonl") && !dir.path().join("o.csv").exists(), "{message}");
}
