//! The server around the API: who may call which route, how it stops, what it logs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use ressort::classify::request::RequestLimits;
use ressort::http::{AdminAccess, App, KeyRing, KeySpec, Scope, ServerSettings, serve};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::api::{get, problem, registry, router, send};
use crate::classify::until;
use crate::cli::{Server, model, ressort};

const ADMIN_ROUTES: [(&str, &str); 7] = [
    ("PUT", "/v1/models/nobody"),
    ("DELETE", "/v1/models/nobody"),
    ("PUT", "/v1/active"),
    ("POST", "/v1/active/rollback"),
    ("GET", "/v1/shadow"),
    ("PUT", "/v1/shadow"),
    ("DELETE", "/v1/shadow"),
];

fn with_key(method: &str, path: &str, key: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    request.body(Body::from("{}")).unwrap()
}

fn reader() -> KeySpec {
    KeySpec::of_text("reader", "offen", Scope::Read)
}

fn admin_key() -> KeySpec {
    KeySpec::of_text("admin", "geheim", Scope::Admin)
}

async fn app() -> App {
    App::new(registry(&["lexicon-ner"]).await, RequestLimits::default())
}

#[tokio::test]
async fn every_admin_route_is_closed_without_the_right_to_change_models() {
    for (admin, keys, status_without) in [
        (AdminAccess::Nobody, vec![reader()], 403),
        (AdminAccess::Anyone, vec![reader()], 403),
        (AdminAccess::Nobody, vec![reader(), admin_key()], 401),
        (AdminAccess::Anyone, vec![reader(), admin_key()], 401),
    ] {
        let app = App { admin, ..app().await };
        app.keys.store(Arc::new(KeyRing::new(keys)));
        let service = router(Arc::new(app));
        for (method, path) in ADMIN_ROUTES {
            for (key, status) in [(None, status_without), (Some("offen"), 403)] {
                let refused = problem(&service, with_key(method, path, key)).await;
                let code = if status == 401 { "unauthorized" } else { "forbidden" };
                assert_eq!(refused, (status, code.to_owned()), "{method} {path} with {key:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_admin_key_opens_the_api_too() {
    let app = app().await;
    app.keys.store(Arc::new(KeyRing::new(vec![reader(), admin_key()])));
    let service = router(Arc::new(app));
    for (key, status) in [("geheim", 200), ("offen", 200), ("falsch", 401)] {
        assert_eq!(send(&service, with_key("GET", "/v1/models", Some(key))).await.0.as_u16(), status, "{key}");
    }
    // 422: the body `{}` has no text, so that the key was accepted.
    assert_eq!(
        send(&service, with_key("POST", "/v1/classify", Some("geheim"))).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(send(&service, get("/v1/models")).await.0, StatusCode::UNAUTHORIZED);
}

/// A server that is told to stop while a request has sent its head only.
struct Stopping {
    client: TcpStream,
    server: tokio::task::JoinHandle<()>,
}

const BODY: &str = r#"{"text": "Angela Merkel"}"#;

impl Stopping {
    async fn new(grace_period: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let app = Arc::new(app().await);
        let shutdown = async { stopped.await.unwrap() };
        let settings = ServerSettings { grace_period, ..ServerSettings::default() };
        let server = tokio::spawn(serve(listener, Arc::clone(&app), shutdown, settings));
        let mut client = TcpStream::connect(address).unwrap();
        let head = format!(
            "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            BODY.len()
        );
        client.write_all(head.as_bytes()).unwrap();
        // The server asks for the body: the request is under way.
        let mut interim = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
        client.read_exact(&mut interim).unwrap();
        assert!(interim.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&interim));
        stop.send(()).unwrap();
        until("the server drains", || app.is_draining()).await;
        Self { client, server }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_stop_answers_what_is_under_way() {
    let mut stopping = Stopping::new(Duration::from_secs(60)).await;
    // Whatever the server does at once has had its chance.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.server.is_finished(), "the server ended with a request under way");
    stopping.client.write_all(BODY.as_bytes()).unwrap();
    let mut answer = String::new();
    stopping.client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"entities\""), "{answer}");
    stopping.server.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_does_not_end_holds_the_stop_no_longer_than_the_grace_period() {
    let mut stopping = Stopping::new(Duration::ZERO).await;
    stopping.server.await.unwrap();
    // Neither its answer nor the answer of its timeout.
    let mut answer = Vec::new();
    stopping.client.read_to_end(&mut answer).unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200") && !answer.starts_with(b"HTTP/1.1 504"));
}

#[tokio::test]
async fn without_an_admin_key_only_clients_that_name_the_loopback_change_models() {
    let service = router(Arc::new(App { admin: AdminAccess::Anyone, ..app().await }));
    let status = async |headers: &[(&'static str, &[u8])]| {
        let mut request = Request::get("/v1/shadow").body(Body::empty()).unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        send(&service, request).await.0.as_u16()
    };
    // 404: there is no shadow model.
    for host in ["localhost", "localhost:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]:8080"] {
        assert_eq!(status(&[("host", host.as_bytes())]).await, 404, "{host}");
    }
    for headers in [
        &[("host", "bücher.example".as_bytes())][..],
        &[("host", "localhöst".as_bytes())],
        &[("host", b"\xff")],
        &[("host", b"evil.example")],
        &[("host", b"localhost"), ("host", b"evil.example")],
        &[("host", b"localhost"), ("origin", "https://bücher.example".as_bytes())],
        &[("host", b"localhost"), ("origin", b"\xff")],
        &[("host", b"localhost"), ("origin", b"")],
        &[("host", b"localhost"), ("sec-fetch-site", b"cross-site")],
        &[("host", b"localhost"), ("x-forwarded-for", b"192.0.2.1")],
        &[("host", b"127.0.0.1:8080"), ("forwarded", b"for=192.0.2.1")],
        &[("host", b"127.0.0.1:8080"), ("via", b"1.1 proxy")],
        &[("host", b"127.0.0.1:8080"), ("x-real-ip", b"192.0.2.1")],
    ] {
        assert_eq!(status(headers).await, 403, "{headers:?}");
    }
}

#[test]
fn no_log_line_contains_the_text_of_a_request() {
    const SECRET: &str = "Geheimrat";
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = ressort();
    command.env("RUST_LOG", "trace").stderr(Stdio::from(log.reopen().unwrap()));
    let jobs = tempfile::tempdir().unwrap();
    let jobs_dir = jobs.path().to_string_lossy().into_owned();
    let args =
        ["--model", &model("two-heads"), "--providers", "cpu", "--max-characters", "1000", "--jobs-dir", &jobs_dir];
    let server = Server::start_with(command, &args);
    let long = format!("{SECRET} {}", "dann ".repeat(150));
    let too_long = long.repeat(2);
    let ask = |accept: &str, body: String| {
        let n = body.len();
        server.ask(&format!(
            "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: {accept}\r\ncontent-type: application/json\r\ncontent-length: {n}\r\n\r\n{body}"
        ))
    };
    for (body, status) in [
        (format!(r#"{{"text": "{SECRET}"}}"#), 200),
        (format!(r#"{{"text": "{SECRET}"}}"#), 200),
        (format!(r#"{{"text": "{long}", "overflow": "error"}}"#), 422),
        (format!(r#"{{"text": "{too_long}"}}"#), 413),
        (format!(r#"{{"text": "{SECRET}\u0000"}}"#), 422),
        (format!(r#"{{"text": ["{SECRET}"]}}"#), 422),
        (format!(r#"{{"text": "{SECRET}"#), 400),
        (format!(r#"{{"{SECRET}": 1}}"#), 422),
        (format!(r#"{{"documents": [{{"text": "{SECRET}"}}, {{"text": ["{SECRET}"]}}, "{SECRET}"]}}"#), 200),
    ] {
        for accept in ["*/*", "application/x-ndjson"] {
            let answer = ask(accept, body.clone());
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{body}: {answer}");
        }
    }
    let object = format!(r#"{{"text": "{SECRET}"}}"#);
    let others = [
        ("/v1/classify", "text/plain", SECRET.to_owned()),
        ("/v1/classify", "application/x-ndjson", format!("{object}\n{{\"text\": [\"{SECRET}\"]}}\n{SECRET}\n")),
        ("/v1/classify", "application/xml", SECRET.to_owned()),
        ("/v1/classify?text=Geheimrat", "application/json", object.clone()),
        ("/v1/jobs", "application/json", object.clone()),
        ("/v1/jobs", "text/plain", SECRET.to_owned()),
        ("/v1/jobs", "application/json", format!(r#"{{"text": "{SECRET}"#)),
        ("/predict", "application/json", format!(r#"{{"inputs": "{SECRET}"}}"#)),
        ("/models/two-heads", "application/json", format!(r#"{{"inputs": ["{SECRET}"]}}"#)),
        ("/classify", "application/json", format!(r#"{{"input": "{SECRET}"}}"#)),
        (
            "/v2/models/two-heads/infer",
            "application/json",
            format!(r#"{{"inputs": [{{"name": "text", "data": ["{SECRET}"]}}]}}"#),
        ),
    ];
    for (path, kind, body) in &others {
        let n = body.len();
        server.ask(&format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {n}\r\n\r\n{body}"
        ));
    }
    assert_eq!(server.stop(), 0);
    let log = std::fs::read_to_string(log.path()).unwrap();
    let n_requests = 18 + others.iter().filter(|(path, _, _)| path.starts_with("/v1/classify")).count();
    assert_eq!(log.matches("/v1/classify").count(), n_requests, "a line for each request");
    let found: Vec<&str> = log.lines().filter(|line| line.contains(SECRET)).collect();
    assert!(found.is_empty(), "{found:#?}");
}
