//! The size of the head of a request. `hyper` reads heads somewhat above the limits, so that they are refused here with a reason.

use axum::extract::Request;
use axum::http::Version;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;

use super::error::{Code, Problem};

/// The highest `max_head_bytes`: with what `hyper` reads above it, its buffer of 400 kB suffices.
pub const MAX_HEAD_BYTES: usize = 100_000;
/// Header fields of a request.
const MAX_FIELDS: usize = 100;
/// What `hyper` reads, in multiples of the limits. Beyond it, [`HeadErrors`](super::head_errors::HeadErrors) answers.
const READ_ABOVE: usize = 4;

/// The limit of the connection that a request came over, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimit(pub usize);

impl HeadLimit {
    /// Lets `hyper` read somewhat more than the limit.
    pub fn apply(self, builder: &mut http1::Builder) {
        builder.max_header_size(READ_ABOVE * self.0).max_headers(READ_ABOVE * MAX_FIELDS);
    }
}

/// Why a head is refused of which `hyper` reads no more.
pub fn beyond_reading(HeadLimit(max): HeadLimit) -> String {
    format!(
        "the head of the request has more than {READ_ABOVE} times what is allowed, {max} bytes (--max-head-bytes) and {MAX_FIELDS} header fields; send fewer or shorter header fields, or a shorter address"
    )
}

/// Refuses a request whose head is too large.
pub async fn check_head(request: Request, next: Next) -> Response {
    let Some(HeadLimit(max)) = request.extensions().get().copied() else { return next.run(request).await };
    let (n_bytes, n_fields) = (n_bytes(&request), request.headers().len());
    let detail = if n_bytes > max {
        format!(
            "the head of the request has {n_bytes} bytes, and the limit is {max} (--max-head-bytes); send fewer or shorter header fields, or a shorter address"
        )
    } else if n_fields > MAX_FIELDS {
        format!("the head of the request has {n_fields} header fields, and the limit is {MAX_FIELDS}; send fewer")
    } else {
        return next.run(request).await;
    };
    Problem::new(Code::HeadTooLarge, detail).into_response()
}

/// The bytes of the head in HTTP/1.1, with one space after each colon.
fn n_bytes(request: &Request) -> usize {
    const LINE_END: usize = "\r\n".len();
    let version = match request.version() {
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    };
    let uri = request.uri();
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let origin = match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => scheme.len() + "://".len() + authority.as_str().len(),
        _ => 0,
    };
    let first = request.method().as_str().len() + 1 + origin + target + 1 + version.len() + LINE_END;
    let fields =
        request.headers().iter().map(|(name, value)| name.as_str().len() + ": ".len() + value.len() + LINE_END);
    first + fields.sum::<usize>() + LINE_END
}
