//! The API key, where the operator set one: asked for as `Authorization: Bearer KEY` and compared in constant time.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::{App, Code, Problem};

/// A secret that is never printed.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// Lets a request pass that has the key, or any where none is set.
pub async fn require_key(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Some(key) = &app.api_key else { return next.run(request).await };
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match given {
        Some(given) if key.is(given) => next.run(request).await,
        Some(_) => Problem::new(Code::Unauthorized, "the API key is not the one that this server was started with")
            .into_response(),
        None => {
            Problem::new(Code::Unauthorized, "an API key is asked for; send the header `Authorization: Bearer KEY`")
                .into_response()
        }
    }
}
