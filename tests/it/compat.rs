//! The routes that clients of other services call. `scripts/clients` runs the real clients against the same routes.

mod hugging_face;
mod open_inference;
mod text_embeddings;
mod vllm;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use ressort::classify::request::RequestLimits;
use ressort::http::{App, KeyRing, KeySpec, Scope};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::api::{registry, router, service_of};

/// Two models of one task each, which are active, and one of both tasks.
async fn service() -> Router {
    service_of(&["lexicon-topics", "lexicon-ner", "two-heads"], RequestLimits::default()).await
}

async fn service_with(limits: RequestLimits) -> Router {
    service_of(&["lexicon-topics", "lexicon-ner"], limits).await
}

fn post(path: &str, body: &Value) -> Request<Body> {
    Request::post(path).header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()
}

async fn send(service: &Router, request: Request<Body>) -> (u16, Value) {
    let response = service.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// An answer of status 200.
async fn answer(service: &Router, path: &str, body: Value) -> Value {
    let (status, answer) = send(service, post(path, &body)).await;
    assert_eq!(status, 200, "{path} {body}: {answer}");
    answer
}

/// What `/v1/classify` answers for a text.
async fn native(service: &Router, body: Value) -> Value {
    answer(service, "/v1/classify", body).await
}

/// Labels of a list of objects.
fn words<'v>(list: &'v Value, field: &str) -> Vec<&'v str> {
    list.as_array().unwrap().iter().map(|entry| entry[field].as_str().unwrap()).collect()
}

/// The routes with a body that each accepts, and the way to the message of an error.
fn routes() -> Vec<(&'static str, Value, &'static str)> {
    let inputs = json!({"inputs": "Berlin"});
    let tensor = json!({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Berlin"]}]});
    vec![
        ("/", inputs.clone(), "/error"),
        ("/models/lexicon-ner", inputs.clone(), "/error"),
        ("/pipeline/ner", inputs.clone(), "/error"),
        ("/pipeline/ner/lexicon-ner", inputs.clone(), "/error"),
        ("/models/lexicon-ner/pipeline/ner", inputs.clone(), "/error"),
        ("/predict", inputs, "/error"),
        ("/classify", json!({"input": "Berlin"}), "/error/message"),
        ("/v2/models/lexicon-ner/infer", tensor, "/error"),
        ("/v2/repository/index", json!({}), "/error"),
    ]
}

#[tokio::test]
async fn every_route_requires_the_key_and_says_so_in_its_protocol() {
    let app = App::new(registry(&["lexicon-topics", "lexicon-ner"]).await, RequestLimits::default());
    app.keys.store(Arc::new(KeyRing::new(vec![KeySpec::of_text("reader", "offen", Scope::Read)])));
    let service = router(Arc::new(app));
    for (path, body, message) in routes() {
        let response = service.clone().oneshot(post(path, &body)).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer", "{path}");
        assert_eq!(response.headers()["content-type"], "application/json", "{path}");
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        assert!(
            answer.pointer(message).unwrap().as_str().unwrap().contains("Authorization: Bearer"),
            "{path}: {answer}"
        );
        let mut request = post(path, &body);
        request.headers_mut().insert("authorization", "Bearer offen".parse().unwrap());
        assert_eq!(send(&service, request).await.0, 200, "{path}");
    }
    for open in ["/health", "/v2/health/live", "/v2/health/ready"] {
        assert_eq!(send(&service, Request::get(open).body(Body::empty()).unwrap()).await.0, 200, "{open}");
    }
}

#[tokio::test]
async fn limits_hold_and_name_the_remedy_in_the_protocol_of_the_route() {
    let limits = RequestLimits { max_characters: 5, max_documents: 2, max_body_bytes: 300, ..RequestLimits::default() };
    let service = service_with(limits).await;
    for (path, body, message) in routes().into_iter().filter(|(path, ..)| *path != "/v2/repository/index") {
        // Each has the text `Berlin`, which is one character too long.
        let (status, answer) = send(&service, post(path, &body)).await;
        assert!([400, 413].contains(&status), "{path}: {status}");
        let detail = answer.pointer(message).unwrap().as_str().unwrap();
        assert!(detail.contains("--max-characters"), "{path}: {detail}");
        let large = json!({"inputs": "a".repeat(400)});
        let (status, answer) = send(&service, post(path, &large)).await;
        assert_eq!(status, 413, "{path}");
        let detail = answer.pointer(message).unwrap().as_str().unwrap();
        assert!(detail.contains("--max-body-bytes"), "{path}: {detail}");
    }
    for (path, body) in [
        ("/", json!({"inputs": ["a", "b", "c"]})),
        ("/predict", json!({"inputs": [["a"], ["b"], ["c"]]})),
        ("/classify", json!({"input": ["a", "b", "c"]})),
        ("/v2/models/lexicon-ner/infer", open_inference::tensor(&["a", "b", "c"])),
    ] {
        let (status, answer) = send(&service, post(path, &body)).await;
        assert!([400, 413].contains(&status), "{path}: {status}");
        assert!(answer.to_string().contains("send them in several requests"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn an_unknown_field_is_refused_by_name_and_nothing_is_ignored() {
    let service = service().await;
    for (path, mut body, message) in routes() {
        body["nonsense"] = json!(1);
        let (status, answer) = send(&service, post(path, &body)).await;
        assert!([400, 422].contains(&status), "{path}: {status}");
        let detail = answer.pointer(message).unwrap().as_str().unwrap();
        assert!(detail.contains("`nonsense`"), "{path}: {detail}");
    }
}

#[tokio::test]
async fn one_text_that_fails_ends_the_request_and_is_named() {
    let service = service().await;
    for (path, body) in [
        ("/", json!({"inputs": ["gut", "nicht\u{0}gut"]})),
        ("/predict", json!({"inputs": [["gut"], ["nicht\u{0}gut"]]})),
        ("/classify", json!({"input": ["gut", "nicht\u{0}gut"]})),
        ("/v2/models/lexicon-ner/infer", open_inference::tensor(&["gut", "nicht\u{0}gut"])),
    ] {
        let (status, answer) = send(&service, post(path, &body)).await;
        assert!([400, 422].contains(&status), "{path}: {status}");
        let answer = answer.to_string();
        assert!(answer.contains("[1]") && answer.contains("U+0000"), "{path}: {answer}");
    }
}
