//! What a document adds to micro and macro figures, kept by label so that any draw of documents can be summed up.

use crate::evaluate::metrics::{Counts, Prf};

/// Counts of one document as (label, counts); labels are numbers below a bound that the caller knows.
pub type DocumentCounts = Vec<(usize, Counts)>;

/// Sums over documents, each as often as `times` says, by label.
pub fn sum_counts<'c>(documents: impl IntoIterator<Item = (&'c DocumentCounts, u32)>, n_labels: usize) -> Vec<Counts> {
    let mut by_label = vec![Counts::default(); n_labels];
    for (document, times) in documents.into_iter().filter(|(_, times)| *times > 0) {
        for (label, counts) in document {
            by_label[*label].add_times(*counts, u64::from(times));
        }
    }
    by_label
}

/// Precision, recall and F1 over all labels together.
pub fn micro(by_label: &[Counts]) -> Prf {
    let mut all = Counts::default();
    by_label.iter().for_each(|counts| all.add(*counts));
    all.prf()
}

/// Mean F1 over the labels that `counts_in` lets in.
pub fn macro_f1(by_label: &[Counts], counts_in: impl Fn(&Counts) -> bool) -> f64 {
    Prf::mean(by_label.iter().filter(|counts| counts_in(counts)).map(|counts| counts.prf())).f1
}
