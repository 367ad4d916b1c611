//! Spans of requests and of the stages of their documents, exported as OpenTelemetry traces (OTLP over HTTP) where the operator
//! names a collector. A span has numbers, names and ids, never a text. Without a collector, spans cost nothing.

use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use ureq::http::Uri;

use crate::system::tls_client::tls_for;

/// The target of all spans, by which they are told from log lines.
pub const SPANS: &str = "ressort::spans";

/// The header in which an answer tells its trace (W3C Trace Context, level 2).
pub const TRACE_RESPONSE: &str = "traceresponse";

/// Time for one export, and for the last one when the process ends.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// What the client says of the trace that its request is part of (W3C Trace Context).
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceHeaders<'h> {
    pub traceparent: Option<&'h str>,
    pub tracestate: Option<&'h str>,
}

#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error(
        "`{0}` is no address of a collector; write --otlp-endpoint http://127.0.0.1:4318, without TLS, on this machine"
    )]
    Endpoint(String),
    #[error("traces cannot be exported")]
    Exporter(#[from] ExporterBuildError),
}

/// The layer that exports spans to the collector at `endpoint`, such as `http://127.0.0.1:4318`.
///
/// The variables of OpenTelemetry hold: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER` and others.
pub fn export_layer<S>(endpoint: &str) -> Result<impl Layer<S> + Send + Sync + use<S>, TraceError>
where
    S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
{
    let traces = check_endpoint(endpoint)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new(endpoint))
        .with_endpoint(traces.to_string())
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("ressort");
    }
    let provider = SdkTracerProvider::builder().with_resource(resource.build()).with_batch_exporter(exporter).build();
    let tracer = PROVIDER.get_or_init(|| provider).tracer("ressort");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
    let layer = layer.with_target(false).with_tracked_inactivity(false);
    let spans = filter_fn(|metadata| metadata.is_span() && metadata.target() == SPANS);
    Ok(layer.with_filter(spans.with_max_level_hint(LevelFilter::INFO)))
}

/// The address to which the spans for the collector at `endpoint` are sent.
///
/// # Errors
/// When `endpoint` is no address of a collector.
pub fn check_endpoint(endpoint: &str) -> Result<Uri, TraceError> {
    let authority = endpoint.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let authority = authority.filter(|authority| !authority.is_empty());
    let traces = authority.and_then(|authority| format!("http://{authority}/v1/traces").parse().ok());
    traces.ok_or_else(|| TraceError::Endpoint(endpoint.to_owned()))
}

/// Exports what is left; call it at the end of the process.
pub fn export_rest() {
    if let Some(provider) = PROVIDER.get() {
        // The log has the error of each export that fails.
        let _ = provider.shutdown_with_timeout(EXPORT_TIMEOUT);
    }
}

/// The span of a request, part of the client's trace where the headers name one.
pub fn request_span(method: &str, route: &str, request_id: &str, headers: TraceHeaders<'_>) -> Span {
    let span = tracing::info_span!(
        target: SPANS,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        request.id = request_id,
    );
    if PROVIDER.get().is_some() {
        // It fails for a span that is not sampled, which needs no parent.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&headers));
    }
    span
}

/// Ends the span of a request with the status of its answer.
pub fn record_status(span: &Span, status: u16) {
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// The id of the trace that a span is part of; `None` where traces are not exported.
pub fn trace_id(span: &Span) -> Option<String> {
    PROVIDER.get()?;
    let context = span.context();
    let trace = context.span().span_context().trace_id();
    Some(trace.to_string())
}

/// What an answer says of the trace that its request is part of (`traceresponse`, W3C Trace Context); `None` where traces are not
/// exported.
pub fn trace_response(span: &Span) -> Option<String> {
    PROVIDER.get()?;
    let context = span.context();
    let active = context.span();
    let of = active.span_context();
    of.is_valid().then(|| format!("00-{}-{}-{:02x}", of.trace_id(), of.span_id(), of.trace_flags().to_u8()))
}

impl Extractor for TraceHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.traceparent,
            "tracestate" => self.tracestate,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

/// Sends exports. Each is sent by the thread that collects the spans, which may wait.
#[derive(Debug)]
struct Client(ureq::Agent);

impl Client {
    fn new(endpoint: &str) -> Self {
        let config = ureq::Agent::config_builder().tls_config(tls_for(endpoint)).timeout_global(Some(EXPORT_TIMEOUT));
        Self(config.http_status_as_error(false).build().new_agent())
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, mut body) = self.0.run(request.map(|body| body.to_vec()))?.into_parts();
        Ok(Response::from_parts(head, body.read_to_vec()?.into()))
    }
}

impl HttpClient for Client {
    // As `async_trait` writes the signature.
    fn send_bytes<'client, 'sent>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sent>>
    where
        'client: 'sent,
        Self: 'sent,
    {
        Box::pin(std::future::ready(self.send(request)))
    }
}
