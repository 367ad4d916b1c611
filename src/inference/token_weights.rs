//! How much each token of a document counts for its topics. A news text says first what it is about.

use ndarray::{Array2, Axis};

/// The least weight, as a share of that of the first token, so that no part of a long text is ignored.
const LEAST: f64 = 0.25;

/// The weights of a document's tokens, which sum to 1. All are equal without `lead_tokens`; with it, a weight falls to 1/e over
/// that many tokens, and never below a quarter of the first.
pub fn token_weights(n_tokens: usize, lead_tokens: Option<usize>) -> Vec<f64> {
    let weight = |token: usize| match lead_tokens {
        Some(lead_tokens) => (-(token as f64) / lead_tokens as f64).exp().max(LEAST),
        None => 1.0,
    };
    let weights: Vec<f64> = (0..n_tokens).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// The sum of the rows of `logits`, `[N, L]`, with these weights; `None` without rows.
pub fn weighted_mean(logits: &Array2<f32>, weights: &[f64]) -> Option<Vec<f32>> {
    if logits.nrows() == 0 {
        return None;
    }
    let mut mean = vec![0.0; logits.ncols()];
    for (row, weight) in logits.axis_iter(Axis(0)).zip(weights) {
        mean.iter_mut().zip(row).for_each(|(mean, &logit)| *mean += weight * f64::from(logit));
    }
    Some(mean.into_iter().map(|logit| logit as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    #[test]
    fn without_a_lead_all_tokens_count_alike() {
        assert_eq!(token_weights(4, None), [0.25; 4]);
        let logits = array![[1.0, -3.0], [2.0, 5.0]];
        assert_eq!(weighted_mean(&logits, &token_weights(2, None)), Some(vec![1.5, 1.0]));
        assert_eq!(weighted_mean(&Array2::zeros((0, 2)), &[]), None);
    }

    #[test]
    fn with_a_lead_the_first_tokens_count_most_and_the_last_a_quarter_as_much() {
        let weights = token_weights(500, Some(100));
        assert!((weights[100] / weights[0] - (-1.0f64).exp()).abs() < 1e-12);
        assert!((weights[139] / weights[0] - LEAST).abs() < 1e-12 && weights[138] > weights[139]);
        assert_eq!(weights[499], weights[139]);
        let logits = array![[1.0], [0.0]];
        let mean = weighted_mean(&logits, &token_weights(2, Some(1))).unwrap()[0];
        assert!((mean - 1.0 / (1.0 + (-1.0f32).exp())).abs() < 1e-6, "{mean}");
    }

    proptest! {
        #[test]
        fn weights_sum_to_one_and_do_not_rise(n_tokens in 1usize..2000, lead_tokens in prop::option::of(1usize..1000)) {
            let weights = token_weights(n_tokens, lead_tokens);
            prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(weights.is_sorted_by(|a, b| a >= b));
        }
    }
}
