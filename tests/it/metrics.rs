//! What a server says about itself while it runs: `/metrics` and log lines.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ressort::system::metric_names::{ALL, Kind, Metric};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::cli::{Server, model, ressort};
use crate::docs::manual::Page;

/// A server with a model of two heads, and its log.
struct Observed {
    server: Server,
    log: NamedTempFile,
}

impl Observed {
    fn start(args: &[&str]) -> Self {
        let log = NamedTempFile::new().unwrap();
        let mut command = ressort();
        command.stderr(Stdio::from(log.reopen().unwrap())).args(["--log-format", "json"]);
        let model = format!("m={}", model("two-heads"));
        let server = Server::start_with(command, &[&["--model", &model, "--providers", "cpu"], args].concat());
        Self { server, log }
    }

    fn get(&self, path: &str) -> String {
        self.server.ask(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
    }

    fn classify(&self, body: &str, header: &str) -> String {
        self.server.ask(&format!(
            "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// The lines of the log so far, each of which is JSON.
    fn lines(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.log.path()).unwrap();
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    fn requests(&self) -> Vec<Value> {
        let is_request = |line: &Value| line["fields"]["message"] == "request";
        self.lines().into_iter().filter(is_request).map(|line| line["fields"].clone()).collect()
    }
}

/// The value of a sample, by its name and labels as the page writes them.
fn sample(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is missing: {page}")).parse().unwrap()
}

/// `m` and its version, as samples name them.
fn model_labels(page: &str) -> String {
    let (_, rest) = page.split_once("ressort_queued_windows{").unwrap();
    rest.split_once('}').unwrap().0.to_owned()
}

#[test]
fn every_sample_has_a_declared_name_a_help_and_a_type() {
    let observed = Observed::start(&[]);
    assert!(observed.classify(r#"{"text": "Angela Merkel sprach in Berlin."}"#, "").starts_with("HTTP/1.1 200"));
    let answer = observed.get("/metrics");
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
    let page = answer.split_once("\r\n\r\n").unwrap().1;
    let names = page.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    let names: BTreeSet<&str> = names.map(|line| line.split(['{', ' ']).next().unwrap()).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        let metric = ALL.iter().find(|metric| metric.name == name || is_part_of(metric, name));
        let Metric { name, kind, help } = metric.unwrap_or_else(|| panic!("{name} is not in `metric_names`"));
        let kind = format!("{kind:?}").to_lowercase();
        for line in [format!("# HELP {name} {help}\n"), format!("# TYPE {name} {kind}\n")] {
            assert_eq!(page.matches(&line).count(), 1, "{line}");
        }
    }
    observed.server.stop();
}

fn is_part_of(metric: &Metric, name: &str) -> bool {
    let parts = ["_bucket", "_sum", "_count"];
    metric.kind == Kind::Histogram && name.strip_prefix(metric.name).is_some_and(|rest| parts.contains(&rest))
}

#[test]
fn the_manual_lists_every_metric_as_the_page_does() {
    let page = Page::read("docs/monitoring.md");
    let rows = page.text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let listed: BTreeMap<&str, &str> =
        rows.filter(|(name, _)| name.starts_with("ressort_") || name.starts_with("process_")).collect();
    let row =
        |metric: &Metric| (metric.name, format!("{} | {} |", format!("{:?}", metric.kind).to_lowercase(), metric.help));
    for (name, row) in ALL.iter().map(row) {
        assert_eq!(listed.get(name).copied(), Some(row.as_str()), "{name} in docs/monitoring.md");
    }
    assert_eq!(listed.len(), ALL.len(), "a metric in docs/monitoring.md does not exist");
}

#[test]
fn documents_batches_and_labels_are_counted_for_their_model() {
    let observed = Observed::start(&[]);
    // A threshold of the request leaves entities out of the answer, and not of the metrics.
    let documents = r#"[{"text": "Angela Merkel"}, {"text": "Angela Merkel"}, {"text": ""}]"#;
    let body = format!(r#"{{"threshold": {{"entities": 1.0}}, "documents": {documents}}}"#);
    let answer = observed.classify(&body, "");
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("OTH"), "{answer}");
    let page = observed.get("/metrics");
    let labels = model_labels(&page);
    let of = |name: &str| sample(&page, &format!("ressort_{name}{{{labels}}}"));
    assert_eq!((of("model_documents_total"), of("document_tokens_count")), (3.0, 3.0));
    assert_eq!(of("topic_score_ratio_count"), 2.0, "a text without tokens is about nothing");
    assert_eq!(of("model_tokens_total"), of("document_tokens_sum"));
    assert!(of("batches_total") >= 1.0 && of("batch_windows_total") >= of("batches_total"));
    let part = |name: &str, label: &str| sample(&page, &format!("ressort_{name}{{{labels},{label}}}"));
    assert_eq!(part("stage_duration_seconds_count", "stage=\"run\""), of("batches_total"));
    assert_eq!(part("stage_duration_seconds_count", "stage=\"queue\""), of("batch_windows_total"));
    assert!(part("batch_tokens_total", "content=\"window\"") > 0.0);
    assert_eq!(part("entities_total", "label=\"OTH\""), 2.0);
    assert_eq!(part("topics_total", "label=\"Sport\""), 2.0);
    assert_eq!(part("topics_total", "label=\"Wirtschaft\""), 0.0);
    assert_eq!(sample(&page, "ressort_in_flight_requests"), 1.0, "the scrape itself");
    assert!(sample(&page, "process_resident_memory_bytes") > 1e6);
    observed.server.stop();
}

#[test]
fn a_request_is_one_line_with_the_id_that_its_client_sent() {
    let observed = Observed::start(&[]);
    let id_of = |answer: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix("x-request-id: "));
        line.unwrap().to_owned()
    };
    let own = observed.classify(r#"{"text": "Berlin"}"#, "x-request-id: auftrag-7\r\n");
    assert_eq!(id_of(&own), "auftrag-7");
    let made: Vec<String> =
        ["", "x-request-id: \r\n", "x-request-id: Köln\r\n", &format!("x-request-id: {}\r\n", "a".repeat(129))]
            .iter()
            .map(|header| id_of(&observed.classify("{", header)))
            .collect();
    assert!(made.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())), "{made:?}");
    let logged: Vec<(String, u64)> = observed
        .requests()
        .iter()
        .map(|line| (line["request_id"].as_str().unwrap().to_owned(), line["status"].as_u64().unwrap()))
        .collect();
    let expected = [vec![("auftrag-7".to_owned(), 200)], made.into_iter().map(|id| (id, 400)).collect()].concat();
    assert_eq!(logged, expected);
    observed.server.stop();
}

#[test]
fn a_body_that_stalls_is_no_failure_of_the_server() {
    let observed = Observed::start(&["--timeout-s", "1"]);
    let head = "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"text\"";
    let answer = observed.server.ask(head);
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("7 of 99 bytes"), "{answer}");
    let page = observed.get("/metrics");
    assert!(!page.contains("status=\"504\""), "{page}");
    assert_eq!(sample(&page, "ressort_requests_total{route=\"/v1/classify\",status=\"408\"}"), 1.0);
    assert!(
        !page.contains("ressort_request_duration_seconds_count{route=\"/v1/classify\"}"),
        "it would look slow: {page}"
    );
    observed.server.stop();
}

#[test]
fn a_log_line_shows_a_short_path_without_its_query_in_both_formats() {
    let secret = "geheim";
    let requests = [
        format!("GET /v1/models?key={secret} HTTP/1.1"),
        format!("GET /{}?{secret} HTTP/1.1", "a".repeat(20_000)),
        format!("GET /a%1b%5b2J%0a%00?{secret} HTTP/1.1"),
        format!("GET /a\u{9b}2J\u{202e}?{secret} HTTP/1.1"),
        format!("GET http://{secret}:{secret}@localhost/v1/models HTTP/1.1"),
        format!("{} /v1/models HTTP/1.1", "M".repeat(5_000)),
        "\u{1}\u{9b}2J".to_owned(),
    ];
    for format in ["json", "text"] {
        let log = NamedTempFile::new().unwrap();
        let mut command = ressort();
        command.stderr(Stdio::from(log.reopen().unwrap())).args(["--log-format", format]);
        let model = format!("m={}", model("two-heads"));
        let server = Server::start_with(command, &["--model", &model, "--providers", "cpu"]);
        for line in &requests {
            let answer = server.ask(&format!("{line}\r\nhost: localhost\r\nconnection: close\r\n\r\n"));
            assert!(answer.starts_with("HTTP/1.1 4"), "{line:?}: {answer}");
        }
        assert_eq!(server.stop(), 0);
        let log = std::fs::read_to_string(log.path()).unwrap();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("request_id")).collect();
        assert_eq!(lines.len(), requests.len(), "{log}");
        for line in lines {
            let is_harmless = line.chars().all(|char| !char.is_control() && char != '\u{202e}');
            // The text format has its colours only on a terminal.
            assert!(is_harmless && line.len() < 500 && !line.contains(secret), "{line:?}");
        }
    }
}

#[test]
fn a_request_whose_client_leaves_is_logged_too() {
    let observed = Observed::start(&[]);
    let mut client = TcpStream::connect(observed.server.url().trim_start_matches("http://")).unwrap();
    let head = "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; "HTTP/1.1 100".len()];
    client.read_exact(&mut interim).unwrap();
    drop(client);
    let deadline = Instant::now() + Duration::from_secs(60);
    while observed.requests().is_empty() {
        assert!(Instant::now() < deadline, "the request was not logged");
        std::thread::yield_now();
    }
    let [request] = &observed.requests()[..] else { panic!("one request is one line") };
    // 400 where the missing part of the body is noticed before the end of the connection.
    assert!(request["status"] == 499 || request["status"] == 400, "{request}");
    assert_eq!(request["path"], "/v1/classify");
    observed.server.stop();
}
