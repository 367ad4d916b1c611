//! One row of topic logits for a document, out of those of its tokens.
//!
//! - The row is a mean over the tokens. With `lead_tokens` the first count most: a news text says first what it is about.
//! - With `part_tokens` a long text is also read in parts of about that many tokens. A topic that is clear in one part counts, though the
//!   mean over all parts is low: the text may have several topics, one after the other.
//!
//! `scripts/train/decode.py` does the same for calibration and measuring.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis};

use crate::manifest::task::TokenPooling;

/// The least weight of a token, as a share of that of the first, so that no part of a long text is ignored.
const LEAST: f64 = 0.25;

/// What the logit of one part is lowered by: of two parts, one is higher than the mean by chance.
const PENALTY: f64 = 1.0;

/// The topic logits of a document, and where they come from.
#[derive(Debug)]
pub struct TokenMean {
    /// One logit for each topic.
    pub row: Vec<f32>,
    /// Of the tokens, in the mean over all.
    weights: Vec<f64>,
    /// For each topic the part that it takes its logit from; `None` where it is the mean over all tokens.
    parts: Vec<Option<Range<usize>>>,
}

impl TokenMean {
    /// Pools `logits`, `[N, L]`; `None` without rows.
    pub fn of(logits: &Array2<f32>, pooling: TokenPooling) -> Option<Self> {
        let n_tokens = logits.nrows();
        if n_tokens == 0 {
            return None;
        }
        let weights = weights(n_tokens, pooling.lead_tokens);
        let mut row = mean(logits.view(), &weights);
        let mut parts = vec![None; row.len()];
        for part in pooling.part_tokens.map_or_else(Vec::new, |size| self::parts(n_tokens, size)) {
            let equal = vec![1.0 / part.len() as f64; part.len()];
            let of_part = mean(logits.slice(ndarray::s![part.clone(), ..]), &equal);
            for (topic, logit) in of_part.into_iter().enumerate().filter(|(_, logit)| logit.is_finite()) {
                if logit - PENALTY > row[topic] {
                    (row[topic], parts[topic]) = (logit - PENALTY, Some(part.clone()));
                }
            }
        }
        Some(Self { row: row.into_iter().map(|logit| logit as f32).collect(), weights, parts })
    }

    /// What a token with this `logit` adds to that of the document. Over all tokens the sum is the logit of the document.
    pub fn contribution(&self, token: usize, topic: usize, logit: f32) -> f64 {
        match &self.parts[topic] {
            None => self.weights[token] * f64::from(logit),
            Some(part) if part.contains(&token) => (f64::from(logit) - PENALTY) / part.len() as f64,
            Some(_) => 0.0,
        }
    }
}

/// The weights of a document's tokens, which sum to 1.
fn weights(n_tokens: usize, lead_tokens: Option<usize>) -> Vec<f64> {
    let weight = |token: usize| match lead_tokens {
        Some(lead_tokens) => (-(token as f64) / lead_tokens as f64).exp().max(LEAST),
        None => 1.0,
    };
    let weights: Vec<f64> = (0..n_tokens).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Parts of nearly equal length; none where the text is one.
fn parts(n_tokens: usize, size: usize) -> Vec<Range<usize>> {
    let n_parts = (n_tokens + size / 2) / size;
    match n_parts {
        0 | 1 => Vec::new(),
        n => (0..n).map(|part| part * n_tokens / n..(part + 1) * n_tokens / n).collect(),
    }
}

fn mean(logits: ArrayView2<'_, f32>, weights: &[f64]) -> Vec<f64> {
    let mut mean = vec![0.0; logits.ncols()];
    for (row, weight) in logits.axis_iter(Axis(0)).zip(weights) {
        mean.iter_mut().zip(row).for_each(|(mean, &logit)| *mean += weight * f64::from(logit));
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    fn pooled(logits: &Array2<f32>, lead_tokens: Option<usize>, part_tokens: Option<usize>) -> Vec<f32> {
        TokenMean::of(logits, TokenPooling { lead_tokens, part_tokens }).unwrap().row
    }

    #[test]
    fn without_a_lead_and_parts_all_tokens_count_alike() {
        assert_eq!(weights(4, None), [0.25; 4]);
        assert_eq!(pooled(&array![[1.0, -3.0], [2.0, 5.0]], None, None), [1.5, 1.0]);
        assert!(TokenMean::of(&Array2::zeros((0, 2)), TokenPooling::default()).is_none());
    }

    // Python's tests of `pooled_topics` have the same values.
    #[test]
    fn with_a_lead_the_first_tokens_count_most_and_the_last_a_quarter_as_much() {
        let weights = weights(500, Some(100));
        assert!((weights[100] / weights[0] - (-1.0f64).exp()).abs() < 1e-12);
        assert!((weights[139] / weights[0] - LEAST).abs() < 1e-12 && weights[138] > weights[139]);
        assert_eq!(weights[499], weights[139]);
        let mean = pooled(&array![[1.0], [0.0]], Some(1), None)[0];
        assert!((mean - 1.0 / (1.0 + (-1.0f32).exp())).abs() < 1e-6, "{mean}");
    }

    #[test]
    fn a_topic_that_is_clear_in_one_part_counts_less_a_penalty() {
        let logits = array![[4.0, -4.0], [4.0, -4.0], [-4.0, 4.0], [-4.0, 4.0], [-4.0, 0.0]];
        assert_eq!(parts(5, 2), [0..1, 1..3, 3..5]);
        assert_eq!(pooled(&logits, None, Some(2)), [3.0, 1.0]);
        assert_eq!(pooled(&logits, None, None), [-0.8, 0.0]);
        // The text is one part.
        assert_eq!(parts(5, 4), [0..5; 0]);
        assert_eq!(pooled(&logits, None, Some(4)), [-0.8, 0.0]);
        // No part is clearer than the mean by more than the penalty.
        assert_eq!(pooled(&array![[1.0], [1.0], [1.5], [1.5]], None, Some(2)), [1.25]);
    }

    proptest! {
        #[test]
        fn contributions_add_up_to_the_logit(
            values in prop::collection::vec(-20.0f32..20.0, 1..300),
            lead_tokens in prop::option::of(1usize..50),
            part_tokens in prop::option::of(1usize..50),
        ) {
            let logits = Array2::from_shape_fn((values.len(), 2), |(token, topic)| values[(token + topic) % values.len()]);
            let mean = TokenMean::of(&logits, TokenPooling { lead_tokens, part_tokens }).unwrap();
            for topic in 0..2 {
                let sum: f64 =
                    (0..values.len()).map(|token| mean.contribution(token, topic, logits[[token, topic]])).sum();
                prop_assert!((sum - f64::from(mean.row[topic])).abs() < 1e-4, "{sum} for {}", mean.row[topic]);
            }
        }

        #[test]
        fn parts_cover_the_text_and_weights_sum_to_one(n_tokens in 1usize..2000, size in 1usize..1000) {
            let parts = parts(n_tokens, size);
            prop_assert!(parts.iter().all(|part| !part.is_empty()) && parts.len() != 1);
            prop_assert_eq!(parts.iter().map(Range::len).sum::<usize>(), if parts.is_empty() { 0 } else { n_tokens });
            let weights = weights(n_tokens, Some(size));
            prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9 && weights.is_sorted_by(|a, b| a >= b));
        }
    }
}
