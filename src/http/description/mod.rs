//! The OpenAPI description (3.1), made from the handlers and from the types of their answers. `tests/it/description.rs` holds it
//! against the routes, and real answers against its schemas.

mod parts;
pub mod problems;
pub mod requests;

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{admin, classify, drift, health, jobs, metrics_page, models};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ressort",
        version = "1",
        description = "Topics and named entities of German text. The page docs/api.md of the manual explains each option.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "classify", description = "Texts in, topics and entities out"),
        (name = "jobs", description = "Requests that are answered later"),
        (name = "models", description = "Which models are loaded, and which of them answer"),
        (name = "service", description = "How the service is"),
    ),
    // Every route; a key is required where the operator has set one.
    paths(
        classify::classify,
        jobs::create,
        jobs::list,
        jobs::status,
        jobs::cancel,
        jobs::result,
        jobs::remove,
        models::models,
        drift::drift,
        drift::baseline,
        admin::put_model,
        admin::remove_model,
        admin::activate,
        admin::rollback,
        admin::get_shadow,
        admin::put_shadow,
        admin::remove_shadow,
        health::live,
        health::ready,
        metrics_page::metrics,
    ),
    security((), ("key" = [])),
    modifiers(&Key),
)]
struct Description;

struct Key;

impl Modify for Key {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let key = key.description(Some("The API key, or the admin key for changes of models")).build();
        openapi.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(key));
    }
}

/// `GET /openapi.json`
pub async fn description() -> impl IntoResponse {
    static JSON: LazyLock<Bytes> = LazyLock::new(|| {
        // Plain structs: there is nothing that cannot be written.
        Description::openapi().to_json().unwrap_or_default().into()
    });
    ([(CONTENT_TYPE, "application/json")], JSON.clone())
}
