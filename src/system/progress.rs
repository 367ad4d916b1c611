//! Progress of a long run: a bar on a terminal, a log line every ten seconds elsewhere.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// One run, from [`Progress::start`] to drop. Threads may share it.
#[derive(Debug)]
pub struct Progress {
    /// Units of work of the whole run; `None` where it is unknown.
    total: Option<u64>,
    /// Hidden where standard error is no terminal.
    bar: ProgressBar,
    clock: Mutex<Clock>,
}

#[derive(Debug)]
struct Clock {
    logged: Instant,
    /// What was done at the first report of this process, and when. The rate is measured from there, since a resumed
    /// run starts with units that an earlier process has done.
    first: Option<(u64, Instant)>,
}

impl Progress {
    /// `total`: units of work of the whole run; `None` where it is unknown.
    pub fn start(total: Option<u64>) -> Self {
        let mut bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        if let (Some(_), Ok(style)) = (total, ProgressStyle::with_template("{wide_bar} {msg}")) {
            bar = bar.with_style(style);
        }
        Self { total, bar, clock: Mutex::new(Clock { logged: Instant::now(), first: None }) }
    }

    /// Reports that `n_done` units are done, described by `message`; share and remaining time are added to it.
    pub fn show(&self, n_done: u64, message: &str) {
        let now = Instant::now();
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *clock.first.get_or_insert((n_done, now));
        let is_due = !self.bar.is_hidden() || now.duration_since(clock.logged) >= LOG_INTERVAL;
        if !is_due {
            return;
        }
        clock.logged = now;
        let line = line(message, self.total, n_done, first, now);
        if self.bar.is_hidden() {
            tracing::info!("{line}");
        } else {
            self.bar.set_position(n_done);
            self.bar.set_message(line);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn line(message: &str, total: Option<u64>, n_done: u64, first: (u64, Instant), now: Instant) -> String {
    let Some(total) = total.filter(|&total| total > 0) else { return message.to_owned() };
    let percent = 100.0 * n_done.min(total) as f64 / total as f64;
    let left = time_left(total, n_done, first, now).map(|left| format!(", {} left", in_words(left)));
    format!("{message}, {percent:.1} %{}", left.unwrap_or_default())
}

/// Remaining time at the rate since `first`; `None` before there is a rate.
fn time_left(total: u64, n_done: u64, first: (u64, Instant), now: Instant) -> Option<Duration> {
    let n_new = n_done.checked_sub(first.0).filter(|&n| n > 0)?;
    let n_left = total.saturating_sub(n_done);
    Some(now.duration_since(first.1).mul_f64(n_left as f64 / n_new as f64))
}

/// `3 h 5 min`, `12 min`, `40 s`.
fn in_words(duration: Duration) -> String {
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
            (Some(100), 50, "a, 50.0 %, 50 s left"),
            (Some(100), 120, "a, 100.0 %, 0 s left"),
            (Some(100), 40, "a, 40.0 %"),
            (Some(0), 0, "a"),
            (None, 50, "a"),
        ] {
            assert_eq!(line("a", total, n_done, (40, start), at(10)), expected, "{n_done} of {total:?}");
        }
    }

    #[test]
    fn times_have_at_most_two_units() {
        for (seconds, words) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (11_100, "3 h 5 min")] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
