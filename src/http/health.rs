//! Liveness and readiness.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::app::App;
use crate::models::report::PassedOver;

#[derive(Serialize)]
pub struct LiveBody {
    status: &'static str,
}

#[derive(Serialize)]
pub struct ReadyBody {
    /// `ready`, `draining` or `unavailable`.
    status: &'static str,
    models: Vec<ReadyModel>,
}

#[derive(Serialize)]
struct ReadyModel {
    name: String,
    version: String,
    execution_provider: String,
    /// Execution providers with a higher preference, and why they are not in use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    passed_over: Vec<PassedOver>,
    alive: bool,
}

pub async fn live() -> Json<LiveBody> {
    Json(LiveBody { status: "live" })
}

/// 200 when every model can answer; 503 when one cannot, or the server is stopping.
pub async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<ReadyBody>) {
    let models: Vec<ReadyModel> = app
        .registry
        .models()
        .iter()
        .map(|model| ReadyModel {
            name: model.name.clone(),
            version: model.version.clone(),
            execution_provider: model.placement.provider.to_string(),
            passed_over: PassedOver::of(model),
            alive: model.pipeline.scheduler.is_alive(),
        })
        .collect();
    let (code, status) = match models.iter().all(|model| model.alive) {
        _ if app.draining.load(Ordering::Acquire) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    (code, Json(ReadyBody { status, models }))
}
