//! One connection: its socket, the phase it is in, and the limits of each phase.
//!
//! A client may close its sending side and still wait for the answer, or it may be gone: both look the same. So the first bytes
//! of the answer, which all answers have in common, are sent early. A client that is gone resets the connection on them.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep_until};

use super::limits::ServerSettings;
use super::linger::Lingering;
use crate::system::metric_names::{IN_FLIGHT_REQUESTS, STALLED_CONNECTIONS};

/// How every answer of this server begins.
const FIRST_BYTES: &[u8] = b"HTTP/1.";

/// A connection, as the server and its socket share it.
pub struct Connection {
    stream: TcpStream,
    state: Mutex<ConnectionState>,
    request_started: Notify,
    /// Told when the connection must close.
    pub close: Notify,
}

struct ConnectionState {
    phase: Phase,
    /// Whether the body of the current request is not read to its end.
    is_unread: bool,
    /// Whether bytes of the current answer are sent.
    answer_started: bool,
    /// The time for which the server waits for the client to read the current answer.
    waiting: Waiting,
    /// Bytes of the answer that are sent already.
    n_sent_early: usize,
}

/// The time in which a socket takes no more bytes of an answer. One that takes some in between is blocked again and again.
#[derive(Debug, Clone, Copy, Default)]
struct Waiting {
    /// Since when it takes none.
    blocked_since: Option<Instant>,
    /// In all, without the time since then.
    before: Duration,
}

/// Why a client that reads too little is disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadLimit {
    Stall,
    Total,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Between two requests.
    Idle(Instant),
    /// The head of a request is awaited or incomplete.
    Head(Instant),
    Request,
}

/// A request under way; the connection is idle again when it is dropped.
pub struct UnderWay {
    connection: Arc<Connection>,
    idle: Arc<Notify>,
}

/// The socket as hyper reads and writes it.
pub struct Socket {
    connection: Arc<Connection>,
    settings: ServerSettings,
    /// Whether it carries answers as they are, and not TLS.
    is_plain: bool,
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    lingering: Option<Lingering>,
}

impl Connection {
    pub fn new(stream: TcpStream) -> Self {
        let phase = Phase::Head(Instant::now());
        let waiting = Waiting::default();
        let state = ConnectionState { phase, is_unread: false, answer_started: false, waiting, n_sent_early: 0 };
        Self { stream, state: Mutex::new(state), request_started: Notify::new(), close: Notify::new() }
    }

    /// Since when the client owes a request; `None` while one is under way.
    pub fn waiting_since(&self) -> Option<Instant> {
        match self.lock().phase {
            Phase::Idle(since) | Phase::Head(since) => Some(since),
            Phase::Request => None,
        }
    }

    /// Starts a request. `idle` is told when it is over.
    pub fn start_request(self: &Arc<Self>, idle: &Arc<Notify>) -> UnderWay {
        let mut state = self.lock();
        state.phase = Phase::Request;
        state.answer_started = false;
        state.waiting.before = Duration::ZERO;
        drop(state);
        self.request_started.notify_one();
        metrics::gauge!(IN_FLIGHT_REQUESTS.name).increment(1);
        UnderWay { connection: Arc::clone(self), idle: Arc::clone(idle) }
    }

    /// Whether the client may still send the body of the current request.
    pub fn set_unread(&self, is_unread: bool) {
        self.lock().is_unread = is_unread;
    }

    /// Resolves when the client is gone. One that only stopped sending is still there.
    /// `send` sends bytes if that is possible at once, and returns how many.
    pub async fn gone(&self, send: impl Fn(&mut Context<'_>, &[u8]) -> usize) {
        if !self.sending_ended().await {
            return;
        }
        loop {
            poll_fn(|context| {
                self.send_first_bytes(|bytes| send(context, bytes));
                Poll::Ready(())
            })
            .await;
            tokio::select! {
                () = self.failed() => return,
                () = self.request_started.notified() => {}
            }
        }
    }

    /// Gives whether the connection still works.
    #[cfg(target_os = "linux")]
    async fn sending_ended(&self) -> bool {
        // Readiness for priority data includes the end of the client's bytes, but not bytes that wait to be read. No client of
        // HTTP sends priority data.
        self.stream.ready(tokio::io::Interest::PRIORITY).await.is_ok_and(|ready| ready.is_read_closed())
    }

    #[cfg(target_os = "linux")]
    async fn failed(&self) {
        // An error means the same as readiness: the connection broke.
        let _ = self.stream.ready(tokio::io::Interest::ERROR).await;
    }

    #[cfg(not(target_os = "linux"))]
    async fn sending_ended(&self) -> bool {
        std::future::pending().await
    }

    #[cfg(not(target_os = "linux"))]
    async fn failed(&self) {
        std::future::pending().await
    }

    fn send_first_bytes(&self, send: impl FnOnce(&[u8]) -> usize) {
        let state = self.lock();
        let is_waiting =
            matches!(state.phase, Phase::Request) && !state.answer_started && state.waiting.blocked_since.is_none();
        let is_first = state.n_sent_early == 0;
        // Sending locks it too.
        drop(state);
        if is_waiting && is_first {
            let n_sent = send(FIRST_BYTES);
            self.lock().n_sent_early = n_sent;
        }
    }

    /// Sends bytes if that is possible at once; returns how many. A failure shows in `failed`.
    pub fn try_send(&self, bytes: &[u8]) -> usize {
        self.stream.try_write(bytes).unwrap_or_default()
    }

    /// How many bytes of `buf`, the next of an answer, are sent already; hyper writes them again.
    pub fn skip_early(&self, buf: &[u8]) -> Option<usize> {
        let mut state = self.lock();
        state.answer_started = true;
        let n = state.n_sent_early.min(buf.len());
        state.n_sent_early -= n;
        (n > 0).then_some(n)
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        metrics::gauge!(IN_FLIGHT_REQUESTS.name).decrement(1);
        self.connection.lock().phase = Phase::Idle(Instant::now());
        self.idle.notify_one();
    }
}

impl Socket {
    pub fn new(connection: Arc<Connection>, settings: ServerSettings) -> Self {
        Self { connection, settings, is_plain: true, read_timer: None, write_timer: None, lingering: None }
    }

    /// The same for a connection whose bytes are those of TLS.
    pub fn under_tls(self) -> Self {
        Self { is_plain: false, ..self }
    }

    /// When the client must have sent more.
    fn read_deadline(&self) -> Option<Instant> {
        match self.connection.lock().phase {
            Phase::Idle(since) => Some(since + self.settings.idle_timeout),
            Phase::Head(since) => Some(since + self.settings.head_timeout),
            Phase::Request => None,
        }
    }

    fn poll_read_timeout(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(deadline) = self.read_deadline() else { return Poll::Pending };
        let timer = self.read_timer.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        timer.as_mut().reset(deadline.into());
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(timed_out("the client sent no whole request head in time")))
    }

    /// What an attempt to write gives; the attempts fail when the client reads nothing, or too slowly, for too long.
    fn after_write(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        if result.is_ready() {
            self.connection.lock().waiting.took_bytes(now);
            self.write_timer = None;
            return result;
        }
        let (deadline, limit) = self.connection.lock().waiting.deadline(now, &self.settings);
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        if timer.deadline() != deadline.into() {
            timer.as_mut().reset(deadline.into());
        }
        ready!(timer.as_mut().poll(cx));
        let (timeout, what) = match limit {
            ReadLimit::Stall => (self.settings.stall_timeout, "the client reads no answer"),
            ReadLimit::Total => (self.settings.read_timeout, "the client reads its answer too slowly"),
        };
        tracing::warn!(?timeout, "a client is disconnected: {what}");
        metrics::counter!(STALLED_CONNECTIONS.name).increment(1);
        Poll::Ready(Err(timed_out(what)))
    }

    fn skip_early(&self, buf: &[u8]) -> Option<usize> {
        if self.is_plain { self.connection.skip_early(buf) } else { None }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        send: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let connection = Arc::clone(&self.connection);
        let result = loop {
            match connection.stream.poll_write_ready(cx) {
                Poll::Pending => break Poll::Pending,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {}
            }
            match send(&connection.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => break Poll::Ready(result),
            }
        };
        self.after_write(cx, result)
    }
}

impl Waiting {
    /// The socket takes no bytes: when the client must have read some, and the limit that says so.
    fn deadline(&mut self, now: Instant, settings: &ServerSettings) -> (Instant, ReadLimit) {
        let since = *self.blocked_since.get_or_insert(now);
        let left = settings.read_timeout.saturating_sub(self.before);
        match left < settings.stall_timeout {
            true => (since + left, ReadLimit::Total),
            false => (since + settings.stall_timeout, ReadLimit::Stall),
        }
    }

    fn took_bytes(&mut self, now: Instant) {
        if let Some(since) = self.blocked_since.take() {
            self.before += now.saturating_duration_since(since);
        }
    }
}

fn timed_out(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        const MAX_BYTES: usize = 64 * 1024;
        let this = self.get_mut();
        while let Poll::Ready(ready) = this.connection.stream.poll_read_ready(cx) {
            ready?;
            let n_wanted = buf.remaining().min(MAX_BYTES);
            match this.connection.stream.try_read(buf.initialize_unfilled_to(n_wanted)) {
                Ok(n) => {
                    buf.advance(n);
                    let mut state = this.connection.lock();
                    if n > 0 && matches!(state.phase, Phase::Idle(_)) {
                        state.phase = Phase::Head(Instant::now());
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        this.poll_read_timeout(cx)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.skip_early(buf) {
            Some(n) => Poll::Ready(Ok(n)),
            None => this.poll_send(cx, |stream| stream.try_write(buf)),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
        match this.skip_early(first) {
            Some(n) => Poll::Ready(Ok(n)),
            None => this.poll_send(cx, |stream| stream.try_write_vectored(bufs)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (is_unread, stream) = (this.connection.lock().is_unread, &this.connection.stream);
        if is_unread {
            ready!(this.lingering.get_or_insert_with(|| Lingering::start(stream)).poll(stream, cx));
        }
        // The socket closes when its last holder is gone, right after this.
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_of_one_answer_add_up_and_no_pause_is_longer_than_a_stall() {
        let seconds = Duration::from_secs;
        let settings =
            ServerSettings { stall_timeout: seconds(30), read_timeout: seconds(100), ..ServerSettings::default() };
        let (start, mut waiting) = (Instant::now(), Waiting::default());
        // It reads a little every 20 seconds.
        let deadlines = (0..5).map(|n| {
            let now = start + seconds(20 * n);
            waiting.took_bytes(now);
            let (deadline, limit) = waiting.deadline(now, &settings);
            assert_eq!(waiting.deadline(now + seconds(7), &settings), (deadline, limit), "a wake-up is no progress");
            ((deadline - start).as_secs(), limit)
        });
        let expected = [
            (30, ReadLimit::Stall),
            (50, ReadLimit::Stall),
            (70, ReadLimit::Stall),
            (90, ReadLimit::Stall),
            (100, ReadLimit::Total),
        ];
        assert_eq!(deadlines.collect::<Vec<_>>(), expected);
        // Time in which the server makes the answer does not count.
        waiting.took_bytes(start + seconds(90));
        assert_eq!(waiting.deadline(start + seconds(500), &settings).0, start + seconds(510));
    }
}
