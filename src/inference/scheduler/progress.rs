//! Which runs are under way and when the last one ended, so that a stuck model shows.

use std::time::{Duration, Instant};

use super::pace::{Load, Pace};

/// The runs under way.
pub struct RunMonitor {
    running: Vec<Running>,
    n_started: u64,
    /// When a run ended, or work came to an idle queue.
    last: Instant,
    pub pace: Pace,
}

struct Running {
    number: u64,
    started: Instant,
    load: Load,
}

/// A run that takes too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StuckRun {
    pub elapsed: Duration,
    pub n_windows: usize,
}

/// Whether a model makes progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether it answers: a worker is left that is not stuck, and work does not wait without an answer.
    pub answers: bool,
    /// The longest of the stuck runs.
    pub stuck: Option<StuckRun>,
}

impl RunMonitor {
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    pub fn n_running(&self) -> usize {
        self.running.len()
    }

    /// Counts a run; returns its number.
    pub fn start(&mut self, load: Load, now: Instant) -> u64 {
        self.n_started += 1;
        self.running.push(Running { number: self.n_started, started: now, load });
        self.n_started
    }

    pub fn end(&mut self, number: u64, now: Instant) {
        if let Some(at) = self.running.iter().position(|run| run.number == number) {
            let run = self.running.swap_remove(at);
            self.pace.ran(run.load, now.saturating_duration_since(run.started), now);
        }
        self.last = now;
    }

    /// Forgets a run that did not begin. Its later end changes nothing but the time of the last one.
    pub fn give_up(&mut self, number: u64) {
        self.running.retain(|run| run.number != number);
    }

    /// Told when work comes to a queue where none waits.
    pub fn work_came(&mut self, now: Instant) {
        if self.is_idle() {
            self.last = now;
        }
    }

    /// The health of `n_workers`, with or without work that waits; runs longer than `stuck_after` are stuck.
    pub fn health(&self, n_workers: usize, work_waits: bool, stuck_after: Duration, now: Instant) -> Health {
        let runs = self
            .running
            .iter()
            .map(|run| StuckRun { elapsed: now.saturating_duration_since(run.started), n_windows: run.load.n_windows });
        let stuck = runs.filter(|run| run.elapsed >= stuck_after);
        let stands_still = work_waits && now.saturating_duration_since(self.last) >= stuck_after;
        Health {
            answers: n_workers > 0 && stuck.clone().count() < n_workers && !stands_still,
            stuck: stuck.max_by_key(|run| run.elapsed),
        }
    }
}

impl Default for RunMonitor {
    fn default() -> Self {
        Self { running: Vec::new(), n_started: 0, last: Instant::now(), pace: Pace::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_answers_while_a_worker_gets_on() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut progress = RunMonitor::default();
        progress.work_came(now);
        let health =
            |progress: &RunMonitor, waits, seconds: u32| progress.health(2, waits, 10 * second, now + seconds * second);
        let fine = Health { answers: true, stuck: None };
        assert_eq!(health(&progress, false, 3600), fine, "idle");
        let first = progress.start(Load { n_windows: 3, n_tokens: 3 }, now);
        assert_eq!(health(&progress, true, 9), fine);
        let stuck =
            |answers, seconds| Health { answers, stuck: Some(StuckRun { elapsed: seconds * second, n_windows: 3 }) };
        assert_eq!(health(&progress, false, 10), stuck(true, 10), "the other worker is free");
        assert_eq!(health(&progress, true, 10), stuck(false, 10), "nothing ends although work waits");
        let other = progress.start(Load { n_windows: 1, n_tokens: 1 }, now + second);
        assert_eq!(health(&progress, false, 11), stuck(false, 11), "no worker is left");
        progress.end(other, now + 11 * second);
        assert_eq!(health(&progress, true, 20), stuck(true, 20));
        progress.end(first, now + 21 * second);
        assert_eq!(health(&progress, true, 30), fine);
        assert!(!progress.health(0, false, second, now).answers);
    }
}
