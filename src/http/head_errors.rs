//! Answers to heads that cannot be read. hyper gives them a status and no body, and closes the connection on HTTP/2 without a
//! word. On this socket they are problems like all others, with a line in the log.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Connection;
use super::error::{Code, Problem};
use super::head::{HeadLimit, beyond_reading};
use super::observe::log_unread_head;

/// How HTTP/2 begins without TLS (RFC 9113, section 3.4). hyper recognises all of it, and not a part.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The part of it that is a request line.
const PREFACE_LINE: usize = "PRI * HTTP/2.0".len();

/// The socket of a connection, as hyper reads and writes it.
pub struct HeadErrors<S> {
    socket: S,
    connection: Arc<Connection>,
    limit: HeadLimit,
    /// Bytes at the start of the connection that are those of the preface.
    n_of_preface: usize,
    is_past_preface: bool,
    /// What is left to send of an answer.
    answer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> HeadErrors<S> {
    pub fn new(socket: S, connection: Arc<Connection>, limit: HeadLimit) -> Self {
        Self { socket, connection, limit, n_of_preface: 0, is_past_preface: false, answer: Vec::new() }
    }

    /// Breaks the preface of HTTP/2, so that hyper answers it as any head that is not HTTP/1.
    fn break_preface(&mut self, read: &mut [u8]) {
        for byte in read {
            if self.is_past_preface {
                return;
            }
            self.is_past_preface = PREFACE.get(self.n_of_preface) != Some(byte);
            self.n_of_preface += usize::from(!self.is_past_preface);
            if self.n_of_preface == PREFACE.len() {
                self.is_past_preface = true;
                *byte = b' ';
            }
        }
    }

    /// The answer in place of one of hyper's; `None` for all other bytes.
    fn replacement(&self, written: &[u8]) -> Option<Vec<u8>> {
        let status = unread_status(written)?;
        let code = match status {
            400 => Code::InvalidHead,
            414 | 431 => Code::HeadTooLarge,
            _ => return None,
        };
        let problem = match code {
            _ if status == 414 => Problem::new(
                code,
                "the address of the request has more than 65534 bytes, and no more of it is read; send a shorter address, with texts and options in the body",
            ),
            Code::HeadTooLarge => Problem::new(code, beyond_reading(self.limit)),
            _ if self.n_of_preface >= PREFACE_LINE => Problem::new(
                code,
                "the connection begins with HTTP/2, and this server speaks HTTP/1.1; send HTTP/1.1, or put a proxy that speaks HTTP/2 in front of it",
            ),
            _ => Problem::new(
                code,
                "the head of the request is not HTTP/1.1: its first line or a header is not valid (bytes that are not allowed, or a `content-length` that is no number or is given twice); send it as RFC 9112 says",
            ),
        };
        let (status, request_id) = (problem.code.status(), log_unread_head(problem.code));
        let body = serde_json::to_vec(&problem.body()).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\nconnection: close\r\ncontent-length: {}\r\nx-request-id: {request_id}\r\n\r\n",
            body.len()
        );
        Some([head.into_bytes(), body].concat())
    }

    /// Takes an answer of hyper's to a head that it could not read, in place of which another is sent.
    fn take(&mut self, written: &[u8]) -> bool {
        let Some(answer) = self.replacement(written) else { return false };
        self.answer = answer;
        // The rest of the head may be on its way, and the client sees no answer if it is reset.
        self.connection.set_unread(true);
        true
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.answer.is_empty() {
            let n = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.answer))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.answer.drain(..n);
        }
        Poll::Ready(Ok(()))
    }
}

/// The status of an answer that hyper makes by itself: one head, without a body and without the id that all of ours have.
fn unread_status(written: &[u8]) -> Option<u16> {
    /// More than hyper writes then. Longer answers, which may have megabytes, are not looked through.
    const MAX_BYTES: usize = 512;
    if written.len() > MAX_BYTES {
        return None;
    }
    let head = std::str::from_utf8(written).ok()?.strip_suffix("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let is_made_by_hyper =
        !head.contains("\r\n\r\n") && head.contains("\r\ncontent-length: 0") && !head.contains("\r\nx-request-id: ");
    is_made_by_hyper.then_some(status)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for HeadErrors<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let n_before = buf.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(cx, buf))?;
        if !this.is_past_preface {
            this.break_preface(&mut buf.filled_mut()[n_before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HeadErrors<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_answer(cx))?;
        match this.take(buf) {
            true => Poll::Ready(Ok(buf.len())),
            false => Pin::new(&mut this.socket).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_answer(cx))?;
        let mut filled = bufs.iter().filter(|buf| !buf.is_empty());
        if let (Some(only), None) = (filled.next(), filled.next())
            && this.take(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut this.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_answer(cx))?;
        Pin::new(&mut this.socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_answer(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_hyper_made_by_itself_is_replaced() {
        let by_hyper =
            "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        for (written, status) in [
            (by_hyper, Some(431)),
            ("HTTP/1.0 400 Bad Request\r\ncontent-length: 0\r\n\r\n", Some(400)),
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nx-request-id: a\r\n\r\n", None),
            ("HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}", None),
            ("HTTP/1.1 100 Continue\r\n\r\n", None),
            (&format!("{by_hyper}{by_hyper}"), None),
            ("0\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(unread_status(written.as_bytes()), status, "{written}");
        }
    }
}
