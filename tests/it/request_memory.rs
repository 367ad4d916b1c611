//! The budget of memory that all requests under way share.

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::http::StatusCode;
use ressort::classify::request::RequestLimits;
use ressort::http::App;
use ressort::system::budget::{MemoryBudget, MemoryUse};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::api::{classify, post, registry, router};
use crate::requests::{gzip, packed};

/// A service whose requests share `n_bytes`.
async fn service_with(n_bytes: u64) -> (Arc<App>, Router) {
    let mut app = App::new(registry(&["lexicon-ner"]).await, RequestLimits::default());
    app.memory = MemoryBudget::new(n_bytes);
    let app = Arc::new(app);
    let service = router(Arc::clone(&app));
    (app, service)
}

#[tokio::test]
async fn requests_share_one_budget_of_memory_and_short_ones_always_fit() {
    let (app, service) = service_with(8_000_000).await;
    let large = json!({"text": "Angela Merkel in Berlin. ".repeat(7_000)}).to_string();
    let others: Vec<_> = (0..2).map(|_| app.memory.try_reserve(3_000_000, MemoryUse::Document).unwrap()).collect();
    for request in [post(large.clone()), packed("gzip", gzip(large.as_bytes()))] {
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "1");
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let detail = String::from_utf8_lossy(&body).into_owned();
        assert!(detail.contains("overloaded") && detail.contains("--request-memory-mb"), "{detail}");
    }
    classify(&service, json!({"text": "Angela Merkel"})).await;
    drop(others);
    classify(&service, serde_json::from_str(&large).unwrap()).await;
    assert_eq!(app.memory.n_used(), 0, "an answered request keeps memory");
}

#[tokio::test]
async fn documents_wait_for_memory_and_are_all_answered() {
    // Of these documents one fits at a time.
    let (app, service) = service_with(1_000_000).await;
    let documents: Vec<Value> =
        (0..8).map(|n| json!({"id": n, "text": format!("{n} {}", "Angela Merkel in Berlin. ".repeat(600))})).collect();
    let answer = classify(&service, json!({"documents": documents})).await;
    for (n, result) in answer["results"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&result["id"], result["entities"].as_array().map(Vec::len)), (&json!(n), Some(1200)), "{result}");
    }
    assert_eq!(app.memory.n_used(), 0);
}
