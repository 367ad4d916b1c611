//! Tests of the hypothesis that two models are equally good: approximate randomisation for metrics of a whole set
//! (Noreen 1989; Yeh 2000), McNemar's exact test for documents that are right or wrong.

use super::bootstrap::Resampling;

/// The share of random exchanges of the two models' answers that make a difference at least as large as the one seen.
///
/// `difference` gets for each of `n_documents` whether the two answers are exchanged. The result is in (0, 1].
pub fn approximate_randomisation(
    n_documents: usize,
    resampling: Resampling,
    difference: impl Fn(&[bool]) -> f64,
) -> f64 {
    /// Sums of the same numbers in another order may differ in the last digits.
    const ROUNDING: f64 = 1e-12;
    let mut random = fastrand::Rng::with_seed(resampling.seed);
    let mut exchanged = vec![false; n_documents];
    let seen = difference(&exchanged).abs();
    let mut n_as_large = 0;
    for _ in 0..resampling.n_resamples {
        exchanged.iter_mut().for_each(|exchange| *exchange = random.bool());
        n_as_large += usize::from(difference(&exchanged).abs() >= seen - ROUNDING);
    }
    (n_as_large + 1) as f64 / (resampling.n_resamples + 1) as f64
}

/// The two-sided p-value of the exact test, from the documents that only one of the two has right. Equal to
/// `scipy.stats.binomtest(n_first, n_first + n_second)`.
pub fn mcnemar(n_first: u64, n_second: u64) -> f64 {
    let n = n_first + n_second;
    // The terms of the binomial distribution are logarithms, since 2^-n underflows from n = 1075 on.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = log_term.exp();
    for k in 1..=n_first.min(n_second) {
        log_term += ((n - k + 1) as f64 / k as f64).ln();
        tail += log_term.exp();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_difference_is_never_significant() {
        assert_eq!(approximate_randomisation(10, Resampling::default(), |_| 0.0), 1.0);
        assert_eq!((mcnemar(0, 0), mcnemar(5, 5)), (1.0, 1.0));
    }

    #[test]
    fn the_share_is_that_of_all_exchanges() {
        // Three documents, each better by one: only two of the eight exchanges keep the whole difference.
        let difference = |exchanged: &[bool]| exchanged.iter().map(|e| if *e { -1.0 } else { 1.0 }).sum::<f64>();
        let p = approximate_randomisation(3, Resampling { n_resamples: 20_000, seed: 3 }, difference);
        assert!((p - 0.25).abs() < 0.01, "{p}");
    }

    #[test]
    fn many_documents_do_not_underflow() {
        let p = mcnemar(1_000, 1_200);
        assert!((1e-6..1e-4).contains(&p), "{p}");
    }
}
