//! Reads the body of a request, as JSON and within the limit.

use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use serde::de::{Deserialize, DeserializeOwned};

use super::app::App;
use super::error::{Code, Problem};
use crate::classify::request::RequestLimits;

/// A body of type `T`.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let body = read_body(request, &app.limits).await?;
        parse_json(&body).map(Self)
    }
}

/// Reads the whole body of a request whose headers announce JSON.
pub async fn read_body(request: Request, limits: &RequestLimits) -> Result<Bytes, Problem> {
    let coding = header(&request, &CONTENT_ENCODING).unwrap_or_default().trim();
    if !coding.is_empty() && !coding.eq_ignore_ascii_case("identity") {
        let detail = format!("content-encoding `{coding}` is not supported; send the JSON uncompressed");
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let media_type = header(&request, &CONTENT_TYPE).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != "application/json" && !essence.ends_with("+json") {
        let detail = format!("content-type `{media_type}` is not JSON; send `content-type: application/json`");
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let max = limits.max_body_bytes;
    to_bytes(request.into_body(), max).await.map_err(|error| {
        let is_limit = std::error::Error::source(&error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
        match is_limit {
            true => Problem::new(Code::BodyTooLarge, format!("the body has more than {max} bytes; send the documents in several requests, or start the server with a higher --max-body-bytes")),
            false => Problem::new(Code::InvalidJson, format!("the body could not be read to its end: {error}")),
        }
    })
}

/// The value of a header, when it is present and text.
pub fn header<'r>(request: &'r Request, name: &HeaderName) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}

/// Parses JSON. Text that is not JSON and JSON of another shape are different problems.
pub fn parse_json<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Problem> {
    // Serde reads a struct from an array too, and the API has no such form.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Problem::new(Code::InvalidRequest, "the JSON is an array, and an object is expected: {…}"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let at = error.path().to_string();
        let field = if at == "." { String::new() } else { format!("{at}: ") };
        match error.inner().classify() {
            serde_json::error::Category::Data => {
                Problem::new(Code::InvalidRequest, format!("{field}{}", error.inner()))
            }
            _ => invalid_json(error.inner()),
        }
    })?;
    deserializer.end().map_err(|error| invalid_json(&error))?;
    Ok(value)
}

fn invalid_json(error: &serde_json::Error) -> Problem {
    Problem::new(Code::InvalidJson, format!("{error}; send valid JSON in UTF-8, with surrogate escapes in pairs"))
}
