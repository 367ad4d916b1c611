//! `ressort doctor` judges a configuration as `ressort serve` does.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::cli::model;
use crate::support::{copy_files, models_dir};

/// The program away from the models of this repository, which it would try too.
fn program() -> &'static Path {
    static PROGRAM: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let (built, program) = (env!("CARGO_BIN_EXE_ressort"), folder.path().join("ressort"));
        std::fs::hard_link(built, &program).or_else(|_| std::fs::copy(built, &program).map(|_| ())).unwrap();
        (folder, program)
    });
    &PROGRAM.1
}

/// Names and values.
type Variables<'v> = &'v [(&'v str, &'v str)];

/// Runs a command that must end by itself; the code is 124 where it does not.
fn run(words: &[&str], flags: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new("timeout");
    command.arg("60").arg(program()).args(words).args(flags).env("RUST_LOG", "off");
    command.env("RESSORT_PROVIDERS", "cpu").env("RESSORT_STREAMS", "1").envs(variables.iter().copied());
    command.current_dir(program().parent().unwrap()).output().unwrap()
}

fn doctor(flags: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, Value) {
    let output = run(&["doctor", "--json", "--"], flags, variables);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code(), report)
}

fn findings<'r>(report: &'r Value, status: &str) -> Vec<&'r str> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["status"] == status).map(|check| check["finding"].as_str().unwrap()).collect()
}

/// The folder of a test, with files that are of no use.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("file", ""),
        ("blank.key", " \n\n"),
        ("two.key", "one\ntwo\n"),
        ("baseline.json", "{\"models\": 5}"),
        ("wrong.toml", "port = \"x\"\n"),
        ("tls.toml", "tls_certificate = \"/nowhere\"\n"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn a_doctor_refuses_whatever_serve_refuses_with_the_same_message() {
    let (folder, taken) = (folder(), TcpListener::bind("127.0.0.1:0").unwrap());
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let tls = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name).display().to_string();
    let (heads, ner, port) = (model("two-heads"), model("lexicon-ner"), taken.local_addr().unwrap().port().to_string());
    let twice = [format!("a={heads}"), format!("a={ner}")];
    let files = |certificate: &str, key: &str| {
        ["--tls-certificate".to_owned(), certificate.to_owned(), "--tls-key".to_owned(), key.to_owned()]
    };
    let (mismatch, no_key) = (files(&tls("server.pem"), &tls("other.key")), files(&tls("server.pem"), &path("none")));
    let half = path("tls.toml");
    fn words(words: &[String]) -> Vec<&str> {
        words.iter().map(String::as_str).collect()
    }
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec!["--host", "0.0.0.0"], "without keys"),
        (vec!["--host", "192.0.2.1", "--allow-anonymous"], "choose another --host"),
        (vec!["--port", &port], "choose another --port"),
        (words(&mismatch), "is not the key of the certificate"),
        (words(&no_key), "the key cannot be read"),
        (vec!["--tls-key", &mismatch[3]], "needs --tls-certificate"),
        (vec!["--drift-baseline", "/nowhere"], "--baseline"),
        (vec!["--drift-baseline"], "baseline.json"),
        (vec!["--admin-key-file", "/nowhere"], "name a file that the service may read"),
        (vec!["--admin-key-file"], "blank.key"),
        (vec!["--jobs-dir"], "file/jobs"),
        (vec!["--shadow-samples"], "file/samples"),
        (vec!["--otlp-endpoint", "localhost"], "http://127.0.0.1:4318"),
        (vec!["--cors-origin", "example.com"], "https://www.example.com"),
        (vec!["--api-key", " "], "the key is blank"),
        (vec!["--model", "/nowhere"], "no such model folder"),
        (vec!["--model", &twice[0], "--model", &twice[1]], "two models are called `a`"),
        (vec!["--model", &ner, "--topics", "other"], "other"),
        (vec!["--model", &ner, "--require-gpu"], "cannot be served"),
        (vec!["--models-dir", "/nowhere"], "--models-dir /nowhere: no such folder"),
        (vec!["--config"], "wrong.toml"),
        (vec!["--config", &half], "needs --tls-key"),
        (vec!["--config", "/nowhere.toml"], "name another with --config"),
    ];
    for (mut flags, part) in cases {
        let named = path(part);
        if flags.len() == 1 {
            flags.push(&named);
        }
        if !flags.contains(&"--model") {
            flags.extend(["--model", &ner]);
        }
        if !flags.contains(&"--port") {
            flags.extend(["--port", "0"]);
        }
        let served = run(&["serve"], &flags, &[]);
        let message = String::from_utf8(served.stderr).unwrap();
        assert!(matches!(served.status.code(), Some(1 | 2)), "{flags:?}: {message}");
        assert!(message.contains(part), "{flags:?}: {message}");
        let (code, report) = doctor(&flags, &[]);
        assert_eq!((code, &report["ok"]), (Some(1), &Value::Bool(false)), "{flags:?}: {report:#}");
        let said = message.trim_end().trim_start_matches("ressort: ");
        assert!(findings(&report, "failed").contains(&said), "{flags:?}: {message}\n{report:#}");
    }
}

#[test]
fn a_doctor_approves_what_serve_starts_with_and_changes_nothing() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let models = folder.path().join("models");
    for (name, of) in [("ressort", "two-heads"), ("broken", "two-heads")] {
        std::fs::create_dir_all(models.join(name)).unwrap();
        copy_files(&models_dir().join(of), &models.join(name));
    }
    std::fs::write(models.join("broken/config.json"), "{").unwrap();
    std::fs::write(models.join(".active.json"), "damaged").unwrap();
    let (models_dir, samples, jobs, state) =
        (path("models"), path("new-samples"), path("new/jobs"), path("none/state"));
    let flags = ["--port", "0", "--models-dir", &models_dir, "--shadow-samples", &samples, "--jobs-dir", &jobs];
    let (code, report) = doctor(&flags, &[]);
    assert_eq!((code, &report["ok"]), (Some(0), &Value::Bool(true)), "{report:#}");
    assert!(findings(&report, "failed").is_empty(), "{report:#}");
    for part in ["config.json", "cannot be restored"] {
        assert!(findings(&report, "warning").iter().any(|finding| finding.contains(part)), "{part}: {report:#}");
    }
    let (code, report) = doctor(&["--port", "0", "--models-dir", &models_dir, "--state-file", &state], &[]);
    assert_eq!(code, Some(0), "{report:#}");
    assert!(findings(&report, "warning").iter().any(|finding| finding.contains("none/state cannot be written")));
    assert_eq!(std::fs::read_to_string(models.join(".active.json")).unwrap(), "damaged");
    let mut left: Vec<_> = std::fs::read_dir(&models).unwrap().flatten().map(|entry| entry.file_name()).collect();
    left.sort();
    assert_eq!(left, [".active.json", "broken", "ressort"]);
    assert!(!Path::new(&samples).exists() && !folder.path().join("new").exists());
}

#[test]
fn a_blank_key_is_refused_with_its_source() {
    let folder = folder();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_string_lossy().into_owned()
    };
    let (in_file, blank, two) =
        (write("a.toml", "api_key = \" \"\n"), write("b.key", "\n \n"), write("c.key", "geheim\nzwei\n"));
    // Of `printf ''`.
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let of_nothing = write("b.toml", &format!("[[keys]]\nname = \"a\"\nhash = \"sha256:{hash}\"\n"));
    let cases: [(&[&str], Variables<'_>, &str); 9] = [
        (&[], &[("RESSORT_API_KEY", "")], "RESSORT_API_KEY"),
        (&[], &[("RESSORT_API_KEY", " ")], "RESSORT_API_KEY"),
        (&[], &[("RESSORT_ADMIN_KEY", "\t")], "RESSORT_ADMIN_KEY"),
        (&["--admin-key", " "], &[], "--admin-key"),
        (&[], &[("RESSORT_API_KEY", "geheim\n")], "begins or ends with white space"),
        (&["--config", &in_file], &[], "a.toml:1: `api_key`"),
        (&["--admin-key-file", &blank], &[], "b.key: the key is blank"),
        (&["--admin-key-file", &two], &[], "c.key: the key has characters other than visible ASCII"),
        (&["--config", &of_nothing], &[], "b.toml:3: `hash` of a key: it is the hash of a blank text"),
    ];
    for (flags, variables, part) in cases {
        let output = run(&["serve", "--port", "0", "--model", "/nowhere"], flags, variables);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            matches!(output.status.code(), Some(1 | 2)) && message.contains(part),
            "{flags:?} {variables:?}: {message}"
        );
        assert!(message.contains("key") && !message.contains("geheim"), "{flags:?} {variables:?}: {message}");
        assert!(!message.contains("no such model folder"), "{flags:?} {variables:?}: {message}");
    }
}

#[test]
fn who_may_change_models_is_said_as_it_is_served() {
    for (flags, expected) in [
        (&["--host", "127.0.0.1"][..], "every client of this machine may change models"),
        (
            &["--host", "0.0.0.0", "--api-key", "long-enough-for-a-key"],
            "nobody may change models, since there is no admin key",
        ),
        (&["--host", "127.0.0.1", "--admin-key", "long-enough-for-a-key"], "models are changed with an admin key"),
    ] {
        let (_, report) = doctor(flags, &[]);
        let checks = report["checks"].as_array().unwrap();
        let keys = checks.iter().find(|check| check["name"] == "keys").unwrap()["finding"].as_str().unwrap();
        assert!(keys.ends_with(expected), "{flags:?}: {keys}");
    }
}

#[test]
fn a_jobs_folder_that_another_server_uses_is_said() {
    let folder = folder();
    let jobs = folder.path().join("jobs").to_string_lossy().into_owned();
    let model = model("lexicon-ner");
    let flags = ["--port", "0", "--model", &model, "--jobs-dir", &jobs];
    let is_said = |report: &Value| findings(report, "warning").iter().any(|finding| finding.contains("another server"));
    std::fs::create_dir(&jobs).unwrap();
    let lock = std::fs::File::create(folder.path().join("jobs/lock")).unwrap();
    let (code, report) = doctor(&flags, &[]);
    assert!(code == Some(0) && !is_said(&report), "{report:#}");
    lock.lock().unwrap();
    let (code, report) = doctor(&flags, &[]);
    assert!(code == Some(0) && is_said(&report), "{report:#}");
}
