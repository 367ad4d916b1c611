//! One log line and one set of metrics for a request. Neither contains the text of the request.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Response as HttpResponse, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use tracing::{Instrument, Span};

use super::app::App;
use super::error::{Code, Problem};
use crate::system::metric_names::{REQUEST_DURATION, REQUESTS};
use crate::system::printable::printable;
use crate::system::spans::{TRACE_RESPONSE, TraceHeaders, record_status, request_span, trace_id, trace_response};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Logs and counts the request. The response repeats the `x-request-id` of the request, or gets a new one.
pub async fn log_request(request: Request, next: Next) -> Response {
    let request_id = request_id(&request);
    let mut record = RequestRecord::of(&request, &request_id);
    let span = record.span.clone();
    let mut response = next.run(request).instrument(span.clone()).await;
    record.status = response.status().as_u16();
    drop(record);
    response.headers_mut().insert(REQUEST_ID.clone(), request_id);
    if let Some(value) = trace_response(&span).and_then(|value| HeaderValue::try_from(value).ok()) {
        response.headers_mut().insert(TRACE_RESPONSE, value);
    }
    if span.is_disabled() { response } else { response.map(|body| Body::new(Traced { body, span })) }
}

/// The body of an answer, which may be computed while it is sent; that is part of the span of its request.
struct Traced {
    body: Body,
    span: Span,
}

impl HttpBody for Traced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        this.span.in_scope(|| Pin::new(&mut this.body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request, logged and counted when it is dropped: with its answer, or when the client leaves before.
struct RequestRecord {
    started: Instant,
    method: String,
    path: String,
    route: String,
    request_id: HeaderValue,
    status: u16,
    span: Span,
}

/// What nginx calls the end of a request whose client left.
const CLIENT_LEFT: u16 = 499;

impl RequestRecord {
    fn of(request: &Request, request_id: &HeaderValue) -> Self {
        let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let trace = TraceHeaders { traceparent: header("traceparent"), tracestate: header("tracestate") };
        let id = request_id.to_str().unwrap_or_default();
        Self {
            started: Instant::now(),
            span: request_span(logged_method(request.method()), &route, id, trace),
            method: logged_method(request.method()).to_owned(),
            path: logged_path(request.uri().path()),
            route,
            request_id: request_id.clone(),
            status: CLIENT_LEFT,
        }
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let Self { started, method, path, route, request_id, status, span } = self;
        record_status(span, *status);
        let seconds = started.elapsed().as_secs_f64();
        let ms = (seconds * 1e5).round() / 100.0;
        let request_id = request_id.to_str().unwrap_or_default();
        tracing::info!(method, path, status, ms, request_id, trace_id = trace_id(span), "request");
        metrics::counter!(REQUESTS.name, "route" => route.clone(), "status" => status.to_string()).increment(1);
        // How long a client stalls says nothing about the server.
        if *status != StatusCode::REQUEST_TIMEOUT {
            metrics::histogram!(REQUEST_DURATION.name, "route" => std::mem::take(route)).record(seconds);
        }
    }
}

/// The path of a request as its log line shows it: without the query, on one line, without what acts on a terminal, and short.
fn logged_path(path: &str) -> String {
    const MAX_CHARACTERS: usize = 100;
    let cut = if path.chars().nth(MAX_CHARACTERS).is_some() { "…" } else { "" };
    let shown: String = path.chars().take(MAX_CHARACTERS).collect();
    printable(&shown).replace(['\n', '\t'], " ") + cut
}

/// A method that HTTP defines. A client may send any word, which is then what OpenTelemetry calls it.
fn logged_method(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE => method.as_str(),
        Method::OPTIONS | Method::PATCH | Method::TRACE | Method::CONNECT => method.as_str(),
        _ => "_OTHER",
    }
}

/// Logs and counts a request whose head could not be read; returns its id.
pub fn log_unread_head(code: Code) -> String {
    let (request_id, status) = (new_id(), code.status().as_u16());
    tracing::info!(method = "-", path = "-", status, ms = 0.0, request_id, code = code.as_str(), "request");
    metrics::counter!(REQUESTS.name, "route" => "none", "status" => status.to_string()).increment(1);
    request_id
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
    request
        .headers()
        .get(&REQUEST_ID)
        .filter(fits)
        .cloned()
        .unwrap_or_else(|| HeaderValue::from_str(&new_id()).unwrap_or_else(|_| HeaderValue::from_static("none")))
}

fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_path_is_short_and_does_nothing_to_a_terminal() {
        for (path, expected) in [
            ("/v1/classify", "/v1/classify"),
            ("/a%1b%0a", "/a%1b%0a"),
            ("/a\u{9b}2J\u{202e}\r\n\tb", "/a\\u{9b}2J\\u{202e}\\u{d}  b"),
            ("", ""),
        ] {
            assert_eq!(logged_path(path), expected);
        }
        assert_eq!(logged_path(&"ä".repeat(100)), "ä".repeat(100));
        assert_eq!(logged_path(&"ä".repeat(60_000)), "ä".repeat(100) + "…");
    }

    #[test]
    fn a_method_that_http_does_not_define_is_not_logged() {
        for (method, expected) in [("GET", "GET"), ("get", "_OTHER"), ("PROPFIND", "_OTHER"), ("A", "_OTHER")] {
            assert_eq!(logged_method(&method.parse().unwrap()), expected);
        }
    }
}
