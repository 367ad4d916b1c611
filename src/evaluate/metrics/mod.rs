//! Metrics over gold and predicted labels, as pure functions. Each equals a published implementation, which its file names;
//! `scripts/reference/make_metrics.py` stores reference values.

pub mod calibration;
pub mod errors;
pub mod schemes;
pub mod spans;
pub mod thresholds;
pub mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Sum;

use serde::Serialize;

/// Precision, recall and their harmonic mean, each in 0..=1; 0 where there is nothing to divide by.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Prf {
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
}

/// Predicted labels, gold labels, and those that are both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MatchCounts {
    pub correct: u64,
    pub predicted: u64,
    pub gold: u64,
}

impl MatchCounts {
    /// The counts of one label of one document.
    pub fn of(is_gold: bool, is_predicted: bool) -> Self {
        Self {
            correct: u64::from(is_gold && is_predicted),
            predicted: u64::from(is_predicted),
            gold: u64::from(is_gold),
        }
    }

    /// Adds `other` as if it had been counted `times` times.
    pub fn add_times(&mut self, other: Self, times: u64) {
        self.correct += times * other.correct;
        self.predicted += times * other.predicted;
        self.gold += times * other.gold;
    }

    pub fn prf(self) -> Prf {
        Prf {
            precision: ratio(self.correct as f64, self.predicted as f64),
            recall: ratio(self.correct as f64, self.gold as f64),
            f1: self.f1(),
        }
    }

    pub fn f1(self) -> f64 {
        ratio(2.0 * self.correct as f64, (self.predicted + self.gold) as f64)
    }
}

impl Sum for MatchCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut all, counts| {
            all.add_times(counts, 1);
            all
        })
    }
}

impl Prf {
    /// The plain mean over `all`: the macro average. Its `f1` is the mean of the F1, not the F1 of the means.
    pub fn mean(all: impl IntoIterator<Item = Self>) -> Self {
        let (mut sum, mut n) = (Self::default(), 0.0);
        for one in all {
            sum.precision += one.precision;
            sum.recall += one.recall;
            sum.f1 += one.f1;
            n += 1.0;
        }
        Self { precision: ratio(sum.precision, n), recall: ratio(sum.recall, n), f1: ratio(sum.f1, n) }
    }
}

/// `part / whole`, and 0 where `whole` is 0 (`zero_division=0` in scikit-learn and seqeval).
pub(crate) fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

/// A default value for each label.
fn zeros<T: Default>(labels: &BTreeSet<String>) -> BTreeMap<String, T> {
    labels.iter().map(|label| (label.clone(), T::default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_predicted_and_gold_labels_all_is_zero() {
        assert_eq!(MatchCounts::default().prf(), Prf::default());
        assert_eq!(Prf::mean([]), Prf::default());
    }

    #[test]
    fn f1_is_the_harmonic_mean() {
        let prf = MatchCounts { correct: 2, predicted: 4, gold: 3 }.prf();
        assert_eq!((prf.precision, prf.recall), (0.5, 2.0 / 3.0));
        assert!((prf.f1 - 4.0 / 7.0).abs() < 1e-12);
    }
}
