//! JSON lines in: answered as they come, in order, with backpressure, whatever a line holds.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::Request;
use futures_util::{Stream, StreamExt, stream};
use ressort::classify::request::RequestLimits;
use ressort::http::App;
use ressort::system::budget::MemoryBudget;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Sender, channel};
use tower::ServiceExt;

use crate::api::{classify, registry, router};
use crate::cli::{Server, model, ressort};
use crate::requests::gzip;
use crate::wire::unpacked;

type Pieces = Pin<Box<dyn Stream<Item = Vec<u8>> + Send>>;

async fn app(limits: RequestLimits) -> Arc<App> {
    Arc::new(App::new(registry(&["lexicon-ner", "lexicon-topics"]).await, limits))
}

fn lines_request(body: impl Into<Body>) -> Request<Body> {
    let request = Request::post("/v1/classify").header("content-type", "application/x-ndjson");
    request.body(body.into()).unwrap()
}

async fn pieces(service: &Router, request: Request<Body>) -> Pieces {
    let response = service.clone().oneshot(request).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/x-ndjson".parse().unwrap())
    );
    Box::pin(response.into_body().into_data_stream().map(|piece| piece.unwrap().to_vec()))
}

async fn answers(service: &Router, body: impl Into<Body>) -> Vec<Value> {
    let body = pieces(service, lines_request(body)).await.collect::<Vec<_>>().await.concat();
    body.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// A body that is sent piece by piece.
fn open_body() -> (Sender<&'static str>, Body) {
    let (send, receive) = channel::<&str>(8);
    let pieces = stream::unfold(receive, |mut receive| async {
        Some((Ok::<_, Infallible>(Bytes::from(receive.recv().await?)), receive))
    });
    (send, Body::from_stream(pieces))
}

#[tokio::test]
async fn every_line_is_answered_in_order_and_a_bad_one_fails_alone() {
    let service = router(app(RequestLimits { max_characters: 40, ..RequestLimits::default() }).await);
    let body = [
        r#"{"id": "a", "text": "Angela Merkel in Berlin", "tasks": ["entities"]}"#,
        "",
        r#"{"id": "b", "text": "#,
        r#"{"id": 7, "text": 5}"#,
        "  \r",
        r#"{"id": "d", "text": "Berlin", "offset": "byte"}"#,
        r#"{"id": "e", "text": "Berlin", "models": {"entities": "nobody"}}"#,
        r#"{"id": "f", "text": "Berlin Berlin Berlin Berlin Berlin Berlin Berlin"}"#,
        r#"["text"]"#,
        "{\"id\": \"\u{0}\"}",
        "{\"text\": \"Käthe\", \"tasks\": [\"entities\"], \"offset_unit\": \"byte\"}\r",
        r#"{"text": "München", "tasks": ["topics"]}"#,
    ]
    .join("\n");
    let found = answers(&service, body).await;
    let errors: Vec<(u64, Value, &str)> = found
        .iter()
        .filter_map(|answer| Some((answer["line"].as_u64()?, answer["id"].clone(), answer["error"]["code"].as_str()?)))
        .collect();
    let expected = [
        (3, Value::Null, "invalid_json"),
        (4, json!(7), "invalid_request"),
        (6, json!("d"), "invalid_request"),
        (7, json!("e"), "unknown_model"),
        (8, json!("f"), "text_too_long"),
        (9, Value::Null, "invalid_request"),
        (10, Value::Null, "invalid_json"),
    ];
    assert_eq!(errors, expected);
    assert_eq!(found.len(), 10);
    let mut alone = classify(&service, json!({"text": "Angela Merkel in Berlin", "tasks": ["entities"]})).await;
    alone["id"] = json!("a");
    assert_eq!(found[0], alone);
    assert_eq!((&found[8]["entities"][0]["end"], found[8].get("topics")), (&json!(6), None));
    assert!(found[9]["topics"].is_array() && found[9].get("entities").is_none());
    let detail = found[1]["error"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("the JSON ends too early, at column "), "`line` has the number of the line: {detail}");
    assert!(detail.contains(" of the line;"), "{detail}");
    assert_eq!(answers(&service, "").await, Vec::<Value>::new());
    assert_eq!(answers(&service, "\n\n").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_is_answered_before_the_next_is_sent_also_packed() {
    let service = router(app(RequestLimits::default()).await);
    for coding in ["identity", "gzip", "br", "zstd"] {
        let (send, body) = open_body();
        let mut request = lines_request(body);
        request.headers_mut().insert("accept-encoding", coding.parse().unwrap());
        let mut pieces = pieces(&service, request).await;
        let mut packed = Vec::new();
        for n in 1..=3 {
            send.send("{\"text\": \"Angela Merkel\"").await.unwrap();
            send.send("}\n").await.unwrap();
            packed.extend(pieces.next().await.unwrap());
            if coding == "identity" {
                assert_eq!(packed.iter().filter(|byte| **byte == b'\n').count(), n);
            }
        }
        drop(send);
        packed.extend(pieces.collect::<Vec<_>>().await.concat());
        assert_eq!(unpacked(coding, &packed).iter().filter(|byte| **byte == b'\n').count(), 3, "{coding}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_lines_take_bounded_memory_and_unread_answers_stop_the_reading() {
    const N_LINES: usize = 5_000;
    const AHEAD: usize = 200;
    let mut app = App::new(registry(&["lexicon-ner"]).await, RequestLimits::default());
    app.memory = MemoryBudget::new(8_000_000);
    let app = Arc::new(app);
    let service = router(Arc::clone(&app));
    let n_sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&n_sent);
    let lines = stream::iter(0..N_LINES).map(move |n| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(Bytes::from(format!("{{\"id\": {n}, \"text\": \"{n} {}\"}}\n", "Berlin ".repeat(20))))
    });
    let mut pieces = pieces(&service, lines_request(Body::from_stream(lines))).await;
    for n in 0..N_LINES {
        let answer: Value = serde_json::from_slice(&pieces.next().await.unwrap()).unwrap();
        assert_eq!((&answer["id"], answer["entities"].as_array().map(Vec::len)), (&json!(n), Some(20)), "{answer}");
        let n_ahead = n_sent.load(Ordering::Relaxed) - n;
        assert!(n_ahead < AHEAD, "{n_ahead} lines are read before they can be answered");
        assert!(app.memory.n_used() < 1_000_000, "{} bytes", app.memory.n_used());
    }
    assert!(pieces.next().await.is_none());
    assert_eq!(app.memory.n_used(), 0);
}

#[tokio::test]
async fn a_packed_body_is_unpacked_line_by_line_and_a_line_is_limited() {
    const MAX: usize = 10_000;
    let service = router(app(RequestLimits { max_body_bytes: MAX, ..RequestLimits::default() }).await);
    let packed = |body: &[u8]| {
        let mut request = lines_request(body.to_vec());
        request.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        request
    };
    let line = |n: usize| format!("{{\"text\": \"{}\"}}\n", "a".repeat(n));
    let read = async |request: Request<Body>| {
        let body = pieces(&service, request).await.collect::<Vec<_>>().await.concat();
        let lines =
            body.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice::<Value>(line).unwrap());
        lines.map(|answer| answer["error"]["code"].as_str().unwrap_or("ok").to_owned()).collect::<Vec<_>>()
    };
    let many = line(900).repeat(100) + &line(2 * MAX) + &line(5);
    for request in [packed(&gzip(many.as_bytes())), lines_request(many.clone())] {
        let found = read(request).await;
        assert_eq!((found.len(), &found[99..]), (102, &["ok".into(), "body_too_large".into(), "ok".into()][..]));
    }
    // A line without an end is given up, and so is what is not whole.
    assert_eq!(read(packed(&gzip(&vec![b' '; 50_000_000]))).await, ["body_too_large", "body_too_large"]);
    assert_eq!(read(packed(&gzip(many.as_bytes())[..300])).await.last().unwrap(), "invalid_json");
    let mut request = lines_request("{}");
    request.headers_mut().insert("content-encoding", "deflate".parse().unwrap());
    assert_eq!(service.clone().oneshot(request).await.unwrap().status(), 415);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_nothing_more_is_told_when_the_time_is_over_or_the_server_stops() {
    let app = app(RequestLimits { timeout: Duration::from_millis(300), ..RequestLimits::default() }).await;
    let service = router(Arc::clone(&app));
    let ending = async |code: &str| {
        let (send, body) = open_body();
        send.send("{\"text\": \"Berlin\"}\n{\"te").await.unwrap();
        let mut pieces = pieces(&service, lines_request(body)).await;
        let answer: Value = serde_json::from_slice(&pieces.next().await.unwrap()).unwrap();
        assert!(answer["entities"].is_array(), "{answer}");
        let answer: Value = serde_json::from_slice(&pieces.next().await.unwrap()).unwrap();
        assert_eq!((&answer["line"], &answer["error"]["code"]), (&json!(2), &json!(code)));
        drop(send);
        assert!(pieces.next().await.is_none());
    };
    ending("request_timeout").await;
    let app = self::app(RequestLimits::default()).await;
    let service = router(Arc::clone(&app));
    let ending = async |code: &str, stop: fn(&App)| {
        let (send, body) = open_body();
        send.send("{\"text\": \"Berlin\"}\n").await.unwrap();
        let mut pieces = pieces(&service, lines_request(body)).await;
        pieces.next().await.unwrap();
        stop(&app);
        let answer: Value = serde_json::from_slice(&pieces.next().await.unwrap()).unwrap();
        assert_eq!((&answer["line"], &answer["error"]["code"]), (&json!(2), &json!(code)));
        drop(send);
        assert!(pieces.next().await.is_none());
    };
    ending("unavailable", App::start_draining).await;
    ending("unavailable", App::cut_off).await;
}

#[test]
fn lines_go_both_ways_on_one_connection() {
    let mut command = ressort();
    command.stderr(std::process::Stdio::null());
    let server = Server::start_with(command, &["--model", &model("lexicon-ner"), "--providers", "cpu"]);
    let address = server.url().trim_start_matches("http://").to_owned();
    let mut client = std::net::TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    let mut answers = BufReader::new(client.try_clone().unwrap()).lines().map(Result::unwrap);
    let head: Vec<String> = answers.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(head[0].starts_with("HTTP/1.1 200"), "the status comes before the first line: {head:?}");
    for n in 0..50 {
        let line = format!("{{\"id\": {n}, \"text\": \"Berlin\"}}\n");
        client.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).unwrap();
        let answer = answers.by_ref().find(|line| line.starts_with('{')).unwrap();
        assert!(answer.starts_with(&format!("{{\"id\":{n},")), "{answer}");
    }
    client.write_all(b"0\r\n\r\n").unwrap();
    assert!(answers.any(|line| line == "0"), "the answer ends with the body");
}

#[tokio::test]
async fn the_body_of_lines_needs_its_type() {
    let service = router(app(RequestLimits::default()).await);
    let mut request = lines_request("{\"text\": \"Berlin\"}\n{\"text\": \"Berlin\"}");
    request.headers_mut().insert("content-type", "application/json".parse().unwrap());
    let response = service.oneshot(request).await.unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("application/x-ndjson"), "{body:?}");
}
