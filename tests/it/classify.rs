//! The classify core as requests meet it: permits of the queue, lanes, follow-up documents, requests that are abandoned.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use futures_util::StreamExt;
use ressort::classify::cache::PredictionCache;
use ressort::classify::request::RequestLimits;
use ressort::http::App;
use ressort::inference::settings::RunSettings;
use ressort::models::registry::{ByTask, Registry};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::api::{classify, post, router, send};
use crate::support::{settings, spec};

const SENTENCE: &str = "Angela Merkel reiste nach Paris. ";

/// A service whose queue has few permits.
struct Narrow {
    app: Arc<App>,
    service: Router,
}

impl Narrow {
    async fn new(max_queued_windows: usize) -> Self {
        let narrow = RunSettings { max_queued_windows, ..settings() };
        let registry = Registry::load(&[spec("bert-cased-ner")], ByTask::default(), &narrow).await.unwrap();
        let mut app =
            App::new(registry, RequestLimits { timeout: Duration::from_secs(20), ..RequestLimits::default() });
        app.cache = Some(Arc::new(PredictionCache::new(1_000_000)));
        let app = Arc::new(app);
        Self { service: router(Arc::clone(&app)), app }
    }

    fn n_waiting(&self) -> usize {
        self.app.registry.models().iter().map(|model| model.pipeline.scheduler.n_waiting()).sum()
    }

    async fn status(&self, body: Value) -> StatusCode {
        send(&self.service, post(body.to_string())).await.0
    }
}

pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "in vain until {what}");
        tokio::task::yield_now().await;
    }
}

fn in_lines(body: &Value) -> Request<Body> {
    let mut request = post(body.to_string());
    request.headers_mut().insert("accept", "application/x-ndjson".parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_keeps_no_permit_of_the_queue() {
    // As many permits as two long documents take; follow-up documents may have half of them.
    let narrow = Narrow::new(16).await;
    let documents = |n: usize| {
        let texts = (0..n).map(|n| json!({"text": format!("{n} {}", SENTENCE.repeat(80))}));
        json!({"documents": texts.collect::<Vec<_>>()})
    };
    let response = narrow.service.clone().oneshot(in_lines(&documents(12))).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut stalled = response.into_body().into_data_stream();
    assert!(stalled.next().await.is_some());
    // From here on nobody polls it.
    let answer = classify(&narrow.service, documents(3)).await;
    assert!(answer["results"].as_array().unwrap().iter().all(|result| result.get("error").is_none()), "{answer}");
    let n_lines = stalled.map(|line| line.unwrap().iter().filter(|byte| **byte == b'\n').count());
    assert_eq!(n_lines.fold(1, |sum, n| async move { sum + n }).await, 12);
}

#[tokio::test]
async fn follow_up_documents_wait_where_a_first_one_would_be_refused() {
    let narrow = Narrow::new(2).await;
    // Different texts, since the cache would answer the same ones.
    let documents = |word: &str| {
        let texts = (0..40).map(|n| json!({"text": format!("{word} {n}")}));
        json!({"documents": texts.collect::<Vec<_>>()})
    };
    for request in [post(documents("Berlin").to_string()), in_lines(&documents("Paris"))] {
        let response = narrow.service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("\"error\""), "{}", String::from_utf8_lossy(&body));
    }
}

#[tokio::test]
async fn bulk_requests_keep_no_normal_one_out() {
    let narrow = Narrow::new(1).await;
    let bulk = |text: String| json!({"text": text, "priority": "bulk"});
    let under_way = tokio::spawn(narrow.service.clone().oneshot(post(bulk(SENTENCE.repeat(5_000)).to_string())));
    until("the bulk document waits", || narrow.n_waiting() > 0).await;
    assert_eq!(narrow.status(bulk("Berlin".to_owned())).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(narrow.status(json!({"text": "Berlin"})).await, StatusCode::OK);
    assert!(narrow.n_waiting() > 0, "the normal request was answered before the bulk one");
    under_way.abort();
}

#[tokio::test]
async fn the_documents_of_an_abandoned_request_are_aborted() {
    let narrow = Narrow::new(1).await;
    let model = narrow.app.registry.models().remove(0);
    let n_holders = Arc::strong_count(&model);
    let long = json!({"text": SENTENCE.repeat(3_000)});
    let under_way = tokio::spawn(narrow.service.clone().oneshot(post(long.to_string())));
    until("the document waits", || narrow.n_waiting() > 0).await;
    under_way.abort();
    until("its task is gone", || Arc::strong_count(&model) == n_holders).await;
    until("its windows are gone", || narrow.n_waiting() == 0).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while narrow.status(json!({"text": "Berlin"})).await == StatusCode::SERVICE_UNAVAILABLE {
        assert!(Instant::now() < deadline, "the permit was not released");
        tokio::task::yield_now().await;
    }
    let again = classify(&narrow.service, long).await;
    assert_eq!(again["usage"]["cached"], false, "the abandoned document was classified to its end");
}
