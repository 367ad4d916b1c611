//! Metrics of topics over a table of documents and labels. Equal to scikit-learn's `precision_recall_fscore_support`,
//! `accuracy_score`, `average_precision_score` and `log_loss`.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array2, ArrayView1, Axis};
use serde::Serialize;

use super::calibration::{ReliabilityBin, expected_calibration_error, reliability};
use super::thresholds::{average_precision, best_threshold};
use super::{MatchCounts, Prf, ratio, zeros};

/// Which topics documents have and which a model gives them; the arrays are `[documents, labels]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicTable {
    pub labels: Vec<String>,
    pub gold: Array2<bool>,
    /// In 0..=1.
    pub scores: Array2<f64>,
    pub accepted: Array2<bool>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TopicMetrics {
    pub n_documents: usize,
    /// Share of documents whose best label is their topic; where every document has exactly one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Share of documents whose accepted labels are exactly their topics.
    pub subset_accuracy: f64,
    /// Share of right labels among the best 1, 3, 5, over documents that have a topic.
    pub precision_at_1: f64,
    pub precision_at_3: f64,
    pub precision_at_5: f64,
    pub micro_precision: f64,
    pub micro_recall: f64,
    pub micro_f1: f64,
    /// Means over the labels that some document has.
    pub macro_precision: f64,
    pub macro_recall: f64,
    pub macro_f1: f64,
    pub macro_average_precision: f64,
    pub micro_average_precision: f64,
    /// Binary log loss, over all documents and labels.
    pub log_loss: f64,
    /// Calibration error of the best label of each document.
    pub ece: f64,
    /// Calibration error of all scores.
    pub ece_all: f64,
    /// The bins of `ece`.
    pub reliability: Vec<ReliabilityBin>,
    /// The bins of `ece_all`.
    pub reliability_all: Vec<ReliabilityBin>,
    pub confusion: Confusion,
    pub per_label: BTreeMap<String, TopicLabelMetrics>,
}

/// Of documents with exactly one topic: `counts[gold][best]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Confusion {
    pub labels: Vec<String>,
    pub counts: Vec<Vec<u64>>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TopicLabelMetrics {
    #[serde(flatten)]
    pub prf: Prf,
    pub support: u64,
    pub predicted: u64,
    /// `None` where no document has the label, as below.
    pub average_precision: Option<f64>,
    /// The score from which the label should be accepted for the best F1 on this data.
    pub best_threshold: Option<f64>,
    pub best_f1: Option<f64>,
}

impl TopicMetrics {
    /// All metrics of `labels`, each 0; some exist only for gold labels, or where every document has exactly one topic.
    pub fn outline(labels: &BTreeSet<String>, gold: &BTreeSet<String>, has_one_topic_each: bool) -> Self {
        let mut per_label: BTreeMap<String, TopicLabelMetrics> = zeros(labels);
        for (label, metrics) in &mut per_label {
            let zero = gold.contains(label).then_some(0.0);
            (metrics.average_precision, metrics.best_threshold, metrics.best_f1) = (zero, zero, zero);
        }
        Self { accuracy: has_one_topic_each.then_some(0.0), per_label, ..Self::default() }
    }
}

/// All metrics of `table`.
pub fn topic_metrics(table: &TopicTable) -> TopicMetrics {
    let counts: Vec<MatchCounts> = (0..table.labels.len()).map(|label| table.count_label(label)).collect();
    let micro = counts.iter().copied().sum::<MatchCounts>().prf();
    let macro_ = Prf::mean(counts.iter().filter(|counts| counts.gold > 0).map(|counts| counts.prf()));
    let per_label: BTreeMap<String, TopicLabelMetrics> =
        counts.iter().enumerate().map(|(label, counts)| table.label_metrics(label, *counts)).collect();
    let average_precisions: Vec<f64> = per_label.values().filter_map(|label| label.average_precision).collect();
    let (best_scores, best_hits) = table.best();
    let (all_scores, all_hits) = (flat(&table.scores), flat(&table.gold));
    TopicMetrics {
        n_documents: table.n_documents(),
        accuracy: table.has_one_topic_each().then(|| share(&best_hits)),
        subset_accuracy: share(&table.subset_hits()),
        precision_at_1: table.precision_at(1),
        precision_at_3: table.precision_at(3),
        precision_at_5: table.precision_at(5),
        micro_precision: micro.precision,
        micro_recall: micro.recall,
        micro_f1: micro.f1,
        macro_precision: macro_.precision,
        macro_recall: macro_.recall,
        macro_f1: macro_.f1,
        macro_average_precision: ratio(average_precisions.iter().sum(), average_precisions.len() as f64),
        micro_average_precision: average_precision(&all_hits, &all_scores).unwrap_or_default(),
        log_loss: log_loss(&all_hits, &all_scores),
        ece: expected_calibration_error(&reliability(&best_hits, &best_scores)),
        ece_all: expected_calibration_error(&reliability(&all_hits, &all_scores)),
        reliability: reliability(&best_hits, &best_scores),
        reliability_all: reliability(&all_hits, &all_scores),
        confusion: table.confusion(),
        per_label,
    }
}

/// Mean binary cross entropy, scores clipped to keep the precision of the numbers away from 0 and 1, as scikit-learn does.
pub fn log_loss(hits: &[bool], scores: &[f64]) -> f64 {
    let loss = |(hit, score): (&bool, &f64)| {
        let score = score.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
        -(if *hit { score } else { 1.0 - score }).ln()
    };
    ratio(hits.iter().zip(scores).map(loss).sum(), hits.len() as f64)
}

/// Columns of the labels by falling score; equal scores in the order of the labels. Empty where every score is 0, as for
/// a document without an answer.
pub fn ranking(scores: ArrayView1<'_, f64>) -> Vec<usize> {
    if scores.iter().all(|score| *score == 0.0) {
        return Vec::new();
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

impl TopicTable {
    pub fn n_documents(&self) -> usize {
        self.gold.nrows()
    }

    pub fn count_label(&self, label: usize) -> MatchCounts {
        let pairs = self.gold.column(label).into_iter().zip(self.accepted.column(label));
        pairs.map(|(gold, accepted)| MatchCounts::of(*gold, *accepted)).sum()
    }

    /// Whether the best label of a document is one of its topics; `None` for a document without topics.
    pub fn is_best_right(&self, document: usize) -> Option<bool> {
        let gold = self.gold.row(document);
        gold.iter()
            .any(|gold| *gold)
            .then(|| ranking(self.scores.row(document)).first().is_some_and(|best| gold[*best]))
    }

    /// For each document, whether its accepted labels are exactly its topics.
    pub fn subset_hits(&self) -> Vec<bool> {
        self.gold.rows().into_iter().zip(self.accepted.rows()).map(|(gold, accepted)| gold == accepted).collect()
    }

    fn has_one_topic_each(&self) -> bool {
        self.gold.rows().into_iter().all(|row| row.iter().filter(|gold| **gold).count() == 1)
    }

    fn precision_at(&self, k: usize) -> f64 {
        let (mut sum, mut n) = (0.0, 0.0);
        for (gold, scores) in self.gold.rows().into_iter().zip(self.scores.rows()) {
            if gold.iter().any(|gold| *gold) {
                sum += ranking(scores).into_iter().take(k).filter(|label| gold[*label]).count() as f64 / k as f64;
                n += 1.0;
            }
        }
        ratio(sum, n)
    }

    /// The best score of each document, and whether its label is right.
    fn best(&self) -> (Vec<f64>, Vec<bool>) {
        let rows = self.scores.rows().into_iter().zip(self.gold.rows());
        rows.map(|(scores, gold)| ranking(scores).first().map_or((0.0, false), |best| (scores[*best], gold[*best])))
            .unzip()
    }

    fn label_metrics(&self, label: usize, counts: MatchCounts) -> (String, TopicLabelMetrics) {
        let hits: Vec<bool> = self.gold.column(label).to_vec();
        let scores: Vec<f64> = self.scores.column(label).to_vec();
        let best = best_threshold(&hits, &scores);
        let metrics = TopicLabelMetrics {
            prf: counts.prf(),
            support: counts.gold,
            predicted: counts.predicted,
            average_precision: average_precision(&hits, &scores),
            best_threshold: best.map(|best| best.threshold),
            best_f1: best.map(|best| best.f1),
        };
        (self.labels[label].clone(), metrics)
    }

    fn confusion(&self) -> Confusion {
        let n = self.labels.len();
        let mut counts = vec![vec![0; n]; n];
        for (gold, scores) in self.gold.axis_iter(Axis(0)).zip(self.scores.axis_iter(Axis(0))) {
            let topics: Vec<usize> = (0..n).filter(|label| gold[*label]).collect();
            if let ([topic], Some(best)) = (topics.as_slice(), ranking(scores).first()) {
                counts[*topic][*best] += 1;
            }
        }
        Confusion { labels: self.labels.clone(), counts }
    }
}

fn flat<T: Copy>(array: &Array2<T>) -> Vec<T> {
    array.iter().copied().collect()
}

fn share(hits: &[bool]) -> f64 {
    ratio(hits.iter().filter(|hit| **hit).count() as f64, hits.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, array};

    #[test]
    fn a_table_without_documents_or_labels_gives_zeros() {
        for shape in [(0, 0), (0, 2), (2, 0)] {
            let labels = (0..shape.1).map(|label| label.to_string()).collect();
            let (gold, scores) = (Array::from_elem(shape, false), Array::zeros(shape));
            let metrics = topic_metrics(&TopicTable { labels, accepted: gold.clone(), gold, scores });
            assert_eq!((metrics.micro_f1, metrics.ece, metrics.log_loss), (0.0, 0.0, 0.0), "{shape:?}");
        }
    }

    #[test]
    fn a_document_without_topics_counts_for_what_is_accepted_but_not_for_the_best() {
        let table = TopicTable {
            labels: vec!["a".into(), "b".into()],
            gold: array![[true, false], [false, false]],
            scores: array![[0.9, 0.2], [0.8, 0.1]],
            accepted: array![[true, false], [true, false]],
        };
        let metrics = topic_metrics(&table);
        assert_eq!((metrics.precision_at_1, metrics.micro_precision, metrics.accuracy), (1.0, 0.5, None));
        assert_eq!((metrics.confusion.counts, metrics.subset_accuracy), (vec![vec![1, 0], vec![0, 0]], 0.5));
    }

    #[test]
    fn a_document_without_an_answer_has_no_best_label_that_could_be_right() {
        let table = TopicTable {
            labels: vec!["a".into(), "b".into()],
            gold: array![[true, false], [true, false]],
            scores: array![[0.0, 0.0], [0.9, 0.0]],
            accepted: array![[false, false], [true, false]],
        };
        let metrics = topic_metrics(&table);
        assert_eq!((metrics.accuracy, metrics.precision_at_1), (Some(0.5), 0.5));
        assert_eq!(metrics.confusion.counts[0], [1, 0]);
    }

    #[test]
    fn certain_and_wrong_is_a_large_loss_and_not_an_infinite_one() {
        assert!((log_loss(&[true, false], &[0.0, 1.0]) - 36.043_653).abs() < 1e-5);
    }
}
