//! Open Inference Protocol v2 over HTTP, as KServe and Triton speak it: a model takes texts as a tensor of BYTES and gives
//! topics and entities as tensors, in JSON or as binary data.

mod bodies;
pub mod infer;
pub mod repository;
mod tensors;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use utoipa::ToSchema;

use self::tensors::{DataType, OUTPUTS, TEXT_INPUT};
use super::super::app::App;
use super::super::error::{Code, Problem};
use super::super::health::{self, LiveBody, ReadyBody};
use super::super::in_path::InPath;
use super::problems::{InferenceHealthProblems, LookupProblems};
use crate::models::load::Model;
use crate::system::choice::shortened;

/// What is served of the protocol's extensions, under the names that Triton gives them.
const EXTENSIONS: [&str; 3] = ["binary_tensor_data", "model_repository", "model_repository(unload_dependents)"];

#[derive(Serialize, ToSchema)]
pub struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    #[schema(value_type = Vec<String>)]
    extensions: [&'static str; 3],
}

#[derive(Serialize, ToSchema)]
pub struct ModelMetadata {
    name: String,
    versions: Vec<String>,
    platform: &'static str,
    inputs: Vec<TensorMetadata>,
    outputs: Vec<TensorMetadata>,
}

#[derive(Serialize, ToSchema)]
pub struct TensorMetadata {
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
    Router::new().route("/v2/health/live", get(live)).route("/v2/health/ready", get(self::ready))
}

/// `GET /v2/health/live`
#[utoipa::path(
    get, path = "/v2/health/live", operation_id = "open_inference_live", tag = "open_inference",
    summary = "Whether the process runs", security(()),
    responses((status = 200, description = "It runs", body = LiveBody), InferenceHealthProblems)
)]
pub async fn live() -> Json<LiveBody> {
    health::live().await
}

/// `GET /v2/health/ready`
#[utoipa::path(
    get, path = "/v2/health/ready", operation_id = "open_inference_ready", tag = "open_inference",
    summary = "Whether every model answers", security(()),
    responses(
        InferenceHealthProblems,
        (status = 200, description = "Every model answers", body = ReadyBody),
        (
            status = 503,
            description = "A model cannot answer, or the server stops",
            body = ReadyBody
        ),
    )
)]
pub async fn ready(app: State<Arc<App>>) -> (StatusCode, Json<ReadyBody>) {
    health::ready(app).await
}

/// `GET /v2`
#[utoipa::path(
    get, path = "/v2", operation_id = "open_inference_server", tag = "open_inference", summary = "Name, version and extensions of the server",
    responses(LookupProblems, (status = 200, description = "The server", body = ServerMetadata))
)]
pub async fn server() -> Json<ServerMetadata> {
    Json(ServerMetadata {
        name: env!("CARGO_PKG_NAME"),
        version: crate::system::build_info::VERSION,
        extensions: EXTENSIONS,
    })
}

/// `GET /v2/models/{name}`
#[utoipa::path(
    get, path = "/v2/models/{name}", operation_id = "open_inference_model", tag = "open_inference", summary = "Inputs and outputs of a model",
    params(("name" = String, Path, description = "The name of a loaded model")),
    responses(LookupProblems, (status = 200, description = "The model", body = ModelMetadata))
)]
pub async fn model(State(app): State<Arc<App>>, InPath(name): InPath<String>) -> Result<Json<ModelMetadata>, Problem> {
    Ok(Json(ModelMetadata::of(&*named(&app, &name, None)?)))
}

/// `GET /v2/models/{name}/versions/{version}`
#[utoipa::path(
    get, path = "/v2/models/{name}/versions/{version}", operation_id = "open_inference_model_version", tag = "open_inference", summary = "Inputs and outputs of a version of a model",
    params(("name" = String, Path, description = "The name of a loaded model"), ("version" = String, Path, description = "Its version")),
    responses(LookupProblems, (status = 200, description = "The model", body = ModelMetadata))
)]
pub async fn model_version(
    State(app): State<Arc<App>>,
    InPath((name, version)): InPath<(String, String)>,
) -> Result<Json<ModelMetadata>, Problem> {
    Ok(Json(ModelMetadata::of(&*named(&app, &name, Some(&version))?)))
}

/// `GET /v2/models/{name}/ready`
#[utoipa::path(
    get, path = "/v2/models/{name}/ready", operation_id = "open_inference_model_ready", tag = "open_inference", summary = "Whether a model answers",
    params(("name" = String, Path, description = "The name of a loaded model")),
    responses(LookupProblems, (status = 200, description = "It answers"))
)]
pub async fn model_ready(State(app): State<Arc<App>>, InPath(name): InPath<String>) -> Result<StatusCode, Problem> {
    check_ready(&*named(&app, &name, None)?)
}

/// `GET /v2/models/{name}/versions/{version}/ready`
#[utoipa::path(
    get, path = "/v2/models/{name}/versions/{version}/ready", operation_id = "open_inference_model_version_ready", tag = "open_inference", summary = "Whether a version of a model answers",
    params(("name" = String, Path, description = "The name of a loaded model"), ("version" = String, Path, description = "Its version")),
    responses(LookupProblems, (status = 200, description = "It answers"))
)]
pub async fn model_version_ready(
    State(app): State<Arc<App>>,
    InPath((name, version)): InPath<(String, String)>,
) -> Result<StatusCode, Problem> {
    check_ready(&*named(&app, &name, Some(&version))?)
}

fn check_ready(model: &Model) -> Result<StatusCode, Problem> {
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
