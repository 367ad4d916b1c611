//! What entities are decoded from, besides logits.

use crate::inference::tokenize::Tokens;
use crate::text::span::ByteSpan;

/// A text after markup, hyphenation and normalization (`text::view`), in its letter case as received, with its tokens.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    pub text: &'s str,
    /// The same text in the letter case that the tokens are from: where the text has lost its case, words have their usual one, at the
    /// same places.
    pub usual: &'s str,
    pub tokens: &'s Tokens,
    /// The stretches of `text` that belong to no name, in its order.
    pub gaps: &'s [ByteSpan],
}
