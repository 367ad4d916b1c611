//! What the fuzz targets (`fuzz/`) call of the private readers of requests.

use axum::body::Bytes;
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, HeaderValue};

use super::error::Problem;
use super::schema::{ClassifyRequest, Input};
use super::unpack::{Coding, Step, Unpacking};
use crate::classify::answer::DocumentId;
use crate::classify::request::{CheckedText, RequestLimits};

/// A text with its id, or why the document has none.
pub type ReadDocument = (Option<DocumentId>, Result<CheckedText, Problem>);

/// Reads a body as `POST /v1/classify` does, each of its documents too.
pub fn read_request(
    body: &[u8],
    content_encoding: Option<&'static str>,
    limits: &RequestLimits,
) -> Result<Vec<ReadDocument>, Problem> {
    let encodings = content_encoding.map(|coding| (CONTENT_ENCODING, HeaderValue::from_static(coding)));
    let body = match Coding::of(&HeaderMap::from_iter(encodings))? {
        None => Bytes::copy_from_slice(body),
        Some(coding) => {
            let mut unpacking = Unpacking::whole(coding, body.to_vec(), limits.max_body_bytes)?;
            while unpacking.step()? == Step::More {}
            unpacking.bytes.into()
        }
    };
    Ok(match ClassifyRequest::parse(&body, limits)?.input {
        Input::One(text) => vec![(None, Ok(text))],
        Input::Many(documents) => documents.iter().map(|document| (document.id(), document.text(limits))).collect(),
    })
}
