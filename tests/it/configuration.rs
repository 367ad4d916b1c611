//! The configuration of the binary: layers, and where it refuses to listen.

use std::process::Stdio;

use crate::cli::{Server, model, ressort};

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// Exit code, standard output and standard error.
fn run(args: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let output = ressort().args(args).envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_variable_wins_over_the_file_and_a_flag_over_the_variable() {
    let file = file("port = 9000\nmax_documents = 5\ntimeout_s = 6\n");
    let path = file.path().to_string_lossy();
    let variables = [("RESSORT_CONFIG", &*path), ("RESSORT_PORT", "9001"), ("RESSORT_MAX_DOCUMENTS", "7")];
    let (code, settings, _) = run(&["serve", "--print-config", "--max-documents", "8"], &variables);
    let line = |key: &str| {
        let line = settings.lines().find(|line| line.starts_with(&format!("{key} ="))).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(code, 0);
    assert_eq!(line("port"), "port = 9001 # environment variable RESSORT_PORT");
    assert_eq!(line("max_documents"), "max_documents = 8 # flag --max-documents");
    assert_eq!(line("timeout_s"), format!("timeout_s = 6 # {path}:3"));
}

#[test]
fn a_wrong_variable_is_named_and_a_misspelt_one_hinted_at() {
    let (code, _, error) = run(&["serve"], &[("RESSORT_PORT", "abc")]);
    assert!(code == 2 && error.contains("environment variable RESSORT_PORT"), "{error}");
    let nowhere = ["serve", "--port", "0", "--model", "/nowhere"];
    let (_, _, error) = run(&nowhere, &[("RESSORT_TIMOUT_S", "5")]);
    assert!(error.contains("RESSORT_TIMOUT_S is not read; did you mean `RESSORT_TIMEOUT_S`?"), "{error}");
}

#[test]
fn the_file_is_obeyed() {
    let text = format!("model = \"{}\"\nproviders = \"cpu\"\nmax_characters = 3\n", model("lexicon-ner"));
    let file = file(&text);
    let mut command = ressort();
    command.stderr(Stdio::null());
    let server = Server::start_with(command, &["--config", &file.path().to_string_lossy()]);
    let answer = server.ask(
        "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{\"text\": \"Bonn\"}",
    );
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("the limit is 3"), "{answer}");
    assert_eq!(server.stop(), 0);
}

#[test]
fn without_keys_other_machines_are_kept_out_unless_told_otherwise() {
    for host in ["0.0.0.0", "::", "192.0.2.1"] {
        let (code, _, error) = run(&["serve", "--host", host, "--admin-key", "k"], &[]);
        assert!(code == 2 && error.contains("--allow-anonymous"), "{error}");
        assert!(error.contains(&format!("refusing to listen on {host} without keys")), "{error}");
    }
    let (_, _, error) = run(&["serve", "--host", "0.0.0.0"], &[("RESSORT_ALLOW_ANONYMOUS", "false")]);
    assert!(error.contains("refusing to listen"), "{error}");
    // The next obstacle is the missing model.
    for args in [&["--host", "0.0.0.0", "--allow-anonymous"][..], &["--host", "0.0.0.0", "--api-key", "k"], &[]] {
        let nowhere = ["serve", "--port", "0", "--model", "/nowhere"];
        let (code, _, error) = run(&[&nowhere[..], args].concat(), &[]);
        assert!(code == 1 && error.contains("no such model folder"), "{args:?}: {error}");
    }
}
