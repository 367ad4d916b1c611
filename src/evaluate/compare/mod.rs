//! Whether a difference of two models on the same documents is more than chance. All random numbers come from one seed.

pub mod bootstrap;
pub mod counts;
pub mod randomisation;
pub mod resampling;

pub use bootstrap::{Interval, bootstrap};
pub use counts::{CountsByLabel, macro_f1, sum_counts};
pub use randomisation::{approximate_randomisation, mcnemar};
pub use resampling::Resampling;
