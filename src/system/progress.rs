//! Progress of a long run: a bar on a terminal, a log line every ten seconds elsewhere.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Between two pictures of the bar, which show that the run is alive.
const TICK: Duration = Duration::from_millis(200);

/// One run, from [`Progress::start`] to drop. Threads may share it.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    state: Arc<Mutex<State>>,
    /// Ends the thread that logs when it is dropped; `None` where nothing is logged.
    logging: Option<mpsc::Sender<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// Units of work of the whole run; `None` where it is unknown.
    total: Option<u64>,
    n_done: u64,
    message: String,
    /// What was done when this process began or first reported, and when. The rate is measured from there, since a
    /// resumed run starts with units that an earlier process has done.
    first: Option<(u64, Instant)>,
    /// The last report. Units are done in blocks, so that the rate ends there, and not now.
    last: Option<Instant>,
}

impl Progress {
    /// `total`: units of work of the whole run; `None` where it is unknown.
    pub fn start(total: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        let state = Arc::new(Mutex::new(State { total, ..State::default() }));
        let logging = match bar.is_hidden() {
            true => Some(log_at_intervals(Arc::clone(&state))),
            false => None,
        };
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        let progress = Self { bar, state, logging };
        progress.expect(total);
        progress
    }

    /// Shows nothing.
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), state: Arc::default(), logging: None }
    }

    /// Says at once what is done now.
    pub fn stage(&self, message: &str) {
        lock(&self.state).message = message.to_owned();
        self.bar.set_message(message.to_owned());
        if self.logging.is_some() {
            tracing::info!("{message}");
        }
    }

    /// The work begins now, with no unit done.
    pub fn begin(&self) {
        lock(&self.state).first = Some((0, Instant::now()));
    }

    /// The units of work of the whole run are known now, or known to be unknown.
    pub fn expect(&self, total: Option<u64>) {
        lock(&self.state).total = total;
        let template = if total.is_some() { "{spinner} {wide_bar} {msg}" } else { "{spinner} {msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        if let Some(total) = total {
            self.bar.set_length(total);
        }
    }

    /// Reports that `n_done` units are done, described by `message`; share and remaining time are added to it.
    pub fn show(&self, n_done: u64, message: &str) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state.first.get_or_insert((n_done, now));
        (state.n_done, state.message, state.last) = (n_done, message.to_owned(), Some(now));
        if !self.bar.is_hidden() {
            self.bar.set_position(n_done);
            self.bar.set_message(state.line(now));
        }
    }

    /// Takes the bar off the terminal, so that other lines can follow.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

impl State {
    fn line(&self, now: Instant) -> String {
        match (self.first, self.last) {
            (Some(first), Some(last)) => line(&self.message, self.total, self.n_done, (first, last), now),
            _ => self.message.clone(),
        }
    }
}

/// Logs the state at intervals until the sender is dropped.
fn log_at_intervals(state: Arc<Mutex<State>>) -> mpsc::Sender<()> {
    let (sender, receiver) = mpsc::channel::<()>();
    let log = move || {
        while receiver.recv_timeout(LOG_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            let line = lock(&state).line(Instant::now());
            tracing::info!("{line}");
        }
    };
    // Without the thread there are no lines, which is no reason to end the run.
    let _ = std::thread::Builder::new().name("progress".to_owned()).spawn(log);
    sender
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `reports`: what was done at first, and when the first and the last report came.
fn line(message: &str, total: Option<u64>, n_done: u64, reports: ((u64, Instant), Instant), now: Instant) -> String {
    let Some(total) = total.filter(|&total| total > 0) else { return message.to_owned() };
    let percent = 100.0 * n_done.min(total) as f64 / total as f64;
    let left = time_left(total, n_done, reports, now).map(|left| format!(", {} left", in_words(left)));
    format!("{message}, {percent:.1} %{}", left.unwrap_or_default())
}

/// Remaining time at the rate between the reports; `None` before there is a rate, and where the work takes longer than
/// expected.
fn time_left(
    total: u64,
    n_done: u64,
    ((n_first, first), last): ((u64, Instant), Instant),
    now: Instant,
) -> Option<Duration> {
    let n_new = n_done.checked_sub(n_first).filter(|&n| n > 0)?;
    let n_left = total.saturating_sub(n_done);
    let left_then = last.duration_since(first).mul_f64(n_left as f64 / n_new as f64);
    left_then.checked_sub(now.duration_since(last)).filter(|left| left.as_secs() > 0)
}

/// `3 h 5 min`, `12 min`, `40 s`.
pub fn in_words(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds < 60 => format!("{seconds} s"),
        seconds if seconds < 3600 => format!("{} min", seconds / 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remaining_time_follows_from_the_rate_of_this_process() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for (total, n_done, expected) in [
            (Some(100), 50, "a, 50.0 %, 47 s left"),
            (Some(100), 94, "a, 94.0 %"),
            (Some(100), 120, "a, 100.0 %"),
            (Some(100), 40, "a, 40.0 %"),
            (Some(0), 0, "a"),
            (None, 50, "a"),
        ] {
            let reports = ((40, start), at(10));
            assert_eq!(line("a", total, n_done, reports, at(13)), expected, "{n_done} of {total:?}");
        }
    }

    #[test]
    fn times_have_at_most_two_units() {
        for (seconds, words) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (11_100, "3 h 5 min")] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
