//! What a model read in a document, and what it took.

use crate::inference::decode::entity::Entity;
use crate::inference::decode::topics::Topic;
use crate::inference::evidence::Evidence;

/// What was read in a document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prediction {
    /// All topics of the model by falling score; empty for a text without tokens; `None` if the task was not requested.
    pub topics: Option<Vec<Topic>>,
    /// In the order of the text, with spans in the text as received; `None` if the task was not requested.
    pub entities: Option<Vec<Entity>>,
    /// Of the accepted topics; `None` if it was not requested, and for a text without tokens.
    pub evidence: Option<Evidence>,
    pub usage: Usage,
    /// Of the model that was asked for topics.
    pub topic_tokens: TokenCounts,
    /// Of the model that was asked for entities.
    pub entity_tokens: TokenCounts,
}

/// The tokens that a model read of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenCounts {
    pub n: usize,
    /// Those that stand for text which the tokenizer does not know.
    pub n_unknown: usize,
}

/// What a document took to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the text that were read, special tokens not counted.
    pub n_tokens: usize,
    pub n_windows: usize,
    /// Windows that were read again, without one passage each, to measure evidence.
    pub n_evidence_windows: usize,
    /// Whether tokens were left out because of [`Overflow::Truncate`](super::pipeline::Overflow::Truncate).
    pub truncated: bool,
}
