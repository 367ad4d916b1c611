//! Reads the lines of a body as they come, in bounded memory, for as long as the client sends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{BodyDataStream, Bytes};
use axum::extract::Request;
use futures_util::StreamExt;

use super::app::App;
use super::body::discard;
use super::error::{Code, Problem};
use super::media_type::check_charset;
use super::unpack::{Coding, Step, Unpacking};
use crate::system::budget::{MemoryUse, Reserved};

/// A line that is not blank.
pub struct Line {
    /// Its number in the body, from 1; blank lines count.
    pub number: u64,
    pub content: Result<Bytes, Problem>,
}

/// The lines of a body.
pub struct LineReader {
    app: Arc<App>,
    frames: BodyDataStream,
    /// `None`: the body is not packed.
    unpacking: Option<Unpacking>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were returned as lines, and bytes that hold no end of a line.
    n_returned: usize,
    n_scanned: usize,
    /// Bytes of a line that is too long, once it is refused.
    n_skipped: Option<usize>,
    n_lines: u64,
    state: State,
    memory: Reserved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// The body is whole.
    Ended,
    /// No further line is read, though the client may send more.
    GivenUp,
    /// The client sent no line in time, so that there is nothing to read.
    Stalled,
}

impl LineReader {
    pub fn new(app: Arc<App>, request: Request) -> Result<Self, Problem> {
        check_charset(request.headers())?;
        let unpacking = Coding::of(request.headers())?.map(Unpacking::in_parts).transpose()?;
        let nothing = app.memory.try_reserve(0, MemoryUse::Body);
        let memory = nothing.map_err(|error| Problem::new(Code::Overloaded, error.to_string()))?;
        Ok(Self {
            app,
            frames: request.into_body().into_data_stream(),
            unpacking,
            buffer: Vec::new(),
            n_returned: 0,
            n_scanned: 0,
            n_skipped: None,
            n_lines: 0,
            state: State::Reading,
            memory,
        })
    }

    /// The next line. A line that cannot be read is a problem, and the next one follows; the last one may be the problem that
    /// ends the body.
    pub async fn next(&mut self) -> Option<Line> {
        let deadline = Instant::now() + self.app.limits.get().timeout;
        loop {
            if self.state == State::GivenUp {
                // A connection that is closed before the client has sent all is reset, and the last answers with it.
                discard(&mut self.frames, self.app.limits.get().max_body_bytes).await;
                return None;
            }
            if let Some(content) = self.take_line() {
                self.n_lines += 1;
                if content.as_ref().is_ok_and(|line| line.iter().all(u8::is_ascii_whitespace)) {
                    continue;
                }
                return Some(Line { number: self.n_lines, content });
            }
            if matches!(self.state, State::Ended | State::Stalled) {
                return None;
            }
            if let Err(problem) = self.read_more(deadline).await {
                self.state = if problem.code == Code::RequestTimeout { State::Stalled } else { State::GivenUp };
                return Some(Line { number: self.n_lines + 1, content: Err(problem) });
            }
        }
    }

    /// Reads what a refused client still sends, so that it learns why.
    pub async fn discard_rest(&mut self) {
        discard(&mut self.frames, self.app.limits.get().max_body_bytes).await;
    }

    /// A whole line of the buffer. One that is too long is a problem as soon as that is known.
    fn take_line(&mut self) -> Option<Result<Bytes, Problem>> {
        let max = self.app.limits.get().max_body_bytes;
        let end = self.buffer[self.n_scanned..].iter().position(|byte| *byte == b'\n').map(|at| self.n_scanned + at);
        let rest = self.n_returned..end.unwrap_or(self.buffer.len());
        self.n_scanned = end.map_or(self.buffer.len(), |end| end + 1);
        let is_last = end.is_none() && self.state == State::Ended && !rest.is_empty();
        if end.is_none() && !is_last && rest.len() <= max && self.n_skipped.is_none() {
            return None;
        }
        self.n_returned = self.n_scanned;
        if let Some(n_skipped) = self.n_skipped {
            self.n_skipped = if end.is_some() { None } else { Some(n_skipped + rest.len()) };
            return if end.is_some() { self.take_line() } else { None };
        }
        if rest.len() > max {
            self.n_skipped = end.is_none().then_some(rest.len());
            let detail = format!(
                "the line has more than {max} bytes; split its text, or start the server with a higher --max-body-bytes"
            );
            return Some(Err(Problem::new(Code::BodyTooLarge, detail)));
        }
        Some(Ok(Bytes::copy_from_slice(&self.buffer[rest])))
    }

    /// Adds to the buffer what the client has sent.
    async fn read_more(&mut self, deadline: Instant) -> Result<(), Problem> {
        self.forget_returned();
        let max_skipped = 4 * self.app.limits.get().max_body_bytes;
        if self.n_skipped.is_some_and(|n_skipped| n_skipped > max_skipped) {
            let detail =
                format!("the line has more than {max_skipped} bytes, and no more of it is read; send shorter ones");
            return Err(Problem::new(Code::BodyTooLarge, detail));
        }
        let app = Arc::clone(&self.app);
        tokio::select! {
            biased;
            read = self.read_part() => read,
            () = app.cutoff() => Err(stopping()),
            () = quiet_after(&app) => Err(stopping()),
            () = tokio::time::sleep_until(deadline.into()) => {
                let detail = format!(
                    "no whole line arrived within {} s; send it again and faster, or start the server with a longer --timeout-s",
                    app.limits.get().timeout.as_secs_f32()
                );
                Err(Problem::new(Code::RequestTimeout, detail))
            }
        }
    }

    async fn read_part(&mut self) -> Result<(), Problem> {
        match &mut self.unpacking {
            None => match self.frames.next().await {
                Some(frame) => self.buffer.extend_from_slice(&frame.map_err(|error| cut_off(&error))?),
                None => self.state = State::Ended,
            },
            Some(unpacking) => {
                // Others that wait for this thread come first.
                tokio::task::yield_now().await;
                match unpacking.step()? {
                    Step::More => {}
                    Step::Whole => self.state = State::Ended,
                    Step::NeedsInput => match self.frames.next().await {
                        Some(frame) => unpacking.push(Some(&frame.map_err(|error| cut_off(&error))?)),
                        None => unpacking.push(None),
                    },
                }
                self.buffer.append(&mut unpacking.bytes);
            }
        }
        self.memory.resize_when_free(self.buffer.len() as u64).await;
        Ok(())
    }

    fn forget_returned(&mut self) {
        const MAX_SPARE_BYTES: usize = 1024 * 1024;
        self.buffer.drain(..self.n_returned);
        self.n_scanned -= self.n_returned;
        self.n_returned = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > MAX_SPARE_BYTES {
            self.buffer = Vec::new();
        }
    }
}

/// Resolves when the server stops, after time for what is on its way.
async fn quiet_after(app: &App) {
    const GRACE: Duration = Duration::from_secs(1);
    app.draining().await;
    tokio::time::sleep(GRACE).await;
}

fn stopping() -> Problem {
    let detail = "the server stops; send this line and those after it again";
    Problem::new(Code::Unavailable, detail)
}

fn cut_off(error: &axum::Error) -> Problem {
    Problem::new(
        Code::InvalidJson,
        format!("the body could not be read to its end: {error}; send this line and those after it again"),
    )
}
