//! Jobs need a key where one is required, and are seen with the key that they came with.

use std::sync::Arc;

use axum::http::StatusCode;
use ressort::classify::request::RequestLimits;
use ressort::http::{App, JobLimits, KeyRing, KeySpec, Scope};

use super::{JSON, LINES, app, request};
use crate::api::{problem, registry, router, send};

#[tokio::test]
async fn jobs_need_the_key_and_a_server_may_keep_none() {
    let dir = tempfile::tempdir().unwrap();
    let with_key = app(dir.path(), JobLimits::default()).await;
    with_key.keys.store(Arc::new(KeyRing::new(vec![KeySpec::of_text("reader", "offen", Scope::Read)])));
    let closed = router(with_key);
    let none = router(Arc::new(App::new(registry(&["lexicon-ner"]).await, RequestLimits::default())));
    for (method, path) in [
        ("POST", "/v1/jobs"),
        ("GET", "/v1/jobs"),
        ("GET", "/v1/jobs/a"),
        ("DELETE", "/v1/jobs/a"),
        ("POST", "/v1/jobs/a/cancel"),
        ("GET", "/v1/jobs/a/result"),
    ] {
        let of = |service| async move { problem(service, request(method, path, JSON, "{}")).await };
        assert_eq!(of(&closed).await, (401, "unauthorized".to_owned()), "{method} {path}");
        assert_eq!(of(&none).await, (404, "not_found".to_owned()), "{method} {path}");
    }
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "a folder is made with the first job");
}

#[tokio::test]
async fn jobs_are_seen_with_their_own_key_and_by_admins() {
    let dir = tempfile::tempdir().unwrap();
    let app = app(dir.path(), JobLimits::default()).await;
    app.keys.store(Arc::new(KeyRing::new(vec![
        KeySpec::of_text("reader", "offen", Scope::Read),
        KeySpec::of_text("other", "frei", Scope::Read),
        KeySpec::of_text("admin", "geheim", Scope::Admin),
    ])));
    let service = router(app);
    let with = |key: &str, method: &str, path: &str, body: &str| {
        let mut request = request(method, path, JSON, body.to_owned());
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        request
    };
    let (_, job) = send(&service, with("offen", "POST", "/v1/jobs", r#"{"text": "Berlin"}"#)).await;
    let (status, lines) = send(&service, {
        let mut request = with("offen", "POST", "/v1/jobs", "{\"text\": \"Ulm\"}\n");
        request.headers_mut().insert("content-type", LINES.parse().unwrap());
        request
    })
    .await;
    assert_eq!(status, StatusCode::ACCEPTED, "{lines}");
    for job in [&job, &lines] {
        let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
        for (method, path) in [
            ("GET", path.clone()),
            ("DELETE", path.clone()),
            ("POST", format!("{path}/cancel")),
            ("GET", format!("{path}/result")),
        ] {
            let found = problem(&service, with("frei", method, &path, "")).await;
            assert_eq!(found, (404, "unknown_job".to_owned()), "{method} {path}");
        }
        for key in ["offen", "geheim"] {
            assert_eq!(send(&service, with(key, "GET", &path, "")).await.0, StatusCode::OK, "{key}");
        }
    }
    let n_listed = async |key| {
        let (_, list) = send(&service, with(key, "GET", "/v1/jobs", "")).await;
        list["jobs"].as_array().unwrap().len()
    };
    assert_eq!((n_listed("offen").await, n_listed("frei").await, n_listed("geheim").await), (2, 0, 2));
}
