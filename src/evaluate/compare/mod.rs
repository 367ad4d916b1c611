//! Whether a difference of two models on the same documents is more than chance. Every number drawn comes from one seed.

pub mod bootstrap;
pub mod counts;
pub mod randomisation;

use serde::Serialize;

pub use bootstrap::{Interval, bootstrap};
pub use counts::{DocumentCounts, macro_f1, micro};
pub use randomisation::{approximate_randomisation, mcnemar};

/// How often is drawn, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Resampling {
    pub n_resamples: usize,
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { n_resamples: 1000, seed: 1 }
    }
}
