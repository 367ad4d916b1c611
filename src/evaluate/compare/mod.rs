//! Whether a difference of two models on the same documents is more than chance. All random numbers come from one seed.

pub mod bootstrap;
pub mod randomisation;

pub use bootstrap::{Interval, Resampling, bootstrap};
pub use randomisation::{approximate_randomisation, mcnemar};
