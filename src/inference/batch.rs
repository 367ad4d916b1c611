//! Windows as the tensors that a model takes, and which windows share a run. [`Run`] takes a [`Batch`] and returns [`Outputs`].
//!
//! # When a batch pays on the CPU
//!
//! Tokens a second as a multiple of the same windows run alone, all of one length, two single-threaded streams of a two-core
//! machine that was not quite quiet (`python -m scripts.bench.batches`), for a model of XLM-R's base shape in fp32 and for one of
//! twelve layers of 384:
//!
//! | tokens of a window | base: 2 | 4 | 8 together | small: 2 | 4 | 8 together |
//! |---|---|---|---|---|---|---|
//! | 8 | 1.04 | 2.48 | 3.33 | 1.58 | 2.18 | 2.90 |
//! | 16 | 1.79 | 2.42 | 2.68 | 1.39 | 1.85 | 2.15 |
//! | 32 | 2.22 | 2.59 | 2.75 | 1.28 | 1.48 | 1.60 |
//! | 64 | 1.14 | 1.20 | 1.16 | 1.15 | 1.27 | 1.29 |
//! | 128 | 1.08 | 1.04 | 1.01 | 1.08 | 1.09 | 1.05 |
//!
//! A run of few tokens spends its time fetching weights, which a batch fetches once; from about 128 tokens on there is
//! little left to gain, and padding costs as much as text. So short windows of nearly one length share a run of at most 128
//! tokens (`batch_limits`, where a model is loaded). Models in int8 would gain as much, but their answers would
//! depend on the rest of the batch.

use std::time::Duration;

use ndarray::{ArcArray, ArcArray2, Array2, Array3, ArrayView2, Axis, Ix3, s};

use crate::inference::tokenize::Window;
use crate::system::counted::counted;

/// Windows padded at the right to one length; row `b` is window `b`. Where a graph fixes the number of rows, the windows are
/// repeated, so that no row is without tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `[B, T]`
    pub input_ids: Array2<i64>,
    /// `[B, T]`, 1 for a token and 0 for padding.
    pub attention_mask: Array2<i64>,
}

/// How the windows of a run are filled up to one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding {
    pub id: u32,
    /// Windows of every run, where the graph fixes them.
    pub batch: Option<usize>,
    /// Tokens of every window, where the graph fixes them.
    pub length: Option<usize>,
}

/// What a model gives for a batch: raw logits of the heads that it has.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outputs {
    pub topics: Option<HeadOutput>,
    pub entities: Option<HeadOutput>,
}

/// Raw logits of one head, in the order of the head's labels.
#[derive(Debug, Clone, PartialEq)]
pub enum HeadOutput {
    /// `[B, L]`: one row for each window.
    Sequence(Array2<f32>),
    /// `[B, T, L]`: one row for each token, special tokens and padding among them.
    Token(Array3<f32>),
}

/// Runs batches. Two implementations: ONNX Runtime, and a fake in tests.
pub trait Run: Send {
    /// Runs `batch`; the outputs have its `B` and `T`, rows without a window among them.
    fn run(&mut self, batch: &Batch) -> Result<Outputs, RunError>;
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum RunError {
    #[error("ONNX Runtime could not run the model on a batch of shape {shape:?}: {message}")]
    Failed { shape: (usize, usize), message: String },
    #[error(
        "a run of {} of {} tokens was not through after {} s, and was ended; the graph may loop on a token. Export the model again, or raise --run-timeout-s",
        counted(shape.0, "window"), shape.1, timeout.as_secs_f32()
    )]
    TimedOut { shape: (usize, usize), timeout: Duration },
    #[error("output `{output}` has shape {shape:?} where {expected} was expected")]
    Shape { output: String, shape: Vec<i64>, expected: String },
    #[error(
        "output `{output}` holds logits that are not numbers (NaN or infinite); the model file is damaged, or its precision is too low"
    )]
    NotFinite { output: String },
}

/// Logits of one window, without those of special tokens and padding.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WindowLogits {
    pub topics: Option<WindowHead>,
    pub entities: Option<WindowHead>,
}

/// Logits that one head gave for one window.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowHead {
    /// `[1, L]`: one row for the window.
    Sequence(ArcArray2<f32>),
    /// `[N, L]`: one row for each of the text's tokens in the window.
    Token(ArcArray2<f32>),
}

/// Which windows may share a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchLimits {
    /// At least 1; 1 runs every window alone, as a model with dynamically quantised activations needs it.
    pub max_windows: usize,
    /// Bound on `B * T`. A single window may exceed it, and then runs alone.
    pub max_tokens: usize,
    /// Bound on the share of padding in `B * T`, in 0..=1.
    pub max_padding: f32,
}

impl BatchLimits {
    /// Each window runs alone.
    pub const ALONE: Self = Self { max_windows: 1, max_tokens: 0, max_padding: 0.0 };
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self::ALONE
    }
}

impl Padding {
    /// Fills up shorter windows with `id`.
    pub fn with(id: u32) -> Self {
        Self { id, batch: None, length: None }
    }
}

impl Batch {
    /// Stacks `windows`, filled up as `padding` says.
    pub fn new(windows: &[&Window], padding: Padding) -> Self {
        let longest = windows.iter().map(|window| window.len()).max().unwrap_or(0);
        let length = padding.length.unwrap_or(0).max(longest);
        let n_rows = padding.batch.unwrap_or(0).max(windows.len());
        let mut input_ids = Array2::from_elem((n_rows, length), i64::from(padding.id));
        let mut attention_mask = Array2::zeros((n_rows, length));
        for (row, window) in windows.iter().cycle().take(n_rows).enumerate() {
            for (column, &id) in window.input_ids.iter().enumerate() {
                input_ids[[row, column]] = i64::from(id);
                attention_mask[[row, column]] = 1;
            }
        }
        Self { input_ids, attention_mask }
    }

    /// `(B, T)`
    pub fn shape(&self) -> (usize, usize) {
        self.input_ids.dim()
    }
}

impl Outputs {
    /// The logits of each window, given the windows by the rows of the batch. They share the memory of the outputs.
    pub fn into_windows<'w>(
        self,
        windows: impl IntoIterator<Item = &'w Window, IntoIter: ExactSizeIterator>,
    ) -> Vec<WindowLogits> {
        let (topics, entities) = (self.topics.map(SharedHead::from), self.entities.map(SharedHead::from));
        let of = |head: &Option<SharedHead>, row, window| head.as_ref().map(|head| head.of_window(row, window));
        let window =
            |(row, window)| WindowLogits { topics: of(&topics, row, window), entities: of(&entities, row, window) };
        windows.into_iter().enumerate().map(window).collect()
    }
}

/// An output that the windows of a batch share.
enum SharedHead {
    Sequence(ArcArray2<f32>),
    Token(ArcArray<f32, Ix3>),
}

impl From<HeadOutput> for SharedHead {
    fn from(output: HeadOutput) -> Self {
        match output {
            HeadOutput::Sequence(logits) => Self::Sequence(logits.into()),
            HeadOutput::Token(logits) => Self::Token(logits.into()),
        }
    }
}

impl SharedHead {
    fn of_window(&self, row: usize, window: &Window) -> WindowHead {
        match self {
            Self::Sequence(logits) => WindowHead::Sequence(logits.clone().slice_move(s![row..row + 1, ..])),
            Self::Token(logits) => {
                let tokens = window.n_prefix..window.n_prefix + window.tokens.len();
                WindowHead::Token(logits.clone().slice_move(s![row, tokens, ..]))
            }
        }
    }
}

impl HeadOutput {
    /// One row of numbers for each window, or for each of its tokens.
    pub fn rows(&self) -> Vec<Vec<f32>> {
        match self {
            Self::Sequence(logits) => logits.outer_iter().map(|row| row.to_vec()).collect(),
            Self::Token(logits) => logits.lanes(Axis(2)).into_iter().map(|row| row.to_vec()).collect(),
        }
    }

    /// The number of labels, `L`.
    pub fn n_labels(&self) -> usize {
        match self {
            Self::Sequence(logits) => logits.ncols(),
            Self::Token(logits) => logits.dim().2,
        }
    }
}

impl WindowHead {
    /// The head with each number changed.
    pub fn map(&self, change: impl Fn(f32) -> f32) -> Self {
        match self {
            Self::Sequence(numbers) => Self::Sequence(numbers.mapv(change).into()),
            Self::Token(numbers) => Self::Token(numbers.mapv(change).into()),
        }
    }

    pub fn rows(&self) -> ArrayView2<'_, f32> {
        match self {
            Self::Sequence(logits) | Self::Token(logits) => logits.view(),
        }
    }
}

/// Which of the waiting windows, given by their lengths in the order of arrival, run next: the first always does, so that
/// none waits for ever, and those join it that keep the run within `limits`.
pub fn select(lengths: impl IntoIterator<Item = usize>, limits: BatchLimits) -> Vec<usize> {
    let mut chosen = Vec::new();
    let (mut longest, mut total) = (0, 0);
    for (index, length) in lengths.into_iter().enumerate() {
        if chosen.len() >= limits.max_windows {
            break;
        }
        let padded = (chosen.len() + 1) * longest.max(length);
        let padding = (padded - total - length) as f32;
        let fits = padded <= limits.max_tokens && padding <= limits.max_padding * padded as f32;
        if chosen.is_empty() || fits {
            chosen.push(index);
            longest = longest.max(length);
            total += length;
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::memory::held;

    fn window(ids: &[u32]) -> Window {
        Window { tokens: 0..ids.len() - 2, input_ids: ids.to_vec(), n_prefix: 1 }
    }

    #[test]
    fn shorter_windows_are_padded_and_masked() {
        let batch = Batch::new(&[&window(&[1, 7, 2]), &window(&[1, 8, 9, 2])], Padding::with(5));
        assert_eq!(batch.input_ids, ndarray::array![[1, 7, 2, 5], [1, 8, 9, 2]]);
        assert_eq!(batch.attention_mask, ndarray::array![[1, 1, 1, 0], [1, 1, 1, 1]]);
    }

    #[test]
    fn a_fixed_shape_is_filled_with_padding_and_repeated_windows() {
        let padding = Padding { batch: Some(2), length: Some(4), ..Padding::with(5) };
        let batch = Batch::new(&[&window(&[1, 7, 2])], padding);
        assert_eq!(batch.input_ids, ndarray::array![[1, 7, 2, 5], [1, 7, 2, 5]]);
        assert_eq!(batch.attention_mask, ndarray::array![[1, 1, 1, 0], [1, 1, 1, 0]]);
        assert_eq!(Batch::new(&[], padding).shape(), (2, 4));
    }

    #[test]
    fn a_window_gets_its_rows_without_special_tokens() {
        let logits = Array3::from_shape_fn((2, 4, 1), |(b, t, _)| (10 * b + t) as f32);
        let topics = ndarray::array![[1.0, 2.0], [3.0, 4.0]];
        let outputs = Outputs { topics: Some(HeadOutput::Sequence(topics)), entities: Some(HeadOutput::Token(logits)) };
        let windows = outputs.into_windows([&window(&[1, 7, 2]), &window(&[1, 8, 9, 2])]);
        let expected = [
            (ndarray::array![[1.0, 2.0]], ndarray::array![[1.0]]),
            (ndarray::array![[3.0, 4.0]], ndarray::array![[11.0], [12.0]]),
        ];
        let expected = expected.map(|(topics, entities)| WindowLogits {
            topics: Some(WindowHead::Sequence(topics.into())),
            entities: Some(WindowHead::Token(entities.into())),
        });
        assert_eq!(windows, expected);
    }

    #[test]
    fn the_windows_of_a_batch_share_its_logits() {
        let windows: Vec<Window> = (0..8).map(|_| window(&[7; 128])).collect();
        let logits = Array3::zeros((8, 128, 9));
        let (before, n_bytes) = (held::taken(), logits.len() * size_of::<f32>());
        let outputs = Outputs { topics: None, entities: Some(HeadOutput::Token(logits)) };
        let logits = outputs.into_windows(&windows);
        let taken = held::taken() - before;
        assert_eq!(logits.len(), 8);
        assert!(taken < n_bytes / 8, "{taken} bytes for {n_bytes} bytes of logits");
    }

    #[test]
    fn windows_run_together_within_the_limits() {
        let limits = BatchLimits { max_windows: 3, max_tokens: 40, max_padding: 0.1 };
        for (lengths, chosen) in [
            (vec![], vec![]),
            (vec![900], vec![0]),
            (vec![10, 10, 10, 10], vec![0, 1, 2]),
            (vec![10, 30, 10], vec![0, 2]),
            (vec![20, 20, 20], vec![0, 1]),
            (vec![10, 9, 7], vec![0, 1]),
            (vec![9, 10, 9], vec![0, 1, 2]),
        ] {
            assert_eq!(select(lengths.clone(), limits), chosen, "{lengths:?}");
        }
        let alone = BatchLimits { max_windows: 1, ..limits };
        assert_eq!(select([10, 10], alone), [0]);
    }
}
