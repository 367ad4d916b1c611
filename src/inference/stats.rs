//! What one model has run, and how long each stage of the data path took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing::Span;

use crate::inference::batch::Batch;
use crate::inference::tokenize::Window;
use crate::system::histogram::{Histogram, STAGE_BUCKETS};
use crate::system::spans::SPANS;

/// A stage of the data path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum Stage {
    /// A document waits for a permit of the queue.
    Admit,
    /// A document waits for a thread, and is tokenized.
    Tokenize,
    /// A window waits for its run.
    Queue,
    /// A batch is run.
    Run,
    /// An answer waits for a thread, and is decoded.
    Decode,
}

/// The span of a stage of the current document.
pub fn stage_span(stage: Stage) -> Span {
    match stage {
        Stage::Admit => tracing::info_span!(target: SPANS, "admit"),
        Stage::Tokenize => tracing::info_span!(target: SPANS, "tokenize"),
        Stage::Queue => tracing::info_span!(target: SPANS, "queue"),
        Stage::Run => tracing::info_span!(target: SPANS, "run"),
        Stage::Decode => tracing::info_span!(target: SPANS, "decode"),
    }
}

/// Counts and times of one model, since it was loaded.
#[derive(Debug)]
pub struct RunStats {
    stages: [(Stage, Histogram); 5],
    pub n_batches: AtomicU64,
    pub n_windows: AtomicU64,
    /// Special tokens among them.
    pub n_window_tokens: AtomicU64,
    pub n_padding_tokens: AtomicU64,
    /// Windows that were run again, alone, after their batch failed.
    pub n_rerun_windows: AtomicU64,
}

impl RunStats {
    /// The time of each stage, in seconds.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, &Histogram)> {
        self.stages.iter().map(|(stage, times)| (*stage, times))
    }

    /// Counts a stage that began at `started` and ends now.
    pub fn observe(&self, stage: Stage, started: Instant) {
        self.stages[stage as usize].1.observe_duration(started.elapsed());
    }

    /// Counts a batch that is about to be run.
    pub fn count_batch(&self, batch: &Batch, windows: &[&Window]) {
        let n_window_tokens: usize = windows.iter().map(|window| window.len()).sum();
        let n_padding_tokens = batch.input_ids.len().saturating_sub(n_window_tokens);
        let counts = [
            (&self.n_batches, 1),
            (&self.n_windows, windows.len()),
            (&self.n_window_tokens, n_window_tokens),
            (&self.n_padding_tokens, n_padding_tokens),
        ];
        for (counter, n) in counts {
            counter.fetch_add(n as u64, Ordering::Relaxed);
        }
    }
}

impl Default for RunStats {
    fn default() -> Self {
        let stages = [Stage::Admit, Stage::Tokenize, Stage::Queue, Stage::Run, Stage::Decode];
        Self {
            stages: stages.map(|stage| (stage, Histogram::new(&STAGE_BUCKETS))),
            n_batches: AtomicU64::default(),
            n_windows: AtomicU64::default(),
            n_window_tokens: AtomicU64::default(),
            n_padding_tokens: AtomicU64::default(),
            n_rerun_windows: AtomicU64::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::batch::Padding;

    #[test]
    fn padding_and_repeated_rows_are_no_tokens_of_windows() {
        let window = |n: u32| Window { tokens: 0..1, input_ids: (0..n).collect(), n_prefix: 0 };
        let (short, long) = (window(3), window(5));
        let stats = RunStats::default();
        let windows = [&short, &long];
        stats.count_batch(&Batch::new(&windows, Padding { id: 0, batch: Some(3), length: None }), &windows);
        let counts = [&stats.n_batches, &stats.n_windows, &stats.n_window_tokens, &stats.n_padding_tokens];
        assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [1, 2, 8, 7]);
    }

    #[test]
    fn each_stage_has_its_times() {
        let stats = RunStats::default();
        for (index, (stage, _)) in stats.stages().enumerate() {
            assert_eq!(stage as usize, index);
        }
        stats.observe(Stage::Run, Instant::now());
        let counts = stats.stages().map(|(stage, times)| (stage, times.snapshot().count));
        assert_eq!(counts.filter(|(_, n)| *n > 0).collect::<Vec<_>>(), [(Stage::Run, 1)]);
    }
}
