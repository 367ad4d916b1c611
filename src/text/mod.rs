//! Texts without a model: offsets, the view that a model sees, sentences, letter case, encodings and conventions of text files.

pub mod alignment;

pub mod encoding;
pub mod files;
pub mod gaps;
pub mod html;
pub mod hyphens;
pub mod line_ends;
pub mod lost_case;
pub mod normalize;
pub mod sentences;
pub mod span;
pub mod truecase;
pub mod view;
