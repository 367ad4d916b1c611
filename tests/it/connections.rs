//! Connections as clients misuse them: half heads, half-closed ones, stalled readers, and what the server does when it stops.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use futures_util::StreamExt;
use ressort::classify::cache::PredictionCache;
use ressort::classify::request::RequestLimits;
use ressort::http::{App, ServerSettings, Tls, serve};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::api::{post, registry, router};
use crate::classify::until;
use crate::cli::{Server, model, ressort};

pub const HALF_HEAD: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n";
pub const SHORT: Duration = Duration::from_millis(50);

/// Limits that no test meets unless it sets them.
pub const PATIENT: ServerSettings = ServerSettings {
    max_connections: 100,
    max_head_bytes: 65_536,
    head_timeout: Duration::from_secs(600),
    idle_timeout: Duration::from_secs(600),
    stall_timeout: Duration::from_secs(600),
    read_timeout: Duration::from_secs(600),
    grace_period: Duration::from_secs(600),
};

pub struct Served {
    pub app: Arc<App>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Served {
    async fn new(model: &str, settings: ServerSettings) -> Self {
        Self::under_tls(model, settings, None).await
    }

    pub async fn under_tls(model: &str, settings: ServerSettings, tls: Option<Arc<Tls>>) -> Self {
        let mut app = App::new(registry(&[model]).await, RequestLimits::default());
        app.cache = Some(Arc::new(PredictionCache::new(10_000_000)));
        app.tls = tls;
        Self::of(app, settings).await
    }

    pub async fn of(app: App, settings: ServerSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Arc::new(app);
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { stopped.await.unwrap() };
        let server = tokio::spawn(serve(listener, Arc::clone(&app), shutdown, settings));
        Self { app, address, stop, server }
    }

    pub fn connect(&self, bytes: &[u8]) -> TcpStream {
        let mut client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        client.write_all(bytes).unwrap();
        client
    }

    pub fn n_waiting(&self) -> usize {
        self.app.registry.models().iter().map(|model| model.pipeline.scheduler.n_waiting()).sum()
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.server.await.unwrap();
    }
}

pub fn classify_request(body: &Value) -> Vec<u8> {
    let (body, head) = (body.to_string(), "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\nconnection: close");
    format!("{head}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn read_all(mut client: TcpStream) -> String {
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

/// Whether the server closes the connection, by its end or by a reset.
pub fn is_closed(client: &mut TcpStream) -> bool {
    match client.read(&mut [0]) {
        Ok(n) => n == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_send_half_a_head_keep_nobody_out() {
    let served = Served::new("lexicon-ner", ServerSettings { max_connections: 4, ..PATIENT }).await;
    let _half: Vec<TcpStream> = (0..12).map(|_| served.connect(HALF_HEAD)).collect();
    for _ in 0..3 {
        let answer = read_all(served.connect(&classify_request(&json!({"text": "Angela Merkel"}))));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_way_keeps_its_connection_at_the_limit() {
    let served = Served::new("lexicon-ner", ServerSettings { max_connections: 2, ..PATIENT }).await;
    let body = json!({"text": "Angela Merkel"}).to_string();
    let head = "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-type: application/json";
    let mut under_way = served.connect(format!("{head}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes());
    let mut interim = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    under_way.read_exact(&mut interim).unwrap();
    let mut half: Vec<TcpStream> = (0..8).map(|_| served.connect(HALF_HEAD)).collect();
    assert!(is_closed(&mut half[0]), "the one that waits longest makes way");
    under_way.write_all(body.as_bytes()).unwrap();
    assert!(read_all(under_way).starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_and_the_time_between_two_requests_are_limited() {
    let served = Served::new("lexicon-ner", ServerSettings { head_timeout: SHORT, ..PATIENT }).await;
    assert!(is_closed(&mut served.connect(HALF_HEAD)), "half a head");
    assert!(is_closed(&mut served.connect(b"")), "no head");
    let served = Served::new("lexicon-ner", ServerSettings { idle_timeout: SHORT, ..PATIENT }).await;
    let answer = read_all(served.connect(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_sending_gets_its_answer() {
    let served = Served::new("bert-cased-ner", PATIENT).await;
    let client = served.connect(&classify_request(&json!({"text": "Angela Merkel reiste nach Paris. ".repeat(100)})));
    client.shutdown(Shutdown::Write).unwrap();
    let answer = read_all(client);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(serde_json::from_str::<Value>(body).unwrap()["entities"].is_array());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_of_a_client_that_is_gone_ends() {
    let served = Served::new("bert-cased-ner", PATIENT).await;
    let model = served.app.registry.models().remove(0);
    let n_holders = Arc::strong_count(&model);
    let request = classify_request(&json!({"text": "Angela Merkel reiste nach Paris. ".repeat(5_000)}));
    let client = served.connect(&request);
    until("the document waits", || served.n_waiting() > 0).await;
    drop(client);
    until("its windows are gone", || served.n_waiting() == 0).await;
    until("its task is gone", || Arc::strong_count(&model) == n_holders).await;
    let again = read_all(served.connect(&request));
    assert!(again.contains("\"cached\":false"), "the document was classified to its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_nothing_is_disconnected() {
    const N_REQUESTS: usize = 2_000;
    let served = Served::new("lexicon-ner", ServerSettings { stall_timeout: SHORT, ..PATIENT }).await;
    // More than the buffers of both ends hold.
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(N_REQUESTS);
    let mut client = served.connect(b"");
    client.set_write_timeout(Some(SHORT)).unwrap();
    // It fails where the server, which nobody reads, takes no more.
    let _ = client.write_all(requests.as_bytes());
    // The server ends once this connection does, long before the grace period is over.
    tokio::time::timeout(Duration::from_secs(60), served.stop()).await.unwrap();
    let mut answers = Vec::new();
    let _ = client.read_to_end(&mut answers);
    let n_answers = String::from_utf8_lossy(&answers).matches("HTTP/1.1 200").count();
    assert!(n_answers < N_REQUESTS, "{n_answers} answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_slowly_but_steadily_is_disconnected() {
    let served = Served::new("lexicon-ner", ServerSettings { read_timeout: SHORT, ..PATIENT }).await;
    // The answer has more bytes than the buffers of both ends hold.
    let documents = vec![json!({"text": "Berlin ".repeat(400)}); 1_000];
    let mut client = served.connect(&classify_request(&json!({"documents": documents})));
    let is_over = Arc::new(AtomicBool::new(false));
    let (address, is_read) = (served.address, Arc::clone(&is_over));
    let reader = std::thread::spawn(move || {
        let mut n_read = 0;
        // A few bytes for each answer to another client: more would come at once.
        while !is_read.load(Ordering::Acquire) {
            n_read += client.read(&mut [0; 100]).unwrap();
            let mut other = TcpStream::connect(address).unwrap();
            other.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
            assert!(read_all(other).starts_with("HTTP/1.1 200"));
        }
        n_read
    });
    until("the request holds memory", || served.app.memory.n_used() > 0).await;
    until("its memory is free", || served.app.memory.n_used() == 0).await;
    is_over.store(true, Ordering::Release);
    let n_read = reader.join().unwrap();
    assert!(n_read < 1_000_000, "{n_read} bytes were read before the server gave up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_answered_in_the_grace_period_gets_503_and_its_work_ends() {
    let served = Served::new("bert-cased-ner", ServerSettings { grace_period: SHORT, ..PATIENT }).await;
    let app = Arc::clone(&served.app);
    let client = served.connect(&classify_request(&json!({"text": "Angela Merkel reiste nach Paris. ".repeat(5_000)})));
    until("the document waits", || served.n_waiting() > 0).await;
    served.stop().await;
    assert!(app.is_draining());
    let answer = read_all(client);
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\"unavailable\""), "{answer}");
    let n_waiting = || app.registry.models().iter().map(|model| model.pipeline.scheduler.n_waiting()).sum::<usize>();
    until("its windows are gone", || n_waiting() == 0).await;
}

/// Documents whose answer passes what is held back.
fn many_documents() -> Value {
    let texts = (0..40).map(|n| json!({"id": n.to_string(), "text": format!("{n} {}", "Berlin ".repeat(60))}));
    json!({"documents": texts.collect::<Vec<_>>()})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_left_when_the_server_stops_are_refused_one_by_one() {
    for accept in ["*/*", "application/x-ndjson"] {
        let app = Arc::new(App::new(registry(&["lexicon-ner"]).await, RequestLimits::default()));
        let mut request = post(many_documents().to_string());
        request.headers_mut().insert("accept", accept.parse().unwrap());
        let response = router(Arc::clone(&app)).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut pieces = response.into_body().into_data_stream();
        let mut body = pieces.next().await.unwrap().unwrap().to_vec();
        app.cut_off();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(&piece.unwrap());
        }
        let results: Vec<Value> = match serde_json::from_slice::<Value>(&body) {
            Ok(mut whole) => serde_json::from_value(whole["results"].take()).unwrap(),
            Err(_) => body.split(|byte| *byte == b'\n').flat_map(serde_json::from_slice).collect(),
        };
        let ids: Vec<&str> = results.iter().map(|result| result["id"].as_str().unwrap()).collect();
        assert_eq!(ids, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
        assert!(results[0]["error"].is_null(), "{accept}: {}", results[0]);
        assert_eq!(results[39]["error"]["code"], "unavailable", "{accept}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_answer_is_sent_as_it_comes_and_a_small_one_with_its_length() {
    let app = Arc::new(App::new(registry(&["lexicon-ner"]).await, RequestLimits::default()));
    let send = async |body: Value, accept: &str| {
        let request = Request::post("/v1/classify").header("content-type", "application/json").header("accept", accept);
        let response =
            router(Arc::clone(&app)).oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/"));
        let size = axum::body::HttpBody::size_hint(response.body()).exact();
        (size, to_bytes(response.into_body(), usize::MAX).await.unwrap())
    };
    let (size, body) = send(many_documents(), "*/*").await;
    assert_eq!(size, None, "a large answer has no length before it is written");
    let (_, lines) = send(many_documents(), "application/x-ndjson").await;
    let lines = String::from_utf8_lossy(&lines).trim_end().replace('\n', ",");
    let body = String::from_utf8_lossy(&body);
    let (results, models) = body.rsplit_once("],\"models\":").unwrap();
    assert_eq!(results, format!("{{\"results\":[{lines}"));
    assert!(models.starts_with("{\"entities\":{\"name\":\"lexicon-ner\""), "{models}");
    for documents in [json!([]), json!([{"text": "Berlin"}]), json!([{"text": 5}])] {
        let (size, body) = send(json!({"documents": documents}), "*/*").await;
        assert_eq!(size, Some(body.len() as u64), "{documents}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_too_large_is_refused_with_its_limit() {
    let served = Served::new("lexicon-ner", ServerSettings { max_head_bytes: 2_000, ..PATIENT }).await;
    let with_fields = |path: &str, fields: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{fields}\r\n")
    };
    let of_bytes = |n: usize| {
        let rest = with_fields("/health/live", "x: \r\n").len();
        with_fields("/health/live", &format!("x: {}\r\n", "a".repeat(n - rest)))
    };
    let long_address = with_fields(&format!("/health/live?{}", "a".repeat(2_000)), "");
    for (request, status, parts) in [
        (of_bytes(2_000), "200", ["", ""]),
        (of_bytes(2_001), "431", ["\"head_too_large\"", "has 2001 bytes, and the limit is 2000 (--max-head-bytes)"]),
        (long_address, "431", ["\"head_too_large\"", "--max-head-bytes"]),
        (with_fields("/health/live", &"a: b\r\n".repeat(98)), "200", ["", ""]),
        (with_fields("/health/live", &"a: b\r\n".repeat(99)), "431", ["101 header fields", "the limit is 100"]),
        // In the form that the clients of a route know.
        (with_fields("/v2", &"a: b\r\n".repeat(99)), "431", ["{\"error\":\"", "101 header fields"]),
    ] {
        let mut answer = String::new();
        served.connect(request.as_bytes()).read_to_string(&mut answer).unwrap();
        let is_right =
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && parts.iter().all(|part| answer.contains(part));
        assert!(is_right, "{status} {parts:?}: {answer}");
    }
}

#[test]
fn the_limit_of_connections_is_logged_once() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = ressort();
    command.stderr(Stdio::from(log.reopen().unwrap()));
    let args = ["--model", &model("lexicon-ner"), "--providers", "cpu", "--max-connections", "2"];
    let server = Server::start_with(command, &args);
    let address = server.url().trim_start_matches("http://").to_owned();
    let half = || {
        let mut client = TcpStream::connect(&address).unwrap();
        client.write_all(HALF_HEAD).unwrap();
        client
    };
    let clients: Vec<TcpStream> = (0..6).map(|_| half()).collect();
    let live = || server.ask("GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(live().starts_with("HTTP/1.1 200"));
    drop(clients);
    assert!(live().starts_with("HTTP/1.1 200"));
    assert_eq!(server.stop(), 0);
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert_eq!(log.matches("the limit of connections is reached").count(), 1, "{log}");
    assert_eq!(log.matches("below its limit again").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_body_is_refused_learns_why() {
    let served = Served::new("lexicon-ner", PATIENT).await;
    // More than the limit, and more than the buffers of the connection hold.
    let n_bytes = RequestLimits::default().max_body_bytes + 8_000_000;
    let head = format!(
        "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {n_bytes}\r\n\r\n"
    );
    let answer = tokio::task::spawn_blocking(move || {
        let mut client = served.connect(head.as_bytes());
        client.write_all(&vec![b' '; n_bytes]).expect("the server reads what it refuses");
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("--max-body-bytes"), "{answer}");
}
