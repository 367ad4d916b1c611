//! `ressort score` on files as people bring them: quotes, encodings, separators, pipes, values that an output cannot hold.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Float64Array, IntervalMonthDayNanoArray, ListArray, StringArray,
    Time32SecondArray, UnionArray, types::IntervalMonthDayNano,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_cast::cast;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, TimeUnit, UnionFields};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::score::{outcome, run, score};

/// Scores a file with this content into JSON lines; gives the exit code, each row's id and characters, each error's line.
fn scored(name: &str, content: impl AsRef<[u8]>, flags: &[&str]) -> (i32, Vec<(Value, u64)>, Vec<u64>, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), content).unwrap();
    let (code, message) = run(&dir, &[name], "o.jsonl", flags);
    let rows = lines(&dir, "o.jsonl").into_iter();
    let rows = rows.map(|row| (row["id"].clone(), row["usage"]["characters"].as_u64().unwrap())).collect();
    let errors = lines(&dir, "o.jsonl.errors.jsonl").iter().map(|error| error["line"].as_u64().unwrap()).collect();
    (code, rows, errors, message)
}

fn lines(dir: &TempDir, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn row(id: &str, n_characters: u64) -> (Value, u64) {
    (json!(id), n_characters)
}

#[test]
fn a_quote_that_never_closes_costs_one_row() {
    for (name, content) in
        [("q.csv", "id,text\n1,Bonn\n2,\"Köln\n3,Ulm\n"), ("q.tsv", "id\ttext\n1\tBonn\n2\t\"Köln\n3\tUlm\n")]
    {
        let (code, rows, errors, message) = scored(name, content, &[]);
        assert_eq!((code, rows, errors), (3, vec![row("1", 4), row("3", 3)], vec![3]), "{name}: {message}");
        let (code, rows, errors, message) = scored(name, content, &["--quoting", "none"]);
        assert_eq!((code, rows, errors), (0, vec![row("1", 4), row("2", 5), row("3", 3)], vec![]), "{name}: {message}");
    }
    let long = format!("id,text\n1,\"{}\n2,Ulm\n", "Bonn ".repeat(100));
    let (code, rows, errors, _) = scored("long.csv", &long, &["--max-row-bytes", "100"]);
    assert_eq!((code, rows, errors), (3, vec![row("2", 3)], vec![2]));
}

#[test]
fn the_id_of_a_failed_row_is_the_one_that_was_given() {
    let ids = |name: &str, content: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), content).unwrap();
        let (code, message) = run(&dir, &[name], "o.jsonl", &[]);
        assert_eq!(code, 3, "{message}");
        lines(&dir, "o.jsonl.errors.jsonl").into_iter().map(|error| error["id"].clone()).collect::<Vec<_>>()
    };
    let given = [json!(3), json!("3"), json!(1.5), json!(["a", 1]), Value::Null, json!(u64::MAX)];
    let rows: Vec<String> = given.iter().map(|id| json!({"id": id, "text": null}).to_string()).collect();
    assert_eq!(ids("a.jsonl", rows.join("\n").as_bytes()), given);
    assert_eq!(ids("a.jsonl", br#"{"id": "\ud83d", "text": null}"#), [json!("\u{fffd}")]);
    assert_eq!(ids("a.csv", b"id,text\n3,\n"), [json!("3")]);
    let columns = RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Float64Array::from(vec![Some(7.0), None, Some(f64::NAN)])) as ArrayRef, true),
        ("text", Arc::new(StringArray::from(vec![None::<&str>; 3])) as ArrayRef, true),
    ]);
    let mut stream = StreamWriter::try_new(Vec::new(), &columns.as_ref().unwrap().schema()).unwrap();
    stream.write(&columns.unwrap()).unwrap();
    let found = ids("a.arrows", &stream.into_inner().unwrap());
    assert_eq!(found, [json!(7.0), Value::Null, json!("NaN")]);
}

#[test]
fn an_input_that_is_named_twice_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("d/e")).unwrap();
    for (name, id) in [("d/a.jsonl", 1), ("d/e/b.jsonl", 2)] {
        std::fs::write(dir.path().join(name), json!({"id": id, "text": "Ulm"}).to_string()).unwrap();
    }
    std::fs::write(dir.path().join("d/c.txt"), "Ulm").unwrap();
    std::os::unix::fs::symlink("d", dir.path().join("link")).unwrap();
    for inputs in [
        &["d", "d"][..],
        &["d", "./d/", "link"],
        &["d", "d/e", "d/c.txt"],
        &["d", "d/a.jsonl", "d/a.jsonl"],
        &["d", "d/**/*.jsonl"],
    ] {
        let (code, message) = run(&dir, inputs, "o.jsonl", &["--overwrite"]);
        let found: Vec<_> = lines(&dir, "o.jsonl").iter().map(|row| row["id"].clone()).collect();
        assert_eq!((code, found), (0, vec![json!(1), json!("d/c.txt"), json!(2)]), "{inputs:?}: {message}");
        assert!(message.contains("named twice"), "{inputs:?}: {message}");
    }
}

#[test]
fn bytes_of_surrogates_are_called_so() {
    let line = b"{\"id\": 1, \"text\": \"Ulm \xed\xa0\xbd\xed\xb8\x80\"}\n";
    let (code, _, _, message) = scored("a.jsonl", line, &[]);
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("CESU-8") && !message.contains("1252"), "{message}");
    // After what is looked at before the models are loaded.
    let late = [format!("{{\"text\": \"{}\"}}\n", "x".repeat(1 << 20)).as_bytes(), line].concat();
    let (code, _, _, message) = scored("a.jsonl", late, &[]);
    assert!(code == 1 && message.contains("a.jsonl, line 2") && message.contains("CESU-8"), "{message}");
    let (code, _, _, message) = scored("a.csv", b"id,te\xed\xa0\xbdxt\n1,Ulm\n", &[]);
    assert!(code == 1 && message.contains("CESU-8"), "{message}");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.jsonl"), line).unwrap();
    let (code, message) = run(&dir, &["a.jsonl"], "o.jsonl", &["--encoding", "utf-8"]);
    assert_eq!(code, 3, "{message}");
    let reason = lines(&dir, "o.jsonl.errors.jsonl")[0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("byte 24 is not UTF-8") && reason.contains("CESU-8"), "{reason}");
}

#[test]
fn the_encoding_is_told_by_the_file_or_the_user() {
    let text = "id;text\r\n1;Köln\r\n2;Ulm\r\n";
    let utf16 = |text: &str| -> Vec<u8> {
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let windows: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let both = vec![row("1", 4), row("2", 3)];
    for (name, content, flags) in [
        ("a.csv", text.as_bytes().to_vec(), &[][..]),
        ("a.csv", format!("\u{feff}sep=;\r\n{text}").into_bytes(), &[]),
        ("a.csv", utf16(text), &[]),
        ("a.csv", windows.clone(), &["--encoding", "windows-1252"]),
        ("a.jsonl", utf16("{\"id\": \"1\", \"text\": \"Köln\"}\n{\"id\": \"2\", \"text\": \"Ulm\"}\n"), &[]),
    ] {
        let (code, rows, _, message) = scored(name, content, flags);
        assert_eq!((code, rows), (0, both.clone()), "{name}: {message}");
    }
    let (code, rows, _, message) = scored("a.csv", &windows, &[]);
    assert!(code == 1 && rows.is_empty(), "no row is scored: {message}");
    assert!(
        message.contains("a.csv, line 2: is not UTF-8") && message.contains("--encoding windows-1252"),
        "{message}"
    );
    assert_eq!(scored("a.csv", &windows, &["--encoding", "utf-8"]).2, [2], "single bad rows are errors on request");
}

#[test]
fn lines_are_counted_right_with_crlf() {
    let (code, _, errors, _) = scored("a.csv", "id,text\r\n1,Bonn\r\n2,\r\n3,Ulm\r\n4,Zu,viel\r\n", &[]);
    assert_eq!((code, errors), (3, vec![3, 5]));
}

#[test]
fn a_column_that_is_not_there_or_there_twice_is_refused_in_every_format() {
    for (name, content, flags, part) in [
        (
            "a.jsonl",
            "{\"id\": 1, \"body\": \"Bonn\"}\n{\"id\": 2}",
            &["--text-column", "bodi"][..],
            "did you mean `body`?",
        ),
        ("a.csv", "id,body\n1,Bonn\n", &["--text-column", "bodi"], "did you mean `body`?"),
        ("a.csv", "id;text\n1;Bonn\n", &["--delimiter", ","], "--delimiter"),
        ("a.csv", "id,text,tag,tag\n1,Bonn,a,b\n", &[], "two columns are called `tag`"),
        ("a.csv", "id,text,text\n1,Bonn,a\n", &[], "two columns are called `text`"),
    ] {
        let (code, rows, _, message) = scored(name, content, flags);
        assert!(code == 2 && rows.is_empty() && message.contains(part), "{content}: {message}");
    }
    let (code, _, errors, _) = scored("a.jsonl", "{\"id\": \"1\"}\n{\"id\": \"2\", \"text\": \"Ulm\"}", &[]);
    assert_eq!((code, errors), (3, vec![1]), "a field that only the first rows lack");
}

#[test]
fn what_the_json_standard_does_not_allow_is_kept_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let content = "{\"id\": \"a\\ud83d\", \"text\": \"Bonn\", \"x\": NaN, \"n\": 9007199254740993, \"l\": [{\"k\": 1}]}\n{\"id\": \"b\", \"text\": \"Ulm\", \"x\": 1.0e400, \"n\": 0.5}\n";
    std::fs::write(dir.path().join("a.jsonl"), content).unwrap();
    let (code, message) = run(&dir, &["a.jsonl"], "no/such/o.parquet", &[]);
    assert_eq!(code, 0, "{message}");
    let batch = parquet(&dir.path().join("no/such/o.parquet"));
    let texts = |name: &str| -> Vec<String> {
        let column = cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
        column.as_any().downcast_ref::<StringArray>().unwrap().iter().flatten().map(str::to_owned).collect()
    };
    assert_eq!(texts("id"), ["a\u{fffd}", "b"]);
    assert_eq!(
        (texts("x"), texts("n")),
        (vec!["NaN".into(), "1.0e400".into()], vec!["9007199254740993".into(), "0.5".into()])
    );
    assert!(matches!(batch.column_by_name("l").unwrap().data_type(), DataType::List(_)));
}

fn parquet(path: &Path) -> RecordBatch {
    ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap())
        .unwrap()
        .build()
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
}

/// Scores two rows with `column` into `output`.
fn with_column(column: ArrayRef, output: &str) -> (TempDir, i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let texts = Arc::new(StringArray::from(vec!["Bonn", "Ulm"])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("text", texts), ("x", column)]).unwrap();
    let mut stream =
        StreamWriter::try_new(File::create(dir.path().join("a.arrows")).unwrap(), &batch.schema()).unwrap();
    stream.write(&batch).unwrap();
    stream.finish().unwrap();
    let (code, message) = run(&dir, &["a.arrows"], output, &[]);
    (dir, code, message)
}

#[test]
fn a_column_that_the_output_cannot_hold_is_refused_by_name() {
    let interval = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(1, 2, 3); 2]);
    let fields =
        UnionFields::try_new([0, 1], [Field::new("a", DataType::Utf8, true), Field::new("b", DataType::Utf8, true)]);
    let children = vec![Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef; 2];
    let union = UnionArray::try_new(fields.unwrap(), ScalarBuffer::from(vec![0_i8, 1]), None, children).unwrap();
    for column in [Arc::new(interval) as ArrayRef, Arc::new(union)] {
        for output in ["o.parquet", "o.arrow", "o.jsonl", "o.csv"] {
            let (_, code, message) = with_column(Arc::clone(&column), output);
            assert!(code == 2 && message.contains("column `x` holds"), "{output}: {message}");
        }
    }
}

#[test]
fn columns_keep_their_values_whatever_their_type() {
    let (dir, code, message) = with_column(Arc::new(Time32SecondArray::from(vec![3723, 0])), "o.parquet");
    assert_eq!(code, 0, "{message}");
    let kind = parquet(&dir.path().join("o.parquet")).column_by_name("x").unwrap().data_type().clone();
    assert_eq!(kind, DataType::Time32(TimeUnit::Millisecond));
    let (dir, code, message) = with_column(Arc::new(Float64Array::from(vec![f64::NAN, 0.5])), "o.jsonl");
    assert_eq!(code, 0, "{message}");
    assert_eq!(lines(&dir, "o.jsonl")[0]["x"], "NaN");
    let categories: DictionaryArray<Int32Type> = ["a", "b"].into_iter().collect();
    let field = Arc::new(Field::new("item", categories.data_type().clone(), true));
    let list = ListArray::new(field, OffsetBuffer::from_lengths([1, 1]), Arc::new(categories), None);
    for output in ["o.arrow", "o.parquet"] {
        let (_, code, message) = with_column(Arc::new(list.clone()), output);
        assert_eq!(code, 0, "{output}: {message}");
    }
}

#[test]
fn a_pointer_of_git_lfs_is_known_in_every_format() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:8888\nsize 5242880\n";
    for name in ["a.jsonl", "a.parquet", "a.csv", "a.arrow", "a.txt"] {
        let (code, rows, _, message) = scored(name, pointer, &[]);
        assert!(code == 1 && rows.is_empty() && message.contains("git lfs pull"), "{name}: {message}");
    }
}

#[test]
fn a_pipe_is_read_once_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in
        [("a.csv", "id,text\n1,Bonn\n2,Ulm\n"), ("a.jsonl", "{\"text\": \"Bonn\"}\n{\"text\": \"Ulm\"}\n")]
    {
        std::fs::write(dir.path().join(name), content).unwrap();
        let format = name.trim_start_matches("a.");
        let plain = score();
        let mut bash = Command::new("bash");
        bash.current_dir(dir.path())
            .args(["-c", &format!("exec \"$0\" \"$@\" <(cat {name})")])
            .arg(plain.get_program());
        bash.args(plain.get_args())
            .args(["--overwrite", "--output", "o.jsonl", "--format", format])
            .stderr(Stdio::piped());
        let (code, message) = outcome(&bash.output().unwrap());
        assert_eq!((code, lines(&dir, "o.jsonl").len()), (0, 2), "{message}");
    }
}

#[test]
fn an_errors_file_is_no_input() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.txt"), "Bonn").unwrap();
    std::os::unix::fs::symlink("a.txt", dir.path().join("link")).unwrap();
    let (code, message) = run(&dir, &["a.txt"], "-", &["--errors", "link", "--output-format", "jsonl"]);
    assert!(code == 2 && message.contains("is also an input"), "{message}");
    assert_eq!(std::fs::read(dir.path().join("a.txt")).unwrap(), b"Bonn");
}

#[test]
fn a_report_replaces_no_other_file_of_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let input = "{\"id\": 1, \"text\": \"Bonn\"}\n";
    std::fs::write(dir.path().join("a.jsonl"), input).unwrap();
    for flag in ["--summary", "--baseline"] {
        for report in ["a.jsonl", "./a.jsonl", "o.jsonl", "./o.jsonl", "o.jsonl.errors.jsonl"] {
            let (code, message) = run(&dir, &["a.jsonl"], "o.jsonl", &[flag, report]);
            assert!(code == 2 && message.contains(report), "{flag} {report}: {message}");
            assert!(!dir.path().join("o.jsonl").exists());
        }
    }
    std::fs::hard_link(dir.path().join("a.jsonl"), dir.path().join("hard")).unwrap();
    let (code, message) = run(&dir, &["a.jsonl"], "o.jsonl", &["--summary", "hard"]);
    assert!(code == 2 && message.contains("hard: is also an input"), "{message}");
    let (code, message) = run(&dir, &["a.jsonl"], "o.jsonl", &["--summary", "s.json", "--baseline", "./s.json"]);
    assert!(code == 2 && message.contains("--baseline ./s.json: the run writes --summary to s.json"), "{message}");
    assert_eq!(std::fs::read_to_string(dir.path().join("a.jsonl")).unwrap(), input);
    assert_eq!(run(&dir, &["a.jsonl"], "o.jsonl", &["--summary", "s.json"]).0, 0);
}

#[test]
fn one_json_document_is_no_json_lines_and_is_refused_with_the_command_that_converts_it() {
    for (content, remedy) in [
        ("[{\"id\": \"1\", \"text\": \"Bonn\"},\n{\"id\": \"2\", \"text\": \"Ulm\"}]", "jq -c '.[]'"),
        ("[\n  {\"id\": \"1\", \"text\": \"Bonn\"}\n]\n", "jq -c '.[]'"),
        ("{\n  \"id\": \"1\",\n  \"text\": \"Bonn\"\n}\n", "jq -c ."),
    ] {
        let (code, rows, _, message) = scored("a.jsonl", content, &[]);
        assert!(code == 1 && rows.is_empty() && message.contains(remedy), "{content}: {message}");
    }
    // A single bad row is one.
    let rows = "{\n{\"id\": \"2\", \"text\": \"Ulm\"}\n[1]\n";
    let (code, rows, errors, _) = scored("a.jsonl", rows, &[]);
    assert_eq!((code, rows, errors), (3, vec![row("2", 3)], vec![1, 3]));
}

#[test]
fn what_has_no_columns_or_another_encoding_is_named() {
    let utf32: Vec<u8> = "\u{feff}id,text\n".chars().flat_map(|char| u32::from(char).to_le_bytes()).collect();
    for (content, named) in [(&b""[..], "is the file empty"), (b"\n\n", "is the file empty"), (&utf32, "UTF-32")] {
        let (code, _, _, message) = scored("a.csv", content, &[]);
        assert!([1, 2].contains(&code) && message.contains(named), "{message}");
    }
}

#[test]
fn a_file_of_another_kind_than_its_extension_is_named() {
    for (name, content, named) in [
        (
            "a.csv",
            &b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00\x21\x00\x9c\xff\x00\x00\x00\x00\x00\x00"[..],
            "save the table as CSV",
        ),
        (
            "a.jsonl",
            b"PAR1\x15\x04\x15\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
            "--format parquet",
        ),
        (
            "a.parquet",
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03PAR1\x00\x00\x00\x00\x00\x00\x00\x00\x00",
            "unpack it first",
        ),
    ] {
        let (code, _, _, message) = scored(name, content, &[]);
        assert!(code == 1 && message.contains(named), "{message}");
    }
}

#[test]
fn parts_without_rows_keep_no_other_run_from_its_output() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.txt"), b"K\xf6ln").unwrap();
    std::fs::write(dir.path().join("b.txt"), "Bonn").unwrap();
    assert_eq!(run(&dir, &["a.txt"], "o.jsonl", &[]).0, 1);
    assert_eq!(run(&dir, &["b.txt"], "o.jsonl", &[]).0, 0);
}

#[test]
fn links_in_circles_give_no_document_twice() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["in", "in/a", "in/b", "out"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
        std::fs::write(dir.path().join(folder).join("x.txt"), folder).unwrap();
    }
    let links =
        [("a/loop", ".."), ("a/self", "."), ("a/to-b", "../b"), ("b/to-a", "../a"), ("up", ".."), ("far", "../out")];
    for (link, target) in links.iter().chain(&[("link.txt", "../out/x.txt")]) {
        std::os::unix::fs::symlink(target, dir.path().join("in").join(link)).unwrap();
    }
    std::fs::hard_link(dir.path().join("in/a/x.txt"), dir.path().join("in/a/y.txt")).unwrap();
    let ids = ["in/a/x.txt", "in/a/y.txt", "in/b/x.txt", "in/far/x.txt", "in/link.txt", "in/x.txt"];
    for input in ["in", "in/**/*.txt", "**/in/**/*.txt"] {
        let (code, message) = run(&dir, &[input], "o.jsonl", &["--overwrite"]);
        let found: Vec<_> = lines(&dir, "o.jsonl").iter().map(|row| row["id"].clone()).collect();
        assert_eq!((code, found), (0, ids.map(Value::from).to_vec()), "{input}: {message}");
    }
    // A link that leads nowhere is no reason to score less.
    std::os::unix::fs::symlink("self.txt", dir.path().join("in/self.txt")).unwrap();
    let (code, message) = run(&dir, &["in"], "p.jsonl", &[]);
    assert!(code == 1 && message.contains("in/self.txt"), "{message}");
}
