//! [`Histogram`]: counts of observed values in fixed buckets, for any number of threads, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seconds; from a short text on an idle machine to a long one in a full queue.
pub const DURATION_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Seconds; from the decoding of a sentence to a wait in a full queue.
pub const STAGE_BUCKETS: [f64; 14] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Counts of observed values by their upper bounds.
#[derive(Debug)]
pub struct Histogram {
    /// Ascending; a value counts for the first bound that it does not exceed.
    bounds: &'static [f64],
    /// One for each bound, and one for all larger values.
    counts: Vec<AtomicU64>,
    /// In billionths, so that an integer holds it.
    sum: AtomicU64,
}

/// What a histogram holds at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The upper bound of each bucket with the values up to it, those of the buckets below among them.
    pub cumulative: Vec<(f64, u64)>,
    /// All values.
    pub count: u64,
    pub sum: f64,
}

impl Histogram {
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// Counts `value`, which is not negative.
    pub fn observe(&self, value: f64) {
        let bucket = self.bounds.partition_point(|&bound| bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add((value * BILLION).round() as u64, Ordering::Relaxed);
    }

    pub fn observe_duration(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }

    pub fn snapshot(&self) -> Snapshot {
        let mut count = 0;
        let mut up_to = |bucket: &AtomicU64| {
            count += bucket.load(Ordering::Relaxed);
            count
        };
        let cumulative = self.bounds.iter().copied().zip(self.counts.iter().map(&mut up_to)).collect();
        self.counts.last().map(up_to);
        Snapshot { cumulative, count, sum: self.sum.load(Ordering::Relaxed) as f64 / BILLION }
    }
}

const BILLION: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_for_every_bound_that_it_does_not_exceed() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.0, 1.0, 1.5, 2.5] {
            histogram.observe(value);
        }
        histogram.observe_duration(Duration::from_secs(7));
        let expected = Snapshot { cumulative: vec![(1.0, 2), (2.0, 3)], count: 5, sum: 12.0 };
        assert_eq!(histogram.snapshot(), expected);
    }
}
