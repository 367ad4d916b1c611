//! The OpenAPI description (3.1), made from the handlers and from the types of their answers. `tests/it/description.rs` holds it
//! against the routes, and real answers against its schemas.

pub mod parts;
pub mod problems;
pub mod requests;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::openapi::PathItem;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::compat::hugging_face::bodies::PipelineTaskName;
use super::compat::problems::{ErrorBody, InferenceError, VllmBody, VllmError};
use super::compat::{hugging_face, open_inference, text_embeddings, vllm};
use super::{admin, classify, drift, health, jobs, metrics_page, models, page};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ressort",
        version = "1",
        description = "Topics and named entities of German text. The page docs/api.md of the manual explains each option.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "classify", description = "Texts in, topics and entities out"),
        (name = "jobs", description = "Requests that are answered later"),
        (name = "models", description = "Which models are loaded, and which of them answer"),
        (name = "service", description = "How the service is"),
        (name = "hugging_face", description = "What clients of Hugging Face's inference call"),
        (name = "text_embeddings", description = "What clients of text-embeddings-inference call"),
        (name = "open_inference", description = "Open Inference Protocol v2, which clients of KServe and Triton call"),
        (name = "vllm", description = "What clients of vLLM call"),
    ),
    // Every route; a key is required where the operator has set one.
    paths(
        classify::classify,
        jobs::create,
        jobs::list,
        jobs::status,
        jobs::cancel,
        jobs::result,
        jobs::remove,
        models::models,
        drift::drift,
        drift::baseline,
        admin::put_model,
        admin::remove_model,
        admin::activate,
        admin::rollback,
        admin::get_shadow,
        admin::put_shadow,
        admin::remove_shadow,
        health::live,
        health::ready,
        metrics_page::metrics,
        page::page,
        hugging_face::active,
        hugging_face::named,
        hugging_face::named_for_task,
        hugging_face::active_for_task,
        hugging_face::task_of_named,
        text_embeddings::predict,
        text_embeddings::info,
        text_embeddings::health,
        vllm::classify,
        open_inference::server,
        open_inference::model,
        open_inference::model_version,
        open_inference::model_ready,
        open_inference::model_version_ready,
        open_inference::live,
        open_inference::ready,
        open_inference::infer::infer,
        open_inference::infer::infer_version,
        open_inference::repository::index,
        open_inference::repository::load,
        open_inference::repository::unload,
    ),
    components(schemas(ErrorBody, InferenceError, VllmBody, VllmError, PipelineTaskName)),
    security((), ("key" = [])),
    modifiers(&Key),
)]
struct Description;

struct Key;

impl Modify for Key {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let key = key.description(Some("The API key, or the admin key for changes of models")).build();
        openapi.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(key));
    }
}

/// The routes with the methods that each accepts; pages for people are left out.
pub fn routes() -> &'static BTreeMap<String, Vec<&'static str>> {
    static ROUTES: LazyLock<BTreeMap<String, Vec<&'static str>>> = LazyLock::new(|| {
        let methods = |item: PathItem| {
            let all = [("GET", item.get), ("POST", item.post), ("PUT", item.put), ("DELETE", item.delete)];
            all.into_iter().filter_map(|(method, operation)| operation.map(|_| method)).collect()
        };
        Description::openapi().paths.paths.into_iter().map(|(route, item)| (route, methods(item))).collect()
    });
    &ROUTES
}

/// `GET /openapi.json`
pub async fn description() -> impl IntoResponse {
    static JSON: LazyLock<Bytes> = LazyLock::new(|| {
        // Plain structs: there is nothing that cannot be written.
        Description::openapi().to_json().unwrap_or_default().into()
    });
    ([(CONTENT_TYPE, "application/json")], JSON.clone())
}
