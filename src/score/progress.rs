//! How far a run has come: a bar on a terminal, a log line every so often elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::summary::Counts;

/// Between two log lines.
const LOG_EVERY: Duration = Duration::from_secs(10);

pub struct Progress {
    /// Of all input; `None` where nobody knows it.
    n_bytes: Option<u64>,
    /// Drawn on a terminal only.
    bar: Option<ProgressBar>,
    start: Instant,
    logged: Instant,
    /// What earlier processes had scored.
    before: Counts,
    /// Bytes of the input when the first block of this process was done, and when.
    first: Option<(u64, Instant)>,
}

impl Progress {
    pub fn start(n_bytes: Option<u64>, before: Counts) -> Self {
        let bar = stderr().is_terminal().then(|| bar(n_bytes));
        let now = Instant::now();
        Self { n_bytes, bar, start: now, logged: now, before, first: None }
    }

    /// Shows that `counts` rows are done and `n_bytes` of the input read.
    pub fn show(&mut self, counts: &Counts, n_bytes: u64) {
        let first = *self.first.get_or_insert((n_bytes, Instant::now()));
        let line = self.line(counts, n_bytes, first);
        match &self.bar {
            Some(bar) => {
                bar.set_position(n_bytes);
                bar.set_message(line);
            }
            None if self.logged.elapsed() >= LOG_EVERY => {
                self.logged = Instant::now();
                tracing::info!("{line}");
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, counts: &Counts, n_bytes: u64, first: (u64, Instant)) -> String {
        let n_new = counts.documents + counts.errors - self.before.documents - self.before.errors;
        let rate = n_new as f64 / self.start.elapsed().as_secs_f64().max(1e-3);
        let mut line = format!("{} documents, {rate:.1}/s", counts.documents);
        if let Some(total) = self.n_bytes.filter(|&total| total > 0) {
            line += &format!(", {:.1} %", 100.0 * n_bytes.min(total) as f64 / total as f64);
            if let Some(left) = time_left(total, n_bytes, first, Instant::now()) {
                line += &format!(", {} left", in_words(left));
            }
        }
        if counts.errors > 0 {
            line += &format!(", {} errors", counts.errors);
        }
        line
    }
}

fn bar(n_bytes: Option<u64>) -> ProgressBar {
    let target = ProgressDrawTarget::stderr();
    match n_bytes {
        Some(total) => ProgressBar::with_draw_target(Some(total), target).with_style(
            ProgressStyle::with_template("{wide_bar} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        ),
        None => ProgressBar::with_draw_target(None, target),
    }
}

/// The time that the rest takes at the rate since `first`; `None` before there is a rate.
fn time_left(total: u64, n_bytes: u64, first: (u64, Instant), now: Instant) -> Option<Duration> {
    let n_done = n_bytes.checked_sub(first.0).filter(|&n| n > 0)?;
    let n_left = total.saturating_sub(n_bytes);
    Some(now.duration_since(first.1).mul_f64(n_left as f64 / n_done as f64))
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
    fn the_time_left_follows_from_what_this_process_has_done() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(time_left(100, 50, (40, start), at(10)), Some(Duration::from_secs(50)));
        assert_eq!(time_left(100, 120, (40, start), at(10)), Some(Duration::ZERO));
        assert_eq!(time_left(100, 40, (40, start), at(10)), None);
    }

    #[test]
    fn times_are_told_in_two_units_at_most() {
        for (seconds, words) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (11_100, "3 h 5 min")] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
