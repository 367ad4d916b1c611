//! Texts without a model: offsets, normalization, letter case.

pub mod normalize;
pub mod span;
pub mod truecase;
