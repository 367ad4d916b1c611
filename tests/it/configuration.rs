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
fn all_that_is_wrong_in_variables_and_file_is_named_at_once() {
    let file = file("prot = 1\ncache_mb = -1\n");
    let path = file.path().to_string_lossy();
    let variables = [
        ("RESSORT_CONFIG", &*path),
        ("RESSORT_TIMEOUT_S", "-1"),
        ("RESSORT_MAX_DOCUMENTS", "viele"),
        ("RESSORT_PROVIDERS", "cpu,tpu"),
        ("RESSORT_TIMOUT_S", "5"),
        ("RESSORT_PORT", "abc"),
        ("RESSORT_API_KEY", " "),
    ];
    let (code, _, error) = run(&["serve", "--port", "0"], &variables);
    assert_eq!(code, 2, "{error}");
    assert!(error.starts_with("ressort: the configuration has 7 errors:\n"), "{error}");
    for part in [
        &format!("{path}:1: the key `prot` is unknown; did you mean `port`?"),
        &format!("{path}:2: `cache_mb` = -1: give a whole number from 0 to 1000000, such as 64"),
        "RESSORT_TIMEOUT_S = -1: give a whole number from 1 to 86400, such as 60",
        "RESSORT_MAX_DOCUMENTS = viele: give a whole number of at least 1, such as 1000",
        "RESSORT_PROVIDERS = tpu: `tpu` is not one of `cuda`, `cpu`",
        "RESSORT_TIMOUT_S is not read; did you mean `RESSORT_TIMEOUT_S`?",
        "RESSORT_API_KEY: the key is blank",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    // A flag replaces the variable, whatever that holds.
    assert!(!error.contains("RESSORT_PORT"), "{error}");
    let (code, _, error) = run(&["serve", "--timeout-s", "-1"], &[]);
    assert!(
        code == 2 && error.contains("'-1' for '--timeout-s <TIMEOUT_S>': give a whole number from 1 to 86400"),
        "{error}"
    );
    // Other commands read variables too.
    let (code, _, error) = run(&["score", "x.jsonl", "--output", "y.jsonl"], &[("RESSORT_STREAMS", "0")]);
    assert!(code == 2 && error.contains("RESSORT_STREAMS = 0: give a whole number of at least 1"), "{error}");
    let (code, help, _) = run(&["serve", "--help"], &variables);
    assert!(code == 0 && help.contains("[env: RESSORT_PORT=abc]"), "{help}");
}

#[test]
fn the_configuration_that_is_printed_is_a_file_that_gives_the_same() {
    let hash = "ab".repeat(32);
    let text = format!(
        "timeout_s = 7\napi_key = \"geheim\"\nmodel = [\"a=/x\", \"b=/y\"]\n\n[[keys]]\nname = \"Redaktion\"\nhash = \"sha256:{hash}\"\nscopes = [\"read\", \"admin\"]\nrequests_per_minute = 60\n"
    );
    let first = file(&text);
    let shown = |path: &str| {
        let (code, shown, error) =
            run(&["serve", "--print-config", "--config", path], &[("RESSORT_MAX_DOCUMENTS", "9")]);
        assert_eq!(code, 0, "{error}");
        shown
    };
    let printed = shown(&first.path().to_string_lossy());
    assert!(!printed.contains("geheim") && printed.contains("not printed: set RESSORT_API_KEY again"), "{printed}");
    assert!(printed.contains(&format!("\n[[keys]]\nname = \"Redaktion\"\nhash = \"sha256:{hash}\"\n")), "{printed}");
    let again = shown(&file(&printed).path().to_string_lossy());
    let settings = |text: &str| {
        let mut settings: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}: {text}"));
        settings.remove("api_key");
        settings
    };
    assert_eq!(settings(&again), settings(&printed));
    for (key, value) in settings(&text) {
        assert_eq!(settings(&printed).get(&key), Some(&value), "{key}");
    }
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

#[test]
fn a_name_in_place_of_an_address_is_answered_with_addresses() {
    for (flags, variable) in [(&["--host", "localhost"][..], None), (&[], Some("localhost"))] {
        let mut command = ressort();
        command.arg("serve").args(flags);
        variable.map(|value| command.env("RESSORT_HOST", value));
        let output = command.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains("give an IP address, such as 127.0.0.1"), "{message}");
        assert!(!message.contains("expected a string"), "{message}");
    }
}
