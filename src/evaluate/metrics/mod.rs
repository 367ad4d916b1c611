//! Figures over gold and predicted, as pure functions. Each equals a published implementation, which its file names;
//! `scripts/reference/make_metrics.py` stores their values.

pub mod calibration;
pub mod errors;
pub mod schemes;
pub mod spans;
pub mod thresholds;
pub mod topics;

use serde::Serialize;

/// Precision, recall and their harmonic mean, each in 0..=1; 0 where there is nothing to divide by.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Prf {
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
}

/// What was right of what was predicted and of what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub correct: u64,
    pub predicted: u64,
    pub gold: u64,
}

impl Counts {
    pub fn add(&mut self, other: Self) {
        self.add_times(other, 1);
    }

    /// Adds `other` as if it had been seen `times` times.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_predicted_and_nothing_there_is_zero_and_no_division() {
        assert_eq!(Counts::default().prf(), Prf::default());
        assert_eq!(Prf::mean([]), Prf::default());
    }

    #[test]
    fn f1_is_the_harmonic_mean() {
        let prf = Counts { correct: 2, predicted: 4, gold: 3 }.prf();
        assert_eq!((prf.precision, prf.recall), (0.5, 2.0 / 3.0));
        assert!((prf.f1 - 4.0 / 7.0).abs() < 1e-12);
    }
}
