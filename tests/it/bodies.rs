//! Bodies that do not arrive, and bodies in another charset than UTF-8, on every route that reads one.

use std::io::Read;
use std::time::Duration;

use ressort::classify::request::RequestLimits;
use ressort::http::{AdminAccess, App, JobLimits, JobStore};

use crate::api::registry;
use crate::connections::{PATIENT, Served};

/// Routes, with a media type that each reads.
const ROUTES: [(&str, &str); 14] = [
    ("POST /v1/classify", "application/json"),
    ("POST /v1/classify", "text/plain"),
    ("POST /v1/jobs", "application/json"),
    ("POST /v1/jobs", "text/plain"),
    ("POST /v1/jobs", "application/x-ndjson"),
    ("POST /", "application/json"),
    ("POST /models/lexicon-ner", "application/json"),
    ("POST /pipeline/ner", "application/json"),
    ("POST /predict", "application/json"),
    ("POST /classify", "application/json"),
    ("POST /v2/models/lexicon-ner/infer", "application/json"),
    ("POST /v2/repository/index", "application/json"),
    ("PUT /v1/active", "application/json"),
    ("PUT /v1/shadow", "application/json"),
];

async fn served(timeout: Duration) -> (Served, tempfile::TempDir) {
    let jobs = tempfile::tempdir().unwrap();
    let mut app = App::new(registry(&["lexicon-ner"]).await, RequestLimits { timeout, ..RequestLimits::default() });
    app.admin = AdminAccess::Anyone;
    app.jobs = Some(JobStore::new(jobs.path().to_owned(), JobLimits::default()));
    (Served::of(app, PATIENT).await, jobs)
}

/// The answer to these bytes, of a client that sends no more.
fn answer(served: &Served, bytes: &str) -> String {
    let mut client = served.connect(bytes.as_bytes());
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an answer, and then the end of the connection");
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_arrive_is_the_fault_of_its_sender() {
    let (served, _jobs) = served(Duration::from_millis(200)).await;
    for (route, kind) in ROUTES {
        let head = format!("{route} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n");
        for (length, of) in [("content-length: 100", "10 of 100 bytes"), ("transfer-encoding: chunked", "10 bytes")] {
            let part = if length.starts_with('c') { "{\"text\": \"" } else { "a\r\n{\"text\": \"\r\n" };
            let answer = answer(&served, &format!("{head}{length}\r\n\r\n{part}"));
            assert!(answer.starts_with("HTTP/1.1 408 "), "{route} {kind} {length}: {answer}");
            assert!(answer.to_lowercase().contains("connection: close"), "{route} {kind}: {answer}");
            let counts = kind == "application/x-ndjson" || answer.contains(of);
            assert!(counts && answer.contains("--timeout-s"), "{route} {kind} {length}: {answer}");
        }
        // What is wrong with the head is said all the same, and no later.
        let answer = answer(&served, &format!("{head}content-encoding: x\r\ncontent-length: 100\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 415 "), "{route} {kind}: {answer}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charset_other_than_utf_8_is_refused_on_every_route() {
    let (served, _jobs) = served(Duration::from_secs(60)).await;
    let status = |(route, kind): (&str, &str), charset: &str| {
        let head =
            format!("{route} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {kind}; {charset}");
        let answer = answer(&served, &format!("{head}\r\ncontent-length: 2\r\n\r\n{{}}"));
        (answer[9..12].to_owned(), answer)
    };
    for route in ROUTES.into_iter().chain([("POST /v1/classify", "application/x-ndjson")]) {
        for charset in ["charset=latin1", "Charset=\"ISO-8859-1\"", "charset=utf-8; charset=utf-16"] {
            let (status, answer) = status(route, charset);
            assert_eq!(status, "415", "{route:?} {charset}: {answer}");
            assert!(answer.contains("UTF-8 only; send the body in UTF-8"), "{route:?} {charset}: {answer}");
        }
        for charset in ["charset=utf-8", "Charset=\"UTF8\"", "profile=\"a; charset=latin1\""] {
            let (status, answer) = status(route, charset);
            assert_ne!(status, "415", "{route:?} {charset}: {answer}");
        }
    }
    served.stop().await;
}
