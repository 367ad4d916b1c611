//! Texts without a model: offsets, normalization, sentences, letter case, encodings and conventions of text files.

pub mod encoding;
pub mod files;
pub mod normalize;
pub mod sentences;
pub mod span;
pub mod truecase;
