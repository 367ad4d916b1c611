//! The four schemes of the MUC and SemEval-2013 evaluations for entities that are nearly right: strict (offsets and
//! label), exact (offsets), partial (overlap, half a point) and type (overlap and label). Equal to nervaluate 1.2.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::spans::SpanPair;
use super::{Prf, ratio, zeros};
use crate::evaluate::document::LabelledSpan;

/// When an entity is correct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Strict,
    Exact,
    Partial,
    Type,
}

/// The outcome of every entity, gold or predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SchemeCounts {
    pub correct: u64,
    pub incorrect: u64,
    pub partial: u64,
    pub missed: u64,
    pub spurious: u64,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct SchemeMetrics {
    /// Over all entities.
    pub micro: SchemeScore,
    /// Mean over the labels.
    #[serde(rename = "macro")]
    pub macro_: Prf,
    /// Of the entities of one label alone.
    pub per_label: BTreeMap<String, SchemeScore>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct SchemeScore {
    #[serde(flatten)]
    pub prf: Prf,
    #[serde(flatten)]
    pub counts: SchemeCounts,
}

/// The metrics of each scheme.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Schemes {
    pub strict: SchemeMetrics,
    pub exact: SchemeMetrics,
    pub partial: SchemeMetrics,
    #[serde(rename = "type")]
    pub type_: SchemeMetrics,
}

impl Schemes {
    /// All metrics of `labels`, each 0.
    pub fn outline(labels: &BTreeSet<String>) -> Self {
        let scheme = SchemeMetrics { per_label: zeros(labels), ..Default::default() };
        Self { strict: scheme.clone(), exact: scheme.clone(), partial: scheme.clone(), type_: scheme }
    }

    pub fn of(pairs: &[SpanPair<'_>]) -> Self {
        Self {
            strict: scheme_metrics(pairs, Scheme::Strict),
            exact: scheme_metrics(pairs, Scheme::Exact),
            partial: scheme_metrics(pairs, Scheme::Partial),
            type_: scheme_metrics(pairs, Scheme::Type),
        }
    }
}

pub fn scheme_metrics(pairs: &[SpanPair<'_>], scheme: Scheme) -> SchemeMetrics {
    let total = |label: Option<&str>| {
        let mut counts = SchemeCounts::default();
        for pair in pairs {
            let kept = |span: &&LabelledSpan| label.is_none_or(|label| span.label == label);
            let gold: Vec<&LabelledSpan> = pair.gold.iter().filter(kept).collect();
            let predicted: Vec<&LabelledSpan> = pair.predicted.iter().filter(kept).collect();
            counts.add(count_scheme(&gold, &predicted, scheme));
        }
        SchemeScore { prf: counts.prf(), counts }
    };
    let labels: BTreeSet<&str> =
        pairs.iter().flat_map(|pair| pair.gold.iter().chain(pair.predicted)).map(|span| span.label.as_str()).collect();
    let per_label: BTreeMap<String, SchemeScore> =
        labels.into_iter().map(|label| (label.to_owned(), total(Some(label)))).collect();
    SchemeMetrics { micro: total(None), macro_: Prf::mean(per_label.values().map(|score| score.prf)), per_label }
}

/// Matches predicted entities with gold ones in the order of the predictions, as nervaluate does. A gold entity that is
/// matched by a nearly right prediction is not available for a later prediction that is right.
fn count_scheme(gold: &[&LabelledSpan], predicted: &[&LabelledSpan], scheme: Scheme) -> SchemeCounts {
    let mut counts = SchemeCounts::default();
    let mut free: Vec<bool> = vec![true; gold.len()];
    for span in predicted {
        let candidates = || gold.iter().enumerate().filter(|(index, _)| free[*index]);
        let right = match scheme {
            Scheme::Strict => candidates().find(|(_, other)| other == &span),
            Scheme::Exact | Scheme::Partial => candidates().find(|(_, other)| other.has_offsets_of(span)),
            Scheme::Type => candidates()
                .filter(|(_, other)| other.label == span.label && overlaps_enough(span, other))
                .min_by_key(|(_, other)| other.start.abs_diff(span.start) + other.end.abs_diff(span.end)),
        };
        let near = || candidates().find(|(_, other)| overlaps_enough(span, other));
        let taken = match (right, near()) {
            (Some((index, _)), _) => {
                counts.correct += 1;
                index
            }
            (None, Some((index, _))) => {
                match scheme {
                    Scheme::Partial => counts.partial += 1,
                    _ => counts.incorrect += 1,
                }
                index
            }
            (None, None) => {
                counts.spurious += 1;
                continue;
            }
        };
        free[taken] = false;
    }
    counts.missed = free.into_iter().filter(|free| *free).count() as u64;
    counts
}

/// Whether they share at least one hundredth of the gold entity, nervaluate's minimum.
fn overlaps_enough(predicted: &LabelledSpan, gold: &LabelledSpan) -> bool {
    let shared = predicted.end.min(gold.end).saturating_sub(predicted.start.max(gold.start));
    shared > 0 && 100 * shared >= gold.end - gold.start
}

impl SchemeCounts {
    fn add(&mut self, other: Self) {
        self.correct += other.correct;
        self.incorrect += other.incorrect;
        self.partial += other.partial;
        self.missed += other.missed;
        self.spurious += other.spurious;
    }

    fn prf(self) -> Prf {
        let matched = self.correct + self.incorrect + self.partial;
        let points = self.correct as f64 + 0.5 * self.partial as f64;
        let precision = ratio(points, (matched + self.spurious) as f64);
        let recall = ratio(points, (matched + self.missed) as f64);
        Prf { precision, recall, f1: ratio(2.0 * precision * recall, precision + recall) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_forgives_what_its_name_says() {
        let span = LabelledSpan::new;
        let gold = [span(0, 10, "PER")];
        for (predicted, [strict, exact, partial, type_]) in [
            (span(0, 10, "PER"), [1.0, 1.0, 1.0, 1.0]),
            (span(0, 10, "LOC"), [0.0, 1.0, 1.0, 0.0]),
            (span(2, 10, "PER"), [0.0, 0.0, 0.5, 1.0]),
            (span(2, 10, "LOC"), [0.0, 0.0, 0.5, 0.0]),
            (span(10, 12, "PER"), [0.0, 0.0, 0.0, 0.0]),
        ] {
            let schemes = Schemes::of(&[SpanPair { gold: &gold, predicted: std::slice::from_ref(&predicted) }]);
            let found = [&schemes.strict, &schemes.exact, &schemes.partial, &schemes.type_].map(|s| s.micro.prf.f1);
            assert_eq!(found, [strict, exact, partial, type_], "{predicted:?}");
        }
    }

    #[test]
    fn less_than_a_hundredth_is_no_overlap() {
        let (gold, predicted) = ([LabelledSpan::new(0, 101, "PER")], [LabelledSpan::new(100, 110, "PER")]);
        let counts = scheme_metrics(&[SpanPair { gold: &gold, predicted: &predicted }], Scheme::Partial).micro.counts;
        assert_eq!(counts, SchemeCounts { missed: 1, spurious: 1, ..Default::default() });
    }
}
