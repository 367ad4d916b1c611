//! Open Inference Protocol v2 over HTTP, as KServe and Triton speak it: a model takes texts as a tensor of BYTES and gives
//! topics and entities as tensors, in JSON or as binary data.

mod infer;
mod repository;
mod tensors;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;

use self::tensors::{DataType, OUTPUTS, TEXT_INPUT};
use super::super::app::App;
use super::super::error::{Code, Problem};
use super::super::health;
use crate::models::load::Model;
use crate::system::choice::shortened;

/// What is served of the protocol's extensions, under the names that Triton gives them.
const EXTENSIONS: [&str; 3] = ["binary_tensor_data", "model_repository", "model_repository(unload_dependents)"];

#[derive(Serialize)]
pub struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 3],
}

#[derive(Serialize)]
pub struct ModelMetadata {
    name: String,
    versions: Vec<String>,
    platform: &'static str,
    inputs: Vec<TensorMetadata>,
    outputs: Vec<TensorMetadata>,
}

#[derive(Serialize)]
struct TensorMetadata {
    name: &'static str,
    datatype: DataType,
    /// -1 stands for any number.
    shape: Vec<i64>,
}

/// The routes that require the API key, where one is set.
pub fn api() -> Router<Arc<App>> {
    Router::new()
        .route("/v2", get(server))
        .route("/v2/models/{name}", get(model))
        .route("/v2/models/{name}/ready", get(model_ready))
        .route("/v2/models/{name}/infer", post(infer::infer))
        .route("/v2/models/{name}/versions/{version}", get(model_version))
        .route("/v2/models/{name}/versions/{version}/ready", get(model_version_ready))
        .route("/v2/models/{name}/versions/{version}/infer", post(infer::infer_version))
        .route("/v2/repository/index", post(repository::index))
}

/// The routes that change models.
pub fn admin() -> Router<Arc<App>> {
    Router::new()
        .route("/v2/repository/models/{name}/load", post(repository::load))
        .route("/v2/repository/models/{name}/unload", post(repository::unload))
}

/// The routes that anyone may call.
pub fn open() -> Router<Arc<App>> {
    Router::new().route("/v2/health/live", get(health::live)).route("/v2/health/ready", get(health::ready))
}

/// `GET /v2`
async fn server() -> Json<ServerMetadata> {
    Json(ServerMetadata { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION"), extensions: EXTENSIONS })
}

/// `GET /v2/models/{name}`
async fn model(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<ModelMetadata>, Problem> {
    Ok(Json(ModelMetadata::of(&*named(&app, &name, None)?)))
}

/// `GET /v2/models/{name}/versions/{version}`
async fn model_version(
    State(app): State<Arc<App>>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<ModelMetadata>, Problem> {
    Ok(Json(ModelMetadata::of(&*named(&app, &name, Some(&version))?)))
}

/// `GET /v2/models/{name}/ready`
async fn model_ready(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    ready(&*named(&app, &name, None)?)
}

/// `GET /v2/models/{name}/versions/{version}/ready`
async fn model_version_ready(
    State(app): State<Arc<App>>,
    Path((name, version)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    ready(&*named(&app, &name, Some(&version))?)
}

fn ready(model: &Model) -> Result<StatusCode, Problem> {
    match is_ready(model) {
        true => Ok(StatusCode::OK),
        false => Err(Problem::new(Code::Unavailable, "the model cannot answer now; GET /health/ready says why")),
    }
}

fn is_ready(model: &Model) -> bool {
    model.pipeline.scheduler.health(model.stuck_after).answers
}

/// The loaded model of this name, which must have the version that the caller names.
fn named(app: &App, name: &str, version: Option<&str>) -> Result<Arc<Model>, Problem> {
    let model = app.registry.named(name)?;
    match version {
        Some(version) if version != model.version => {
            let found = shortened(version);
            let detail = format!(
                "model `{name}` is loaded in version `{}`, not `{found}`; leave the version out, or load that one",
                model.version
            );
            Err(Problem::new(Code::UnknownModel, detail))
        }
        _ => Ok(model),
    }
}

impl ModelMetadata {
    fn of(model: &Model) -> Self {
        let outputs = OUTPUTS.iter().filter(|output| output.is_given_by(model));
        Self {
            name: model.name.clone(),
            versions: vec![model.version.clone()],
            platform: "onnxruntime_onnx",
            inputs: vec![TensorMetadata { name: TEXT_INPUT, datatype: DataType::Bytes, shape: vec![-1] }],
            outputs: outputs
                .map(|output| TensorMetadata {
                    name: output.name(),
                    datatype: output.datatype(),
                    shape: vec![-1; output.n_axes()],
                })
                .collect(),
        }
    }
}
