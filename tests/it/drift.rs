//! Drift from end to end: a baseline that `ressort score` records, and what `GET /v1/drift` says of days like it and unlike it.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::{Server, model, ressort};
use crate::support::{copy_files, models_dir};

/// Texts of one topic each, which `lexicon-topics` knows by their words.
const NEWS: [&str; 4] = [
    "Merkel sprach im Bundestag über das Gesetz",
    "Siemens und Volkswagen",
    "Das Tor von FC Bayern im Spiel",
    "Der Film und das Konzert im Theater",
];
const SPORT: &str = NEWS[2];

fn score(model: &str, folder: &TempDir, n_rows: usize, baseline: &Path) -> Output {
    let rows = (0..n_rows).map(|row| json!({"text": NEWS[row % NEWS.len()]}).to_string() + "\n").collect::<String>();
    let input = folder.path().join("normal.jsonl");
    std::fs::write(&input, rows).unwrap();
    let mut command: Command = ressort();
    command.args([
        "score",
        &input.to_string_lossy(),
        "--model",
        model,
        "--providers",
        "cpu",
        "--overwrite",
        "--output",
    ]);
    command.arg(folder.path().join("out.jsonl")).arg("--baseline").arg(baseline);
    command.output().unwrap()
}

/// Sends documents, and gives what the server then says of drift.
fn drift_after(server: &Server, texts: &[&str]) -> Value {
    let documents: Vec<Value> = texts.iter().map(|text| json!({"text": text})).collect();
    if !documents.is_empty() {
        let body = json!({ "documents": documents }).to_string();
        let answer = server.ask(&format!(
            "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    get(server, "/v1/drift")
}

fn get(server: &Server, path: &str) -> Value {
    let answer = server.ask(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"));
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn status<'v>(report: &'v Value, feature: &str) -> &'v str {
    report["models"][0]["features"][feature]["status"].as_str().unwrap_or_else(|| panic!("{report:#}"))
}

fn serve(model: &str, args: &[&str]) -> Server {
    Server::start_with(ressort(), &[&["--model", model, "--providers", "cpu"], args].concat())
}

#[test]
fn another_mix_of_topics_shows_and_the_same_mix_does_not() {
    let (folder, model) = (TempDir::new().unwrap(), model("lexicon-topics"));
    let baseline = folder.path().join("baseline.json");
    let output = score(&model, &folder, 240, &baseline);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let server = serve(&model, &["--drift-baseline", &baseline.to_string_lossy()]);
    let few = drift_after(&server, &NEWS.repeat(10));
    for feature in ["topics", "topic_scores", "length", "unknown_tokens"] {
        assert_eq!(status(&few, feature), "too_few_documents", "{few:#}");
    }
    let quiet = drift_after(&server, &NEWS.repeat(50));
    for feature in ["topics", "topic_scores", "length", "unknown_tokens"] {
        assert_eq!(status(&quiet, feature), "stable", "{quiet:#}");
    }
    let topics = &quiet["models"][0]["features"]["topics"];
    assert_eq!((&topics["documents"], &topics["baseline_documents"]), (&240.into(), &240.into()));
    let championship = drift_after(&server, &[SPORT; 900]);
    assert_eq!(status(&championship, "topics"), "shifted", "{championship:#}");
    let page = server.ask("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let psi = page.lines().find(|line| line.starts_with("ressort_drift_psi{") && line.contains("feature=\"topics\""));
    let psi: f64 = psi.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(Some(psi), championship["models"][0]["features"]["topics"]["psi"].as_f64());
    server.stop();
}

#[test]
fn a_good_day_becomes_the_baseline_in_the_folder_of_its_model() {
    let folder = TempDir::new().unwrap();
    copy_files(&models_dir().join("lexicon-topics"), folder.path());
    let model = format!("m={}", folder.path().display());
    let server = serve(&model, &[]);
    let report = drift_after(&server, &NEWS.repeat(60));
    assert_eq!((&report["models"][0]["has_baseline"], status(&report, "topics")), (&false.into(), "no_baseline"));
    let good_day = get(&server, "/v1/drift/baseline");
    server.stop();
    std::fs::write(folder.path().join(".baseline.json"), good_day.to_string()).unwrap();
    let server = serve(&model, &[]);
    let report = drift_after(&server, &NEWS.repeat(60));
    assert_eq!((&report["models"][0]["has_baseline"], status(&report, "topics")), (&true.into(), "stable"));
    server.stop();
    // Another version of the model answers otherwise.
    std::fs::write(folder.path().join("NOTICE"), "neu").unwrap();
    let server = serve(&model, &[]);
    assert_eq!(drift_after(&server, &[])["models"][0]["has_baseline"], false);
    server.stop();
}

/// Tries until `condition` holds.
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn hangup_reads_baselines_of_files_and_folders_again_and_keeps_those_that_a_broken_file_replaces() {
    let (dir, named) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    copy_files(&models_dir().join("lexicon-topics"), dir.path());
    let (in_folder, file) = (dir.path().join(".baseline.json"), named.path().join("baseline.json"));
    let (config, log) = (named.path().join("ressort.toml"), named.path().join("log"));
    let model = format!("m={}", dir.path().display());
    let configure = |files: &str| std::fs::write(&config, format!("drift_baseline = {files}\n")).unwrap();
    configure("[]");
    let mut command = ressort();
    command.stderr(std::fs::File::create(&log).unwrap());
    let args = ["--config", &config.to_string_lossy(), "--model", &model, "--providers", "cpu"];
    let server = Server::start_with(command, &args);
    drift_after(&server, &NEWS);
    let mut baseline = get(&server, "/v1/drift/baseline");
    let mut write = |path: &Path, n_documents: u64| {
        baseline["models"][0]["features"]["topics"]["documents"] = n_documents.into();
        std::fs::write(path, baseline.to_string()).unwrap();
    };
    let is_of = |n_documents: u64| {
        let topics = &get(&server, "/v1/drift")["models"][0]["features"]["topics"];
        topics["baseline_documents"] == n_documents
    };
    let logged = |part: &str, n: usize| {
        until(part, || std::fs::read_to_string(&log).unwrap().matches(part).count() == n);
    };
    assert!(is_of(0));
    write(&in_folder, 300);
    server.signal("-HUP");
    until("the folder has a baseline", || is_of(300));
    write(&in_folder, 301);
    server.signal("-HUP");
    until("the folder has another baseline", || is_of(301));
    std::fs::write(&in_folder, "{").unwrap();
    server.signal("-HUP");
    logged("the baseline cannot be reloaded", 1);
    assert!(is_of(301));
    // What the operator names goes before the folder.
    write(&file, 400);
    configure(&format!("{:?}", file.to_string_lossy()));
    server.signal("-HUP");
    until("the configuration names a file", || is_of(400));
    write(&file, 401);
    server.signal("-HUP");
    until("the named file has changed", || is_of(401));
    std::fs::write(&file, "{").unwrap();
    server.signal("-HUP");
    logged("the configuration cannot be reloaded", 1);
    assert!(is_of(401));
    configure("[]");
    std::fs::remove_file(&in_folder).unwrap();
    server.signal("-HUP");
    until("there is no baseline", || is_of(0));
    assert!(!std::fs::read_to_string(&log).unwrap().contains("needs_restart"));
    assert_eq!(server.stop(), 0);
}

#[test]
fn what_is_no_baseline_is_refused_with_the_way_to_one() {
    let (folder, model) = (TempDir::new().unwrap(), model("lexicon-topics"));
    let file = folder.path().join("baseline.json");
    let output = score(&model, &folder, 199, &file);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && message.contains("199 documents") && !file.exists(), "{message}");
    let bin = json!({"documents": 500, "bins": {"a": -1}});
    for content in [
        "{".to_owned(),
        "{}".to_owned(),
        json!({"models": [{"name": "m", "version": "1", "features": {"weather": {"documents": 1, "bins": {}}}}]})
            .to_string(),
        json!({"models": [{"name": "m", "version": "1", "features": {"topics": bin}}]}).to_string(),
    ] {
        std::fs::write(&file, &content).unwrap();
        let mut command = ressort();
        command.args(["serve", "--port", "0", "--providers", "cpu", "--model", &model, "--drift-baseline"]).arg(&file);
        let output = command.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{content}");
        assert!(
            message.contains("baseline.json") && message.contains("ressort score --baseline"),
            "{content}: {message}"
        );
    }
}
