//! The kinds of wrong entities: wrong offsets, wrong label, both, missed, spurious.

use serde::Serialize;

use super::spans::SpanPair;
use crate::evaluate::document::LabelledSpan;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The label is right, the offsets only overlap.
    Boundary,
    /// The offsets are right, the label is wrong.
    Label,
    /// The offsets only overlap, the label is wrong.
    BoundaryAndLabel,
    /// A gold entity that no prediction overlaps.
    Missed,
    /// A prediction that no gold entity overlaps.
    Spurious,
}

impl ErrorKind {
    pub const ALL: [Self; 5] = [Self::Boundary, Self::Label, Self::BoundaryAndLabel, Self::Missed, Self::Spurious];

    /// The kind in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boundary => "wrong offsets",
            Self::Label => "wrong label",
            Self::BoundaryAndLabel => "wrong offsets and label",
            Self::Missed => "missed",
            Self::Spurious => "spurious",
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

/// All wrong entities of a document: wrong predictions in their order, each with the gold entity nearest to it, then the
/// missed ones. A gold entity that is found is no counterpart of a wrong prediction.
pub fn span_errors(pair: SpanPair<'_>) -> Vec<SpanError<'_>> {
    let open: Vec<&LabelledSpan> = pair.gold.iter().filter(|span| !pair.predicted.contains(span)).collect();
    let mut errors = Vec::new();
    for predicted in pair.predicted.iter().filter(|span| !pair.gold.contains(span)) {
        let kind_with = |gold: &LabelledSpan| match gold.label == predicted.label {
            _ if !gold.overlaps(predicted) => ErrorKind::Spurious,
            true => ErrorKind::Boundary,
            false if gold.has_offsets_of(predicted) => ErrorKind::Label,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_gold_entity_decides_the_kind_of_error() {
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
