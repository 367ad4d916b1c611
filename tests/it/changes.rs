//! Changes of models run to their end, one at a time, and the state file holds the last one.

use std::future::poll_fn;
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::task::Poll;

use crate::api::router;
use axum::http::StatusCode;
use ressort::classify::cache::PredictionCache;
use ressort::classify::request::RequestLimits;
use ressort::classify::shadow::Shadow;
use ressort::http::App;
use ressort::models::active_file::PersistedState;
use serde_json::json;

use crate::classify::until;
use crate::cli::{Server, model, ressort};
use crate::swap::{Desk, NEW, request};

const CONFLICT: fn() -> (u16, String) = || (409, "conflict".to_owned());

#[tokio::test]
async fn a_change_ends_although_its_client_has_left() {
    let desk = Desk::new().await;
    {
        let mut load = pin!(desk.ask("PUT", "/v1/models/neu", json!(null)));
        poll_fn(|context| {
            assert!(load.as_mut().poll(context).is_pending(), "the load ends before the client leaves");
            Poll::Ready(())
        })
        .await;
    }
    until("the model is loaded", || desk.app.registry.named("neu").is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_file_holds_what_concurrent_switches_end_with() {
    let desk = Arc::new(Desk::new().await);
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    let file = desk.models.path().join(".active.json");
    for round in 0..50 {
        let switches = ["alt", "neu", "alt", "neu"].map(|name| {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move { desk.ask("PUT", "/v1/active", json!({"topics": name, "entities": name})).await })
        });
        for switch in switches {
            assert_eq!(switch.await.unwrap().0, StatusCode::OK);
        }
        let (active, previous) = (desk.app.registry.active(), desk.app.registry.previous());
        let expected = PersistedState::of(&active, previous.as_ref());
        assert_eq!(PersistedState::read(&file).unwrap(), Some(expected), "round {round}");
    }
}

#[tokio::test]
async fn a_model_that_a_rollback_would_activate_is_removed_on_request() {
    let desk = Desk::new().await;
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    desk.ask("PUT", "/v1/active", NEW()).await;
    desk.ask("POST", "/v1/active/rollback", json!(null)).await;
    let (status, body) = desk.ask("DELETE", "/v1/models/neu", json!(null)).await;
    assert_eq!((status.as_u16(), body["code"].as_str()), (409, Some("conflict")));
    assert!(body["detail"].as_str().unwrap().contains("--forget-rollback"), "{body}");
    let active =
        crate::api::problem(&desk.service, request("DELETE", "/v1/models/alt?forget_rollback=true", json!(null)));
    assert_eq!(active.await, CONFLICT(), "an active model stays");
    let removed = Arc::downgrade(&desk.app.registry.named("neu").unwrap());
    let (status, _) = desk.ask("DELETE", "/v1/models/neu?forget_rollback=true", json!(null)).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(removed.upgrade().is_none(), "its memory is released");
    let rollback = request("POST", "/v1/active/rollback", json!(null));
    assert_eq!(crate::api::problem(&desk.service, rollback).await, CONFLICT());
    let saved = PersistedState::read(&desk.models.path().join(".active.json")).unwrap().unwrap();
    assert_eq!(saved.previous, None);
}

#[tokio::test]
async fn a_rollback_keeps_a_newer_version_that_was_never_active() {
    let desk = Desk::new().await;
    let registry = &desk.app.registry;
    let first = registry.named("alt").unwrap().version.clone();
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    desk.ask("PUT", "/v1/active", NEW()).await;
    std::fs::write(desk.models.path().join("alt/NOTICE"), "neu").unwrap();
    desk.ask("PUT", "/v1/models/alt", json!(null)).await;
    let second = registry.named("alt").unwrap().version.clone();
    assert_ne!(first, second);
    assert_eq!(desk.ask("POST", "/v1/active/rollback", json!(null)).await.0, StatusCode::OK);
    let versions: Vec<String> = registry.models().iter().map(|model| model.version.clone()).collect();
    assert_eq!(registry.active().topics.unwrap().version, first, "exactly what was active");
    assert_eq!(registry.named("alt").unwrap().version, second);
    assert_eq!(versions[..2], [first.clone(), second.clone()], "both are listed, the active one first");
    // The name is free for the active version once the newer one is removed.
    assert_eq!(desk.ask("DELETE", "/v1/models/alt", json!(null)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(registry.named("alt").unwrap().version, first);
    assert_eq!(desk.answering().await, "alt");
}

#[test]
fn a_server_with_a_state_file_that_is_of_no_use_starts_on_its_flags_and_keeps_the_file() {
    let missing = r#"{"topics": {"name": "weg", "path": "/nowhere/weg"}, "entities": null}"#;
    for (option, content) in
        [("--state-file", "{"), ("--state-file", missing), ("--saved-file", "[1, 2"), ("--saved-file", "\u{0}")]
    {
        let models = tempfile::tempdir().unwrap();
        std::fs::create_dir(models.path().join("ressort")).unwrap();
        crate::support::copy_files(model("two-heads").as_ref(), &models.path().join("ressort"));
        let file = models.path().join("state.json");
        std::fs::write(&file, content).unwrap();
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = ressort();
        command.stderr(Stdio::from(log.reopen().unwrap()));
        let (models, path) = (models.path().to_string_lossy(), file.to_string_lossy());
        let server = Server::start_with(command, &["--models-dir", &models, "--providers", "cpu", option, &path]);
        assert_eq!(server.stop(), 0);
        let aside = file.with_file_name("state.json.unusable-1");
        assert_eq!(std::fs::read_to_string(&aside).unwrap(), content);
        assert!(!file.exists());
        let log = std::fs::read_to_string(log.path()).unwrap();
        assert!(log.contains("starting on the flags") && log.contains(&*aside.to_string_lossy()), "{log}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hostile_folder_is_refused_within_a_bound_and_leaves_nothing_behind() {
    let desk = Desk::new().await;
    let hostile = desk.models.path().join("hostile");
    let fresh = || {
        let _ = std::fs::remove_dir_all(&hostile);
        std::fs::create_dir(&hostile).unwrap();
        crate::support::copy_files(&crate::support::models_dir().join("two-heads"), &hostile);
    };
    let circle = |name: &str| std::os::unix::fs::symlink(&hostile, hostile.join(name)).unwrap();
    let pipe = |name: &str| {
        let _ = std::fs::remove_file(hostile.join(name));
        assert!(std::process::Command::new("mkfifo").arg(hostile.join(name)).status().unwrap().success());
    };
    let sparse = |name: &str| std::fs::File::create(hostile.join(name)).unwrap().set_len(1 << 42).unwrap();
    let bomb = |name: &str| {
        let path = hostile.join(name);
        let mut tokenizer: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let doubling = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
        tokenizer["normalizer"] = json!({"type": "Sequence", "normalizers": vec![doubling; 33]});
        std::fs::write(path, tokenizer.to_string()).unwrap();
    };
    type Case<'c> = (&'static str, &'c dyn Fn(&str), &'static [&'static str]);
    let cases: [Case; 4] = [
        ("circle", &circle, &["a", "onnx"]),
        ("a pipe", &pipe, &["NOTICE", "config.json", "tokenizer.json", "model.onnx"]),
        ("GB", &sparse, &["README", "tokenizer.json", "model.onnx"]),
        ("times as long", &bomb, &["tokenizer.json"]),
    ];
    for (expected, spoil, names) in cases {
        for name in names {
            fresh();
            spoil(name);
            let (status, body) = desk.ask("PUT", "/v1/models/hostile", json!(null)).await;
            assert_eq!((status.as_u16(), body["code"].as_str()), (422, Some("model_refused")), "{name}: {body}");
            assert!(body["detail"].as_str().unwrap().contains(expected), "{name}: {body}");
        }
    }
    fresh();
    assert_eq!(desk.ask("PUT", "/v1/models/hostile", json!(null)).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_candidate_reads_the_share_of_several_clients() {
    const N_EACH: u64 = 25;
    let desk = Arc::new(Desk::new().await);
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    desk.ask("PUT", "/v1/shadow", json!({"model": "neu", "share": 0.5})).await;
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move {
                for _ in 0..N_EACH {
                    desk.answering().await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let report = || async { desk.ask("GET", "/v1/shadow", json!(null)).await.1 };
    let counted = |report: &serde_json::Value| {
        ["compared", "skipped", "failed"].iter().map(|key| report["documents"][key].as_u64().unwrap()).sum::<u64>()
    };
    while counted(&report().await) < 2 * N_EACH {
        tokio::task::yield_now().await;
    }
    let documents = &report().await["documents"];
    assert_eq!(documents["compared"], 2 * N_EACH, "{documents}");
    assert_eq!(documents["skipped_because"], json!({"live_models_busy": 0, "candidate_busy": 0}));
}

#[tokio::test]
async fn an_answer_from_the_cache_is_no_latency_of_the_live_model() {
    let mut app = App::new(crate::api::registry(&["two-heads"]).await, RequestLimits::default());
    app.cache = Some(Arc::new(PredictionCache::new(1_000_000)));
    let app = Arc::new(app);
    let service = router(Arc::clone(&app));
    let ask = || crate::api::classify(&service, json!({"text": "Angela Merkel"}));
    ask().await;
    let shadow = Arc::new(Shadow::new(app.registry.named("two-heads").unwrap(), 1.0, None));
    app.shadow.store(Some(Arc::clone(&shadow)));
    assert_eq!(ask().await["usage"]["cached"], true);
    let report = || serde_json::to_value(shadow.report()).unwrap();
    until("the candidate has read the text", || report()["documents"]["compared"] == 1).await;
    assert_eq!(report()["latency_ms"]["live"], json!(null));
    assert!(report()["latency_ms"]["candidate"].is_number());
}
