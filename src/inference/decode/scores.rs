//! The scores that some graphs give, turned back into logits, so that windows are pooled and stitched in one way.

use std::borrow::Cow;

use crate::inference::batch::WindowHead;
use crate::manifest::task::GraphScores;

/// The logits whose softmax or sigmoid gives `head`; `head` itself where it holds logits.
pub fn to_logits(head: &WindowHead, scores: Option<GraphScores>) -> Cow<'_, WindowHead> {
    match scores {
        // A softmax of the logarithms of scores gives the scores.
        None | Some(GraphScores::LogSoftmax) => Cow::Borrowed(head),
        Some(GraphScores::Softmax) => Cow::Owned(head.map(|score| score.max(f32::MIN_POSITIVE).ln())),
        Some(GraphScores::Sigmoid) => Cow::Owned(head.map(sigmoid_logit)),
    }
}

fn sigmoid_logit(score: f32) -> f32 {
    let score = score.clamp(f32::MIN_POSITIVE, 1.0 - f32::EPSILON / 2.0);
    (score / (1.0 - score)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::decode::softmax;
    use ndarray::array;

    fn logits(scores: &[f32], kind: GraphScores) -> Vec<f32> {
        let row = ndarray::Array2::from_shape_vec((1, scores.len()), scores.to_vec()).unwrap();
        to_logits(&WindowHead::Sequence(row.into()), Some(kind)).rows().row(0).to_vec()
    }

    #[test]
    fn scores_are_the_same_again() {
        for scores in [[0.2, 0.8, 0.0], [0.0, 0.0, 1.0], [0.333, 0.333, 0.334]] {
            let again = softmax(logits(&scores, GraphScores::Softmax));
            assert!(scores.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-6), "{scores:?} gave {again:?}");
            let again = logits(&scores, GraphScores::Sigmoid).into_iter().map(|logit| 1.0 / (1.0 + (-logit).exp()));
            assert!(scores.iter().zip(again).all(|(a, b)| (a - b).abs() < 1e-6), "{scores:?}");
        }
    }

    #[test]
    fn logits_stay_as_they_are() {
        let head = WindowHead::Token(array![[3.0, -2.0]].into());
        for scores in [None, Some(GraphScores::LogSoftmax)] {
            assert_eq!(*to_logits(&head, scores), head);
        }
    }
}
