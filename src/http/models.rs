//! `GET /v1/models`: the loaded models, and the active one of each task.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::description::problems::KeyProblems;
use crate::manifest::task::Task;
use crate::models::registry::Assignment;
use crate::models::report::ModelReport;

#[derive(Serialize, ToSchema)]
pub struct ModelsList {
    models: Vec<ModelReport>,
    active: ActiveBody,
}

/// The models of a request that names none.
#[derive(Serialize, ToSchema)]
pub struct ActiveBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub topics: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub entities: Option<String>,
}

impl ActiveBody {
    pub fn of(active: &Assignment) -> Self {
        let name = |task| active.get(task).map(|model| model.name.clone());
        Self { topics: name(Task::Topics), entities: name(Task::Entities) }
    }
}

#[utoipa::path(
    get, path = "/v1/models", operation_id = "list_models", tag = "models", summary = "The loaded and the active models",
    responses((status = 200, description = "Every loaded model", body = ModelsList), KeyProblems)
)]
pub async fn models(State(app): State<Arc<App>>) -> Json<ModelsList> {
    let models = app.registry.models().iter().map(|model| ModelReport::of(model)).collect();
    Json(ModelsList { models, active: ActiveBody::of(&app.registry.active()) })
}
