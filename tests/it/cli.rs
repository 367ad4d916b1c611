//! The binary: what it prints and with which exit code it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{copy_files, models_dir};

pub fn ressort() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ressort"))
}

fn run(args: &[&str]) -> Output {
    ressort().args(args).output().unwrap()
}

pub fn model(name: &str) -> String {
    models_dir().join(name).to_string_lossy().into_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A server that ends with the test.
pub struct Server {
    process: Child,
    line: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let mut command = ressort();
        command.stderr(Stdio::null());
        Self::start_with(command, args)
    }

    /// `command` is the binary with its environment and where its log goes.
    pub fn start_with(mut command: Command, args: &[&str]) -> Self {
        let mut process = command.args(["serve", "--port", "0"]).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, line }
    }

    /// The answer to one request, head and body.
    pub fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.url().trim_start_matches("http://")).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub fn url(&self) -> String {
        self.line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned()
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub fn stop(mut self) -> i32 {
        self.signal("-TERM");
        self.process.wait().unwrap().code().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where the server has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn serve_says_in_one_line_where_it_listens_and_stops_when_told() {
    let server = Server::start(&["--model", &format!("news={}", model("two-heads")), "--providers", "cpu"]);
    assert!(server.line.starts_with("ressort "), "{}", server.line);
    for part in ["listens on http://127.0.0.1:", "topics: news ", "entities: news ", "on cpu"] {
        assert!(server.line.contains(part), "{}", server.line);
    }
    let body = r#"{"text": "Angela Merkel"}"#;
    let answer = server.ask(&format!(
        "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"topics\":["), "{answer}");
    let page = server.ask("GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(
        page.contains("content-security-policy: default-src 'none'") && page.contains("<title>Ressort</title>"),
        "{page}"
    );
    let metrics = server.ask("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(metrics.contains("ressort_documents_total{outcome=\"ok\"} 1"), "{metrics}");
    assert_eq!(server.stop(), 0);
}

#[test]
fn health_fails_unless_a_server_is_ready() {
    let server = Server::start(&["--model", &model("two-heads"), "--providers", "cpu"]);
    let good = run(&["health", "--server", &server.url()]);
    assert!(good.status.success() && text(&good.stdout).contains("\"ready\""), "{}", text(&good.stderr));
    let url = server.url();
    assert_eq!(server.stop(), 0);
    let bad = run(&["health", "--server", &url]);
    assert!(
        bad.status.code() == Some(1) && text(&bad.stderr).contains("is the server running?"),
        "{}",
        text(&bad.stderr)
    );
}

#[test]
fn which_model_answers_for_what_can_be_chosen() {
    let (a, b) = (format!("a={}", model("two-heads")), format!("b={}", model("two-heads")));
    let server = Server::start(&["--model", &a, "--model", &b, "--entities", "b", "--providers", "cpu"]);
    assert!(server.line.contains("topics: a ") && server.line.contains("entities: b "), "{}", server.line);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_server_that_is_stopped_while_it_opens_sessions_ends_as_usual_and_leaves_no_file() {
    let temporary = tempfile::tempdir().unwrap();
    for _ in 0..4 {
        let mut command = ressort();
        command.stderr(Stdio::null()).env("TMPDIR", temporary.path());
        let server =
            Server::start_with(command, &["--model", &model("two-heads"), "--streams", "16", "--providers", "cpu"]);
        assert_eq!(server.stop(), 0);
    }
    let left = std::fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn inspect_says_whether_and_how_a_folder_would_be_served() {
    let good = run(&["inspect", &model("bert-cased-ner-int8")]);
    assert!(good.status.success());
    let report = text(&good.stdout);
    for part in ["int8-dynamic", "up to 1 window(s) a run", "PER, LOC, ORG, OTH", "would be served"] {
        assert!(report.contains(part), "{part} is missing in: {report}");
    }
    let json = run(&["inspect", "--json", &model("bert-cased-ner")]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&report["servable"], &report["model"]["max_length"]), (&true.into(), &64.into()));
    let bad = run(&["inspect", "--json", "/nowhere"]);
    let report: serde_json::Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!((bad.status.code(), &report["servable"]), (Some(1), &false.into()));
    assert!(report["error"].as_str().unwrap().contains("no such model folder"));
}

#[test]
fn every_command_finds_a_model_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("gold.jsonl"), "{\"text\": \"Bonn\", \"entities\": []}\n").unwrap();
    std::fs::write(dir.path().join("text.csv"), "text\nBonn\n").unwrap();
    let models = models_dir();
    for command in [
        "inspect lexicon-ner --providers cpu",
        "evaluate --data gold.jsonl --model lexicon-ner --model two-heads --providers cpu",
        "score text.csv --output out.jsonl --model lexicon-ner --providers cpu",
    ] {
        let mut named = ressort();
        named.args(command.split(' ')).current_dir(dir.path());
        let unknown = named.output().unwrap();
        let message = text(&unknown.stderr);
        assert!(message.contains("lexicon-ner: no such model folder") && message.contains("--models-dir"), "{message}");
        let mut misspelt = ressort();
        misspelt.args(command.replace("lexicon-ner", "lexikon-ner").split(' ')).arg("--models-dir").arg(&models);
        let misspelt = text(&misspelt.current_dir(dir.path()).output().unwrap().stderr);
        for part in ["/lexikon-ner: no such model folder", "/tests/models has ", "did you mean `lexicon-ner`?"] {
            assert!(misspelt.contains(part), "{misspelt}");
        }
        let found = named.arg("--models-dir").arg(&models).output().unwrap();
        assert!(found.status.success(), "{command}: {}", text(&found.stderr));
    }
}

#[test]
fn the_models_of_a_running_server_are_changed_from_the_command_line() {
    let models = tempfile::tempdir().unwrap();
    for name in ["ressort", "neu"] {
        std::fs::create_dir(models.path().join(name)).unwrap();
        copy_files(&models_dir().join("two-heads"), &models.path().join(name));
    }
    let server = Server::start(&["--models-dir", &models.path().to_string_lossy(), "--providers", "cpu"]);
    let url = server.url();
    let change = |args: &[&str]| {
        let output = ressort().args(["models", "--server", &url]).args(args).output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let list = || serde_json::from_str::<serde_json::Value>(&change(&["list"]).1).unwrap();
    assert_eq!(list()["active"]["topics"], "ressort");
    assert_eq!(change(&["load", "neu"]).0, 0);
    assert_eq!(change(&["activate", "--topics", "neu", "--entities", "neu"]).0, 0);
    assert_eq!(list()["active"], serde_json::json!({"topics": "neu", "entities": "neu"}));
    let (code, message) = change(&["remove", "neu"]);
    assert!(code == 1 && message.contains("the server refused (409): model `neu` is in use"), "{message}");
    assert_eq!(change(&["shadow", "ressort", "--share", "0.5"]).0, 0);
    assert!(change(&["shadow"]).1.contains("\"share\": 0.5"));
    assert_eq!(change(&["shadow", "--stop"]).0, 0);
    assert_eq!(change(&["rollback"]).0, 0);
    assert_eq!(list()["active"]["topics"], "ressort");
    let version = || list()["models"][1]["version"].clone();
    let before = version();
    std::fs::write(models.path().join("ressort/NOTICE"), "neu").unwrap();
    server.signal("-HUP");
    let deadline = deadline();
    while version() == before {
        assert!(Instant::now() < deadline, "the new version was not loaded");
        std::thread::yield_now();
    }
    assert_eq!(change(&["activate", "--topics", "neu", "--entities", "neu"]).0, 0);
    assert_eq!(server.stop(), 0);
    assert!(models.path().join(".active.json").exists());
    assert_eq!(rolled_back_after_a_restart(models.path()), "ressort");
    let nobody = ressort().args(["models", "--server", "http://127.0.0.1:9", "list"]).output().unwrap();
    assert!(text(&nobody.stderr).contains("is the server running?"), "{}", text(&nobody.stderr));
}

#[test]
fn the_metrics_of_a_removed_model_are_gone() {
    let models = tempfile::tempdir().unwrap();
    for name in ["ressort", "neu"] {
        std::fs::create_dir(models.path().join(name)).unwrap();
        copy_files(&models_dir().join("lexicon-ner"), &models.path().join(name));
    }
    let server = Server::start(&["--models-dir", &models.path().to_string_lossy(), "--providers", "cpu"]);
    let change = |args: &[&str]| {
        ressort().args(["models", "--server", &server.url()]).args(args).output().unwrap().status.success()
    };
    let metrics = || server.ask("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(change(&["load", "neu"]));
    let loaded = metrics();
    for name in ["queued_windows", "session_panics_total", "failed_batches_total", "model_info"] {
        assert!(loaded.contains(&format!("\nressort_{name}{{model=\"neu\",version=")), "{name}: {loaded}");
    }
    assert!(loaded.contains("provider=\"cpu\"} 1\n"), "{loaded}");
    assert!(change(&["remove", "neu"]));
    let removed = metrics();
    assert!(!removed.contains("model=\"neu\"") && removed.contains("model=\"ressort\""), "{removed}");
    assert_eq!(server.stop(), 0);
}

/// Starts again on the models folder, and gives what a rollback makes active.
fn rolled_back_after_a_restart(models: &Path) -> String {
    let server = Server::start(&["--models-dir", &models.to_string_lossy(), "--providers", "cpu"]);
    let deadline = deadline();
    loop {
        let output = ressort().args(["models", "--server", &server.url(), "rollback"]).output().unwrap();
        // What is brought back is loaded after the server listens.
        if output.status.success() {
            let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(server.stop(), 0);
            return answer["active"]["topics"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "no rollback: {}", text(&output.stderr));
        std::thread::yield_now();
    }
}

/// When a test that waits for the server gives up.
fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[test]
fn bad_usage_ends_with_2_and_what_fails_with_1() {
    for args in [
        &["serve", "--model", "a/b=x"][..],
        &["serve", "--providers", "tpu"],
        &["serve", "--streams", "0"],
        &["bogus"],
        &[],
        &["models", "activate"],
    ] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
    let failed = run(&["serve", "--port", "0", "--model", "/nowhere"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("/nowhere: no such model folder"), "{}", text(&failed.stderr));
    let both = ["serve", "--port", "0", "--model", &model("two-heads"), "--model", &model("two-heads")];
    assert!(text(&run(&both).stderr).contains("two models are called `two-heads`"));
    for task in ["--topics", "--entities"] {
        let one = run(&["models", "activate", task, "x", "--server", "http://127.0.0.1:1"]);
        assert_eq!(one.status.code(), Some(1), "{task}: {}", text(&one.stderr));
    }
    for folder in ["/nowhere", "/etc/passwd"] {
        let serve = ["serve", "--port", "0", "--models-dir", folder];
        let score = ["score", "Cargo.toml", "--output", "-", "--models-dir", folder];
        let inspect = ["inspect", &model("two-heads"), "--models-dir", folder];
        let evaluate = ["evaluate", "--data", "Cargo.toml", "--model", &model("two-heads"), "--models-dir", folder];
        for args in [&serve[..], &score, &inspect, &evaluate] {
            let refused = run(args);
            let message = text(&refused.stderr);
            assert_eq!(refused.status.code(), Some(2), "{args:?}: {message}");
            assert!(message.contains(&format!("--models-dir {folder}: no such folder")), "{args:?}: {message}");
        }
    }
    let unable = ["serve", "--port", "0", "--model", &model("lexicon-ner"), "--topics", "lexicon-ner"];
    assert!(text(&run(&unable).stderr).contains("does not serve topics"));
}

#[test]
fn an_input_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    std::fs::write(&file, "{\"text\": \"Berlin\"}\n").unwrap();
    let path = file.to_string_lossy();
    let output = run(&["score", &path, "--output", &path, "--overwrite", "--model", &model("lexicon-ner")]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("is also an input"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"text\": \"Berlin\"}\n");
}

#[test]
fn a_missing_onnx_runtime_is_said_with_the_remedy() {
    let output = ressort()
        .args(["inspect", &model("lexicon-ner")])
        .env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    for part in ["/nowhere/libonnxruntime.so (ORT_DYLIB_PATH)", "scripts/onnxruntime.sh"] {
        assert!(message.contains(part), "{message}");
    }
}
