//! Changing what is served while it is served: load, switch, go back, take out, try in the shadow. Behind the admin key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::App;
use super::body::JsonBody;
use super::error::{Code, Problem};
use super::models::ActiveBody;
use super::schema::ModelNames;
use crate::classify::shadow::{Shadow, ShadowReport};
use crate::manifest::Graph;
use crate::models::active_file::PersistedState;
use crate::models::registry::RegistryError;
use crate::models::report::ModelReport;
use crate::models::spec::ModelSpec;
use crate::system::background;

/// What a switch led to.
#[derive(Serialize)]
pub struct SwitchBody {
    active: ActiveBody,
    /// Whether a restart will find it so.
    saved: bool,
}

#[derive(Serialize)]
pub struct PutBody {
    model: ModelReport,
    active: ActiveBody,
    saved: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowBody {
    model: String,
    share: f64,
}

/// `PUT /v1/models/{name}`: loads the folder of this name, or its new version.
pub async fn put_model(State(app): State<Arc<App>>, UrlPath(name): UrlPath<String>) -> Result<Json<PutBody>, Problem> {
    let spec = contained_model(&app, &name)?;
    let (wanted, available_bytes) = (spec.clone(), app.available_bytes);
    background::run(move || check_memory(&wanted, available_bytes())).await.map_err(RegistryError::from)??;
    let model = app.registry.put(&spec).await?;
    tracing::info!(model = model.name, version = model.version, "model loaded");
    let SwitchBody { active, saved } = switched(&app);
    Ok(Json(PutBody { model: ModelReport::of(&model), active, saved }))
}

/// `PUT /v1/active`: switches topics and entities at once.
pub async fn activate(
    State(app): State<Arc<App>>,
    JsonBody(names): JsonBody<ModelNames>,
) -> Result<Json<SwitchBody>, Problem> {
    app.registry.activate(&names.into()).await?;
    Ok(Json(switched(&app)))
}

/// `POST /v1/active/rollback`
pub async fn rollback(State(app): State<Arc<App>>) -> Result<Json<SwitchBody>, Problem> {
    app.registry.rollback().await?;
    Ok(Json(switched(&app)))
}

/// `DELETE /v1/models/{name}`
pub async fn remove_model(State(app): State<Arc<App>>, UrlPath(name): UrlPath<String>) -> Result<StatusCode, Problem> {
    if app.shadow.load().as_ref().is_some_and(|shadow| shadow.model.name == name) {
        return Err(RegistryError::InUse { name, by: "it is in the shadow" }.into());
    }
    app.registry.remove(&name).await?;
    tracing::info!(model = name, "model taken out");
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /v1/shadow`: starts counting anew.
pub async fn put_shadow(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<ShadowBody>,
) -> Result<Json<ShadowReport>, Problem> {
    if !(body.share > 0.0 && body.share <= 1.0) {
        let detail = format!("share {} must lie above 0 and at most at 1; DELETE /v1/shadow ends it", body.share);
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    let model = app.registry.named(&body.model)?;
    let shadow = Arc::new(Shadow::new(model, body.share, app.shadow_samples.clone()));
    app.shadow.store(Some(Arc::clone(&shadow)));
    Ok(Json(shadow.report()))
}

/// `GET /v1/shadow`
pub async fn get_shadow(State(app): State<Arc<App>>) -> Result<Json<ShadowReport>, Problem> {
    let shadow = app.shadow.load_full();
    let none = || {
        Problem::new(
            Code::NotFound,
            "no model is in the shadow; PUT /v1/shadow {\"model\": …, \"share\": 0.1} starts one",
        )
    };
    shadow.map(|shadow| Json(shadow.report())).ok_or_else(none)
}

/// `DELETE /v1/shadow`
pub async fn remove_shadow(State(app): State<Arc<App>>) -> StatusCode {
    app.shadow.store(None);
    StatusCode::NO_CONTENT
}

/// Saves what is active now, so that a restart finds it.
fn switched(app: &App) -> SwitchBody {
    let active = app.registry.active();
    let saved = app.state_file.as_ref().is_some_and(|file| match PersistedState::of(&active, app.registry.previous().as_ref()).write(file) {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "the switch could not be saved; a restart will not find it");
            false
        }
    });
    let active = ActiveBody::of(&active);
    tracing::info!(topics = ?active.topics, entities = ?active.entities, "active models");
    SwitchBody { active, saved }
}

/// The folder `name` of the models folder, and nothing that lies or leads outside of it.
fn contained_model(app: &App, name: &str) -> Result<ModelSpec, Problem> {
    let invalid = |detail: String| Problem::new(Code::InvalidRequest, detail);
    let Some(models_dir) = app.models_dir.as_ref().and_then(|dir| dir.canonicalize().ok()) else {
        return Err(invalid("there is no models folder to load from; start the server with --models-dir".to_owned()));
    };
    let spec: ModelSpec =
        format!("{name}={}", models_dir.join(name).display()).parse().map_err(|error| invalid(format!("{error}")))?;
    if !is_contained(&spec.path, &models_dir) {
        return Err(invalid(format!(
            "`{name}` lies or leads outside of the models folder; put the files themselves there"
        )));
    }
    Ok(spec)
}

fn is_contained(path: &Path, dir: &Path) -> bool {
    // What is not there is refused when it is read, with a better message.
    let Ok(real) = path.canonicalize() else { return true };
    let children = || std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    real.starts_with(dir) && (!path.is_dir() || children().all(|child: PathBuf| is_contained(&child, dir)))
}

/// Refuses a model that does not fit into memory. While it is read, the file and its tensors are there at the same time.
fn check_memory(spec: &ModelSpec, available: Option<u64>) -> Result<(), Problem> {
    const COPIES: u64 = 2;
    let Ok(manifest) = crate::manifest::Manifest::read(&spec.path) else { return Ok(()) };
    let Graph { n_bytes, .. } = manifest.graph;
    match available.filter(|&available| available < COPIES * n_bytes) {
        None => Ok(()),
        Some(available) => Err(Problem::new(
            Code::InsufficientMemory,
            format!(
                "loading `{}` takes about {} MB, and {} MB are free; unload a model first (DELETE /v1/models/NAME)",
                spec.name,
                COPIES * n_bytes / 1_000_000,
                available / 1_000_000
            ),
        )),
    }
}
