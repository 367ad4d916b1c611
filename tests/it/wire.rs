//! What travels around the JSON: other origins, methods, plain texts, packed answers.

use std::io::{Read, Write};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use ressort::classify::request::RequestLimits;
use ressort::http::{App, Cors, CorsOrigin};
use ressort::system::budget::{MemoryBudget, MemoryUse};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::api::{classify, get, post, problem, registry, router, send, service_of};

async fn service_for(origins: &[&str]) -> Router {
    let mut app = App::new(registry(&["lexicon-ner"]).await, RequestLimits::default());
    let origins: Vec<CorsOrigin> = origins.iter().map(|origin| origin.parse().unwrap()).collect();
    app.cors = Cors::new(origins);
    router(Arc::new(app))
}

fn with(mut request: Request<Body>, headers: &[(&'static str, &str)]) -> Request<Body> {
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

fn options(path: &str, headers: &[(&'static str, &str)]) -> Request<Body> {
    with(Request::builder().method("OPTIONS").uri(path).body(Body::empty()).unwrap(), headers)
}

/// A header's values.
fn values<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

async fn answer(service: &Router, request: Request<Body>) -> Response {
    service.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn options_names_the_methods_of_an_address() {
    for origins in [&[][..], &["*"]] {
        let service = service_for(origins).await;
        for (path, methods) in [
            ("/v1/classify", "POST,OPTIONS"),
            ("/v1/classify/", "POST,OPTIONS"),
            ("/v1/models", "GET,HEAD,OPTIONS"),
            ("/health/live", "GET,HEAD,OPTIONS"),
        ] {
            let response = answer(&service, options(path, &[])).await;
            assert_eq!(
                (response.status(), values(response.headers(), "allow")),
                (StatusCode::NO_CONTENT, vec![methods])
            );
        }
        assert_eq!(problem(&service, options("/v3", &[])).await, (404, "not_found".into()));
        let response = answer(&service, get("/v1/classify")).await;
        assert_eq!((response.status().as_u16(), &response.headers()["allow"]), (405, &"POST,OPTIONS".parse().unwrap()));
    }
}

#[tokio::test]
async fn pages_of_the_named_origins_may_read_answers_and_no_others() {
    let ours = ("origin", "https://www.example.com");
    let asked =
        [("access-control-request-method", "POST"), ("access-control-request-headers", "authorization,content-type")];
    let allowed = async |service: &Router, origin: &str| {
        let before = answer(service, options("/v1/classify", &[asked[0], asked[1], ("origin", origin)])).await;
        let refused = answer(service, with(post("{}"), &[("origin", origin)])).await;
        let status = refused.status();
        let origins = |headers: &HeaderMap| values(headers, "access-control-allow-origin").join(" ");
        assert_eq!(origins(before.headers()), origins(refused.headers()));
        // The origin is allowed: 422 is the answer to the body `{}`, which has no text.
        assert_eq!(status.as_u16(), if origins(before.headers()).is_empty() { 403 } else { 422 }, "{origin}");
        origins(before.headers())
    };
    let named = service_for(&["https://other.example", ours.1]).await;
    assert_eq!(allowed(&named, ours.1).await, ours.1);
    assert_eq!(allowed(&named, "https://evil.example").await, "");
    assert_eq!(allowed(&service_for(&["*"]).await, ours.1).await, "*");
    assert_eq!(allowed(&service_for(&[]).await, ours.1).await, "");
    let before = answer(&named, options("/v1/classify", &[asked[0], asked[1], ours])).await;
    assert_eq!(before.status(), StatusCode::OK);
    for (name, value) in [
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "authorization,content-type"),
        ("access-control-max-age", "86400"),
    ] {
        assert_eq!(values(before.headers(), name), [value]);
    }
    let answered = answer(&named, with(get("/v1/models"), &[ours])).await;
    assert_eq!(
        values(answered.headers(), "access-control-expose-headers"),
        ["retry-after,ratelimit,ratelimit-policy,x-request-id,traceresponse"]
    );
}

fn text_request(content_type: &str, body: impl Into<Body>) -> Request<Body> {
    with(post(body), &[("content-type", content_type)])
}

#[tokio::test]
async fn a_plain_text_is_one_text_with_the_default_options() {
    let service = service_of(&["lexicon-ner"], RequestLimits { max_characters: 30, ..RequestLimits::default() }).await;
    let text = "Käthe in {\"München\"}\n";
    let expected = classify(&service, json!({"text": text})).await;
    for content_type in ["text/plain", "Text/Plain; charset=UTF-8", "text/plain;charset=\"utf-8\""] {
        assert_eq!(send(&service, text_request(content_type, text)).await, (StatusCode::OK, expected.clone()));
    }
    assert_eq!(send(&service, text_request("text/plain", "\u{feff}".to_owned() + text)).await.1, expected);
    assert_eq!(send(&service, text_request("text/plain", "")).await.1["usage"]["characters"], 0);
    for (content_type, body, status, code) in [
        ("text/plain", &b"K\xe4the"[..], 422, "invalid_text"),
        ("text/plain", b"a\0", 422, "invalid_text"),
        ("text/plain; charset=iso-8859-1", b"a", 415, "unsupported_media_type"),
        ("text/html", b"a", 415, "unsupported_media_type"),
        ("text/plain", "ä".repeat(31).leak().as_bytes(), 413, "text_too_long"),
    ] {
        assert_eq!(problem(&service, text_request(content_type, body)).await, (status, code.to_owned()));
    }
    let rename = with(Request::put("/v1/active").body(Body::from("x")).unwrap(), &[("content-type", "text/plain")]);
    let local = service_for(&[]).await;
    assert_eq!(problem(&local, rename).await.0, 403);
}

pub fn unpacked(coding: &str, packed: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    match coding {
        "gzip" => flate2::read::GzDecoder::new(packed).read_to_end(&mut content),
        "br" => brotli::Decompressor::new(packed, 4096).read_to_end(&mut content),
        "zstd" => zstd::Decoder::new(packed).unwrap().read_to_end(&mut content),
        _ => Ok(content.write(packed).unwrap()),
    }
    .unwrap();
    content
}

#[tokio::test]
async fn answers_are_packed_as_the_client_accepts() {
    let app = Arc::new(App::new(registry(&["lexicon-ner"]).await, RequestLimits::default()));
    let service = router(Arc::clone(&app));
    let documents: Vec<Value> = (0..300).map(|n| json!({"id": n, "text": format!("Berlin {n}")})).collect();
    let large = json!({"documents": documents}).to_string();
    let small = json!({"text": "Berlin"}).to_string();
    let plain = to_bytes(answer(&service, post(large.clone())).await.into_body(), usize::MAX).await.unwrap();
    for coding in ["gzip", "br", "zstd"] {
        let response = answer(&service, with(post(large.clone()), &[("accept-encoding", coding)])).await;
        assert_eq!(values(response.headers(), "content-encoding"), [coding]);
        assert_eq!(values(response.headers(), "vary"), ["accept-encoding"]);
        assert!(!response.headers().contains_key("content-length"));
        let packed = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert!(packed.len() < plain.len() / 5, "{coding}: {} of {} bytes", packed.len(), plain.len());
        assert_eq!(unpacked(coding, &packed), plain, "{coding}");
        let response = answer(&service, with(post(small.clone()), &[("accept-encoding", coding)])).await;
        assert!(values(response.headers(), "content-encoding").is_empty(), "a short answer only gets longer");
    }
    assert_eq!(app.memory.n_used(), 0);
    let response = answer(&service, get("/openapi.json")).await;
    assert_eq!(values(response.headers(), "vary"), ["accept-encoding"], "a cache must know that it may be packed");
    let mut app = App::new(registry(&["lexicon-ner"]).await, RequestLimits::default());
    app.memory = MemoryBudget::new(8_000_000);
    let _others: Vec<_> = (0..2).map(|_| app.memory.try_reserve(3_000_000, MemoryUse::Document).unwrap()).collect();
    let service = router(Arc::new(app));
    let response = answer(&service, with(get("/openapi.json"), &[("accept-encoding", "br")])).await;
    assert!(values(response.headers(), "content-encoding").is_empty(), "no memory is left for a packer");
    assert_eq!(response.status(), StatusCode::OK);
}
