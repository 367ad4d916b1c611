//! The repository: which models there are, and loading and unloading them.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::super::super::admin;
use super::super::super::app::App;
use super::super::super::body::{MediaTypes, read_body_of, utf8};
use super::super::super::description::parts::{described, object, optional, switch};
use super::super::super::error::Problem;
use super::super::super::in_path::InPath;
use super::super::super::json::{Expected, Field, Object};
use super::super::problems::{ChangeProblems, LookupProblems};
use super::is_ready;
use crate::inference::scheduler::{Admission, RequestContext};
use crate::models::registry::RegistryError;
use crate::system::background;

/// A model of the repository.
#[derive(Serialize, ToSchema)]
pub struct IndexEntry {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    version: Option<String>,
    /// `READY` or `UNAVAILABLE`.
    state: &'static str,
    /// Why it is not ready; empty where it is.
    reason: &'static str,
}

/// An empty object.
#[derive(Serialize)]
pub struct Done {}

const BODY: Expected = Expected { what: "an object", example: "{}" };
const READY: Expected = Expected { what: "true or false", example: r#"{"ready": true}"# };
const PARAMETERS: Expected = Expected { what: "an object", example: r#""parameters": {}"# };
const UNLOAD_DEPENDENTS: Expected = Expected { what: "true or false", example: r#""unload_dependents": false"# };

described! {
    IndexRequest: object(vec![("ready", switch("Whether only models are listed that answer; default: false").into())], &[]),
        with [];
    /// A model is its folder, so there are no parameters.
    LoadRequest: object(vec![("parameters", optional(vec![]))], &[]), with [];
    UnloadRequest: object(
        vec![("parameters", optional(vec![("unload_dependents", switch("No model depends on another").into())]))],
        &[],
    ), with [];
    /// An empty object.
    EmptyObject: object(vec![], &[]), with [];
}

/// `POST /v2/repository/index`: loaded models, then folders of the models folder that are not loaded.
#[utoipa::path(
    post, path = "/v2/repository/index", operation_id = "open_inference_index", tag = "open_inference", summary = "Loaded models, and folders that are not loaded",
    request_body(content = Option<IndexRequest>, content_type = "application/json", example = json!({"ready": true})),
    responses((status = 200, description = "The models", body = Vec<IndexEntry>), LookupProblems)
)]
pub async fn index(State(app): State<Arc<App>>, request: Request) -> Result<Json<Vec<IndexEntry>>, Problem> {
    let only_ready = with_body(&app, request, |body| {
        let fields = body.object(&["ready"], BODY)?;
        fields.check()?;
        fields.read("ready", |field| field.boolean(READY))
    });
    let only_ready = only_ready.await?.flatten().unwrap_or(false);
    let loaded = app.registry.models();
    let mut entries: Vec<IndexEntry> = loaded
        .iter()
        .map(|model| {
            let (state, reason) = match is_ready(model) {
                true => ("READY", ""),
                false => ("UNAVAILABLE", "the model cannot answer now; GET /health/ready says why"),
            };
            IndexEntry { name: model.name.clone(), version: Some(model.version.clone()), state, reason }
        })
        .collect();
    if let Some(folders) = app.model_folders.clone() {
        let found = background::run(move || folders.models()).await.map_err(RegistryError::from)?;
        let names = found.into_iter().map(|spec| spec.name);
        let others = names.filter(|name| loaded.iter().all(|model| model.name != *name));
        let reason = "not loaded; POST /v2/repository/models/{name}/load loads it";
        entries.extend(others.map(|name| IndexEntry { name, version: None, state: "UNAVAILABLE", reason }));
    }
    entries.retain(|entry| !only_ready || entry.state == "READY");
    Ok(Json(entries))
}

/// `POST /v2/repository/models/{name}/load`: as `PUT /v1/models/{name}`.
#[utoipa::path(
    post, path = "/v2/repository/models/{name}/load", operation_id = "open_inference_load", tag = "open_inference", summary = "Loads a model folder",
    params(("name" = String, Path, description = "The name of a loaded model")),
    request_body(content = Option<LoadRequest>, content_type = "application/json", example = json!({})),
    responses((status = 200, description = "It is loaded", body = EmptyObject), ChangeProblems)
)]
pub async fn load(
    State(app): State<Arc<App>>,
    InPath(name): InPath<String>,
    request: Request,
) -> Result<Json<Done>, Problem> {
    // Triton loads a configuration and files that the client sends; here a model is its folder.
    with_body(&app, request, |body| parameters(body, &[]).map(|_| ())).await?;
    let Json(_loaded) = admin::put_model(State(app), InPath(name)).await?;
    Ok(Json(Done {}))
}

/// `POST /v2/repository/models/{name}/unload`: as `DELETE /v1/models/{name}`.
#[utoipa::path(
    post, path = "/v2/repository/models/{name}/unload", operation_id = "open_inference_unload", tag = "open_inference", summary = "Unloads a model that is not in use",
    params(("name" = String, Path, description = "The name of a loaded model")),
    request_body(content = Option<UnloadRequest>, content_type = "application/json", example = json!({"parameters": {"unload_dependents": false}})),
    responses((status = 200, description = "It is unloaded", body = EmptyObject), ChangeProblems)
)]
pub async fn unload(
    State(app): State<Arc<App>>,
    InPath(name): InPath<String>,
    request: Request,
) -> Result<Json<Done>, Problem> {
    with_body(&app, request, |body| {
        // No model depends on another.
        let Some(parameters) = parameters(body, &["unload_dependents"])? else { return Ok(()) };
        parameters.read("unload_dependents", |field| field.boolean(UNLOAD_DEPENDENTS)).map(|_| ())
    })
    .await?;
    admin::remove(app, name, false).await?;
    Ok(Json(Done {}))
}

/// Reads a body that may be absent.
async fn with_body<T>(
    app: &App,
    request: Request,
    read: impl FnOnce(&Field<'_>) -> Result<T, Problem>,
) -> Result<Option<T>, Problem> {
    let context = RequestContext::new(Admission::Try, Instant::now() + app.limits.get().timeout);
    let body = read_body_of(MediaTypes::Any, request, app, context).await?;
    let text = utf8(&body.bytes)?;
    if text.is_empty() { Ok(None) } else { read(&Field::body(text)).map(Some) }
}

fn parameters<'b>(body: &Field<'b>, known: &'static [&'static str]) -> Result<Option<Object<'b>>, Problem> {
    let fields = body.object(&["parameters"], BODY)?;
    fields.check()?;
    fields.read("parameters", |field| {
        let parameters = field.object(known, PARAMETERS)?;
        parameters.check()?;
        Ok(parameters)
    })
}
