//! Names in the address of a request.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::{Code, Problem};

/// The names in the address: a `String`, or a tuple of them.
pub struct InPath<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(names) = Path::from_request_parts(parts, state).await.map_err(|_| {
            Problem::new(Code::InvalidRequest, "a name in the address is not UTF-8; write `ü` as `%C3%BC`")
        })?;
        Ok(Self(names))
    }
}
