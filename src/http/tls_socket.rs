//! A connection under TLS, as the server reads and writes it.
//!
//! The time limits are those of the [`Socket`] below. They hold for the handshake too, which is a part of the first head.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use super::connection::{Connection, Socket};

/// The stream of a connection, for hyper and for the first bytes of answers. Both are polled by one task.
#[derive(Clone)]
pub struct TlsSocket {
    connection: Arc<Connection>,
    stream: Arc<Mutex<TlsStream<Socket>>>,
}

impl TlsSocket {
    pub fn new(connection: Arc<Connection>, stream: TlsStream<Socket>) -> Self {
        Self { connection, stream: Arc::new(Mutex::new(stream)) }
    }

    /// Sends bytes if they can be sent now; returns how many.
    pub fn try_send(&self, context: &mut Context<'_>, bytes: &[u8]) -> usize {
        let mut stream = self.lock();
        match Pin::new(&mut *stream).poll_write(context, bytes) {
            Poll::Ready(Ok(n)) => {
                // What is left of it goes out with the answer.
                let _ = Pin::new(&mut *stream).poll_flush(context);
                n
            }
            _ => 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, TlsStream<Socket>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for TlsSocket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(context, buf)
    }
}

impl AsyncWrite for TlsSocket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.connection.skip_early(buf) {
            Some(n) => Poll::Ready(Ok(n)),
            None => Pin::new(&mut *self.lock()).poll_write(context, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
        match self.connection.skip_early(first) {
            Some(n) => Poll::Ready(Ok(n)),
            None => Pin::new(&mut *self.lock()).poll_write_vectored(context, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(context)
    }
}
