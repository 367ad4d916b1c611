//! What happens where standard output or standard error cannot be written.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::cli::{Server, model, ressort};

/// Every command that prints a result.
fn printing() -> Vec<Vec<String>> {
    let model = model("two-heads");
    let words: [&[&str]; 9] = [
        &["--version"],
        &["-V"],
        &["--help"],
        &["score", "--help"],
        &["inspect", &model],
        &["inspect", "--json", &model],
        &["completions", "bash"],
        &["serve", "--print-config"],
        &["doctor", "--", "--port", "0", "--model", &model],
    ];
    let key = ["key", "new"].map(str::to_owned).to_vec();
    words.iter().map(|words| words.iter().map(|&word| word.to_owned()).collect()).chain([key]).collect()
}

fn to(args: &[String]) -> Command {
    let mut command = ressort();
    command.args(args).stderr(Stdio::piped());
    command
}

#[test]
fn a_full_disk_under_standard_output_is_an_error() {
    for args in printing() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = to(&args).stdout(full).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
        assert!(error.contains("standard output cannot be written; free space"), "{args:?}: {error}");
    }
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    for args in printing() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = to(&args).stdout(writer).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        // The doctor says by its exit code what it found.
        let expected = to(&args).stdout(Stdio::null()).output().unwrap().status.code();
        assert_eq!(output.status.code(), expected, "{args:?}: {error}");
        assert!(!error.contains("panicked") && !error.contains("cannot be written"), "{args:?}: {error}");
    }
}

#[test]
fn a_new_key_that_nobody_can_read_is_an_error() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = ressort().args(["key", "new"]).stderr(full).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
}

#[test]
fn a_server_outlives_the_reader_of_its_log() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = ressort();
    command.env("RUST_LOG", "info").stderr(writer);
    let server = Server::start_with(command, &["--model", &model("two-heads")]);
    let mut first = String::new();
    BufReader::new(reader).read_line(&mut first).unwrap();
    assert!(!first.is_empty());
    for _ in 0..3 {
        let answer = server.ask("GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let usage = ressort().arg("--no-such-flag").stderr(std::io::pipe().unwrap().1).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    assert_eq!(server.stop(), 0);
}
