//! Wrong entities with the words around them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::MAX_EXAMPLES;
use crate::evaluate::document::{GoldDocument, LabelledSpan, PredictedDocument};
use crate::evaluate::metrics::errors::{ErrorKind, SpanError, count_kinds, span_errors};
use crate::evaluate::metrics::spans::SpanPair;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntityErrors {
    /// Of every kind, also where there is none.
    pub counts: BTreeMap<ErrorKind, u64>,
    /// Which label was taken for which, at the same place, most often first.
    pub confusions: Vec<LabelConfusion>,
    /// The first of each kind.
    pub examples: Vec<ErrorExample>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelConfusion {
    pub gold: String,
    pub predicted: String,
    pub n: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorExample {
    pub kind: ErrorKind,
    /// Id of the document.
    pub document: String,
    /// Some of the text, the entities within.
    pub context: String,
    pub gold: Option<PlacedText>,
    pub predicted: Option<PlacedText>,
}

/// A labelled place with what stands there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlacedText {
    #[serde(flatten)]
    pub span: LabelledSpan,
    pub text: String,
}

/// Characters of the text that are shown on either side.
const N_AROUND: usize = 40;

impl EntityErrors {
    pub fn of(gold: &[GoldDocument], predicted: &[PredictedDocument]) -> Self {
        let mut examples: BTreeMap<ErrorKind, Vec<ErrorExample>> = BTreeMap::new();
        let mut counts: BTreeMap<ErrorKind, u64> = ErrorKind::ALL.map(|kind| (kind, 0)).into();
        let mut confusions: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (document, answer) in gold.iter().zip(predicted) {
            let Some(gold) = document.entities.as_deref() else { continue };
            let errors = span_errors(SpanPair { gold, predicted: answer.entities.as_deref().unwrap_or_default() });
            for (kind, n) in count_kinds(&errors) {
                *counts.entry(kind).or_default() += n;
            }
            for error in errors {
                if let SpanError { kind: ErrorKind::Label, gold: Some(gold), predicted: Some(predicted) } = &error {
                    *confusions.entry((&gold.label, &predicted.label)).or_default() += 1;
                }
                let of_kind = examples.entry(error.kind).or_default();
                if of_kind.len() < MAX_EXAMPLES {
                    of_kind.push(ErrorExample::new(document, &error));
                }
            }
        }
        let confusion = |((gold, predicted), n): ((&str, &str), u64)| LabelConfusion {
            gold: gold.into(),
            predicted: predicted.into(),
            n,
        };
        let mut confusions: Vec<LabelConfusion> = confusions.into_iter().map(confusion).collect();
        confusions.sort_by_key(|confusion| std::cmp::Reverse(confusion.n));
        Self { counts, confusions, examples: examples.into_values().flatten().collect() }
    }
}

impl ErrorExample {
    fn new(document: &GoldDocument, error: &SpanError<'_>) -> Self {
        let spans = || error.gold.iter().chain(&error.predicted);
        let start = spans().map(|span| span.start).min().unwrap_or(0).saturating_sub(N_AROUND);
        let end = spans().map(|span| span.end).max().unwrap_or(0) + N_AROUND;
        let placed = |span: &LabelledSpan| PlacedText::new(&document.text, span);
        Self {
            kind: error.kind,
            document: document.id.clone(),
            context: characters(&document.text, start, end),
            gold: error.gold.map(placed),
            predicted: error.predicted.map(placed),
        }
    }
}

impl PlacedText {
    pub fn new(text: &str, span: &LabelledSpan) -> Self {
        Self { span: span.clone(), text: characters(text, span.start, span.end) }
    }
}

/// The characters from `start` to `end`, as many of them as there are.
fn characters(text: &str, start: usize, end: usize) -> String {
    text.chars().skip(start).take(end.saturating_sub(start)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_and_shown_with_their_words() {
        let text = "Zoë traf in Köln den FC.";
        let gold = GoldDocument {
            id: "x".into(),
            text: text.into(),
            topics: None,
            entities: Some(vec![LabelledSpan::new(0, 3, "PER"), LabelledSpan::new(12, 16, "LOC")]),
        };
        let answer = PredictedDocument {
            entities: Some(vec![LabelledSpan::new(12, 16, "ORG"), LabelledSpan::new(21, 23, "ORG")]),
            ..Default::default()
        };
        let errors = EntityErrors::of(&[gold], &[answer]);
        let counts: Vec<u64> = errors.counts.values().copied().collect();
        assert_eq!(counts, [0, 1, 0, 1, 1]);
        assert_eq!((errors.confusions[0].gold.as_str(), errors.confusions[0].predicted.as_str()), ("LOC", "ORG"));
        let missed = &errors.examples[1];
        assert_eq!((missed.gold.as_ref().unwrap().text.as_str(), missed.context.as_str()), ("Zoë", text));
    }
}
