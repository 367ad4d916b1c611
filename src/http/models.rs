//! `GET /v1/models`: the loaded models, and the active one of each task.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::app::App;
use crate::manifest::task::Task;
use crate::models::registry::Assignment;
use crate::models::report::ModelReport;

#[derive(Serialize)]
pub struct ModelsList {
    models: Vec<ModelReport>,
    active: ActiveBody,
}

/// The models of a request that names none.
#[derive(Serialize)]
pub struct ActiveBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<String>,
}

impl ActiveBody {
    pub fn of(active: &Assignment) -> Self {
        let name = |task| active.get(task).map(|model| model.name.clone());
        Self { topics: name(Task::Topics), entities: name(Task::Entities) }
    }
}

pub async fn models(State(app): State<Arc<App>>) -> Json<ModelsList> {
    let models = app.registry.models().iter().map(|model| ModelReport::of(model)).collect();
    Json(ModelsList { models, active: ActiveBody::of(&app.registry.active()) })
}
