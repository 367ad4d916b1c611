//! What a killed `ressort score` leaves, and what a rerun makes of it: nothing lost, nothing doubled, nothing mixed up.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use ressort::inference::settings::{Batching, RunSettings};
use ressort::models::load::Model;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::score::{TEXTS, outcome, run, score};
use crate::support::{models_dir, settings, spec};

const N_ROWS: usize = 400;

/// Rows of mixed lengths, some of them bad.
fn write_rows(dir: &TempDir) {
    let row = |i: usize| match i % 50 {
        49 => "not JSON\n".to_owned(),
        n => json!({"id": i, "text": TEXTS[i % TEXTS.len()].repeat(1 + n % 7), "n": i}).to_string() + "\n",
    };
    std::fs::write(dir.path().join("in.jsonl"), (0..N_ROWS).map(row).collect::<String>()).unwrap();
}

fn command(dir: &TempDir, output: &str, flags: &[&str]) -> Command {
    let mut command = score();
    command.current_dir(dir.path()).args(["in.jsonl", "--look-ahead", "16", "--output", output]).args(flags);
    command.stderr(Stdio::piped());
    command
}

/// Rows that count in a folder of parts: scored and failed.
pub fn n_done(parts: &Path) -> u64 {
    let Ok(bytes) = std::fs::read(parts.join("checkpoint.json")) else { return 0 };
    let Ok(checkpoint) = serde_json::from_slice::<Value>(&bytes) else { return 0 };
    let count = |name: &str| checkpoint["counts"][name].as_u64().unwrap_or(0);
    count("documents") + count("errors")
}

/// Kills the process once at least `n_rows` count; `false` when it ended before.
fn kill_at(process: &mut Child, parts: &Path, n_rows: u64) -> bool {
    while n_done(parts) < n_rows {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    // SIGKILL.
    process.kill().unwrap();
    process.wait().unwrap().code().is_none()
}

#[test]
fn a_run_killed_at_any_moment_goes_on_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    write_rows(&dir);
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let tasks = ["--output-format", "label-studio"];
    let formats = ["jsonl", "csv", "jsonl.gz", "arrows", "arrow", "parquet"].map(|format| (format, &[][..]));
    for (format, flags) in formats.into_iter().chain([("json", &tasks[..]), ("json.zst", &tasks)]) {
        let (whole, killed) = (format!("whole.{format}"), format!("killed.{format}"));
        assert_eq!(command(&dir, &whole, flags).output().unwrap().status.code(), Some(3), "{format}");
        let parts = dir.path().join(format!("{killed}.parts"));
        let mut n_kills = 0;
        for n_rows in [0, 1, 100, 101, 250, 390] {
            let mut process = command(&dir, &killed, flags).spawn().unwrap();
            n_kills += u32::from(kill_at(&mut process, &parts, n_rows));
            let shown = std::fs::read(dir.path().join(&killed)).ok();
            assert!(shown.is_none_or(|shown| shown == read(&whole)), "{format}: half an output is shown");
        }
        assert!(n_kills >= 4, "{format}: {n_kills} kills");
        if parts.exists() {
            let (code, message) = outcome(&command(&dir, &killed, flags).output().unwrap());
            assert_eq!(code, 3, "{format}: {message}");
        }
        assert!(read(&whole) == read(&killed), "{format}: the killed run's output differs");
        let errors = |name: &str| read(&format!("{name}.errors.jsonl"));
        assert_eq!(errors(&whole), errors(&killed), "{format}");
        assert!(!parts.exists(), "{format}: the parts are left over");
    }
    let tasks: Vec<Value> = serde_json::from_slice(&read("killed.json")).unwrap();
    assert_eq!(tasks.len(), N_ROWS - N_ROWS / 50);
    assert_eq!(zstd::decode_all(&*read("killed.json.zst")).unwrap(), read("killed.json"));
}

#[test]
fn ctrl_c_and_sigterm_end_with_their_code_and_say_the_command_that_resumes() {
    stop_and_resume("-INT", 130);
    stop_and_resume("-TERM", 143);
}

fn stop_and_resume(signal: &str, expected: i32) {
    let dir = tempfile::tempdir().unwrap();
    write_rows(&dir);
    assert_eq!(command(&dir, "whole.jsonl", &[]).output().unwrap().status.code(), Some(3));
    let mut process = command(&dir, "it's out.jsonl", &[]).spawn().unwrap();
    while n_done(&dir.path().join("it's out.jsonl.parts")) == 0 {
        assert!(process.try_wait().unwrap().is_none(), "the run ended before it could be stopped");
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap().success());
    let (code, message) = outcome(&process.wait_with_output().unwrap());
    assert_eq!(code, expected, "{message}");
    let said = message.split("stopped; ").nth(1).and_then(|rest| rest.split(" rows saved in it's out").next());
    let n_said: u64 = said.unwrap_or_else(|| panic!("{message}")).parse().unwrap();
    // A block more may be saved before the process is gone.
    assert!(n_said > 0 && n_said <= n_done(&dir.path().join("it's out.jsonl.parts")), "{message}");
    // The command that was said, as a shell reads it. Runs in flight may log that they were cut off after it.
    let said = message.lines().find(|line| line.starts_with("  ") && line.contains(" score ")).unwrap();
    let resumed = Command::new("bash").current_dir(dir.path()).args(["-c", said]).output().unwrap();
    let (code, message) = outcome(&resumed);
    assert!(code == 3 && message.contains("of them were scored before"), "{said}: {message}");
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert!(read("whole.jsonl") == read("it's out.jsonl"));
}

#[test]
fn the_bytes_do_not_depend_on_streams() {
    let dir = tempfile::tempdir().unwrap();
    write_rows(&dir);
    for (output, streams) in [("one.jsonl", "1"), ("four.jsonl", "4")] {
        let model = models_dir().join("two-heads");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ressort"));
        command.current_dir(dir.path()).args(["score", "in.jsonl", "--providers", "cpu", "--streams", streams]);
        let ended = command.arg("--model").arg(model).args(["--output", output]).output().unwrap();
        assert_eq!(ended.status.code(), Some(3));
    }
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert!(read("one.jsonl") == read("four.jsonl"));
}

/// A run that was killed after its first rows.
fn killed_run(dir: &TempDir) {
    write_rows(dir);
    let mut process = command(dir, "out.jsonl", &[]).spawn().unwrap();
    assert!(kill_at(&mut process, &dir.path().join("out.jsonl.parts"), 1));
}

#[test]
fn a_run_does_not_go_on_with_something_else_and_names_it() {
    let dir = tempfile::tempdir().unwrap();
    killed_run(&dir);
    let lexicon = models_dir().join("lexicon-ner");
    let lexicon = lexicon.to_string_lossy();
    let other_model = ["--model", &*lexicon, "--entities", "lexicon-ner"];
    for (flags, part) in [
        (&["--top-k", "2"][..], "parameters top-k was 5 and is 2"),
        (&["--overflow", "truncate"], "parameters overflow was \"window\" and is \"truncate\""),
        (&["--text-rules", "hyphens=off"], "parameters text-rules was \"\" and is \"hyphens=off\""),
        (&["--threshold", "entities=0.5"], "parameters threshold entities was null and is 0.5"),
        (&["--keep-text"], "parameters keep-text was null and is true"),
        (&["--keep-errors"], "parameters keep-errors was null and is true"),
        (&["--limit", "300"], "parameters limit was null and is 300"),
        (&other_model, "models entities name was \"two-heads\" and is \"lexicon-ner\""),
    ] {
        let (code, message) = outcome(&command(&dir, "out.jsonl", flags).output().unwrap());
        assert_eq!(code, 1, "{flags:?}: {message}");
        assert!(message.contains(part) && message.contains("remove out.jsonl.parts"), "{flags:?}: {message}");
    }
    std::fs::write(dir.path().join("in.jsonl"), "{}").unwrap();
    let (code, message) = outcome(&command(&dir, "out.jsonl", &[]).output().unwrap());
    assert!(code == 1 && message.contains("inputs in.jsonl bytes was"), "{message}");
}

#[test]
fn a_copy_of_the_input_resumes_only_when_the_user_says_that_it_is_one() {
    let dir = tempfile::tempdir().unwrap();
    killed_run(&dir);
    let (input, copy) = (dir.path().join("in.jsonl"), dir.path().join("copy"));
    std::fs::copy(&input, &copy).unwrap();
    std::fs::rename(&copy, &input).unwrap();
    let (code, message) = outcome(&command(&dir, "out.jsonl", &[]).output().unwrap());
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("inputs in.jsonl identity was") && message.contains("--inputs-unchanged"), "{message}");
    let (_, report) = outcome(&command(&dir, "out.jsonl", &["--inputs-unchanged", "--dry-run"]).output().unwrap());
    assert!(!report.contains("refused"), "{report}");
    // Another size is another content, whatever the user says.
    let content = std::fs::read_to_string(&input).unwrap();
    std::fs::write(&input, format!("{content}\n")).unwrap();
    let (code, message) = outcome(&command(&dir, "out.jsonl", &["--inputs-unchanged"]).output().unwrap());
    assert!(code == 1 && message.contains("inputs in.jsonl bytes was"), "{message}");
    std::fs::write(&input, &content).unwrap();
    let (code, message) = outcome(&command(&dir, "out.jsonl", &["--inputs-unchanged"]).output().unwrap());
    assert!(code == 3 && message.contains("this run resumed after them"), "{message}");
    let resumed = std::fs::read(dir.path().join("out.jsonl")).unwrap();
    assert_eq!(outcome(&command(&dir, "fresh.jsonl", &[]).output().unwrap()).0, 3);
    assert!(resumed == std::fs::read(dir.path().join("fresh.jsonl")).unwrap());
}

#[test]
fn more_errors_than_allowed_stop_the_run_and_a_higher_limit_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    write_rows(&dir);
    assert_eq!(command(&dir, "whole.jsonl", &[]).output().unwrap().status.code(), Some(3));
    for _ in 0..2 {
        let (code, message) = outcome(&command(&dir, "out.jsonl", &["--max-errors", "2"]).output().unwrap());
        assert_eq!(code, 1);
        assert!(message.contains("3 rows could not be scored, and --max-errors is 2"), "{message}");
        assert!(!dir.path().join("out.jsonl").exists());
    }
    assert_eq!(command(&dir, "out.jsonl", &["--max-errors", "8"]).output().unwrap().status.code(), Some(3));
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert!(read("whole.jsonl") == read("out.jsonl"));
}

#[test]
fn a_stopped_run_goes_on_with_rows_of_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let text = |row: usize| if row % 10 == 9 { String::new() } else { format!("{} {row}", TEXTS[row % TEXTS.len()]) };
    let (mut csv, mut tsv) = ("id,text\n".to_owned(), "id\ttext\n".to_owned());
    std::fs::create_dir(dir.path().join("texts")).unwrap();
    for row in 0..80 {
        let text = text(row);
        csv += &format!("{row},\"{}\"\n", text.replace('"', "\"\""));
        tsv += &format!("{row}\t\"{}\"\n", text.replace('"', "\"\""));
        std::fs::write(dir.path().join(format!("texts/{row:02}.txt")), text).unwrap();
    }
    std::fs::write(dir.path().join("in.csv"), csv).unwrap();
    std::fs::write(dir.path().join("in.tsv"), tsv).unwrap();
    for input in ["in.csv", "in.tsv", "texts"] {
        let run = |output: &str, max_errors: &str| {
            run(&dir, &[input], output, &["--look-ahead", "8", "--max-errors", max_errors])
        };
        assert_eq!(run("whole.jsonl", "8").0, 3, "{input}");
        assert_eq!(run("out.jsonl", "3").0, 1, "{input}");
        let n_done = n_done(&dir.path().join("out.jsonl.parts"));
        assert!((20..80).contains(&n_done), "{input}: {n_done} rows count");
        let (code, message) = run("out.jsonl", "8");
        // All but the four that failed.
        let resumed = format!("{} of them were scored before", n_done - 4);
        assert!(code == 3 && message.contains(&resumed), "{input}: {message}");
        let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        assert!(read("whole.jsonl") == read("out.jsonl"), "{input}");
        for name in ["whole.jsonl", "out.jsonl", "whole.jsonl.errors.jsonl", "out.jsonl.errors.jsonl"] {
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
    }
}

#[test]
fn an_output_that_is_there_is_kept_unless_it_is_to_give_way() {
    let dir = tempfile::tempdir().unwrap();
    write_rows(&dir);
    std::fs::write(dir.path().join("out.jsonl"), "mine").unwrap();
    let (code, message) = run(&dir, &["in.jsonl"], "out.jsonl", &[]);
    assert!(code == 1 && message.contains("give --overwrite"), "{message}");
    assert_eq!(std::fs::read(dir.path().join("out.jsonl")).unwrap(), b"mine");
    assert_eq!(run(&dir, &["in.jsonl"], "out.jsonl", &["--overwrite"]).0, 3);
    assert_ne!(std::fs::read(dir.path().join("out.jsonl")).unwrap(), b"mine");
}

#[test]
fn two_runs_do_not_write_to_one_output() {
    let dir = tempfile::tempdir().unwrap();
    write_rows(&dir);
    let parts = dir.path().join("out.jsonl.parts");
    std::fs::create_dir(&parts).unwrap();
    let lock = std::fs::File::create(parts.join("lock")).unwrap();
    lock.lock().unwrap();
    let (code, message) = run(&dir, &["in.jsonl"], "out.jsonl", &[]);
    assert!(code == 1 && message.contains("another `ressort score` is writing there"), "{message}");
    drop(lock);
    assert_eq!(run(&dir, &["in.jsonl"], "out.jsonl", &[]).0, 3);
}

#[test]
fn a_folder_that_cannot_be_written_and_a_full_disk_are_said() {
    let dir = tempfile::tempdir().unwrap();
    write_rows(&dir);
    for output in ["in.jsonl/out.jsonl", "/proc/no/out.jsonl"] {
        let (code, message) = run(&dir, &["in.jsonl"], output, &[]);
        assert_eq!(code, 1, "{output}: {message}");
        assert!(message.contains("cannot be written"), "{output}: {message}");
    }
    // A limit on the size of files stands for a disk that is full: the write fails in the same place.
    let plain = command(&dir, "out.jsonl", &[]);
    let mut limited = Command::new("bash");
    limited.current_dir(dir.path()).args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""]);
    limited.arg(plain.get_program()).args(plain.get_args());
    let (code, message) = outcome(&limited.output().unwrap());
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("free space and run the same command again"), "{message}");
    assert_eq!(command(&dir, "out.jsonl", &[]).output().unwrap().status.code(), Some(3));
    assert_eq!(command(&dir, "whole.jsonl", &[]).output().unwrap().status.code(), Some(3));
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert!(read("whole.jsonl") == read("out.jsonl"));
}

#[tokio::test]
async fn a_window_that_is_to_run_alone_has_no_company() {
    let of = |batching| RunSettings { batching, ..settings() };
    for (batching, is_alone) in [(Batching::Alone, true), (Batching::Shared, false)] {
        let model = Model::load(&spec("two-heads"), &of(batching)).await.unwrap();
        assert_eq!(model.batch_limits().max_windows == 1, is_alone, "{batching:?}");
    }
}
