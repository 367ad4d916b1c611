//! `GET /v1/models`: what is loaded, and which of it answers for what.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::App;
use crate::inspect::Report;
use crate::task::Task;

#[derive(Serialize)]
pub struct ModelsList {
    models: Vec<Report>,
    /// The models that answer where a request names none.
    active: BTreeMap<&'static str, String>,
}

pub async fn models(State(app): State<Arc<App>>) -> Json<ModelsList> {
    let active = app.registry.active();
    let active =
        [Task::Topics, Task::Entities].into_iter().filter_map(|task| Some((task.as_str(), active.get(task)?.clone())));
    Json(ModelsList {
        models: app.registry.models().map(|model| Report::of(model)).collect(),
        active: active.collect(),
    })
}
