//! One log line and one set of metrics for a request. Neither contains the text of the request.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Response as HttpResponse};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::app::App;
use super::error::{Code, Problem};
use crate::system::metric_names::{REQUEST_DURATION, REQUESTS};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Logs and counts the request. The response repeats the `x-request-id` of the request, or gets a new one.
pub async fn log_request(request: Request, next: Next) -> Response {
    let request_id = request_id(&request);
    let mut record = RequestRecord::of(&request, &request_id);
    let mut response = next.run(request).await;
    record.status = response.status().as_u16();
    drop(record);
    response.headers_mut().insert(REQUEST_ID.clone(), request_id);
    response
}

/// A request, logged and counted when it is dropped: with its answer, or when the client leaves before.
struct RequestRecord {
    started: Instant,
    method: Method,
    path: String,
    route: String,
    request_id: HeaderValue,
    status: u16,
}

/// What nginx calls the end of a request whose client left.
const CLIENT_LEFT: u16 = 499;

impl RequestRecord {
    fn of(request: &Request, request_id: &HeaderValue) -> Self {
        Self {
            started: Instant::now(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            route: request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned(),
            request_id: request_id.clone(),
            status: CLIENT_LEFT,
        }
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let Self { started, method, path, route, request_id, status } = self;
        let seconds = started.elapsed().as_secs_f64();
        let ms = (seconds * 1e5).round() / 100.0;
        tracing::info!(%method, path, status, ms, request_id = request_id.to_str().unwrap_or_default(), "request");
        metrics::counter!(REQUESTS.name, "route" => route.clone(), "status" => status.to_string()).increment(1);
        metrics::histogram!(REQUEST_DURATION.name, "route" => std::mem::take(route)).record(seconds);
    }
}

/// Answers with 503 where the grace period of a stopping server ends before there is an answer.
pub async fn end_at_cutoff(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    tokio::select! {
        biased;
        response = next.run(request) => response,
        () = app.cutoff() => Problem::new(Code::Unavailable, "the server stops before it can answer; try again").into_response(),
    }
}

/// The response of a handler that panicked; the server continues. The panic is logged where it happens.
pub fn panic_problem(_: Box<dyn Any + Send>) -> HttpResponse<axum::body::Body> {
    Problem::new(Code::Internal, "the request could not be answered; the server's log says why").into_response()
}

/// The client's id, if it is one that fits into a log line.
fn request_id(request: &Request) -> HeaderValue {
    const MAX_BYTES: usize = 128;
    let fits = |id: &&HeaderValue| (1..=MAX_BYTES).contains(&id.len()) && id.to_str().is_ok();
    request.headers().get(&REQUEST_ID).filter(fits).cloned().unwrap_or_else(|| {
        let id = uuid::Uuid::new_v4().simple().to_string();
        HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("none"))
    })
}
