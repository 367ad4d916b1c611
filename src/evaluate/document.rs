//! What is compared: labelled documents and a model's answers to them, both with places in Unicode code points.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A labelled place: half-open, in Unicode code points of its document's text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LabelledSpan {
    pub start: usize,
    pub end: usize,
    pub label: String,
}

/// A document with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoldDocument {
    /// The file's own, else the number of the record, from 1.
    pub id: String,
    pub text: Arc<str>,
    /// `None`: not labelled with topics, which is not the same as having none.
    pub topics: Option<BTreeSet<String>>,
    /// In the order of the text; `None`: not labelled with entities.
    pub entities: Option<Vec<LabelledSpan>>,
}

/// What a model said about a document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PredictedDocument {
    /// By falling score; `None`: the model gives no topics.
    pub topics: Option<Vec<ScoredTopic>>,
    /// In the order of the text; `None`: the model gives no entities.
    pub entities: Option<Vec<LabelledSpan>>,
    /// Why there is no answer.
    pub failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ScoredTopic {
    pub label: String,
    /// In 0..=1.
    pub score: f64,
    pub accepted: bool,
}

impl LabelledSpan {
    pub fn new(start: usize, end: usize, label: impl Into<String>) -> Self {
        Self { start, end, label: label.into() }
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    pub fn has_place_of(&self, other: &Self) -> bool {
        (self.start, self.end) == (other.start, other.end)
    }
}

/// Puts spans in the order of the text and takes out those that stand there twice.
pub fn in_order(mut spans: Vec<LabelledSpan>) -> Vec<LabelledSpan> {
    spans.sort();
    spans.dedup();
    spans
}
