//! Ends a connection whose client still sends: first the answer, then a while in which the rest is read and discarded.
//!
//! A socket that is closed with unread bytes is reset, and the client may never see the answer (RFC 9112, section 9.6).

use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// Four bodies of the default size.
const MAX_BYTES: usize = 128_000_000;
/// Enough for 32 MB at 10 megabits a second.
const MAX_TIME: Duration = Duration::from_secs(30);
/// A client that sends nothing for so long has seen the end of its answer, or waits for nothing.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// A connection on which nothing is sent any more, while its client may still send.
pub struct Lingering {
    n_bytes: usize,
    end: Pin<Box<Sleep>>,
    pause: Pin<Box<Sleep>>,
}

impl Lingering {
    /// Tells the client that the answer is complete.
    pub fn start(stream: &TcpStream) -> Self {
        // It fails where the connection is broken already, and then the first read does too.
        let _ = SockRef::from(stream).shutdown(Shutdown::Write);
        // Timers for `poll`; nothing waits here.
        Self { n_bytes: 0, end: Box::pin(sleep(MAX_TIME)), pause: Box::pin(sleep(MAX_PAUSE)) }
    }

    /// Discards what comes, until the client closes the connection or a limit is met.
    pub fn poll(&mut self, stream: &TcpStream, context: &mut Context<'_>) -> Poll<()> {
        let mut discarded = [0; 16 * 1024];
        while let Poll::Ready(ready) = stream.poll_read_ready(context) {
            let read = ready.and_then(|()| stream.try_read(&mut discarded));
            match read {
                Ok(n) if n > 0 && self.n_bytes < MAX_BYTES => {
                    self.n_bytes += n;
                    self.pause.as_mut().reset(Instant::now() + MAX_PAUSE);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => return Poll::Ready(()),
            }
        }
        let is_over = self.end.as_mut().poll(context).is_ready() || self.pause.as_mut().poll(context).is_ready();
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    }
}
