//! The HTTP API: routes, keys, limits, one log line per request. [`router`] builds the service, [`serve`] runs it.

mod accept;
mod admin;
mod answers;
mod app;
mod auth;
mod body;
mod browser_guard;
mod classify;
mod compat;
mod connection;
mod cross_origin;
mod description;
mod drift;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod head;
mod head_errors;
mod health;
mod host;
mod in_path;
mod jobs;
mod json;
mod keys;
mod limits;
mod line_reader;
mod lines;
mod linger;
mod media_type;
mod metrics_page;
mod models;
mod no_route;
mod observe;
mod pack;
mod page;
mod parameters;
mod quota;
mod request_body;
mod retry;
mod schema;
mod server;
mod tls;
mod tls_socket;
mod unpack;
mod viewer;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::{get, post, put};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::normalize_path::NormalizePath;

pub use app::{App, DEFAULT_REQUEST_MEMORY_MB};
pub use browser_guard::{AllowedHost, AllowedHosts};
pub use cross_origin::{Cors, CorsOrigin};
pub use error::{Code, Problem};
pub use head::MAX_HEAD_BYTES;
pub use jobs::{JobLimits, JobStore, run_jobs};
pub use keys::{AdminAccess, KeyHash, KeyRing, KeySpec, Scope};
pub use limits::ServerSettings;
pub use quota::KeyLimits;
pub use server::serve;
pub use tls::{Tls, TlsError, TlsFiles};

/// All routes over `app`.
pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/v1/classify", post(classify::classify))
        .route("/v1/models", get(models::models))
        .route("/v1/drift", get(drift::drift))
        .route("/v1/drift/baseline", get(drift::baseline))
        .merge(jobs::api())
        .merge(compat::api())
        .route_layer(from_fn_with_state(Arc::clone(&app), auth::require_key));
    let admin = Router::new()
        .route("/v1/models/{name}", put(admin::put_model).delete(admin::remove_model))
        .route("/v1/active", put(admin::activate))
        .route("/v1/active/rollback", post(admin::rollback))
        .route("/v1/shadow", get(admin::get_shadow).put(admin::put_shadow).delete(admin::remove_shadow))
        .merge(compat::admin())
        .route_layer(from_fn_with_state(Arc::clone(&app), auth::require_admin));
    let service = Router::new()
        .merge(api)
        .merge(admin)
        .merge(compat::open())
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics_page::metrics))
        .route("/openapi.json", get(description::description))
        .route("/docs", get(viewer::page))
        .route("/docs/start.js", get(viewer::start_script))
        .route("/docs/swagger-ui-bundle.js", get(viewer::script))
        .route("/docs/swagger-ui.css", get(viewer::style))
        .merge(page::routes())
        .fallback(no_route::no_route)
        .method_not_allowed_fallback(no_route::no_method)
        .layer(CatchPanicLayer::custom(observe::panic_problem))
        .layer(from_fn(parameters::refuse))
        .layer(from_fn(host::refuse))
        .layer(from_fn_with_state(Arc::clone(&app), observe::end_at_cutoff))
        .layer(from_fn_with_state(Arc::clone(&app), retry::say_when))
        .layer(from_fn(head::check_head))
        .layer(from_fn(compat::problems::translate))
        .layer(from_fn_with_state(Arc::clone(&app), pack::pack_answer))
        .layer(from_fn_with_state(app.cors.clone(), cross_origin::answer_other_origins))
        .layer(from_fn(observe::log_request))
        .with_state(app);
    // Before routes are matched: `/v1/classify/` is `/v1/classify`.
    Router::new()
        .fallback_service(NormalizePath::trim_trailing_slash(service))
        .layer(map_response(cross_origin::list_options))
}
