//! From windows back to the document: each sentence takes its logits from one window that holds it whole, so that the
//! document is decoded once and no entity is cut or doubled at an edge.

use std::borrow::Borrow;
use std::ops::Range;

use ndarray::{Array2, ArrayView1, Axis};

use crate::inference::batch::WindowHead;
use crate::inference::windows::Sentences;
use crate::manifest::task::Pooling;

/// For each of the document's tokens the window that speaks for it, given the tokens of each window in order.
///
/// It is the window with the most context: for the tokens of a sentence among the windows that hold the sentence whole, and
/// for a token of a longer sentence among those that hold the token. The context is the distance to the nearer edge of the
/// window. An edge that is the document's own does not count, since nothing is cut off there. On a tie the earlier window
/// speaks.
pub fn owners(sentences: &Sentences, windows: &[Range<usize>]) -> Vec<usize> {
    let mut owners = Vec::with_capacity(sentences.n_tokens());
    for sentence in sentences.iter() {
        match owner(&sentence, sentences.n_tokens(), windows) {
            Some(owner) => owners.extend(sentence.map(|_| owner)),
            None => owners.extend(
                // Every token is in a window.
                sentence.map(|token| owner(&(token..token + 1), sentences.n_tokens(), windows).unwrap_or_default()),
            ),
        }
    }
    owners
}

/// The window that holds `span` whole, with the most context.
fn owner(span: &Range<usize>, n_tokens: usize, windows: &[Range<usize>]) -> Option<usize> {
    // Both edges of the windows rise.
    let first = windows.partition_point(|window| window.end < span.end);
    let last = windows.partition_point(|window| window.start <= span.start);
    let context = |window: &Range<usize>| {
        let left = if window.start == 0 { usize::MAX } else { span.start - window.start };
        let right = if window.end == n_tokens { usize::MAX } else { window.end - span.end };
        left.min(right)
    };
    // The maximum is the last of equals, so the windows are taken in reverse.
    (first..last).rev().max_by_key(|&index| context(&windows[index]))
}

/// The logits of a document's tokens, which stay in those of its windows.
#[derive(Debug)]
pub struct TokenRows<'d, H> {
    pub owners: &'d [usize],
    pub windows: &'d [Range<usize>],
    pub heads: &'d [H],
}

impl<H> Clone for TokenRows<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for TokenRows<'_, H> {}

impl<'d, H: Borrow<WindowHead>> TokenRows<'d, H> {
    /// The logits of one token.
    pub fn row(self, token: usize) -> ArrayView1<'d, f32> {
        let owner = self.owners[token];
        self.heads[owner].borrow().rows().index_axis_move(Axis(0), token - self.windows[owner].start)
    }
}

/// Logits `[N, L]` of a document's tokens out of those of its windows; `[0, 0]` for a document without tokens.
pub fn stitch<H: Borrow<WindowHead>>(owners: &[usize], windows: &[Range<usize>], heads: &[H]) -> Array2<f32> {
    let n_labels = heads.first().map_or(0, |head| head.borrow().rows().ncols());
    let mut logits = Array2::zeros((owners.len(), n_labels));
    let rows = TokenRows { owners, windows, heads };
    for token in 0..owners.len() {
        logits.row_mut(token).assign(&rows.row(token));
    }
    logits
}

/// One row of topic logits for a document out of one row a window.
///
/// `heads` has at least one window; the mean weighs a window by the tokens that it speaks for.
pub fn pool(pooling: Pooling, owners: &[usize], heads: &[impl Borrow<WindowHead>]) -> Vec<f32> {
    let rows = || heads.iter().map(|head| head.borrow().rows().row(0).to_vec());
    let first = rows().next().unwrap_or_default();
    match pooling {
        Pooling::First => first,
        Pooling::Max => {
            rows().fold(first, |best, row| best.iter().zip(row).map(|(best, logit)| best.max(logit)).collect())
        }
        Pooling::Mean | Pooling::TokenMean => {
            let mut mean = vec![0.0; first.len()];
            for (window, row) in rows().enumerate() {
                let share = owners.iter().filter(|&&owner| owner == window).count() as f32 / owners.len().max(1) as f32;
                mean.iter_mut().zip(row).for_each(|(mean, logit)| *mean += share * logit);
            }
            mean
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_token_of_a_long_sentence_is_spoken_for_by_the_window_with_most_context() {
        let owners = |n_tokens, windows: &[Range<usize>]| owners(&Sentences::unknown(n_tokens), windows);
        assert_eq!(owners(0, &[]), [0; 0]);
        assert_eq!(owners(3, &[Range { start: 0, end: 3 }]), [0, 0, 0]);
        // Shared are 4 to 7: the middle of the overlap is where the owner changes.
        assert_eq!(owners(12, &[0..8, 4..12]), [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
        // With a stride of more than half a window, a token is in three of them.
        assert_eq!(owners(7, &[0..4, 1..5, 2..6, 3..7]), [0, 0, 0, 1, 2, 3, 3]);
    }

    #[test]
    fn stitched_logits_are_those_of_the_owner() {
        let (a, b) = (
            WindowHead::Token(array![[0.0], [1.0], [2.0], [3.0]].into()),
            WindowHead::Token(array![[12.0], [13.0], [14.0], [15.0]].into()),
        );
        let windows = [0..4, 2..6];
        let owners = owners(&Sentences::unknown(6), &windows);
        assert_eq!(stitch(&owners, &windows, &[&a, &b]), array![[0.0], [1.0], [2.0], [13.0], [14.0], [15.0]]);
    }

    #[test]
    fn pooling_follows_its_rule() {
        let (a, b) = (WindowHead::Sequence(array![[0.0, 4.0]].into()), WindowHead::Sequence(array![[8.0, 0.0]].into()));
        let owners = [0, 0, 0, 1];
        for (pooling, row) in [(Pooling::First, [0.0, 4.0]), (Pooling::Max, [8.0, 4.0]), (Pooling::Mean, [2.0, 3.0])] {
            assert_eq!(pool(pooling, &owners, &[&a, &b]), row, "{pooling}");
        }
    }
}
