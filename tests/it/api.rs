//! The HTTP API as a client sees it, without a socket: shapes, statuses, codes, and that a bad request harms nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::middleware::map_request;
use ressort::classify::cache::PredictionCache;
use ressort::classify::request::RequestLimits;
use ressort::http::{App, KeyRing, KeySpec, Scope};
use ressort::inference::settings::RunSettings;
use ressort::models::registry::{ByTask, Registry};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{settings, spec};

pub async fn registry(names: &[&str]) -> Registry {
    let specs: Vec<_> = names.iter().map(|name| spec(name)).collect();
    Registry::load(&specs, ByTask::default(), &settings()).await.unwrap()
}

pub async fn service_of(names: &[&str], limits: RequestLimits) -> Router {
    router(Arc::new(App::new(registry(names).await, limits)))
}

/// All routes, for requests that name this machine as the HTTP clients on it do. A test that is about `Host` names another.
pub fn router(app: Arc<App>) -> Router {
    let with_host = |mut request: Request<Body>| async {
        request.headers_mut().entry("host").or_insert(HeaderValue::from_static("localhost"));
        request
    };
    Router::new().fallback_service(ressort::http::router(app)).layer(map_request(with_host))
}

async fn service() -> Router {
    service_of(&["lexicon-topics", "lexicon-ner", "two-heads"], RequestLimits::default()).await
}

pub async fn send(service: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = service.clone().oneshot(request).await.unwrap();
    let status = response.status();
    assert!(response.headers().contains_key("x-request-id"));
    if status.as_u16() >= 400 && response.uri_is_api() {
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// Every answer of an error status is a problem, but for the readiness page, which says what is not ready.
trait IsApi {
    fn uri_is_api(&self) -> bool;
}

impl IsApi for axum::response::Response {
    fn uri_is_api(&self) -> bool {
        self.status() != StatusCode::SERVICE_UNAVAILABLE
    }
}

pub fn post(body: impl Into<Body>) -> Request<Body> {
    Request::post("/v1/classify").header("content-type", "application/json").body(body.into()).unwrap()
}

pub fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

pub async fn classify(service: &Router, body: Value) -> Value {
    let (status, answer) = send(service, post(body.to_string())).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// A problem's status and code.
pub async fn problem(service: &Router, request: Request<Body>) -> (u16, String) {
    let (status, answer) = send(service, request).await;
    assert_eq!(answer["status"], status.as_u16(), "{answer}");
    for field in ["type", "title", "detail"] {
        assert!(answer[field].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
    }
    (status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned())
}

/// Cuts scores to two digits and versions to a word, so that a shape can be compared whole.
fn rounded(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (key, field) in fields.iter_mut() {
                *field = match key.as_str() {
                    "score" => json!((field.as_f64().unwrap() * 100.0).round() / 100.0),
                    "version" => json!("VERSION"),
                    _ => rounded(field.take()),
                };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = rounded(item.take())),
        _ => {}
    }
    value
}

#[tokio::test]
async fn one_text_gives_one_result() {
    let answer =
        classify(&service().await, json!({"text": "Angela Merkel traf Olaf Scholz in Köln.", "top_k": 2})).await;
    insta::assert_json_snapshot!(rounded(answer));
}

#[tokio::test]
async fn documents_are_answered_in_their_order_and_bad_ones_fail_alone() {
    let documents = json!({"documents": [
        {"id": "a", "text": "Der FC Bayern gewann"},
        {"id": "b", "text": 5},
        {"id": "c", "text": "x\u{0}"},
        {"id": "d", "txt": "?"},
        {"text": "Berlin"},
        {"id": "f", "text": ""},
    ], "top_k": 1, "tasks": ["entities"]});
    insta::assert_json_snapshot!(rounded(classify(&service().await, documents).await));
}

#[tokio::test]
async fn documents_come_in_lines_to_who_asks_for_lines() {
    let service = service().await;
    let documents: Vec<Value> =
        (0..40)
            .map(|n| {
                if n % 10 == 0 {
                    json!({"id": n.to_string(), "text": 5})
                } else {
                    json!({"text": format!("Berlin {n}")})
                }
            })
            .collect();
    let body = json!({"documents": documents}).to_string();
    let in_lines = |accept: &'static str| {
        let mut request = post(body.clone());
        request.headers_mut().insert("accept", accept.parse().unwrap());
        service.clone().oneshot(request)
    };
    let response = in_lines("text/html, Application/X-NDJSON;q=0.9").await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["content-type"]),
        (StatusCode::OK, &"application/x-ndjson".parse().unwrap())
    );
    let read = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let lines: Vec<Value> =
        read.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect();
    let whole = classify(&service, json!({"documents": documents})).await;
    assert_eq!(Value::Array(lines), whole["results"]);
    let plain = in_lines("*/*").await.unwrap();
    assert_eq!(plain.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn a_full_queue_is_answered_at_once_with_when_to_come_back() {
    let narrow = RunSettings { max_queued_windows: 1, ..settings() };
    let registry = Registry::load(&[spec("bert-cased-ner")], ByTask::default(), &narrow).await.unwrap();
    let app = Arc::new(App::new(registry, RequestLimits::default()));
    let service = router(Arc::clone(&app));
    // One document, which holds the only place until its last window is done.
    let long = "Angela Merkel reiste nach Paris. ".repeat(5_000);
    let under_way = tokio::spawn(service.clone().oneshot(post(json!({"text": long}).to_string())));
    let is_waiting = || app.registry.models().iter().any(|model| model.pipeline.scheduler.n_waiting() > 0);
    while !is_waiting() {
        assert!(!under_way.is_finished(), "it was too short to be seen waiting");
        // A pause, since a busy wait would take the cores from the windows that are waited for.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for (body, accept) in [
        (json!({"text": "Berlin"}), "*/*"),
        (json!({"documents": [{"text": "Berlin"}]}), "*/*"),
        (json!({"documents": [{"text": 5}, {"text": "Berlin"}]}), "application/x-ndjson"),
    ] {
        let mut request = post(body.to_string());
        request.headers_mut().insert("accept", accept.parse().unwrap());
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{body}");
        assert_eq!(response.headers()["retry-after"], "1", "{body}");
    }
    under_way.abort();
}

#[tokio::test]
async fn many_documents_are_answered_as_each_alone() {
    let service = service().await;
    let texts: Vec<String> = (0..200).map(|n| format!("{}Angela Merkel in Berlin", "dann ".repeat(n % 70))).collect();
    let documents: Vec<Value> =
        texts.iter().enumerate().map(|(n, text)| json!({"id": n.to_string(), "text": text})).collect();
    let together = classify(&service, json!({"documents": documents})).await;
    let results = together["results"].as_array().unwrap();
    assert_eq!(results.len(), texts.len());
    for (n, (text, result)) in texts.iter().zip(results).enumerate() {
        assert_eq!(result["id"], n.to_string());
        let mut alone = classify(&service, json!({"text": text})).await;
        alone["id"] = result["id"].clone();
        assert_eq!(rounded(alone), rounded(result.clone()));
    }
}

#[tokio::test]
async fn offsets_count_in_the_unit_that_is_asked_for() {
    let service = service().await;
    let text = "😀 Käthe in München";
    for (unit, start, end) in [("codepoint", 2, 7), ("utf16", 3, 8), ("byte", 5, 11)] {
        let answer = classify(&service, json!({"text": text, "offset_unit": unit})).await;
        let entity = &answer["entities"][0];
        assert_eq!(
            (&entity["text"], &entity["start"], &entity["end"]),
            (&json!("Käthe"), &json!(start), &json!(end)),
            "{unit}"
        );
    }
}

#[tokio::test]
async fn tasks_models_thresholds_and_languages_are_chosen_by_the_request() {
    let service = service().await;
    let text = "Angela Merkel sprach im Bundestag";
    let only_topics = classify(&service, json!({"text": text, "tasks": ["topics"]})).await;
    assert!(only_topics.get("entities").is_none() && only_topics["models"].get("entities").is_none());
    let two_heads = json!({"topics": "two-heads", "entities": "two-heads"});
    let answer = classify(&service, json!({"text": text, "models": two_heads, "label_language": "EN"})).await;
    assert_eq!(answer["models"]["topics"]["name"], "two-heads");
    let labels: Vec<&str> =
        answer["topics"].as_array().unwrap().iter().filter_map(|topic| topic["label"].as_str()).collect();
    assert!(labels.contains(&"politics and government"), "{labels:?}");
    let strict = classify(&service, json!({"text": text, "threshold": {"entities": 1.0, "topics": 0.0}})).await;
    assert_eq!(strict["entities"], json!([]));
    assert!(strict["topics"].as_array().unwrap().iter().all(|topic| topic["accepted"] == true));
    let raw = classify(&service, json!({"text": text, "aggregation": "none"})).await;
    assert_eq!(raw["entities"][0]["label"], "B-PER");
}

#[tokio::test]
async fn what_overflows_a_window_is_reported() {
    let service = service().await;
    let text = "dann ".repeat(100);
    let usage = |answer: &Value| answer["usage"].clone();
    let ask = |overflow: &str| json!({"text": text, "tasks": ["entities"], "overflow": overflow});
    assert_eq!(
        usage(&classify(&service, ask("window")).await),
        json!({"characters": 500, "tokens": 100, "windows": 5, "truncated": false, "cached": false})
    );
    assert_eq!(
        usage(&classify(&service, ask("truncate")).await),
        json!({"characters": 500, "tokens": 30, "windows": 1, "truncated": true, "cached": false})
    );
    assert_eq!(problem(&service, post(ask("error").to_string())).await, (422, "window_exceeded".into()));
}

#[tokio::test]
async fn bad_requests_get_their_status_and_code_and_the_service_goes_on() {
    let limits =
        RequestLimits { max_characters: 100, max_documents: 3, max_body_bytes: 2_000, ..RequestLimits::default() };
    let service = service_of(&["lexicon-ner"], limits).await;
    let ask = |body: Value| post(body.to_string());
    let mut compressed = post(&b"\x1f\x8b\x08"[..]);
    compressed.headers_mut().insert("content-encoding", "deflate".parse().unwrap());
    for (request, status, code) in [
        (post(""), 400, "invalid_json"),
        (post("{\"text\": \"a\""), 400, "invalid_json"),
        (post(&b"{\"text\": \"\xff\xfe\"}"[..]), 400, "invalid_json"),
        (post(r#"{"text": "\ud83d"}"#), 400, "invalid_json"),
        (post("{\"text\": \"a\u{0}\"}"), 400, "invalid_json"),
        (post("[".repeat(1_500)), 422, "invalid_request"),
        (ask(json!({"text": "a", "colour": 1})), 422, "invalid_request"),
        (ask(json!({"text": ["a"]})), 422, "invalid_request"),
        (ask(json!({"text": null})), 422, "invalid_request"),
        (ask(json!({"documents": {"text": "a"}})), 422, "invalid_request"),
        (ask(json!({"text": "a\u{0}b"})), 422, "invalid_text"),
        (ask(json!({"text": "ä".repeat(101)})), 413, "text_too_long"),
        (
            ask(json!({"documents": [{"text": "a"}, {"text": "b"}, {"text": "c"}, {"text": "d"}]})),
            413,
            "too_many_documents",
        ),
        (ask(json!({"text": "a".repeat(3_000)})), 413, "body_too_large"),
        (ask(json!({"text": "a", "models": {"entities": "nobody"}})), 404, "unknown_model"),
        (ask(json!({"text": "a", "models": {"topics": "lexicon-ner"}, "tasks": ["topics"]})), 422, "task_not_served"),
        (ask(json!({"text": "a", "tasks": ["topics"]})), 422, "task_not_served"),
        (ask(json!({"text": "a", "label_language": "fr"})), 422, "invalid_request"),
        (ask(json!(["a"])), 422, "invalid_request"),
        (Request::post("/v1/classify").body(Body::from("{}")).unwrap(), 415, "unsupported_media_type"),
        (compressed, 415, "unsupported_media_type"),
        (get("/v1/classify"), 405, "method_not_allowed"),
        (get("/v9"), 404, "not_found"),
    ] {
        assert_eq!(problem(&service, request).await, (status, code.to_owned()));
        classify(&service, json!({"text": "Berlin"})).await;
    }
}

#[tokio::test]
async fn without_a_model_for_topics_the_default_tasks_are_the_others() {
    let service = service_of(&["lexicon-ner"], RequestLimits::default()).await;
    let answer = classify(&service, json!({"text": "Berlin"})).await;
    assert!(answer.get("topics").is_none());
    assert_eq!(answer["entities"][0]["text"], "Berlin");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_all_the_same() {
    let limits = RequestLimits { timeout: Duration::ZERO, ..RequestLimits::default() };
    let service = service_of(&["lexicon-ner"], limits).await;
    assert_eq!(problem(&service, post(r#"{"text": "Berlin"}"#)).await, (504, "deadline_exceeded".into()));
}

#[tokio::test]
async fn a_text_that_comes_again_is_answered_from_the_cache_until_the_model_changes() {
    let mut app = App::new(registry(&["two-heads", "lexicon-ner"]).await, RequestLimits::default());
    app.cache = Some(Arc::new(PredictionCache::new(1_000_000)));
    let service = router(Arc::new(app));
    let cached = async |body: Value| {
        let mut answer = classify(&service, body).await;
        let cached = answer["usage"]["cached"].take();
        (cached == true, answer)
    };
    let (first, again) =
        (cached(json!({"text": "Angela Merkel"})).await, cached(json!({"text": "Angela Merkel"})).await);
    assert_eq!((first.0, again.0), (false, true));
    assert_eq!(first.1, again.1);
    assert!(!cached(json!({"text": "Angela Merkel "})).await.0);
    assert!(!cached(json!({"text": "Angela Merkel", "aggregation": "max"})).await.0);
    assert!(!cached(json!({"text": "Angela Merkel", "models": {"entities": "lexicon-ner"}})).await.0);
    assert!(cached(json!({"text": "Angela Merkel", "offset_unit": "byte", "top_k": 1})).await.0);
    let (is_cached, strict) = cached(json!({"text": "Angela Merkel", "threshold": {"entities": 1.0}})).await;
    assert!(is_cached && strict["entities"] == json!([]) && first.1["entities"] != json!([]), "{strict}");
}

#[tokio::test]
async fn the_models_page_says_what_is_loaded() {
    let (status, mut answer) = send(&service().await, get("/v1/models")).await;
    assert_eq!(status, StatusCode::OK);
    for model in answer["models"].as_array_mut().unwrap() {
        assert!(model["memory"]["file_bytes"].as_u64().unwrap() > 1_000);
        model["memory"] = json!("MEMORY");
    }
    insta::assert_json_snapshot!(rounded(answer));
}

#[tokio::test]
async fn health_pages_need_no_key_and_the_rest_does() {
    let app = Arc::new(App::new(registry(&["lexicon-ner"]).await, RequestLimits::default()));
    app.keys.store(Arc::new(KeyRing::new(vec![KeySpec::of_text("reader", "geheim", Scope::Read)])));
    let service = router(Arc::clone(&app));
    assert_eq!(send(&service, get("/health/live")).await.0, StatusCode::OK);
    let (status, ready) = send(&service, get("/health/ready")).await;
    assert_eq!(
        (status, &ready["status"], &ready["models"][0]["execution_provider"]),
        (StatusCode::OK, &json!("ready"), &json!("cpu"))
    );
    let with_key = |key: &str| {
        Request::get("/v1/models").header("authorization", format!("Bearer {key}")).body(Body::empty()).unwrap()
    };
    assert_eq!(problem(&service, get("/v1/models")).await, (401, "unauthorized".into()));
    assert_eq!(problem(&service, with_key("falsch")).await, (401, "unauthorized".into()));
    assert_eq!(send(&service, with_key("geheim")).await.0, StatusCode::OK);
    app.start_draining();
    assert_eq!(send(&service, get("/health/ready")).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(send(&service, get("/health/live")).await.0, StatusCode::OK);
}
