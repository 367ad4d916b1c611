//! Reads the body of a request: unpacked, as UTF-8 and within the limit.

use std::io::Read;
use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};

use super::app::App;
use super::error::{Code, Problem};
use super::json::{Field, FromJson};
use crate::classify::request::RequestLimits;
use crate::system::choice::shortened;

/// A body of type `T`.
pub struct JsonBody<T>(pub T);

impl<T: FromJson> FromRequest<Arc<App>> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let body = read_body(request, &app.limits).await?;
        T::from_json(&Field::body(utf8(&body)?)).map(Self)
    }
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Zstd,
}

/// Reads the whole body of a request whose headers announce JSON, and unpacks it. The limit holds before and after.
pub async fn read_body(request: Request, limits: &RequestLimits) -> Result<Bytes, Problem> {
    let coding = Coding::of(request.headers())?;
    let media_type = header(&request, &CONTENT_TYPE).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != "application/json" && !essence.ends_with("+json") {
        let found = match media_type {
            "" => "no content-type is sent that can be read".to_owned(),
            media_type => format!("content-type `{}` is not JSON", shortened(media_type)),
        };
        let detail = format!("{found}; send `content-type: application/json`");
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let max = limits.max_body_bytes;
    let body = to_bytes(request.into_body(), max).await.map_err(|error| {
        let is_limit =
            std::error::Error::source(&error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
        match is_limit {
            true => too_large("the body", max),
            false => Problem::new(
                Code::InvalidJson,
                format!("the body could not be read to its end: {error}; send it whole"),
            ),
        }
    })?;
    let Some(coding) = coding else { return Ok(body) };
    let unpacked = tokio::task::spawn_blocking(move || coding.unpack(&body, max)).await;
    unpacked.map_err(|_| Problem::new(Code::Internal, "the body could not be unpacked; the server's log says why"))?
}

fn too_large(what: &str, max: usize) -> Problem {
    let detail = format!(
        "{what} has more than {max} bytes; send the documents in several requests, or start the server with a higher --max-body-bytes"
    );
    Problem::new(Code::BodyTooLarge, detail)
}

impl Coding {
    /// The coding that the headers name; `None`: the body is not packed.
    fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let values = headers.get_all(CONTENT_ENCODING).iter();
        let named: Vec<String> = values
            .flat_map(|value| {
                String::from_utf8_lossy(value.as_bytes())
                    .to_ascii_lowercase()
                    .split(',')
                    .map(|coding| coding.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .filter(|coding| !coding.is_empty() && coding != "identity")
            .collect();
        match named.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Ok(None),
            ["gzip" | "x-gzip"] => Ok(Some(Self::Gzip)),
            ["zstd"] => Ok(Some(Self::Zstd)),
            _ => {
                let named = shortened(&named.join(", "));
                let detail = format!(
                    "content-encoding `{named}` is not supported; send the JSON with `gzip` or `zstd`, one of them, or uncompressed"
                );
                Err(Problem::new(Code::UnsupportedMediaType, detail))
            }
        }
    }

    fn unpack(self, packed: &[u8], max: usize) -> Result<Bytes, Problem> {
        let mut body = Vec::new();
        let most = max as u64 + 1;
        let read = match self {
            Self::Gzip => flate2::read::MultiGzDecoder::new(packed).take(most).read_to_end(&mut body),
            Self::Zstd => {
                zstd::Decoder::with_buffer(packed).and_then(|decoder| decoder.take(most).read_to_end(&mut body))
            }
        };
        match read {
            Err(error) => {
                let name = if self == Self::Gzip { "gzip" } else { "zstd" };
                let detail = format!(
                    "the body is not whole {name} data ({error}); pack it again, or send it without content-encoding"
                );
                Err(Problem::new(Code::InvalidJson, detail))
            }
            Ok(_) if body.len() > max => Err(too_large("the unpacked body", max)),
            Ok(_) => Ok(body.into()),
        }
    }
}

/// The value of a header, when it is present and text.
pub fn header<'r>(request: &'r Request, name: &HeaderName) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}

/// The text of a body, without the byte order mark that some programs write. Another encoding is refused by its name.
pub fn utf8(body: &[u8]) -> Result<&str, Problem> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    const UTF_8: &str = "send the JSON in UTF-8";
    let refuse = |detail: String| Err(Problem::new(Code::InvalidJson, detail));
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    // Other encodings show in their byte order mark, or in the NUL bytes around the first character.
    match body {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [b'{' | b'[', 0, 0, 0, ..] | [0, 0, 0, b'{' | b'[', ..] => {
            refuse(format!("the body is UTF-32; {UTF_8}"))
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..] => {
            refuse(format!("the body is UTF-16; {UTF_8}"))
        }
        [0x1f, 0x8b, ..] => refuse("the body is gzip data; send `content-encoding: gzip` with it".to_owned()),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            refuse("the body is zstd data; send `content-encoding: zstd` with it".to_owned())
        }
        _ => std::str::from_utf8(body).or_else(|error| {
            let at = error.valid_up_to();
            let byte = body.get(at).copied().unwrap_or_default();
            refuse(format!("the body is not UTF-8: byte {at} is 0x{byte:02x}, perhaps of Windows-1252; {UTF_8}"))
        }),
    }
}
