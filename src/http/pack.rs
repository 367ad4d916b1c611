//! Packs answers with zstd, br or gzip where the client accepts it, frame by frame: a streamed answer keeps streaming.
//!
//! A packer takes memory of the budget of all requests. Where none is left, the answer is sent as it is.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::Frame;

use super::accept::quality;
use super::app::App;
use super::unpack::Coding;
use crate::system::budget::{MemoryUse, Reserved};

/// The answer packed as the client prefers.
pub async fn pack_answer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let coding = preferred(request.headers());
    let mut response = next.run(request).await;
    if !is_worth_packing(&response) {
        return response;
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    let Some(coding) = coding else { return response };
    let (Ok(memory), Ok(packer)) =
        (app.memory.try_reserve(Packer::n_bytes(coding), MemoryUse::Document), Packer::new(coding))
    else {
        return response;
    };
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    response.map(|body| Body::new(PackedBody { body, packer: Some(packer), n_unsent: 0, _memory: memory }))
}

/// The coding with the highest quality; of several, the one that costs least.
fn preferred(headers: &HeaderMap) -> Option<Coding> {
    let any = quality(headers, &ACCEPT_ENCODING, "*").unwrap_or(0.0);
    let quality = |coding: &Coding| quality(headers, &ACCEPT_ENCODING, coding.name()).unwrap_or(any);
    let best = Coding::ALL.into_iter().rev().max_by(|a, b| quality(a).total_cmp(&quality(b)))?;
    (quality(&best) > 0.0).then_some(best)
}

fn is_worth_packing(response: &Response) -> bool {
    const MIN_BYTES: u64 = 1024;
    let headers = response.headers();
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let is_packed = headers.contains_key(CONTENT_ENCODING) || content_type.starts_with(b"image/");
    !is_packed && response.body().size_hint().exact().is_none_or(|n_bytes| n_bytes >= MIN_BYTES)
}

/// A body that is packed while it is sent.
struct PackedBody {
    body: Body,
    /// `None` once the body is whole.
    packer: Option<Packer>,
    /// Bytes that the packer took since it was flushed.
    n_unsent: usize,
    _memory: Reserved,
}

enum Packer {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
}

impl HttpBody for PackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        /// After so many bytes the client gets what is packed.
        const MAX_UNSENT: usize = 32 * 1024;
        let this = self.get_mut();
        let packed = loop {
            let Some(packer) = &mut this.packer else { return Poll::Ready(None) };
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    this.n_unsent += bytes.len();
                    match packer.write(&bytes) {
                        Ok(()) if this.n_unsent < MAX_UNSENT => {}
                        Ok(()) => break packer.flush(),
                        Err(error) => break Err(error),
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                // What is packed must not wait for more.
                Poll::Pending if this.n_unsent > 0 => break packer.flush(),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => break this.packer.take().map_or(Ok(Vec::new()), Packer::finish),
            }
        };
        this.n_unsent = 0;
        Poll::Ready(Some(packed.map(|packed| Frame::data(packed.into())).map_err(axum::Error::new)))
    }
}

impl Packer {
    /// Fast, and with small windows: many answers are sent at the same time.
    fn new(coding: Coding) -> io::Result<Self> {
        const ZSTD_LEVEL: i32 = 1;
        const ZSTD_WINDOW_LOG: u32 = 18;
        const BROTLI_QUALITY: u32 = 4;
        const BROTLI_WINDOW_LOG: u32 = 18;
        const BUFFER_BYTES: usize = 4096;
        Ok(match coding {
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.window_log(ZSTD_WINDOW_LOG)?;
                Self::Zstd(encoder)
            }
            Coding::Brotli => Self::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                BUFFER_BYTES,
                BROTLI_QUALITY,
                BROTLI_WINDOW_LOG,
            ))),
            Coding::Gzip => Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast())),
        })
    }

    /// About how many bytes of memory one takes.
    fn n_bytes(coding: Coding) -> u64 {
        match coding {
            Coding::Zstd | Coding::Gzip => 1024 * 1024,
            Coding::Brotli => 2 * 1024 * 1024,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::Brotli(encoder) => encoder.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
        }
    }

    /// All that was written, packed so that the client can unpack it.
    fn flush(&mut self) -> io::Result<Vec<u8>> {
        Ok(std::mem::take(match self {
            Self::Zstd(encoder) => {
                encoder.flush()?;
                encoder.get_mut()
            }
            Self::Brotli(encoder) => {
                encoder.flush()?;
                encoder.get_mut()
            }
            Self::Gzip(encoder) => {
                encoder.flush()?;
                encoder.get_mut()
            }
        }))
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coding_of_the_highest_quality_is_used() {
        for (accepted, coding) in [
            ("gzip, deflate", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip, br;q=0.5", Some(Coding::Gzip)),
            ("BR", Some(Coding::Brotli)),
            ("*", Some(Coding::Zstd)),
            ("*, zstd;q=0", Some(Coding::Brotli)),
            ("identity, *;q=0", None),
            ("gzip;q=0", None),
            ("deflate", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
            assert_eq!(preferred(&headers), coding, "{accepted}");
        }
        assert_eq!(preferred(&HeaderMap::new()), None);
    }
}
