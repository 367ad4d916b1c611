//! Liveness and readiness.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::description::problems::PageProblems;
use super::error::ProblemBody;
use crate::inference::scheduler::StuckRun;
use crate::models::load::Model;
use crate::models::report::PassedOver;

#[derive(Serialize, ToSchema)]
pub struct LiveBody {
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
pub struct ReadyBody {
    /// `ready`, `draining` or `unavailable`.
    status: &'static str,
    models: Vec<ReadyModel>,
}

#[derive(Serialize, ToSchema)]
struct ReadyModel {
    name: String,
    version: String,
    execution_provider: String,
    /// Execution providers with a higher preference, and why they are not in use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    passed_over: Vec<PassedOver>,
    /// Whether it makes progress: a worker is left that is not stuck, and work does not wait without an answer.
    alive: bool,
    /// The longest of the runs that take too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    stuck_run: Option<StuckBody>,
}

#[derive(Serialize, ToSchema)]
struct StuckBody {
    windows: usize,
    seconds: u64,
}

impl ReadyModel {
    fn new(model: &Model) -> Self {
        let health = model.pipeline.scheduler.health(model.stuck_after);
        let stuck = |run: StuckRun| StuckBody { windows: run.n_windows, seconds: run.elapsed.as_secs() };
        Self {
            name: model.name.clone(),
            version: model.version.clone(),
            execution_provider: model.placement.provider.to_string(),
            passed_over: PassedOver::of(model),
            alive: health.answers,
            stuck_run: health.stuck.map(stuck),
        }
    }
}

/// 200 while the process runs.
#[utoipa::path(
    get, path = "/health/live", operation_id = "is_live", tag = "service", summary = "Whether the process runs", security(()),
    responses((status = 200, description = "It runs", body = LiveBody), PageProblems)
)]
pub async fn live() -> Json<LiveBody> {
    Json(LiveBody { status: "live" })
}

/// 200 when every model can answer; 503 when one cannot, or the server is stopping.
#[utoipa::path(
    get, path = "/health/ready", operation_id = "is_ready", tag = "service", summary = "Whether every model answers", security(()),
    responses(
        PageProblems,
        (status = 200, description = "Every model answers", body = ReadyBody),
        (
            status = 503,
            description = "A model cannot answer, or the server stops",
            content((ReadyBody = "application/json"), (ProblemBody = "application/problem+json"))
        ),
    )
)]
pub async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<ReadyBody>) {
    let models: Vec<ReadyModel> = app.registry.models().iter().map(|model| ReadyModel::new(model)).collect();
    let (code, status) = match models.iter().all(|model| model.alive) {
        _ if app.is_draining() => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    (code, Json(ReadyBody { status, models }))
}
