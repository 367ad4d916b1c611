//! How fast a model runs its windows, so that the length of a queue says how long it takes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The last runs.
#[derive(Debug, Default)]
pub struct Pace(VecDeque<Run>);

#[derive(Debug, Clone, Copy)]
struct Run {
    ended: Instant,
    /// Of one worker, for one window.
    of_a_window: Duration,
}

/// How many runs are remembered.
const MAX_RUNS: usize = 16;
/// Fewer say nothing yet.
const MIN_RUNS: usize = 4;
/// Older runs say nothing about the load of now. So a model that ran slowly for a while is given work again.
const MAX_AGE: Duration = Duration::from_secs(60);

impl Pace {
    pub fn ran(&mut self, n_windows: usize, elapsed: Duration, now: Instant) {
        self.0.truncate(MAX_RUNS - 1);
        self.0.push_front(Run { ended: now, of_a_window: elapsed / n_windows.max(1) as u32 });
    }

    /// The least time that `n_windows` take on `n_workers`: all run like the fastest of the last ones.
    pub fn at_least(&self, n_windows: usize, n_workers: usize, now: Instant) -> Option<Duration> {
        let times = self.recent(now)?;
        Some(for_all(times.into_iter().min()?, n_windows, n_workers))
    }

    /// The time that `n_windows` take on `n_workers` if they run like the last ones.
    pub fn about(&self, n_windows: usize, n_workers: usize, now: Instant) -> Option<Duration> {
        let times = self.recent(now)?;
        let mean = times.iter().sum::<Duration>() / times.len() as u32;
        Some(for_all(mean, n_windows, n_workers))
    }

    /// Times of a window; `None` where they are too few.
    fn recent(&self, now: Instant) -> Option<Vec<Duration>> {
        let recent = self.0.iter().filter(|run| now.saturating_duration_since(run.ended) < MAX_AGE);
        Some(recent.map(|run| run.of_a_window).collect::<Vec<_>>()).filter(|times| times.len() >= MIN_RUNS)
    }
}

fn for_all(of_a_window: Duration, n_windows: usize, n_workers: usize) -> Duration {
    of_a_window.mul_f64(n_windows as f64 / n_workers.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_runs_say_how_long_windows_take() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut pace = Pace::default();
        for elapsed in [30, 10, 20] {
            pace.ran(1, ms(elapsed), start);
            assert_eq!(pace.at_least(1, 1, start), None, "too few");
        }
        // Two windows of 10 ms each.
        pace.ran(2, ms(20), start);
        assert_eq!(pace.at_least(8, 2, start), Some(ms(40)));
        assert_eq!(pace.about(8, 2, start), Some(ms(70)));
        assert_eq!(pace.about(0, 0, start), Some(Duration::ZERO));
        let later = start + MAX_AGE;
        assert_eq!((pace.at_least(1, 1, later), pace.about(1, 1, later)), (None, None), "too old");
        (0..MAX_RUNS).for_each(|_| pace.ran(1, ms(50), later));
        assert_eq!(pace.at_least(1, 1, later), Some(ms(50)));
        assert_eq!(pace.0.len(), MAX_RUNS);
    }
}
