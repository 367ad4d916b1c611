//! One log line and one set of metrics for a request, and the metrics page. Neither contains the text of a request.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Response as HttpResponse};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::app::App;
use super::description::problems::PageProblems;
use super::error::{Code, Problem, ProblemBody};
use crate::models::load::Model;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Logs and counts the request. The response repeats the `x-request-id` of the request, or gets a new one.
pub async fn log_request(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(&request);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let mut response = next.run(request).await;
    let status = response.status().as_u16();
    let seconds = started.elapsed().as_secs_f64();
    tracing::info!(%method, path, status, ms = (seconds * 1e5).round() / 100.0, request_id = request_id.to_str().unwrap_or_default(), "request");
    metrics::counter!("ressort_requests_total", "route" => route.clone(), "status" => status.to_string()).increment(1);
    metrics::histogram!("ressort_request_duration_seconds", "route" => route).record(seconds);
    response.headers_mut().insert(REQUEST_ID.clone(), request_id);
    response
}

/// Answers with 503 where the grace period of a stopping server ends before there is an answer.
pub async fn end_at_cutoff(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    tokio::select! {
        biased;
        response = next.run(request) => response,
        () = app.cutoff() => Problem::new(Code::Unavailable, "the server stops before it can answer; try again").into_response(),
    }
}

/// `/metrics`, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", operation_id = "get_metrics", tag = "service", summary = "Metrics for Prometheus", security(()),
    responses(
        (status = 200, description = "The text format of Prometheus", body = String, content_type = "text/plain"),
        (status = 404, description = "`not_found`: This server collects no metrics", body = ProblemBody, content_type = "application/problem+json"),
        PageProblems,
    )
)]
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let Some(handle) = &app.metrics else {
        return Problem::new(Code::NotFound, "this server collects no metrics").into_response();
    };
    (handle.render() + &model_metrics(&app.registry.models())).into_response()
}

/// The metrics of loaded models. They are not recorded, so that those of a removed model are gone at once.
fn model_metrics(models: &[Arc<Model>]) -> String {
    type Value = fn(&Model) -> usize;
    let metrics: [(&str, &str, Value); 4] = [
        ("ressort_queued_windows", "gauge", |model| model.pipeline.scheduler.n_waiting()),
        ("ressort_session_panics_total", "counter", |model| model.pipeline.scheduler.n_panics()),
        ("ressort_failed_batches_total", "counter", |model| model.pipeline.scheduler.n_failed_batches()),
        ("ressort_model_info", "gauge", |_| 1),
    ];
    let mut text = String::new();
    for (metric, kind, value) in metrics {
        text += &format!("# TYPE {metric} {kind}\n");
        for model in models {
            let provider = match metric {
                "ressort_model_info" => format!(",provider=\"{}\"", model.placement.provider),
                _ => String::new(),
            };
            // Nothing is escaped: a name has letters, digits, `.`, `_` and `-` only (`ModelSpec`), and a version is hexadecimal.
            text += &format!(
                "{metric}{{model=\"{}\",version=\"{}\"{provider}}} {}\n",
                model.name,
                model.version,
                value(model)
            );
        }
    }
    text
}

/// The response of a handler that panicked; the server continues.
pub fn panic_problem(panic: Box<dyn Any + Send>) -> HttpResponse<axum::body::Body> {
    let message =
        panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(message = message.unwrap_or_default(), "a request handler panicked");
    Problem::new(Code::Internal, "the request could not be answered; the server's log says why").into_response()
}

fn request_id(request: &Request) -> HeaderValue {
    request.headers().get(&REQUEST_ID).cloned().unwrap_or_else(|| {
        let id = uuid::Uuid::new_v4().simple().to_string();
        HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("none"))
    })
}
