//! Wrong entities with the text around them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::document::{GoldDocument, LabelledSpan, PredictedDocument, QuotedSpan, characters};
use super::metrics::errors::{ErrorKind, SpanError, span_errors};
use super::metrics::spans::SpanPair;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntityErrors {
    /// An entry for every kind, also for 0 errors.
    pub counts: BTreeMap<ErrorKind, u64>,
    /// Gold and predicted labels of entities with right offsets, most frequent first.
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
    /// The text around the entities.
    pub context: String,
    pub gold: Option<QuotedSpan>,
    pub predicted: Option<QuotedSpan>,
}

/// Examples of each kind.
pub const MAX_EXAMPLES: usize = 10;
/// Characters of context on either side.
const N_AROUND: usize = 40;

impl EntityErrors {
    pub fn of(gold: &[GoldDocument], predicted: &[PredictedDocument]) -> Self {
        let mut examples: BTreeMap<ErrorKind, Vec<ErrorExample>> = BTreeMap::new();
        let mut all = Self::default();
        let mut confusions: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (document, answer) in gold.iter().zip(predicted) {
            let Some(gold) = document.entities.as_deref() else { continue };
            let errors = span_errors(SpanPair { gold, predicted: answer.entities.as_deref().unwrap_or_default() });
            for error in errors {
                *all.counts.entry(error.kind).or_default() += 1;
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
        all.confusions = confusions.into_iter().map(confusion).collect();
        all.confusions.sort_by_key(|confusion| std::cmp::Reverse(confusion.n));
        all.examples = examples.into_values().flatten().collect();
        all
    }
}

impl Default for EntityErrors {
    fn default() -> Self {
        Self { counts: ErrorKind::ALL.map(|kind| (kind, 0)).into(), confusions: vec![], examples: vec![] }
    }
}

impl ErrorExample {
    fn new(document: &GoldDocument, error: &SpanError<'_>) -> Self {
        let spans = || error.gold.iter().chain(&error.predicted);
        let start = spans().map(|span| span.start).min().unwrap_or(0).saturating_sub(N_AROUND);
        let end = spans().map(|span| span.end).max().unwrap_or(0) + N_AROUND;
        let quoted = |span: &LabelledSpan| QuotedSpan::new(&document.text, span);
        Self {
            kind: error.kind,
            document: document.id.clone(),
            context: characters(&document.text, start, end),
            gold: error.gold.map(quoted),
            predicted: error.predicted.map(quoted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_and_shown_with_their_text() {
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
