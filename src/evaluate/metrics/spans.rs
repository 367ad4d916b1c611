//! Strict span F1: an entity is correct when offsets and label are right. Equal to seqeval's `classification_report` with
//! `mode="strict", scheme=IOB2`, for spans that lie on tokens.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{MatchCounts, Prf, zeros};
use crate::evaluate::document::LabelledSpan;

/// The gold and the predicted entities of one document.
#[derive(Debug, Clone, Copy)]
pub struct SpanPair<'d> {
    pub gold: &'d [LabelledSpan],
    pub predicted: &'d [LabelledSpan],
}

#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct SpanMetrics {
    pub micro: Prf,
    /// Mean over all labels that are gold or predicted.
    #[serde(rename = "macro")]
    pub macro_: Prf,
    pub per_label: BTreeMap<String, SpanLabelMetrics>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct SpanLabelMetrics {
    #[serde(flatten)]
    pub prf: Prf,
    /// Gold entities of the label.
    pub support: u64,
    pub predicted: u64,
}

impl SpanMetrics {
    /// All metrics of `labels`, each 0.
    pub fn outline(labels: &BTreeSet<String>) -> Self {
        Self { per_label: zeros(labels), ..Self::default() }
    }
}

/// Metrics over all documents.
pub fn span_metrics<'d>(pairs: impl IntoIterator<Item = SpanPair<'d>>) -> SpanMetrics {
    let mut by_label: BTreeMap<&str, MatchCounts> = BTreeMap::new();
    for pair in pairs {
        for (label, counts) in count_spans(pair) {
            by_label.entry(label).or_default().add_times(counts, 1);
        }
    }
    let label_metrics = |counts: &MatchCounts| SpanLabelMetrics {
        prf: counts.prf(),
        support: counts.gold,
        predicted: counts.predicted,
    };
    SpanMetrics {
        micro: by_label.values().copied().sum::<MatchCounts>().prf(),
        macro_: Prf::mean(by_label.values().map(|counts| counts.prf())),
        per_label: by_label.iter().map(|(label, counts)| ((*label).to_owned(), label_metrics(counts))).collect(),
    }
}

/// The counts of one document by label. A repeated entity counts once.
pub fn count_spans(pair: SpanPair<'_>) -> BTreeMap<&str, MatchCounts> {
    let gold: BTreeSet<&LabelledSpan> = pair.gold.iter().collect();
    let predicted: BTreeSet<&LabelledSpan> = pair.predicted.iter().collect();
    let mut by_label: BTreeMap<&str, MatchCounts> = BTreeMap::new();
    for span in &gold {
        by_label.entry(&span.label).or_default().gold += 1;
    }
    for span in &predicted {
        let counts = by_label.entry(&span.label).or_default();
        counts.predicted += 1;
        counts.correct += u64::from(gold.contains(*span));
    }
    by_label
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: usize, end: usize, label: &str) -> LabelledSpan {
        LabelledSpan::new(start, end, label)
    }

    #[test]
    fn offsets_and_label_must_both_be_right() {
        let gold = [span(0, 3, "PER"), span(5, 9, "LOC")];
        for (predicted, correct) in [
            (vec![span(0, 3, "PER"), span(5, 9, "LOC")], 2),
            (vec![span(0, 3, "PER"), span(0, 3, "PER")], 1),
            (vec![span(0, 3, "ORG")], 0),
            (vec![span(5, 8, "LOC")], 0),
            (vec![], 0),
        ] {
            let counts = count_spans(SpanPair { gold: &gold, predicted: &predicted });
            assert_eq!(counts.values().map(|counts| counts.correct).sum::<u64>(), correct, "{predicted:?}");
        }
    }

    #[test]
    fn a_label_that_is_only_predicted_counts_in_the_macro_average() {
        let (gold, predicted) = ([span(0, 3, "PER")], [span(0, 3, "PER"), span(4, 5, "ORG")]);
        let metrics = span_metrics([SpanPair { gold: &gold, predicted: &predicted }]);
        assert_eq!((metrics.macro_.f1, metrics.per_label["ORG"].support), (0.5, 0));
        assert!((metrics.micro.f1 - 2.0 / 3.0).abs() < 1e-12);
    }
}
