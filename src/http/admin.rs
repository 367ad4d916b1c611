//! Changes the models of a running server: load, activate, roll back, unload, shadow. Requires the admin key.
//!
//! Each change runs to its end as a task, so that a client that leaves does not stop it half-way.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::app::App;
use super::body::JsonBody;
use super::description::problems::{AdminProblems, RemovalProblems, ShadowProblems};
use super::description::requests::{ModelNamesBody, ShadowRequest};
use super::error::{Code, Problem};
use super::in_path::InPath;
use super::json::{Expected, Field, FromJson};
use super::models::ActiveBody;
use super::schema::ModelNames;
use crate::classify::answer::AnswerModels;
use crate::classify::shadow::{Shadow, ShadowReport};
use crate::manifest::folder_files;
use crate::models::load::Model;
use crate::models::model_folders::ModelFolders;
use crate::models::registry::{Change, RegistryError, Removal};
use crate::models::report::ModelReport;
use crate::models::spec::{ModelSpec, check_name};
use crate::system::background::{self, BackgroundError};
use crate::system::choice::suggestion;

/// The result of a change of the active models.
#[derive(Serialize, ToSchema)]
pub struct SwitchBody {
    active: ActiveBody,
    /// The active models with their versions.
    models: AnswerModels,
    /// What was active before.
    models_before: AnswerModels,
    /// Whether the next start restores it.
    saved: bool,
}

#[derive(Serialize, ToSchema)]
pub struct PutBody {
    model: ModelReport,
    active: ActiveBody,
    models: AnswerModels,
    models_before: AnswerModels,
    saved: bool,
}

pub struct ShadowBody {
    model: String,
    share: f64,
}

impl FromJson for ShadowBody {
    fn from_json(body: &Field<'_>) -> Result<Self, Problem> {
        const BODY: Expected = Expected { what: "an object", example: r#"{"model": "candidate", "share": 0.1}"# };
        const MODEL: Expected = Expected { what: "the name of a model", example: r#""model": "candidate""# };
        const SHARE: Expected = Expected {
            what: "a number above 0 and at most 1",
            example: r#""share": 0.1; DELETE /v1/shadow ends the comparison"#,
        };
        let fields = body.object(&["model", "share"], BODY)?;
        fields.check()?;
        Ok(Self {
            model: fields.require("model", MODEL)?.string(MODEL)?.into(),
            share: fields.require("share", SHARE)?.number(SHARE, |share| share > 0.0 && share <= 1.0)?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveQuery {
    /// Whether a model that a rollback would activate is removed too.
    #[serde(default)]
    forget_rollback: bool,
}

/// `PUT /v1/models/{name}`: loads the folder of this name, or reloads it.
#[utoipa::path(
    put, path = "/v1/models/{name}", operation_id = "load_model", tag = "models",
    summary = "Loads the model folder of this name, or loads it again",
    params(("name" = String, Path, description = "The name of the model, and of its folder", example = "ressort-mini")),
    responses((status = 200, description = "The model answers", body = PutBody), AdminProblems)
)]
pub async fn put_model(State(app): State<Arc<App>>, InPath(name): InPath<String>) -> Result<Json<PutBody>, Problem> {
    to_its_end(async move {
        let (wanted, named) = (Arc::clone(&app), name);
        let spec = background::run(move || contained_model(&wanted, &named)).await.map_err(RegistryError::from)??;
        let (model, change) = app.registry.put(&spec).await?;
        let SwitchBody { active, models, models_before, saved } = SwitchBody::of(&change);
        Ok(Json(PutBody { model: ModelReport::of(&model), active, models, models_before, saved }))
    })
    .await
}

/// `PUT /v1/active`: changes the models of both tasks in one step.
#[utoipa::path(
    put, path = "/v1/active", operation_id = "activate_models", tag = "models",
    summary = "Changes the models of both tasks in one step",
    request_body(content = ModelNamesBody, example = json!({"topics": "ressort", "entities": "ressort"})),
    responses((status = 200, description = "The models that answer now", body = SwitchBody), AdminProblems)
)]
pub async fn activate(
    State(app): State<Arc<App>>,
    JsonBody(names): JsonBody<ModelNames>,
) -> Result<Json<SwitchBody>, Problem> {
    to_its_end(async move { Ok(Json(SwitchBody::of(&app.registry.activate(&names.into()).await?))) }).await
}

/// `POST /v1/active/rollback`
#[utoipa::path(
    post, path = "/v1/active/rollback", operation_id = "roll_back_models", tag = "models",
    summary = "Activates the previous models again",
    responses((status = 200, description = "The models that answer now", body = SwitchBody), RemovalProblems)
)]
pub async fn rollback(State(app): State<Arc<App>>) -> Result<Json<SwitchBody>, Problem> {
    to_its_end(async move { Ok(Json(SwitchBody::of(&app.registry.rollback().await?))) }).await
}

/// `DELETE /v1/models/{name}`
#[utoipa::path(
    delete, path = "/v1/models/{name}", operation_id = "unload_model", tag = "models",
    summary = "Unloads a model that is not in use",
    params(
        ("name" = String, Path, description = "The name of the model, and of its folder", example = "ressort-mini"),
        ("forget_rollback" = Option<bool>, Query, description = "Remove also a model that a rollback would activate", nullable = false),
    ),
    responses((status = 204, description = "It is unloaded"), RemovalProblems)
)]
pub async fn remove_model(
    State(app): State<Arc<App>>,
    InPath(name): InPath<String>,
    query: Result<Query<RemoveQuery>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let Query(RemoveQuery { forget_rollback }) =
        query.map_err(|error| Problem::new(Code::InvalidRequest, error.body_text()))?;
    remove(app, name, forget_rollback).await
}

/// Removes a model that is not in use. One that a rollback would activate is removed with `forget_rollback` only.
pub async fn remove(app: Arc<App>, name: String, forget_rollback: bool) -> Result<StatusCode, Problem> {
    to_its_end(async move {
        let is_shadow =
            |model: &Model| app.shadow.load().as_ref().is_some_and(|shadow| std::ptr::eq(&*shadow.model, model));
        app.registry.remove(&name, Removal { is_shadow: &is_shadow, forget_rollback }).await?;
        tracing::info!(model = name, "model unloaded");
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// `PUT /v1/shadow`: starts with empty counts.
#[utoipa::path(
    put, path = "/v1/shadow", operation_id = "start_shadow", tag = "models",
    summary = "Starts a shadow model, with empty counts",
    request_body(content = ShadowRequest, example = json!({"model": "ressort-mini", "share": 0.1})),
    responses((status = 200, description = "The comparison so far", body = ShadowReport), AdminProblems)
)]
pub async fn put_shadow(
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<ShadowBody>,
) -> Result<Json<ShadowReport>, Problem> {
    // Not while the model is being removed.
    let _changes = app.registry.hold_changes().await;
    let model = app.registry.named(&body.model)?;
    let shadow = Arc::new(Shadow::new(model, body.share, app.shadow_samples.clone()));
    app.shadow.store(Some(Arc::clone(&shadow)));
    Ok(Json(shadow.report()))
}

/// `GET /v1/shadow`
#[utoipa::path(
    get, path = "/v1/shadow", operation_id = "get_shadow", tag = "models",
    summary = "Compares the shadow model with the live models",
    responses((status = 200, description = "The comparison so far", body = ShadowReport), ShadowProblems)
)]
pub async fn get_shadow(State(app): State<Arc<App>>) -> Result<Json<ShadowReport>, Problem> {
    let shadow = app.shadow.load_full();
    let none = || {
        Problem::new(
            Code::NotFound,
            "there is no shadow model; `ressort models shadow NAME` (PUT /v1/shadow {\"model\": …, \"share\": 0.1}) starts one",
        )
    };
    shadow.map(|shadow| Json(shadow.report())).ok_or_else(none)
}

/// `DELETE /v1/shadow`
#[utoipa::path(
    delete, path = "/v1/shadow", operation_id = "end_shadow", tag = "models",
    summary = "Ends the shadow model",
    responses((status = 204, description = "There is none now"), ShadowProblems)
)]
pub async fn remove_shadow(State(app): State<Arc<App>>) -> StatusCode {
    app.shadow.store(None);
    StatusCode::NO_CONTENT
}

impl SwitchBody {
    fn of(change: &Change) -> Self {
        let active = ActiveBody::of(&change.active);
        tracing::info!(topics = ?active.topics, entities = ?active.entities, "active models");
        let (models, models_before) = (AnswerModels::of(&change.active), AnswerModels::of(&change.before));
        Self { active, models, models_before, saved: change.saved }
    }
}

/// Runs a change as a task: when the client leaves, axum drops the handler, but not the task.
async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let broken = |_| Err(RegistryError::from(BackgroundError::Broken).into());
    tokio::spawn(change).await.unwrap_or_else(broken)
}

/// The folder `name` in the models folder, else in one of the package. A folder or link that leads outside is refused.
fn contained_model(app: &App, name: &str) -> Result<ModelSpec, Problem> {
    let invalid = |detail: String| Problem::new(Code::InvalidRequest, detail);
    // A name that is one is a part of a path, and leads nowhere else.
    check_name(name).map_err(|error| invalid(format!("{error}; give the name of a folder in the models folder")))?;
    let folders = app.model_folders.as_ref().filter(|folders| folders.all().any(Path::is_dir));
    let folders =
        folders.ok_or_else(|| invalid("the server has no models folder; start it with --models-dir".to_owned()))?;
    let mut dirs = folders.all().filter_map(|dir| dir.canonicalize().ok());
    let Some(models_dir) = dirs.find(|dir| dir.join(name).is_dir()) else {
        return Err(Problem::new(Code::ModelRefused, no_such_model(name, folders)));
    };
    let spec = ModelSpec { name: name.to_owned(), path: models_dir.join(name) };
    if !is_contained(&spec.path, &models_dir) {
        return Err(invalid(format!(
            "`{name}` is outside of the models folder, or a link leads outside of the models folder; copy the files into it"
        )));
    }
    Ok(spec)
}

/// The end of the search for a model: where it was, and what could have been meant.
fn no_such_model(name: &str, folders: &ModelFolders) -> String {
    let names: Vec<String> = folders.models().into_iter().map(|spec| spec.name).collect();
    // A client does not know the server's working folder.
    let searched = folders.all().filter_map(|folder| folder.canonicalize().ok());
    let searched = searched.map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
    let nearest = suggestion(name, names.iter().map(String::as_str));
    let there =
        if names.is_empty() { "no model is there".to_owned() } else { format!("there are {}", names.join(", ")) };
    format!(
        "no model `{name}` is in {searched}; {there}; put its folder there, or bring it with `ressort pull`{nearest}"
    )
}

/// Whether all files of the folder are inside `dir`, including the targets of links. A missing folder, and one that cannot be read in
/// bounds, is refused when it is loaded, with a better message.
fn is_contained(path: &Path, dir: &Path) -> bool {
    let inside = |path: &Path| path.canonicalize().map_or(true, |real| real.starts_with(dir));
    inside(path) && folder_files(path).map_or(true, |files| files.iter().all(|file| inside(&file.path)))
}
