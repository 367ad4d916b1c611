//! Models that get stuck: runs that never end, at loading and while they serve, and files that change below a model.

use std::sync::Arc;
use std::time::Duration;

use ressort::classify::request::RequestLimits;
use ressort::http::App;
use ressort::inference::settings::RunSettings;
use ressort::models::load::Model;
use ressort::models::registry::{ByTask, Registry};
use ressort::models::spec::ModelSpec;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::api::{classify, get, post, router, send};
use crate::classify::until;
use crate::support::{copy_of, models_dir, options, predict, settings};

/// The folder of `lexicon-ner`, with another graph from `tests/it/graphs`.
fn with_graph(name: &str) -> TempDir {
    let folder = copy_of("lexicon-ner");
    let graphs = models_dir().join("../it/graphs");
    std::fs::copy(graphs.join(name), folder.path().join("model.onnx")).unwrap();
    folder
}

fn spec_of(folder: &TempDir) -> ModelSpec {
    ModelSpec { name: "stuck".to_owned(), path: folder.path().to_owned() }
}

#[tokio::test]
async fn a_graph_that_never_ends_is_refused_when_it_is_loaded() {
    let folder = with_graph("endless-at-load.onnx");
    let settings = RunSettings { run_timeout: Duration::from_millis(300), ..settings() };
    let error = Model::load(&spec_of(&folder), &settings).await.map(drop).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("was not through after 0.3 s") && cause.contains("--run-timeout-s"), "{error}: {cause}");
}

#[tokio::test]
async fn a_stuck_run_shows_in_readiness_and_ends() {
    let folder = with_graph("endless-at-paris.onnx");
    let settings = RunSettings { n_streams: 1, run_timeout: Duration::from_millis(1500), ..settings() };
    let registry = Registry::load(&[spec_of(&folder)], ByTask::default(), &settings).await.unwrap();
    let service = router(Arc::new(App::new(registry, RequestLimits::default())));
    let ready = || async { send(&service, get("/health/ready")).await };
    assert_eq!(ready().await.0, 200);
    let stuck = tokio::spawn({
        let service = service.clone();
        async move { send(&service, post(json!({"text": "Paris"}).to_string())).await }
    });
    let (mut status, mut page) = ready().await;
    while status == 200 && !stuck.is_finished() {
        tokio::task::yield_now().await;
        (status, page) = ready().await;
    }
    assert_eq!((status.as_u16(), &page["status"]), (503, &json!("unavailable")), "{page}");
    assert_eq!(page["models"][0]["stuck_run"]["windows"], 1, "{page}");
    let (status, answer) = stuck.await.unwrap();
    assert_eq!(status, 500, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("a run of 1 window of 3 tokens was not through"), "{answer}");
    classify(&service, json!({"text": "Berlin"})).await;
    assert_eq!(ready().await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_when_the_queue_is_through() {
    let folder = with_graph("endless-at-paris.onnx");
    // Each run takes this long, since none ends before.
    let run_timeout = Duration::from_millis(500);
    let settings = RunSettings { n_streams: 1, run_timeout, max_queued_windows: 32, ..settings() };
    let registry = Registry::load(&[spec_of(&folder)], ByTask::default(), &settings).await.unwrap();
    let app = Arc::new(App::new(registry, RequestLimits::default()));
    let service = router(Arc::clone(&app));
    let ask = || service.clone().oneshot(post(json!({"text": "Paris"}).to_string()));
    // The time of a run is known after some of them.
    for _ in 0..4 {
        assert_eq!(ask().await.unwrap().status(), 500);
    }
    let _waiting = JoinSet::from_iter((0..40).map(|_| ask()));
    let scheduler = &app.registry.models()[0].pipeline.scheduler;
    until("windows wait", || scheduler.n_waiting() >= 10).await;
    // A run that ends meanwhile lets one of them in.
    let mut asked = JoinSet::from_iter((0..4).map(|_| ask()));
    let refused = loop {
        let answer = asked.join_next().await.expect("one of them is refused").unwrap().unwrap();
        if answer.status() == 503 {
            break answer;
        }
    };
    let seconds: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((2..=60).contains(&seconds), "10 windows wait, each for half a second or more: {seconds}");
}

#[tokio::test]
async fn a_file_of_weights_that_is_overwritten_changes_no_answer() {
    let folder = copy_of("bert-cased-ner-external-data");
    let file = folder.path().join("model.onnx_data");
    let content = std::fs::read(&file).unwrap();
    let model = Model::load(&spec_of(&folder), &settings()).await.unwrap();
    let text = "Angela Merkel reiste nach Paris.";
    let before = predict(&model, text, options()).await;
    // As `cp` does: the file is cut to nothing, then written.
    std::fs::write(&file, b"").unwrap();
    assert_eq!(predict(&model, text, options()).await, before);
    std::fs::write(&file, vec![0x3f; content.len()]).unwrap();
    assert_eq!(predict(&model, text, options()).await, before);
}
