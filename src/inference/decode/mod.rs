//! From a document's logits to what they say: topics with scores, entities with spans. Pure functions over one
//! document; nothing here knows of windows, batches or requests.

pub mod bare;
pub mod entities;
pub mod entity;
pub mod freed;
mod join;
pub mod kept_words;
pub mod label_tags;
pub mod listed_names;
pub mod mentions;
pub mod name_scores;
pub mod name_weights;
pub mod names;
pub mod received;
pub mod scores;
pub mod source;
pub mod spelling;
pub mod stretches;
pub mod tag_scheme;
pub mod titles;
pub mod topics;
pub mod viterbi;
pub mod word_scores;
pub mod word_tokens;
pub mod words;

/// Softmax of one row of logits, computed against the largest so that no logit overflows.
pub(crate) fn softmax(logits: impl IntoIterator<Item = f32>) -> Vec<f32> {
    let logits: Vec<f32> = logits.into_iter().collect();
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    exponentials.into_iter().map(|exponential| exponential / sum).collect()
}

/// The sigmoid of one logit.
pub(crate) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The index of the largest score and the score; the first of equals; `(0, 0.0)` for none.
pub(crate) fn argmax(scores: &[f32]) -> (usize, f32) {
    scores
        .iter()
        .copied()
        .enumerate()
        .fold((0, 0.0), |best, (index, score)| if score > best.1 { (index, score) } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_survives_logits_far_from_zero() {
        for logits in [[1000.0, 999.0], [-1000.0, -1001.0], [0.0, -1.0]] {
            let scores = softmax(logits);
            assert!((scores[0] - 0.731_058_6).abs() < 1e-6, "{logits:?} gave {scores:?}");
            assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        assert!(softmax([]).is_empty());
    }
}
