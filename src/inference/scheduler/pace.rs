//! How fast a model runs tokens, so that what waits says how long it takes.

use std::collections::VecDeque;
use std::iter::Sum;
use std::time::{Duration, Instant};

/// Windows, and the tokens in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    pub n_windows: usize,
    pub n_tokens: usize,
}

/// The last runs.
#[derive(Debug, Default)]
pub struct Pace(VecDeque<PastRun>);

#[derive(Debug, Clone, Copy)]
struct PastRun {
    ended: Instant,
    elapsed: Duration,
    /// With the padding.
    load: Load,
}

/// How fast the last runs were.
#[derive(Debug, Clone, Copy)]
pub struct Speed {
    /// Seconds for a token in the fastest run, and in all of them.
    fastest: f64,
    mean: f64,
    /// Tokens of the longest window that ran.
    longest: usize,
}

/// How many runs are remembered.
const MAX_RUNS: usize = 16;
/// Fewer say nothing yet.
const MIN_RUNS: usize = 4;
/// Older runs say nothing about the load of now. So a model that ran slowly for a while is given work again.
const MAX_AGE: Duration = Duration::from_secs(60);

impl Load {
    /// Windows of unknown length, which may have any.
    pub fn of_windows(n_windows: usize) -> Self {
        Self { n_windows, n_tokens: usize::MAX }
    }

    /// Windows of these lengths, each padded to the longest.
    pub fn padded(lengths: impl ExactSizeIterator<Item = usize>) -> Self {
        let n_windows = lengths.len();
        Self { n_windows, n_tokens: n_windows * lengths.max().unwrap_or(0) }
    }

    pub fn and(self, other: Self) -> Self {
        let n_tokens = self.n_tokens.saturating_add(other.n_tokens);
        Self { n_windows: self.n_windows + other.n_windows, n_tokens }
    }
}

/// The load of windows of these lengths.
impl Sum<usize> for Load {
    fn sum<I: Iterator<Item = usize>>(lengths: I) -> Self {
        lengths.fold(Self::default(), |sum, n_tokens| sum.and(Self { n_windows: 1, n_tokens }))
    }
}

impl Pace {
    pub fn ran(&mut self, load: Load, elapsed: Duration, now: Instant) {
        self.0.truncate(MAX_RUNS - 1);
        self.0.push_front(PastRun { ended: now, elapsed, load });
    }

    /// How fast the last runs were; `None` where they are too few.
    pub fn speed(&self, now: Instant) -> Option<Speed> {
        let recent = || self.0.iter().filter(|run| now.saturating_duration_since(run.ended) < MAX_AGE);
        if recent().count() < MIN_RUNS {
            return None;
        }
        let n_tokens: usize = recent().map(|run| run.load.n_tokens.max(1)).sum();
        let of_a_token = |run: &PastRun| run.elapsed.as_secs_f64() / run.load.n_tokens.max(1) as f64;
        Some(Speed {
            fastest: recent().map(of_a_token).fold(f64::INFINITY, f64::min),
            mean: recent().map(|run| run.elapsed).sum::<Duration>().as_secs_f64() / n_tokens as f64,
            longest: recent().map(|run| run.load.n_tokens / run.load.n_windows.max(1)).max().unwrap_or(0).max(1),
        })
    }
}

impl Speed {
    /// The least time that `load` takes on `n_workers`: all of it runs like the fastest of the last runs.
    ///
    /// A run has costs that do not grow with its tokens, so that a token of a long window takes less than one of a short
    /// window. Windows longer than all that ran therefore count like the longest that ran.
    pub fn at_least(&self, load: Load, n_workers: usize) -> Duration {
        self.time(self.fastest, load, n_workers)
    }

    /// The time that `load` takes on `n_workers` if it runs like the last runs.
    pub fn about(&self, load: Load, n_workers: usize) -> Duration {
        self.time(self.mean, load, n_workers)
    }

    fn time(&self, of_a_token: f64, load: Load, n_workers: usize) -> Duration {
        let n_tokens = load.n_tokens.min(load.n_windows.saturating_mul(self.longest));
        let seconds = of_a_token * n_tokens as f64 / n_workers.max(1) as f64;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn load(n_windows: usize, length: usize) -> Load {
        Load::padded(std::iter::repeat_n(length, n_windows))
    }

    #[test]
    fn the_last_runs_say_how_long_tokens_take() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for elapsed in [30, 10, 20] {
            pace.ran(load(1, 10), ms(elapsed), start);
            assert!(pace.speed(start).is_none(), "too few");
        }
        // Two windows of 10 ms each.
        pace.ran(load(2, 10), ms(20), start);
        let speed = pace.speed(start).unwrap();
        assert_eq!((speed.at_least(load(8, 10), 2), speed.about(load(8, 10), 2)), (ms(40), ms(64)));
        assert_eq!(speed.about(Load::default(), 0), Duration::ZERO);
        assert_eq!(speed.at_least(Load::of_windows(8), 2), ms(40));
        let later = start + MAX_AGE;
        assert!(pace.speed(later).is_none(), "too old");
        (0..MAX_RUNS).for_each(|_| pace.ran(load(1, 10), ms(50), later));
        assert_eq!(pace.speed(later).unwrap().at_least(load(1, 10), 1), ms(50));
        assert_eq!(pace.0.len(), MAX_RUNS);
    }

    #[test]
    fn the_least_time_holds_for_windows_of_other_lengths() {
        // A run of n tokens takes 4 ms and n / 10 ms.
        let takes = |n_tokens: usize| ms(4) + Duration::from_micros(100 * n_tokens as u64);
        let now = Instant::now();
        for ran in [&[500; 4][..], &[10; 4], &[10, 500, 10, 500]] {
            let mut pace = Pace::default();
            ran.iter().for_each(|&length| pace.ran(load(1, length), takes(length), now));
            let speed = pace.speed(now).unwrap();
            for length in [1, 10, 100, 500, 5000] {
                let (least, real) = (speed.at_least(load(20, length), 1), 20 * takes(length));
                assert!(least <= real, "{length} after {ran:?}: {least:?} and not {real:?}");
            }
        }
    }

    #[test]
    fn the_load_of_a_run_includes_its_padding() {
        assert_eq!(Load::padded([3, 7].into_iter()), Load { n_windows: 2, n_tokens: 14 });
        assert_eq!([3, 7].into_iter().sum::<Load>(), Load { n_windows: 2, n_tokens: 10 });
    }
}
