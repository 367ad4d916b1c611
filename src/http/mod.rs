//! The HTTP API: routes, limits, one log line for a request. [`router`] makes the service, [`serve`] runs it on a listener.

mod auth;
mod classify;
mod error;
mod health;
mod models;
mod observe;
mod schema;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::OriginalUri;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;

pub use auth::ApiKey;
pub use error::{Code, Problem};

use crate::config::RequestLimits;
use crate::registry::Registry;

/// What every route may use.
pub struct App {
    pub registry: Registry,
    pub limits: RequestLimits,
    /// When set, the routes under `/v1` ask for it.
    pub api_key: Option<ApiKey>,
    /// When set, `/metrics` answers.
    pub metrics: Option<PrometheusHandle>,
    /// Set when the server stops taking requests; `/health/ready` then says so.
    pub draining: AtomicBool,
}

impl App {
    pub fn new(registry: Registry, limits: RequestLimits) -> Self {
        Self { registry, limits, api_key: None, metrics: None, draining: AtomicBool::new(false) }
    }
}

/// All routes over `app`.
pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/v1/classify", post(classify::classify))
        .route("/v1/models", get(models::models))
        .route_layer(from_fn_with_state(Arc::clone(&app), auth::require_key));
    Router::new()
        .merge(api)
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(observe::metrics))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(CatchPanicLayer::custom(observe::panic_problem))
        .layer(from_fn(observe::log_request))
        .with_state(app)
}

/// Serves until `shutdown` resolves, then takes no new connections and lets those under way finish, for at most `patience`.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    shutdown: impl Future<Output = ()> + Send + 'static,
    patience: Duration,
) -> std::io::Result<()> {
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let draining = Arc::clone(&app);
    let signal = async move {
        shutdown.await;
        draining.draining.store(true, Ordering::Release);
        let _ = stopping.send(());
    };
    let server = axum::serve(listener, router(app)).with_graceful_shutdown(signal);
    let out_of_patience = async {
        // An error means that the server ended first, and there is nothing left to wait for.
        if stopped.await.is_ok() {
            tokio::time::sleep(patience).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        result = server => result,
        () = out_of_patience => {
            tracing::warn!(?patience, "requests under way were cut off");
            Ok(())
        }
    }
}

async fn no_route(OriginalUri(uri): OriginalUri) -> Problem {
    let detail = format!(
        "`{}` is no address of this service; it has /v1/classify, /v1/models, /health/live, /health/ready and /metrics",
        uri.path()
    );
    Problem::new(Code::NotFound, detail)
}

async fn no_method(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    let other = if uri.path() == "/v1/classify" { "POST" } else { "GET" };
    Problem::new(Code::MethodNotAllowed, format!("`{}` takes {other}, not {method}", uri.path()))
}
