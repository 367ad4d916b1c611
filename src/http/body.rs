//! Reads the body of a request: unpacked, as UTF-8 and within the limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{BodyDataStream, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderName};
use futures_util::StreamExt;

use super::app::App;
use super::error::{Code, Problem};
use super::json::{Field, FromJson};
use super::media_type::{check_charset, essence};
use super::unpack::{Coding, Step, Unpacking, too_large};
use crate::classify::error::ClassifyError;
use crate::inference::pipeline::PredictError;
use crate::inference::scheduler::{Admission, RequestContext};
use crate::inference::workers::workers;
use crate::system::budget::{BudgetExceeded, MemoryUse, Reserved};
use crate::system::choice::shortened;

/// How much of a refused body is read and discarded, in bodies of the largest size, and for how long.
const DISCARDED_BODIES: usize = 4;
/// Enough for 32 MB at 10 megabits a second. Nothing of them is kept.
const DISCARD_TIME: Duration = Duration::from_secs(30);

/// A body of type `T`.
pub struct JsonBody<T>(pub T);

impl<T: FromJson> FromRequest<Arc<App>> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let deadline = Instant::now() + app.limits.get().timeout;
        let body = read_body_of(MediaTypes::Json, request, app, RequestContext::new(Admission::Try, deadline)).await?;
        T::from_json(&Field::body(utf8(&body.bytes)?)).map(Self)
    }
}

/// What a body holds, by its `content-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    Json,
    /// One text.
    Text,
}

/// The content of a body, and what it takes of the budget.
pub struct ReadBody {
    pub kind: BodyKind,
    pub bytes: Bytes,
    pub memory: Reserved,
}

/// Which bodies a route accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaTypes {
    Json,
    JsonOrText,
    /// JSON from clients that name no type, or another.
    Any,
}

impl BodyKind {
    /// The kind that the headers announce, where it is accepted.
    fn of(headers: &HeaderMap, accepted: MediaTypes) -> Result<Self, Problem> {
        check_charset(headers)?;
        if accepted == MediaTypes::Any {
            return Ok(Self::Json);
        }
        let accepts_text = accepted == MediaTypes::JsonOrText;
        let kind = match essence(headers).as_str() {
            "text/plain" if accepts_text => Some(Self::Text),
            json if json == "application/json" || json.ends_with("+json") => Some(Self::Json),
            _ => None,
        };
        let found = || match text_of(headers, &CONTENT_TYPE).unwrap_or_default() {
            "" => "no content-type is sent that can be read".to_owned(),
            media_type => format!("content-type `{}` is not read here", shortened(media_type)),
        };
        let or_text =
            if accepts_text { ", `application/x-ndjson` for lines, or `text/plain` for one text in UTF-8" } else { "" };
        let refuse = || format!("{}; send `content-type: application/json`{or_text}", found());
        kind.ok_or_else(|| Problem::new(Code::UnsupportedMediaType, refuse()))
    }
}

/// Reads the whole body of a request whose headers announce one of `accepted`, and unpacks it. The limits hold before and after.
/// A body that does not arrive before the deadline is refused as its sender's fault, so this is no part of
/// [`within`](super::classify::within).
pub async fn read_body_of(
    accepted: MediaTypes,
    request: Request,
    app: &App,
    context: RequestContext,
) -> Result<ReadBody, Problem> {
    let (head, body) = request.into_parts();
    let mut frames = body.into_data_stream();
    match read_packed((accepted, context.deadline), &head.headers, &mut frames, app).await {
        Ok((kind, None, bytes, memory)) => Ok(ReadBody { kind, bytes: bytes.into(), memory }),
        Ok((kind, Some(coding), bytes, memory)) => {
            let max = app.limits.get().max_body_bytes;
            let (bytes, memory) = unpack(coding, bytes, memory, max, context).await?;
            Ok(ReadBody { kind, bytes, memory })
        }
        Err(problem) => {
            // A client that waits for `100 Continue` sends no body. After a body that is too large, the connection ends (`linger`).
            let max = app.limits.get().max_body_bytes;
            let ends_connection = matches!(problem.code, Code::BodyTooLarge | Code::RequestTimeout);
            let keeps_connection = !ends_connection && announced(&head.headers) <= max as u64;
            if keeps_connection && !head.headers.contains_key(EXPECT) {
                // The answer comes in time, also where the client stalls.
                let _ = tokio::time::timeout_at(context.deadline.into(), discard(&mut frames, max)).await;
            }
            Err(problem)
        }
    }
}

/// Reads what a refused client still sends. A connection that is closed before is reset, and the client never sees why.
pub async fn discard(frames: &mut BodyDataStream, max_body_bytes: usize) {
    let mut n_bytes = 0;
    let rest = async {
        while let Some(Ok(frame)) = frames.next().await
            && n_bytes <= DISCARDED_BODIES * max_body_bytes
        {
            n_bytes += frame.len();
        }
    };
    // A client that takes longer is reset.
    let _ = tokio::time::timeout(DISCARD_TIME, rest).await;
}

/// The body as sent, with its kind and coding and what it takes of the budget.
async fn read_packed(
    (accepted, deadline): (MediaTypes, Instant),
    headers: &HeaderMap,
    frames: &mut BodyDataStream,
    app: &App,
) -> Result<(BodyKind, Option<Coding>, Vec<u8>, Reserved), Problem> {
    let max = app.limits.get().max_body_bytes;
    let announced = announced(headers);
    if announced > max as u64 {
        return Err(too_large("the body", max));
    }
    let (coding, kind) = (Coding::of(headers)?, BodyKind::of(headers, accepted)?);
    // A client that announces much and sends little holds little.
    let mut memory = app.memory.try_reserve(announced, MemoryUse::Body).map_err(overloaded)?;
    memory.resize(0).map_err(overloaded)?;
    let mut bytes = Vec::new();
    let stalled = |n_bytes: usize| {
        let timeout = app.limits.get().timeout.as_secs_f32();
        let of = if announced > 0 { format!(" of {announced}") } else { String::new() };
        let detail = format!(
            "the body did not arrive within {timeout} s, only {n_bytes}{of} bytes; send it faster, or start the server with a longer --timeout-s"
        );
        Problem::new(Code::RequestTimeout, detail)
    };
    loop {
        let next = tokio::time::timeout_at(deadline.into(), frames.next()).await;
        let Some(frame) = next.map_err(|_| stalled(bytes.len()))? else { break };
        let frame = frame.map_err(|error| {
            Problem::new(Code::InvalidJson, format!("the body could not be read to its end: {error}; send it whole"))
        })?;
        if bytes.len() + frame.len() > max {
            return Err(too_large("the body", max));
        }
        memory.resize((bytes.len() + frame.len()) as u64).map_err(overloaded)?;
        bytes.extend_from_slice(&frame);
    }
    Ok((kind, coding, bytes, memory))
}

/// The length of a body, where its head names one.
pub fn announced(headers: &HeaderMap) -> u64 {
    text_of(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// Unpacks a body in pieces, so that one which takes long delays nobody and ends with its request.
async fn unpack(
    coding: Coding,
    packed: Vec<u8>,
    mut memory: Reserved,
    max: usize,
    context: RequestContext,
) -> Result<(Bytes, Reserved), Problem> {
    let n_packed = packed.len();
    let mut unpacking = Some((Unpacking::whole(coding, packed, max)?, memory));
    let context = RequestContext { admission: Admission::Wait, ..context };
    let piece = move || {
        let (unpacking_now, memory) = unpacking.as_mut()?;
        let step = unpacking_now.step().and_then(|step| {
            memory.resize((n_packed + unpacking_now.bytes.len()) as u64).map_err(overloaded)?;
            Ok(step)
        });
        match step {
            Ok(Step::More | Step::NeedsInput) => None,
            Ok(Step::Whole) => unpacking.take().map(Ok),
            Err(problem) => Some(Err(problem)),
        }
    };
    let (unpacked, held) =
        workers().run(context, piece).await.map_err(|error| ClassifyError::from(PredictError::from(error)))??;
    memory = held;
    memory.resize(unpacked.bytes.len() as u64).map_err(overloaded)?;
    Ok((unpacked.bytes.into(), memory))
}

/// Parses a body; a large one on the threads for such work, after the small ones of others.
pub async fn parse<T: Send + 'static>(
    body: Bytes,
    context: RequestContext,
    parse: impl FnOnce(&Bytes) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    const LARGE_BYTES: usize = 64 * 1024;
    if body.len() < LARGE_BYTES {
        return parse(&body);
    }
    let context = RequestContext { admission: Admission::Wait, ..context };
    let parsed = workers().run_once(context, move || parse(&body)).await;
    parsed.map_err(|error| ClassifyError::from(PredictError::from(error)))?
}

pub fn overloaded(error: BudgetExceeded) -> Problem {
    ClassifyError::from(error).into()
}

/// The value of a header, when it is present and text.
pub fn header<'r>(request: &'r Request, name: &HeaderName) -> Option<&'r str> {
    text_of(request.headers(), name)
}

pub fn text_of<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The text of a body, without the byte order mark that some programs write. Another encoding is refused by its name.
pub fn utf8(body: &[u8]) -> Result<&str, Problem> {
    utf8_of(body, "the body")
}

/// The same for a part of a body; `what` it is stands in the message.
pub fn utf8_of<'b>(body: &'b [u8], what: &str) -> Result<&'b str, Problem> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    const UTF_8: &str = "send it in UTF-8";
    let refuse = |detail: String| Err(Problem::new(Code::InvalidJson, detail));
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    // Other encodings show in their byte order mark, or in the NUL bytes around the first character.
    match body {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [b'{' | b'[', 0, 0, 0, ..] | [0, 0, 0, b'{' | b'[', ..] => {
            refuse(format!("{what} is UTF-32; {UTF_8}"))
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..] => {
            refuse(format!("{what} is UTF-16; {UTF_8}"))
        }
        [0x1f, 0x8b, ..] => refuse(format!("{what} is gzip data; send `content-encoding: gzip` with it")),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => refuse(format!("{what} is zstd data; send `content-encoding: zstd` with it")),
        _ => std::str::from_utf8(body).or_else(|error| {
            let at = error.valid_up_to();
            let byte = body.get(at).copied().unwrap_or_default();
            refuse(format!("{what} is not UTF-8: byte {at} is 0x{byte:02x}, perhaps of Windows-1252; {UTF_8}"))
        }),
    }
}
