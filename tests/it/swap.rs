//! Changing models while they serve: nothing is lost, a change that fails changes nothing, and it can be undone.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use ressort::classify::request::RequestLimits;
use ressort::http::{AdminAccess, App, KeyRing, KeySpec, Scope};
use ressort::inference::settings::RunSettings;
use ressort::models::active_file::PersistedState;
use ressort::models::model_folders::ModelFolders;
use ressort::models::registry::{ByTask, Registry};
use ressort::models::spec::ModelSpec;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{classify, get, problem, registry, router, send};
use crate::support::{copy_files, copy_of, models_dir, settings, spec, write};

const TEXT: &str = "Angela Merkel sprach im Bundestag";

/// A models folder with two models, and a server that has loaded the first.
pub struct Desk {
    pub models: TempDir,
    pub app: Arc<App>,
    pub service: Router,
}

impl Desk {
    pub async fn new() -> Self {
        Self::in_system(Path::new("/")).await
    }

    /// With `/proc` and `/sys` of the folder `root`.
    pub async fn in_system(root: &Path) -> Self {
        let models = tempfile::tempdir().unwrap();
        for (name, model) in [("alt", "two-heads"), ("neu", "two-heads-pooled")] {
            std::fs::create_dir(models.path().join(name)).unwrap();
            copy_files(&models_dir().join(model), &models.path().join(name));
        }
        let first = ModelSpec { name: "alt".into(), path: models.path().join("alt") };
        let settings = RunSettings { system_root: root.to_owned(), ..settings() };
        let registry = Registry::load(&[first], ByTask::default(), &settings).await.unwrap();
        let mut app = App::new(registry, RequestLimits::default());
        app.admin = AdminAccess::Anyone;
        app.model_folders = Some(ModelFolders::of(models.path()));
        app.registry.state_file = Some(models.path().join(".active.json"));
        let app = Arc::new(app);
        Self { models, service: router(Arc::clone(&app)), app }
    }

    pub async fn ask(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        send(&self.service, request(method, path, body)).await
    }

    pub async fn answering(&self) -> String {
        let answer = classify(&self.service, json!({"text": TEXT})).await;
        assert_eq!(answer["models"]["topics"], answer["models"]["entities"], "the answer is mixed: {answer}");
        answer["models"]["topics"]["name"].as_str().unwrap().to_owned()
    }
}

pub fn request(method: &str, path: &str, body: Value) -> Request<Body> {
    let builder = Request::builder().method(method).uri(path).header("content-type", "application/json");
    builder.body(Body::from(body.to_string())).unwrap()
}

pub const NEW: fn() -> Value = || json!({"topics": "neu", "entities": "neu"});

#[tokio::test]
async fn a_model_is_loaded_switched_to_and_back() {
    let desk = Desk::new().await;
    let (status, body) = desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    assert_eq!(
        (status, &body["model"]["name"], &body["active"]["topics"]),
        (StatusCode::OK, &json!("neu"), &json!("alt"))
    );
    assert_eq!(desk.answering().await, "alt");
    let (status, body) = desk.ask("PUT", "/v1/active", NEW()).await;
    assert_eq!((status, &body["active"], &body["saved"]), (StatusCode::OK, &NEW(), &json!(true)), "{body}");
    let both = |name: &str| {
        let model = json!({"name": name, "version": desk.app.registry.named(name).unwrap().version});
        json!({"topics": model, "entities": model})
    };
    assert_eq!((&body["models"], &body["models_before"]), (&both("neu"), &both("alt")));
    assert_eq!(desk.answering().await, "neu");
    let (status, body) = desk.ask("POST", "/v1/active/rollback", json!(null)).await;
    assert_eq!((status, &body["models"], &body["models_before"]), (StatusCode::OK, &both("alt"), &both("neu")));
    assert_eq!(desk.answering().await, "alt");
    assert_eq!(desk.ask("POST", "/v1/active/rollback", json!(null)).await.0, StatusCode::OK);
    assert_eq!(desk.answering().await, "neu");
}

#[tokio::test]
async fn a_switch_survives_a_restart() {
    let desk = Desk::new().await;
    let state_file = desk.models.path().join(".active.json");
    assert_eq!(PersistedState::read(&state_file).unwrap(), None);
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    desk.ask("PUT", "/v1/active", json!({"entities": "neu"})).await;
    let saved = PersistedState::read(&state_file).unwrap().unwrap();
    let again = Registry::load(&saved.specs(), saved.active(), &settings()).await.unwrap();
    let names = again.active();
    assert_eq!((names.topics.unwrap().name.as_str(), names.entities.unwrap().name.as_str()), ("alt", "neu"));
    let previous = saved.previous.expect("a rollback has something to bring back");
    again.remember(&previous).await.unwrap();
    let back = again.rollback().await.unwrap().active;
    assert_eq!((back.topics.unwrap().name.as_str(), back.entities.unwrap().name.as_str()), ("alt", "alt"));
    write(&desk.models, ".active.json", "{");
    assert!(PersistedState::read(&state_file).unwrap_err().to_string().contains("damaged"));
}

#[tokio::test]
async fn a_version_that_no_folder_holds_any_more_is_not_saved_for_a_rollback() {
    let desk = Desk::new().await;
    std::fs::write(desk.models.path().join("alt/NOTICE"), "neu").unwrap();
    desk.ask("PUT", "/v1/models/alt", json!(null)).await;
    assert!(desk.app.registry.previous().is_some());
    assert_eq!(PersistedState::read(&desk.models.path().join(".active.json")).unwrap().unwrap().previous, None);
}

#[tokio::test]
async fn what_was_switched_since_the_restart_is_what_a_rollback_brings_back() {
    let desk = Desk::new().await;
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    desk.ask("PUT", "/v1/active", NEW()).await;
    let active = PersistedState::of(&desk.app.registry.active(), None);
    desk.app.registry.remember(&active).await.unwrap();
    assert_eq!(desk.app.registry.previous().unwrap().topics.unwrap().name, "alt");
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_changes_nothing() {
    let desk = Desk::new().await;
    let alt = desk.models.path().join("alt/model.onnx");
    let good = std::fs::read(&alt).unwrap();
    std::fs::write(&alt, &good[..1000]).unwrap();
    let (status, body) = desk.ask("PUT", "/v1/models/alt", json!(null)).await;
    assert_eq!((status.as_u16(), body["code"].as_str()), (422, Some("model_refused")));
    assert!(body["detail"].as_str().unwrap().contains("model.onnx"), "{body}");
    assert_eq!(desk.answering().await, "alt");
    for (name, code) in [
        ("nobody", "model_refused"),
        ("..", "invalid_request"),
        ("a%2Fb", "invalid_request"),
        (".hidden", "invalid_request"),
    ] {
        let request = request("PUT", &format!("/v1/models/{name}"), json!(null));
        assert_eq!(problem(&desk.service, request).await, (422, code.to_owned()), "{name}");
    }
    assert_eq!(desk.ask("PUT", "/v1/active", json!({"topics": "nobody"})).await.0, StatusCode::NOT_FOUND);
    assert_eq!(desk.answering().await, "alt");
}

#[tokio::test]
async fn a_model_that_does_not_fit_into_memory_is_refused() {
    for (available, status) in [(Some("1"), 507), (Some("99999999"), 200), (None, 200)] {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("proc")).unwrap();
        let desk = Desk::in_system(root.path()).await;
        if let Some(kilobytes) = available {
            write(&root, "proc/meminfo", &format!("MemAvailable: {kilobytes} kB"));
        }
        let (found, body) = desk.ask("PUT", "/v1/models/neu", json!(null)).await;
        assert_eq!(found.as_u16(), status, "{body}");
        assert_eq!(desk.app.registry.named("neu").is_ok(), status == 200, "{available:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_outside_of_the_models_folder_is_loaded() {
    let desk = Desk::new().await;
    let outside = copy_of("two-heads");
    let link = |target: &Path, name: &str| std::os::unix::fs::symlink(target, desk.models.path().join(name)).unwrap();
    link(outside.path(), "folder-link");
    std::fs::create_dir(desk.models.path().join("file-link")).unwrap();
    link(&outside.path().join("model.onnx"), "file-link/model.onnx");
    for name in ["folder-link", "file-link"] {
        let (status, body) = desk.ask("PUT", &format!("/v1/models/{name}"), json!(null)).await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (422, Some("invalid_request")), "{body}");
        assert!(body["detail"].as_str().unwrap().contains("outside of the models folder"), "{body}");
    }
}

#[tokio::test]
async fn a_new_version_takes_the_place_of_the_old_and_can_be_undone() {
    let desk = Desk::new().await;
    let version = |desk: &Desk| desk.app.registry.active().topics.unwrap().version.clone();
    let first = version(&desk);
    std::fs::write(desk.models.path().join("alt/NOTICE"), "neu").unwrap();
    desk.ask("PUT", "/v1/models/alt", json!(null)).await;
    assert_ne!(version(&desk), first);
    desk.ask("POST", "/v1/active/rollback", json!(null)).await;
    assert_eq!(version(&desk), first);
    assert_eq!(desk.app.registry.named("alt").unwrap().version, first);
}

#[tokio::test]
async fn only_folders_that_changed_are_loaded_again() {
    let desk = Desk::new().await;
    assert!(desk.app.registry.put_changed().await.is_empty());
    std::fs::write(desk.models.path().join("alt/NOTICE"), "neu").unwrap();
    let results = desk.app.registry.put_changed().await;
    assert_eq!(results[0].1.as_ref().unwrap().version, desk.app.registry.active().topics.unwrap().version);
    std::fs::write(desk.models.path().join("alt/model.onnx"), "kaputt").unwrap();
    assert!(desk.app.registry.put_changed().await[0].1.is_err());
    assert_eq!(desk.answering().await, "alt");
    std::fs::remove_dir_all(desk.models.path().join("alt")).unwrap();
    let (name, result) = desk.app.registry.put_changed().await.remove(0);
    assert_eq!(name, "alt");
    assert!(result.err().unwrap().to_string().contains("put the folder back, or take the model out"));
    assert_eq!(desk.answering().await, "alt");
}

#[tokio::test]
async fn a_model_in_use_stays_and_one_that_is_not_goes_with_its_memory() {
    let desk = Desk::new().await;
    let conflict = (409, "conflict".to_owned());
    assert_eq!(problem(&desk.service, request("POST", "/v1/active/rollback", json!(null))).await, conflict);
    assert_eq!(problem(&desk.service, request("DELETE", "/v1/models/alt", json!(null))).await, conflict);
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    desk.ask("PUT", "/v1/shadow", json!({"model": "neu", "share": 1.0})).await;
    assert_eq!(problem(&desk.service, request("DELETE", "/v1/models/neu", json!(null))).await, conflict);
    assert_eq!(desk.ask("DELETE", "/v1/shadow", json!(null)).await.0, StatusCode::NO_CONTENT);
    let released = Arc::downgrade(&desk.app.registry.named("neu").unwrap());
    assert_eq!(desk.ask("DELETE", "/v1/models/neu", json!(null)).await.0, StatusCode::NO_CONTENT);
    assert!(released.upgrade().is_none());
    assert_eq!(desk.ask("PUT", "/v1/active", NEW()).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_request_under_way_finishes_on_the_model_that_it_began_with() {
    let registry = registry(&["two-heads"]).await;
    let held = registry.assign(None, &ByTask::default()).unwrap();
    registry.put(&ModelSpec { name: "two-heads".into(), path: models_dir().join("two-heads-pooled") }).await.unwrap();
    let now = registry.assign(None, &ByTask::default()).unwrap();
    let (old, new) = (held.topics.clone().unwrap(), now.topics.clone().unwrap());
    assert_ne!(old.version, new.version);
    let options = crate::support::options();
    let (before, after) = tokio::join!(held.predict(TEXT.into(), options), now.predict(TEXT.into(), options));
    assert_ne!(before.unwrap().topics, after.unwrap().topics);
}

#[tokio::test]
async fn a_version_that_lacks_an_active_task_is_refused() {
    let registry = registry(&["two-heads"]).await;
    let error =
        registry.put(&ModelSpec { name: "two-heads".into(), path: spec("lexicon-ner").path }).await.err().unwrap();
    assert!(error.to_string().contains("does not serve topics"), "{error}");
    assert_eq!(registry.models().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_or_mixed_while_models_are_switched() {
    let desk = Arc::new(Desk::new().await);
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (desk, stop) = (Arc::clone(&desk), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answered = std::collections::BTreeMap::<String, usize>::new();
                while !stop.load(Ordering::Acquire) {
                    *answered.entry(desk.answering().await).or_default() += 1;
                }
                answered
            })
        })
        .collect();
    std::fs::create_dir(desk.models.path().join("kaputt")).unwrap();
    for _ in 0..25 {
        for (name, other) in [("neu", "alt"), ("alt", "neu")] {
            let (status, _) = desk.ask("PUT", "/v1/active", json!({"topics": name, "entities": name})).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(desk.ask("PUT", &format!("/v1/models/{other}"), json!(null)).await.0, StatusCode::OK);
            assert_eq!(desk.ask("PUT", "/v1/models/kaputt", json!(null)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
        }
    }
    stop.store(true, Ordering::Release);
    let mut answered = std::collections::BTreeMap::<String, usize>::new();
    for client in clients {
        for (name, n) in client.await.unwrap() {
            *answered.entry(name).or_default() += n;
        }
    }
    assert!(answered["alt"] > 0 && answered["neu"] > 0, "{answered:?}");
}

#[tokio::test]
async fn a_candidate_in_the_shadow_is_compared_and_never_answers() {
    let desk = Desk::new().await;
    let samples = desk.models.path().join("samples.jsonl");
    desk.ask("PUT", "/v1/models/neu", json!(null)).await;
    assert_eq!(desk.ask("GET", "/v1/shadow", json!(null)).await.0, StatusCode::NOT_FOUND);
    let file = Arc::new(ressort::classify::samples::SampleFile::start(samples.clone()).unwrap());
    let shadow = ressort::classify::shadow::Shadow::new(desk.app.registry.named("neu").unwrap(), 0.5, Some(file));
    desk.app.shadow.store(Some(Arc::new(shadow)));
    for _ in 0..10 {
        assert_eq!(desk.answering().await, "alt");
        tokio::task::yield_now().await;
    }
    let counted = |report: &Value| {
        let documents = &report["documents"];
        ["compared", "skipped", "failed"].iter().map(|key| documents[key].as_u64().unwrap()).sum::<u64>()
    };
    let mut report = desk.ask("GET", "/v1/shadow", json!(null)).await.1;
    while counted(&report) < 5 {
        tokio::task::yield_now().await;
        report = desk.ask("GET", "/v1/shadow", json!(null)).await.1;
    }
    assert_eq!(counted(&report), 5, "{report}");
    assert!(report["documents"]["compared"].as_u64().unwrap() > 0);
    assert_eq!(report["documents"]["failed"], 0);
    assert!(report["latency_ms"]["candidate"].as_f64().unwrap() > 0.0);
    // The two random models do not agree, and the operator wants samples.
    while std::fs::read_to_string(&samples).unwrap_or_default().lines().count() == 0 {
        tokio::task::yield_now().await;
    }
    let sample: Value =
        serde_json::from_str(std::fs::read_to_string(&samples).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!((&sample["text"], &sample["candidate"]["models"]["topics"]["name"]), (&json!(TEXT), &json!("neu")));
    for share in [0.0, 1.5, -1.0] {
        let body = json!({"model": "neu", "share": share});
        assert_eq!(desk.ask("PUT", "/v1/shadow", body).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[tokio::test]
async fn without_a_key_no_web_page_changes_models() {
    let desk = Desk::new().await;
    for (header, value) in [("origin", "http://evil.example"), ("host", "evil.example"), ("host", "evil.example:8080")]
    {
        let mut request = request("POST", "/v1/active/rollback", json!(null));
        request.headers_mut().insert(header, value.parse().unwrap());
        assert_eq!(problem(&desk.service, request).await, (403, "forbidden".to_owned()), "{header}: {value}");
    }
    for host in ["localhost:8080", "127.0.0.1", "[::1]:8080"] {
        let mut request = request("POST", "/v1/active/rollback", json!(null));
        request.headers_mut().insert("host", host.parse().unwrap());
        assert_eq!(problem(&desk.service, request).await, (409, "conflict".to_owned()), "{host}");
    }
}

#[tokio::test]
async fn models_are_changed_with_the_admin_key_alone() {
    for (access, has_key, key, expected) in [
        (AdminAccess::Nobody, false, None, (403, "forbidden")),
        (AdminAccess::Nobody, false, Some("geheim"), (403, "forbidden")),
        (AdminAccess::Nobody, true, None, (401, "unauthorized")),
        (AdminAccess::Nobody, true, Some("falsch"), (401, "unauthorized")),
        (AdminAccess::Nobody, true, Some("geheim"), (409, "conflict")),
        (AdminAccess::Anyone, false, None, (409, "conflict")),
    ] {
        let mut app = App::new(registry(&["two-heads"]).await, RequestLimits::default());
        app.admin = access;
        if has_key {
            let admin = KeySpec::of_text("admin", "geheim", Scope::Admin);
            app.keys.store(Arc::new(KeyRing::new(vec![admin]).open_to_readers()));
        }
        let service = router(Arc::new(app));
        let mut request = request("POST", "/v1/active/rollback", json!(null));
        if let Some(key) = key {
            request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        }
        assert_eq!(problem(&service, request).await, (expected.0, expected.1.to_owned()));
        assert_eq!(send(&service, get("/v1/models")).await.0, StatusCode::OK);
    }
}
