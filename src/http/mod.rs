//! The HTTP API: routes, keys, limits, one log line per request. [`router`] builds the service, [`serve`] runs it.

mod admin;
mod auth;
mod body;
mod classify;
mod error;
mod health;
mod models;
mod observe;
mod schema;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use axum::Router;
use axum::extract::{OriginalUri, Request};
use axum::http::Method;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;

pub use auth::{AdminAccess, ApiKey};
pub use error::{Code, Problem};

use crate::classify::cache::PredictionCache;
use crate::classify::request::RequestLimits;
use crate::classify::shadow::Shadow;
use crate::models::registry::Registry;
use crate::system::memory::available_bytes;

/// The state that all routes share.
pub struct App {
    pub registry: Registry,
    pub limits: RequestLimits,
    /// When set, the routes under `/v1` require it.
    pub api_key: Option<ApiKey>,
    /// Predictions for repeated texts; `None`: every text is classified anew.
    pub cache: Option<Arc<PredictionCache>>,
    /// Who may change models.
    pub admin: AdminAccess,
    /// The folder from which models are loaded by name.
    pub models_dir: Option<PathBuf>,
    /// The file that keeps the active models for the next start.
    pub state_file: Option<PathBuf>,
    /// A candidate model that classifies a share of the live texts.
    pub shadow: ArcSwapOption<Shadow>,
    /// The file for texts on which live models and candidate disagree; `None`: no text is kept.
    pub shadow_samples: Option<PathBuf>,
    /// When set, `/metrics` is served.
    pub metrics: Option<PrometheusHandle>,
    /// Bytes that this process may still take; `None` where the system does not say.
    pub available_bytes: fn() -> Option<u64>,
    /// Set when the server stops accepting requests; `/health/ready` then reports it.
    pub draining: AtomicBool,
}

impl App {
    pub fn new(registry: Registry, limits: RequestLimits) -> Self {
        Self {
            registry,
            limits,
            api_key: None,
            cache: None,
            admin: AdminAccess::Nobody,
            models_dir: None,
            state_file: None,
            shadow: ArcSwapOption::empty(),
            shadow_samples: None,
            metrics: None,
            available_bytes,
            draining: AtomicBool::new(false),
        }
    }
}

/// All routes over `app`.
pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/v1/classify", post(classify::classify))
        .route("/v1/models", get(models::models))
        .route_layer(from_fn_with_state(Arc::clone(&app), auth::require_key));
    let admin = Router::new()
        .route("/v1/models/{name}", put(admin::put_model).delete(admin::remove_model))
        .route("/v1/active", put(admin::activate))
        .route("/v1/active/rollback", post(admin::rollback))
        .route("/v1/shadow", get(admin::get_shadow).put(admin::put_shadow).delete(admin::remove_shadow))
        .route_layer(from_fn_with_state(Arc::clone(&app), auth::require_admin));
    Router::new()
        .merge(api)
        .merge(admin)
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(observe::metrics))
        .route("/openapi.json", get(openapi))
        .route("/", get(page))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(CatchPanicLayer::custom(observe::panic_problem))
        .layer(from_fn(observe::log_request))
        .with_state(app)
}

/// Serves until `shutdown` resolves. Then it accepts no new connection, and requests under way have `grace_period` to finish.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    shutdown: impl Future<Output = ()> + Send + 'static,
    grace_period: Duration,
) -> std::io::Result<()> {
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let draining = Arc::clone(&app);
    let signal = async move {
        shutdown.await;
        draining.draining.store(true, Ordering::Release);
        let _ = stopping.send(());
    };
    let server = axum::serve(listener, router(app)).with_graceful_shutdown(signal);
    let grace_is_over = async {
        // An error means that the server ended first, so there is nothing to wait for.
        if stopped.await.is_ok() {
            tokio::time::sleep(grace_period).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        result = server => result,
        () = grace_is_over => {
            tracing::warn!(?grace_period, "requests under way were cut off");
            Ok(())
        }
    }
}

/// The value of a header, when it is present and text.
fn header<'r>(request: &'r Request, name: &HeaderName) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}

/// The OpenAPI description; a test compares it with the routes, options and codes.
async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], include_str!("openapi.json"))
}

/// A page to try the service; it loads nothing from other hosts.
async fn page() -> impl IntoResponse {
    const POLICY: &str =
        "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)], include_str!("page.html"))
}

async fn no_route(OriginalUri(uri): OriginalUri) -> Problem {
    let detail = format!("`{}` is not an address of this service; see /openapi.json for the list", uri.path());
    Problem::new(Code::NotFound, detail)
}

async fn no_method(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        format!("`{}` does not accept {method}; see /openapi.json for the methods that it accepts", uri.path()),
    )
}
