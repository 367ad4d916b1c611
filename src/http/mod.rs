//! The HTTP API: routes, keys, limits, one log line per request. [`router`] builds the service, [`serve`] runs it.

mod admin;
mod app;
mod auth;
mod body;
mod classify;
mod compat;
mod connection;
mod error;
mod health;
mod json;
mod keys;
mod limits;
mod models;
mod observe;
mod page;
mod schema;
mod server;
mod unpack;

use std::sync::Arc;

use axum::Router;
use axum::extract::OriginalUri;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::normalize_path::NormalizePath;

use crate::system::choice::shortened;

pub use app::{App, DEFAULT_REQUEST_MEMORY_MB};
pub use error::{Code, Problem};
pub use keys::{AdminAccess, ApiKey};
pub use limits::ServerSettings;
pub use server::serve;

/// All routes over `app`.
pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/v1/classify", post(classify::classify))
        .route("/v1/models", get(models::models))
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
        .route("/metrics", get(observe::metrics))
        .route("/openapi.json", get(openapi))
        .merge(page::routes())
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(CatchPanicLayer::custom(observe::panic_problem))
        .layer(from_fn_with_state(Arc::clone(&app), observe::end_at_cutoff))
        .layer(from_fn(compat::problems::translate))
        .layer(from_fn(observe::log_request))
        .with_state(app);
    // Before routes are matched: `/v1/classify/` is `/v1/classify`.
    Router::new().fallback_service(NormalizePath::trim_trailing_slash(service))
}

/// The OpenAPI description; a test compares it with the routes, options and codes.
async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], include_str!("openapi.json"))
}

async fn no_route(OriginalUri(uri): OriginalUri) -> Problem {
    let detail =
        format!("`{}` is not an address of this service; see /openapi.json for the list", shortened(uri.path()));
    Problem::new(Code::NotFound, detail)
}

async fn no_method(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        format!(
            "`{}` does not accept {method}; see /openapi.json for the methods that it accepts",
            shortened(uri.path())
        ),
    )
}
