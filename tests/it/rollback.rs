//! What a rollback activates is replaced by a switch of models, and by nothing else.

use std::path::PathBuf;
use std::process::Stdio;

use axum::http::StatusCode;
use ressort::models::active_file::PersistedState;
use ressort::models::registry::{ByTask, Registry};
use ressort::models::spec::ModelSpec;
use serde_json::json;

use crate::cli::{Server, ressort};
use crate::support::settings;
use crate::swap::{Desk, NEW};

/// The names of what a rollback activates, in memory and in the state file.
fn targets(desk: &Desk) -> [ByTask<String>; 2] {
    let previous = desk.app.registry.previous().expect("a rollback has a target");
    let name = |model: Option<std::sync::Arc<ressort::models::load::Model>>| model.map(|model| model.name.clone());
    let saved = PersistedState::read(&desk.models.path().join(".active.json")).unwrap().expect("a state file");
    let saved = saved.previous.expect("the target is saved");
    [ByTask { topics: name(previous.topics), entities: name(previous.entities) }, saved.active()]
}

fn both(name: &str) -> ByTask<String> {
    ByTask { topics: Some(name.to_owned()), entities: Some(name.to_owned()) }
}

/// A server that was switched from `alt` to `neu`, its state file, and what that holds.
async fn switched() -> (Desk, PathBuf, PersistedState) {
    let desk = Desk::new().await;
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    desk.ask("PUT", "/v1/active", NEW()).await;
    let file = desk.models.path().join(".active.json");
    let saved = PersistedState::read(&file).unwrap().unwrap();
    (desk, file, saved)
}

/// Gives the folder of the model another version.
fn change(desk: &Desk, name: &str) {
    std::fs::write(desk.models.path().join(name).join("NOTICE"), "neu").unwrap();
}

#[tokio::test]
async fn a_repeated_change_keeps_what_a_rollback_activates() {
    let desk = Desk::new().await;
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    desk.ask("PUT", "/v1/active", NEW()).await;
    for (method, path, body) in [
        ("PUT", "/v1/models/neu", json!(null)),
        ("PUT", "/v1/models/alt", json!(null)),
        ("PUT", "/v1/active", NEW()),
        ("POST", "/v2/repository/models/neu/load", json!({})),
        ("POST", "/v2/repository/models/alt/load", json!({})),
        ("PUT", "/v1/active", json!({"topics": "neu"})),
    ] {
        assert_eq!(desk.ask(method, path, body.clone()).await.0, StatusCode::OK, "{path} {body}");
        assert_eq!(targets(&desk), [both("alt"), both("alt")], "{path} {body}");
    }
    assert!(desk.app.registry.put_changed().await.is_empty());
    assert_eq!(targets(&desk), [both("alt"), both("alt")]);
    // What was loaded again is the target now, so it is not removed.
    assert_eq!(desk.ask("DELETE", "/v1/models/alt", json!(null)).await.0, StatusCode::CONFLICT);
    assert_eq!(desk.ask("POST", "/v1/active/rollback", json!(null)).await.0, StatusCode::OK);
    assert_eq!(desk.answering().await, "alt");
}

#[tokio::test]
async fn a_model_that_is_loaded_again_leaves_no_older_copy_in_memory() {
    let desk = Desk::new().await;
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    desk.ask("PUT", "/v1/active", NEW()).await;
    for name in ["alt", "neu"] {
        let before = std::sync::Arc::downgrade(&desk.app.registry.named(name).unwrap());
        desk.ask("PUT", &format!("/v1/models/{name}"), json!(null)).await;
        assert!(before.upgrade().is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_version_that_is_loaded_twice_is_switched_to_once() {
    let desk = Desk::new().await;
    let first = desk.app.registry.active().topics.unwrap().version.clone();
    change(&desk, "alt");
    for _ in 0..2 {
        desk.ask("PUT", "/v1/models/alt", json!(null)).await;
        assert_ne!(desk.app.registry.active().topics.unwrap().version, first);
        assert_eq!(desk.app.registry.previous().unwrap().topics.unwrap().version, first);
    }
}

#[tokio::test]
async fn a_reload_undoes_no_rollback() {
    let desk = Desk::new().await;
    let registry = &desk.app.registry;
    let first = registry.active().topics.unwrap();
    change(&desk, "alt");
    desk.ask("PUT", "/v1/models/alt", json!(null)).await;
    desk.ask("POST", "/v1/active/rollback", json!(null)).await;
    assert!(registry.is_of_older_folder(&first));
    for _ in 0..2 {
        assert!(registry.put_changed().await.is_empty(), "the folder is as it was when it was loaded");
        assert_eq!(registry.active().topics.unwrap().version, first.version);
        assert_ne!(registry.previous().unwrap().topics.unwrap().version, first.version);
    }
    std::fs::write(desk.models.path().join("alt/NOTICE"), "noch neuer").unwrap();
    assert_eq!(registry.put_changed().await.len(), 1);
    assert_eq!(registry.previous().unwrap().topics.unwrap().version, first.version);
}

#[tokio::test]
async fn a_reload_of_two_models_is_undone_as_a_whole() {
    let desk = Desk::new().await;
    let registry = &desk.app.registry;
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    desk.ask("PUT", "/v1/active", json!({"entities": "neu"})).await;
    let versions = || {
        let active = registry.active();
        [active.topics.unwrap().version.clone(), active.entities.unwrap().version.clone()]
    };
    let before = versions();
    ["alt", "neu"].iter().for_each(|name| change(&desk, name));
    assert_eq!(registry.put_changed().await.len(), 2);
    assert!(versions().iter().zip(&before).all(|(now, before)| now != before));
    registry.rollback().await.unwrap();
    assert_eq!(versions(), before);
}

#[tokio::test]
async fn a_change_before_the_target_is_restored_does_not_lose_it() {
    let (desk, file, saved) = switched().await;
    let mut restarted = Registry::load(&saved.specs(), saved.active(), &settings()).await.unwrap();
    restarted.state_file = Some(file.clone());
    let neu = ModelSpec { name: "neu".into(), path: desk.models.path().join("neu") };
    let previous = saved.previous.clone().unwrap();
    restarted.unrestored.store(Some(std::sync::Arc::new(*previous.clone())));
    restarted.put(&neu).await.unwrap();
    assert_eq!(PersistedState::read(&file).unwrap().as_ref(), Some(&saved), "the next start may come first");
    restarted.remember(&previous).await.unwrap();
    assert_eq!(PersistedState::read(&file).unwrap(), Some(saved));
    assert_eq!(restarted.rollback().await.unwrap().active.topics.unwrap().name, "alt");
}

#[tokio::test]
async fn a_rollback_after_a_restart_activates_no_version_that_was_never_active() {
    let (desk, file, saved) = switched().await;
    change(&desk, "alt");
    let restarted = Registry::load(&saved.specs(), saved.active(), &settings()).await.unwrap();
    let error = restarted.remember(&saved.previous.unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("model `alt` had the version"), "{error}");
    assert!(restarted.previous().is_none() && restarted.named("alt").is_err());
    // A reload makes a version that no folder holds the target, so that the file has none.
    change(&desk, "neu");
    assert_eq!(desk.app.registry.put_changed().await.len(), 2);
    assert_eq!(PersistedState::read(&file).unwrap().unwrap().previous, None);
}

#[tokio::test]
async fn a_start_says_which_models_the_state_file_restores() {
    let desk = Desk::new().await;
    std::fs::create_dir(desk.models.path().join("ressort")).unwrap();
    crate::support::copy_files(&desk.models.path().join("alt"), &desk.models.path().join("ressort"));
    let log = tempfile::NamedTempFile::new().unwrap();
    let logged = |flags: &[&str]| {
        log.as_file().set_len(0).unwrap();
        let mut command = ressort();
        command.stderr(Stdio::from(log.reopen().unwrap()));
        let models = desk.models.path().to_string_lossy();
        let flags = [&["--models-dir", &models, "--providers", "cpu"][..], flags].concat();
        assert_eq!(Server::start_with(command, &flags).stop(), 0);
        std::fs::read_to_string(log.path()).unwrap()
    };
    assert!(!logged(&[]).contains("restored"));
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    desk.ask("PUT", "/v1/active", json!({"entities": "neu"})).await;
    let file = desk.models.path().join(".active.json").to_string_lossy().into_owned();
    let restored = logged(&[]);
    let line = restored.lines().find(|line| line.contains("restored")).unwrap_or_else(|| panic!("{restored}"));
    for part in ["topics=\"alt\"", "entities=\"neu\"", &file, "--model"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!logged(&["--model", "neu"]).contains("restored"));
}
