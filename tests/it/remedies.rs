//! A refusal names what leads on, and that does lead on.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli::{Server, model, ressort};
use crate::support::{copy_files, models_dir};

/// Exit code, and both streams.
fn run(words: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let output = ressort().args(words).envs(variables.iter().copied()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[test]
fn a_refused_change_of_models_names_what_leads_on() {
    let models = tempfile::tempdir().unwrap();
    for name in ["ressort", "neu"] {
        std::fs::create_dir(models.path().join(name)).unwrap();
        copy_files(&models_dir().join("two-heads"), &models.path().join(name));
    }
    let mut command = ressort();
    command.stderr(Stdio::null()).env("RESSORT_STREAMS", "1");
    let server = Server::start_with(command, &["--models-dir", &models.path().to_string_lossy(), "--providers", "cpu"]);
    let url = server.url();
    let change = |words: &[&str]| run(&[&["models", "--server", &url], words].concat(), &[]);
    for (words, parts) in [
        (&["load", "../x"][..], &["`../x`", "without its path"][..]),
        (&["load", "nue"], &["no model `nue`", "there are neu, ressort", "did you mean `neu`?", "ressort pull"]),
        (&["activate", "--topics", "neu"], &["no model is called `neu`", "`ressort models load NAME`"]),
        (&["remove", "neu"], &["no model is called `neu`", "loaded are ressort"]),
        (&["remove", "ressort"], &["it is active", "`ressort models activate`"]),
        (&["rollback"], &["`ressort models activate`"]),
        (&["shadow"], &["`ressort models shadow NAME`"]),
        (&["shadow", "ressort", "--share", "-1"], &["'-1'", "--share", "give a number above 0 and at most 1"]),
        (&["shadow", "ressort", "--share", "x"], &["'x'", "--share", "give a number above 0 and at most 1"]),
    ] {
        let (code, message) = change(words);
        assert_ne!(code, 0, "{words:?}");
        assert!(parts.iter().all(|part| message.contains(part)), "{words:?}: {message}");
    }
    assert_eq!(change(&["load", "neu"]).0, 0);
    assert_eq!(change(&["shadow", "neu"]).0, 0);
    let (code, message) = change(&["remove", "neu"]);
    assert!(code == 1 && message.contains("(it is the shadow model); end the comparison first"), "{message}");
    assert!(message.contains("`ressort models shadow --stop`"), "{message}");
    assert_eq!(change(&["shadow", "--stop"]).0, 0);
    assert_eq!(change(&["remove", "neu"]).0, 0);
    assert_eq!(server.stop(), 0);
    let (_, message) = run(&["models", "--server", "http://nowhere.invalid", "list"], &[]);
    assert!(message.contains("no machine has this name"), "{message}");
    let mut command = ressort();
    command.stderr(Stdio::null()).env("RESSORT_STREAMS", "1").env("RESSORT_ADMIN_KEY", "geheim");
    let server = Server::start_with(command, &["--model", &model("lexicon-ner"), "--providers", "cpu"]);
    let load = ["models", "--server", &server.url(), "load", "x"];
    let (code, message) = run(&load, &[]);
    assert!(code == 1 && message.contains("takes the key from RESSORT_ADMIN_KEY"), "{message}");
    let (_, message) = run(&load, &[("RESSORT_ADMIN_KEY", "geheim")]);
    assert!(message.contains("422"), "{message}");
    assert_eq!(server.stop(), 0);
    for address in ["localhost:8080", "nonsense", "ftp://x"] {
        let (code, message) = run(&["models", "--server", address, "list"], &[]);
        assert!(code == 1 && message.contains("such as http://127.0.0.1:8080 with --server"), "{message}");
    }
}

/// A server under TLS, with a certificate of `tests/tls`.
fn serve(certificate: &str, host: &str) -> (std::process::Child, String) {
    let mut command = ressort();
    command.args(["serve", "--port", "0", "--host", host, "--providers", "cpu", "--model", &model("lexicon-ner")]);
    command.args(["--tls-certificate", &tls(&format!("{certificate}.pem"))]);
    command.args(["--tls-key", &tls(&format!("{certificate}.key"))]);
    start(command)
}

fn start(mut command: Command) -> (std::process::Child, String) {
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(process.stdout.take().unwrap()), &mut line).unwrap();
    let url = line.split_whitespace().find(|word| word.starts_with("http")).unwrap_or_else(|| panic!("{line}"));
    (process, url.to_owned())
}

fn tls(file: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(file).to_string_lossy().into_owned()
}

#[test]
fn a_certificate_that_is_refused_is_named_with_its_cause_and_what_to_do() {
    const TRUST: &str = "SSL_CERT_FILE";
    let (own, authority, nothing) = (tls("server.pem"), tls("authority.pem"), tls("server.key"));
    // Of the same name as `server.pem`, and of another key.
    let earlier = tls("earlier.pem");
    for (certificate, host, trusted, expected) in [
        ("server", "127.0.0.1", &nothing, Some("does not trust who signed it")),
        ("server", "127.0.0.1", &own, None),
        ("server", "127.0.0.1", &earlier, Some("no certificate that is trusted here signed it")),
        ("server", "127.0.0.2", &own, Some("it is for another name")),
        ("authority", "127.0.0.1", &authority, Some("it is that of an authority (CA:TRUE)")),
    ] {
        let (mut process, url) = serve(certificate, host);
        for command in [&["health"][..], &["models", "list"]] {
            let (code, message) = run(&[command, &["--server", &url]].concat(), &[(TRUST, trusted)]);
            let part = expected.unwrap_or("ready");
            assert_eq!(code, i32::from(expected.is_some()), "{command:?} {url}: {message}");
            assert!(message.contains(part) || command.len() == 2 && expected.is_none(), "{command:?} {url}: {message}");
            assert!(!message.contains("is the server running?"), "{message}");
        }
        if expected.is_none() {
            let plain = url.replace("https://", "http://");
            let (code, message) = run(&["health", "--server", &plain], &[]);
            assert!(code == 1 && message.contains("with https:// where it has a certificate"), "{message}");
        }
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let mut command = ressort();
    command.args(["serve", "--port", "0", "--providers", "cpu", "--model", &model("lexicon-ner")]);
    let (mut process, url) = start(command);
    let (code, message) = run(&["health", "--server", &url.replace("http://", "https://")], &[(TRUST, &own)]);
    assert!(code == 1 && message.contains("does not speak TLS; name it with http://"), "{message}");
    process.kill().unwrap();
    process.wait().unwrap();
}
