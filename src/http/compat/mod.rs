//! Routes that clients of other services call: Hugging Face inference, text-embeddings-inference, Open Inference Protocol, vLLM. Each
//! module translates one protocol to the classify core and back; `docs/clients.md` says what maps to what.

mod call;
pub mod hugging_face;
pub mod open_inference;
pub mod problems;
pub mod text_embeddings;
pub mod vllm;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::app::App;

/// The routes that require the API key, where one is set.
pub fn api() -> Router<Arc<App>> {
    Router::new()
        .route("/", post(hugging_face::active))
        .route("/models/{name}", post(hugging_face::named))
        .route("/models/{name}/pipeline/{task}", post(hugging_face::named_for_task))
        .route("/pipeline/{task}", post(hugging_face::active_for_task))
        .route("/pipeline/{task}/{name}", post(hugging_face::task_of_named))
        .route("/predict", post(text_embeddings::predict))
        .route("/info", get(text_embeddings::info))
        .route("/classify", post(vllm::classify))
        .merge(open_inference::api())
}

/// The routes that change models.
pub fn admin() -> Router<Arc<App>> {
    open_inference::admin()
}

/// The routes that anyone may call.
pub fn open() -> Router<Arc<App>> {
    Router::new().route("/health", get(text_embeddings::health)).merge(open_inference::open())
}
