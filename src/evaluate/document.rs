//! The documents that are compared: the labelled ones, and a model's answers to them. Offsets are Unicode code points.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::manifest::task::Task;
use crate::system::choice::shortened;

/// A labelled span of a document's text, half-open.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LabelledSpan {
    pub start: usize,
    pub end: usize,
    pub label: String,
}

/// A labelled span with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuotedSpan {
    #[serde(flatten)]
    pub span: LabelledSpan,
    pub text: String,
}

/// A document with its gold labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoldDocument {
    /// From the file, else the number of the record, from 1.
    pub id: String,
    pub text: Arc<str>,
    /// `None`: not labelled with topics. An empty set: labelled, and without a topic.
    pub topics: Option<BTreeSet<String>>,
    /// In the order of the text; `None`: not labelled with entities.
    pub entities: Option<Vec<LabelledSpan>>,
}

/// A model's answer to a document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PredictedDocument {
    /// By falling score; `None`: the model gives no topics.
    pub topics: Option<Vec<ScoredTopic>>,
    /// In the order of the text; `None`: the model gives no entities.
    pub entities: Option<Vec<LabelledSpan>>,
    /// Why there is no answer.
    pub failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ScoredTopic {
    pub label: String,
    /// In 0..=1.
    pub score: f64,
    pub accepted: bool,
}

/// A text by its characters, against which spans are checked.
pub struct Slices {
    characters: Vec<char>,
}

/// The labels that a document has for each task; `None` for a task without labels or answer.
pub type DocumentLabels<'d> = [(Task, Option<Vec<&'d str>>); 2];

impl LabelledSpan {
    pub fn new(start: usize, end: usize, label: impl Into<String>) -> Self {
        Self { start, end, label: label.into() }
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    pub fn has_offsets_of(&self, other: &Self) -> bool {
        (self.start, self.end) == (other.start, other.end)
    }
}

impl QuotedSpan {
    pub fn new(text: &str, span: &LabelledSpan) -> Self {
        Self { span: span.clone(), text: characters(text, span.start, span.end) }
    }
}

impl GoldDocument {
    pub fn labels(&self) -> DocumentLabels<'_> {
        let topics = self.topics.as_ref().map(|topics| topics.iter().map(String::as_str).collect());
        [(Task::Topics, topics), (Task::Entities, self.entities.as_deref().map(span_labels))]
    }

    /// The document with each label renamed; a label without a new name is left out.
    pub fn map_labels<'l>(&'l self, rename: impl Fn(Task, &'l str) -> Option<&'l str>) -> Self {
        let topic = |label: &'l String| rename(Task::Topics, label).map(str::to_owned);
        Self {
            id: self.id.clone(),
            text: self.text.clone(),
            topics: self.topics.as_ref().map(|topics| topics.iter().filter_map(topic).collect()),
            entities: self.entities.as_deref().map(|spans| map_spans(spans, &rename)),
        }
    }
}

impl PredictedDocument {
    pub fn labels(&self) -> DocumentLabels<'_> {
        let topics = self.topics.as_ref().map(|topics| topics.iter().map(|topic| topic.label.as_str()).collect());
        [(Task::Topics, topics), (Task::Entities, self.entities.as_deref().map(span_labels))]
    }

    /// The answer with each label renamed; a label without a new name is left out. Topics that get the same name become
    /// one topic with the best of their scores.
    pub fn map_labels<'l>(&'l self, rename: impl Fn(Task, &'l str) -> Option<&'l str>) -> Self {
        let topics = self.topics.as_ref().map(|topics| {
            let mut renamed: Vec<ScoredTopic> = Vec::new();
            for topic in topics {
                let Some(label) = rename(Task::Topics, &topic.label) else { continue };
                match renamed.iter_mut().find(|other| other.label == label) {
                    Some(other) => {
                        other.score = other.score.max(topic.score);
                        other.accepted |= topic.accepted;
                    }
                    None => renamed.push(ScoredTopic { label: label.to_owned(), ..*topic }),
                }
            }
            renamed
        });
        let entities = self.entities.as_deref().map(|spans| map_spans(spans, &rename));
        Self { topics, entities, failure: self.failure.clone() }
    }

    /// The labels of the accepted topics.
    pub fn accepted(&self) -> Option<Vec<&str>> {
        let topics = self.topics.as_ref()?.iter().filter(|topic| topic.accepted);
        Some(topics.map(|topic| topic.label.as_str()).collect())
    }
}

impl Slices {
    pub fn of(text: &str) -> Self {
        Self { characters: text.chars().collect() }
    }

    /// The span without white space at its ends, which annotation tools often mark and no model gives.
    ///
    /// # Errors
    /// When the span is not within the text, when its own text stands elsewhere (its offsets count other units), and when
    /// it has white space alone.
    pub fn checked(&self, span: LabelledSpan, own_text: Option<&str>) -> Result<LabelledSpan, String> {
        const UNIT: &str = "offsets are half-open, in Unicode code points";
        let LabelledSpan { start, end, label } = span;
        let Some(slice) = self.characters.get(start..end).filter(|slice| !slice.is_empty()) else {
            let n = self.characters.len();
            return Err(format!("{label} from {start} to {end} is not within the text of {n} characters; {UNIT}"));
        };
        let found = || slice.iter().collect::<String>();
        // Tools that mark white space often give the name without it.
        if let Some(own) = own_text.filter(|own| own.trim() != found().trim()) {
            let (own, found) = (shortened(own), shortened(&found()));
            return Err(format!(
                "its text is `{own}`, and `{found}` stands from {start} to {end}; {UNIT}, not bytes or UTF-16 units"
            ));
        }
        let is_text = |character: &char| !character.is_whitespace();
        match (slice.iter().position(is_text), slice.iter().rposition(is_text)) {
            (Some(first), Some(last)) => Ok(LabelledSpan { start: start + first, end: start + last + 1, label }),
            _ => Err(format!("{label} from {start} to {end} is white space; leave it out")),
        }
    }
}

/// How many of the spans, which are in the order of the text, overlap one before them.
pub fn n_overlapping(spans: &[LabelledSpan]) -> usize {
    let mut end = 0;
    let overlaps = |span: &&LabelledSpan| {
        let overlaps = span.start < end;
        end = end.max(span.end);
        overlaps
    };
    spans.iter().filter(overlaps).count()
}

fn span_labels(spans: &[LabelledSpan]) -> Vec<&str> {
    spans.iter().map(|span| span.label.as_str()).collect()
}

fn map_spans<'l>(spans: &'l [LabelledSpan], rename: &impl Fn(Task, &'l str) -> Option<&'l str>) -> Vec<LabelledSpan> {
    let rename =
        |span: &'l LabelledSpan| Some(LabelledSpan::new(span.start, span.end, rename(Task::Entities, &span.label)?));
    in_order(spans.iter().filter_map(rename).collect())
}

/// Sorts spans in the order of the text and removes repeated ones.
pub fn in_order(mut spans: Vec<LabelledSpan>) -> Vec<LabelledSpan> {
    spans.sort();
    spans.dedup();
    spans
}

/// The characters from `start` to `end`, as many of them as there are.
pub fn characters(text: &str, start: usize, end: usize) -> String {
    text.chars().skip(start).take(end.saturating_sub(start)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_that_get_the_same_name_have_the_best_score() {
        let topic = |label: &str, score, accepted| ScoredTopic { label: label.into(), score, accepted };
        let topics = vec![topic("a", 0.6, false), topic("b", 0.5, true), topic("c", 0.1, false)];
        let document = PredictedDocument { topics: Some(topics), ..Default::default() };
        let renamed = document.map_labels(|_, label| Some(if label == "b" { "a" } else { label }));
        assert_eq!(renamed.topics.unwrap(), [topic("a", 0.6, true), topic("c", 0.1, false)]);
    }

    #[test]
    fn labels_without_a_new_name_are_left_out_on_both_sides() {
        let spans = Some(vec![LabelledSpan::new(0, 1, "LOC"), LabelledSpan::new(2, 3, "PER")]);
        let only_places = |task, label| (task == Task::Entities && label == "LOC").then_some(label);
        let predicted = PredictedDocument { entities: spans.clone(), ..Default::default() };
        assert_eq!(predicted.map_labels(only_places).entities.unwrap().len(), 1);
        let gold = GoldDocument { id: String::new(), text: "".into(), topics: None, entities: spans };
        assert_eq!(gold.map_labels(only_places).entities.unwrap(), [LabelledSpan::new(0, 1, "LOC")]);
    }
}
