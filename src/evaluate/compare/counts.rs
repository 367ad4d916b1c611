//! Counts of each document by label, so that micro and macro metrics of any sample of documents can be summed up.

use crate::evaluate::metrics::{MatchCounts, Prf};

/// Counts of one document as (label, counts); labels are indices into a list of the caller.
pub type CountsByLabel = Vec<(usize, MatchCounts)>;

/// Sums over documents, each as often as `times` says, by label.
pub fn sum_counts<'c>(
    documents: impl IntoIterator<Item = (&'c CountsByLabel, u32)>,
    n_labels: usize,
) -> Vec<MatchCounts> {
    let mut by_label = vec![MatchCounts::default(); n_labels];
    for (document, times) in documents.into_iter().filter(|(_, times)| *times > 0) {
        for (label, counts) in document {
            by_label[*label].add_times(*counts, u64::from(times));
        }
    }
    by_label
}

/// Mean F1 over the labels that `is_counted` accepts.
pub fn macro_f1(by_label: &[MatchCounts], is_counted: impl Fn(&MatchCounts) -> bool) -> f64 {
    Prf::mean(by_label.iter().filter(|counts| is_counted(counts)).map(|counts| counts.prf())).f1
}
