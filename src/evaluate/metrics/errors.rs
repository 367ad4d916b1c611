//! How entities are wrong: at their bounds, in their label, in both, missed, or made up; with examples.

use std::collections::BTreeMap;

use serde::Serialize;

use super::spans::SpanPair;
use crate::evaluate::document::LabelledSpan;

/// In what way an entity is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The label is right, the place overlaps.
    Boundary,
    /// The place is right, the label is another.
    Label,
    /// The place overlaps, the label is another.
    BoundaryAndLabel,
    /// A gold entity that no prediction overlaps.
    Missed,
    /// A prediction that no gold entity overlaps.
    Spurious,
}

impl ErrorKind {
    pub const ALL: [Self; 5] = [Self::Boundary, Self::Label, Self::BoundaryAndLabel, Self::Missed, Self::Spurious];

    /// As a reader is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boundary => "bounds",
            Self::Label => "label",
            Self::BoundaryAndLabel => "bounds and label",
            Self::Missed => "missed",
            Self::Spurious => "made up",
        }
    }
}

/// One wrong entity; `None` on the side where there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanError<'d> {
    pub kind: ErrorKind,
    pub gold: Option<&'d LabelledSpan>,
    pub predicted: Option<&'d LabelledSpan>,
}

/// All wrong entities of a document: wrong predictions in their order, each with the gold entity nearest to it, then what
/// was missed. A gold entity that is found is nobody's counterpart.
pub fn span_errors(pair: SpanPair<'_>) -> Vec<SpanError<'_>> {
    let open: Vec<&LabelledSpan> = pair.gold.iter().filter(|span| !pair.predicted.contains(span)).collect();
    let mut errors = Vec::new();
    for predicted in pair.predicted.iter().filter(|span| !pair.gold.contains(span)) {
        let kind_with = |gold: &LabelledSpan| match gold.label == predicted.label {
            _ if !gold.overlaps(predicted) => ErrorKind::Spurious,
            true => ErrorKind::Boundary,
            false if gold.has_place_of(predicted) => ErrorKind::Label,
            false => ErrorKind::BoundaryAndLabel,
        };
        let nearest = open.iter().copied().map(|gold| (kind_with(gold), gold)).min_by_key(|(kind, _)| *kind);
        let error = match nearest {
            Some((kind, gold)) if kind != ErrorKind::Spurious => {
                SpanError { kind, gold: Some(gold), predicted: Some(predicted) }
            }
            _ => SpanError { kind: ErrorKind::Spurious, gold: None, predicted: Some(predicted) },
        };
        errors.push(error);
    }
    let missed = open.into_iter().filter(|gold| !pair.predicted.iter().any(|span| span.overlaps(gold)));
    errors.extend(missed.map(|gold| SpanError { kind: ErrorKind::Missed, gold: Some(gold), predicted: None }));
    errors
}

/// How many there are of each kind.
pub fn count_kinds<'e>(errors: impl IntoIterator<Item = &'e SpanError<'e>>) -> BTreeMap<ErrorKind, u64> {
    let mut counts = BTreeMap::new();
    for error in errors {
        *counts.entry(error.kind).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_by_the_nearest_gold_entity() {
        let span = LabelledSpan::new;
        let gold = [span(0, 4, "PER"), span(5, 9, "LOC"), span(20, 24, "ORG")];
        for (predicted, kinds) in [
            (vec![span(0, 4, "PER"), span(5, 9, "LOC"), span(20, 24, "ORG")], vec![]),
            (vec![span(0, 3, "PER")], vec![ErrorKind::Boundary, ErrorKind::Missed, ErrorKind::Missed]),
            (vec![span(0, 4, "ORG")], vec![ErrorKind::Label, ErrorKind::Missed, ErrorKind::Missed]),
            (vec![span(3, 9, "ORG")], vec![ErrorKind::BoundaryAndLabel, ErrorKind::Missed]),
            (vec![span(3, 9, "LOC")], vec![ErrorKind::Boundary, ErrorKind::Missed]),
            (vec![span(10, 12, "LOC")], [vec![ErrorKind::Spurious], vec![ErrorKind::Missed; 3]].concat()),
        ] {
            let errors = span_errors(SpanPair { gold: &gold, predicted: &predicted });
            assert_eq!(errors.iter().map(|error| error.kind).collect::<Vec<_>>(), kinds, "{predicted:?}");
        }
    }
}
