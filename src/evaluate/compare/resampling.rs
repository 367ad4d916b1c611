//! The settings of all tests that draw documents at random.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Resampling {
    /// Samples that are drawn.
    pub n_resamples: usize,
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { n_resamples: 1000, seed: 1 }
    }
}
