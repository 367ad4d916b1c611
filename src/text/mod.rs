//! Texts without a model: offsets, normalization, letter case, encodings and conventions of text files.

pub mod encoding;
pub mod files;
pub mod normalize;
pub mod span;
pub mod truecase;
