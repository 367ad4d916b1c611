//! A name found in a text.

use crate::text::span::ByteSpan;

/// A name found in a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    pub label: String,
    /// Mean score of the tokens or words that it is made of, in 0..=1.
    pub score: f32,
    /// Its span in the text that was tokenized, without white space at the ends; empty only for a token of white space.
    pub span: ByteSpan,
}
