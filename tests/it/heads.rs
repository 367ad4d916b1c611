//! What the head of a request decides before its body is read: its length, its host, the parameters of its address.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use ressort::classify::request::RequestLimits;
use ressort::http::{AdminAccess, App, JobLimits, JobStore};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::api::{post, problem, registry, service_of};
use crate::connections::{PATIENT, Served};

/// Less than the time for which a server reads the rest of a refused body.
const AT_ONCE: Duration = Duration::from_secs(15);

async fn served() -> (Served, tempfile::TempDir) {
    let jobs = tempfile::tempdir().unwrap();
    let mut app = App::new(registry(&["lexicon-ner"]).await, RequestLimits::default());
    app.admin = AdminAccess::Anyone;
    app.jobs = Some(JobStore::new(jobs.path().to_owned(), JobLimits::default()));
    (Served::of(app, PATIENT).await, jobs)
}

/// The answer to these bytes, of a client that waits for it and sends no more.
fn answer(served: &Served, bytes: &str) -> String {
    let mut client = served.connect(bytes.as_bytes());
    client.set_read_timeout(Some(AT_ONCE)).unwrap();
    rest(&mut client)
}

fn rest(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an answer, and then the end of the connection");
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_above_the_limit_is_refused_before_the_body_and_ends_the_connection() {
    let (served, _jobs) = served().await;
    for (route, content_type, status) in [
        ("POST /v1/classify", "application/json", 413),
        ("POST /v1/classify", "text/plain", 413),
        ("POST /v1/classify", "application/grpc", 413),
        ("POST /v1/jobs", "application/json", 413),
        ("POST /v1/jobs", "application/x-ndjson", 507),
        ("POST /", "application/json", 413),
        ("POST /models/lexicon-ner", "application/octet-stream", 413),
        ("POST /pipeline/ner", "application/json", 413),
        ("POST /predict", "application/json", 413),
        ("POST /classify", "application/json", 413),
        ("POST /v2/models/lexicon-ner/infer", "application/octet-stream", 413),
        ("POST /v2/repository/index", "application/json", 413),
        ("PUT /v1/active", "application/json", 413),
        ("PUT /v1/shadow", "application/json", 413),
        ("POST /ressort.Classify/Classify", "application/grpc", 404),
    ] {
        let head = format!(
            "{route} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {content_type}\r\ncontent-length: 99999999999\r\n\r\n"
        );
        let answer = answer(&served, &head);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{route} {content_type}: {answer}");
        let announces_end = answer.to_lowercase().contains("connection: close");
        assert_eq!(announces_end, status == 413, "{route} {content_type}: {answer}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_a_body_to_a_wrong_address_sees_the_answer() {
    let (served, _jobs) = served().await;
    // More than the buffers of the connection hold.
    const N_BYTES: usize = 20_000_000;
    let head = format!("POST /v3 HTTP/1.1\r\nhost: localhost\r\ncontent-length: {N_BYTES}\r\n\r\n");
    let mut client = served.connect(head.as_bytes());
    client.write_all(&vec![b' '; N_BYTES]).expect("the server reads on");
    client.shutdown(Shutdown::Write).unwrap();
    let answer = rest(&mut client);
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("/openapi.json"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_one_valid_host_is_refused() {
    let (served, _jobs) = served().await;
    for (head, status) in [
        ("GET /health/live HTTP/1.1\r\n", 400),
        ("GET /health/live HTTP/1.1\r\nhost: a\r\nhost: a\r\n", 400),
        ("GET /health/live HTTP/1.1\r\nhost: a b\r\n", 400),
        ("GET http://a/health/live HTTP/1.1\r\n", 400),
        ("POST /predict HTTP/1.1\r\ncontent-length: 0\r\n", 400),
        ("GET /v3 HTTP/1.1\r\n", 400),
        ("GET /health/live HTTP/1.1\r\nhost:\r\n", 200),
        ("GET /health/live HTTP/1.1\r\nHost: [::1]:8080\r\n", 200),
        ("GET /health/live HTTP/1.0\r\n", 200),
        ("GET /health/live HTTP/1.0\r\nhost: a\r\nhost: b\r\n", 400),
    ] {
        let answer = answer(&served, &format!("{head}connection: close\r\n\r\n"));
        let version = &head[head.find("HTTP/").unwrap()..][..8];
        assert!(answer.starts_with(&format!("{version} {status} ")), "{head}: {answer}");
        let (head_of_answer, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head_of_answer.contains("x-request-id"), "it is logged as any other: {answer}");
        if status == 400 {
            let body: Value = serde_json::from_str(body).unwrap();
            let message = body["detail"].as_str().or(body["error"].as_str()).unwrap();
            assert!(message.contains("`Host`"), "{message}");
        }
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_cannot_be_read_is_answered_with_a_reason() {
    let (served, _jobs) = served().await;
    let many_fields = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "a: b\r\n".repeat(500));
    let long_field = format!("GET / HTTP/1.1\r\nhost: localhost\r\na: {}\r\n\r\n", "b".repeat(300_000));
    let long_address = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(70_000));
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = format!("{preface}\0\0\0\u{4}\0\0\0\0\0");
    for (head, status, parts) in [
        (preface, "400 Bad Request", ["\"invalid_head\"", "HTTP/2, and"]),
        (&settings, "400 Bad Request", ["\"invalid_head\"", "HTTP/2, and"]),
        ("PRI * HTTP/2.0\r\n\r\n", "400 Bad Request", ["\"invalid_head\"", "HTTP/2, and"]),
        ("\u{16}\u{3}\u{1}\r\n\r\n", "400 Bad Request", ["\"invalid_head\"", "RFC 9112"]),
        ("GET / HTTP/9.9\r\nhost: localhost\r\n\r\n", "400 Bad Request", ["\"invalid_head\"", "RFC 9112"]),
        ("GET / HTTP/1.1\r\nhost localhost\r\n\r\n", "400 Bad Request", ["\"invalid_head\"", "RFC 9112"]),
        (&many_fields, "431 Request Header Fields Too Large", ["\"head_too_large\"", "100 header fields"]),
        (&long_field, "431 Request Header Fields Too Large", ["\"head_too_large\"", "--max-head-bytes"]),
        (&long_address, "431 Request Header Fields Too Large", ["\"head_too_large\"", "shorter address"]),
    ] {
        let answer = answer(&served, head);
        let shown = &head[..head.len().min(60)];
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{shown:?}: {answer}");
        let (fields, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(fields.contains("connection: close") && fields.contains("x-request-id: "), "{shown:?}: {answer}");
        assert!(fields.contains(&format!("content-length: {}", body.len())), "{shown:?}: {answer}");
        assert!(serde_json::from_str::<Value>(body).unwrap()["detail"].is_string(), "{shown:?}: {answer}");
        assert!(parts.iter().all(|part| body.contains(part)), "{shown:?}: {answer}");
    }
    // After a request that was answered, on the same connection.
    let second = answer(&served, "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n\u{1}\r\n\r\n");
    assert!(second.starts_with("HTTP/1.1 200 ") && second.contains("HTTP/1.1 400 "), "{second}");
    served.stop().await;
}

#[tokio::test]
async fn a_wrong_method_or_path_is_answered_with_the_right_one() {
    let service = service_of(&["lexicon-ner"], RequestLimits::default()).await;
    for (method, path, status, part) in [
        ("GET", "/v1/classify?text=Berlin", 405, r#"send POST, with the text in the body: {\"text\": \"…\"}"#),
        ("PUT", "/v1/jobs", 405, "send GET or POST"),
        ("get", "/v1/models", 405, "send GET"),
        ("DELETE", "/predict", 405, "send POST"),
        ("POST", "/docs", 405, "/openapi.json"),
        ("POST", "/V1/Classify", 404, "did you mean `/v1/classify`?"),
        ("POST", "/v1/clasify/", 404, "did you mean `/v1/classify`?"),
        ("POST", "/api/v1/classify", 404, "did you mean `/v1/classify`?"),
        ("GET", "/v1/health/ready", 404, "did you mean `/health/ready`?"),
        ("GET", "/nothing/like/it", 404, "see /openapi.json"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let (found, body) = send(&service, request).await;
        assert_eq!(found, status, "{method} {path}: {body}");
        assert!(body.contains(part), "{method} {path}: {body}");
    }
    let long = Request::builder().method("A".repeat(9_000).as_str()).uri("/v1/models").body(Body::empty()).unwrap();
    assert!(send(&service, long).await.1.len() < 400);
}

/// Status and body of an answer, in whichever shape.
async fn send(service: &Router, request: Request<Body>) -> (u16, String) {
    let response = service.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn an_option_in_the_address_is_refused_and_not_ignored() {
    let service = service_of(&["lexicon-ner"], RequestLimits::default()).await;
    let to = |path: &str| {
        let mut request = post(json!({"text": "Berlin", "inputs": "Berlin", "input": "Berlin"}).to_string());
        *request.uri_mut() = path.parse().unwrap();
        request
    };
    for path in ["/v1/classify?top_k=1", "/v1/classify/?top_k=1"] {
        assert_eq!(problem(&service, to(path)).await, (400, "unknown_parameter".to_owned()), "{path}");
    }
    for path in ["/predict?truncate=true", "/models/lexicon-ner?top_k=1", "/classify?top_k=1"] {
        let (status, body) = send(&service, to(path)).await;
        assert_eq!(status, 400, "{path}: {body}");
        assert!(body.contains("query parameter"), "each protocol has its shape: {body}");
    }
    let path = "/models/lexicon-ner/pipeline/ner?api-version=1";
    let body = json!({"inputs": "Berlin"}).to_string();
    let request = Request::post(path).header("content-type", "application/json").body(Body::from(body)).unwrap();
    assert_eq!(send(&service, request).await.0, 200, "{path}");
}
