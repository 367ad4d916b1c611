//! Two models on the same documents: their differences, whether these are significant, and where the models disagree.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answers::ModelAnswers;
use super::compare::{Interval, Resampling, approximate_randomisation, bootstrap, mcnemar};
use super::document::{GoldDocument, LabelledSpan, PredictedDocument, QuotedSpan};
use super::labels::LabelsByTask;
use super::metrics::spans::{SpanPair, count_spans};
use super::metrics::topics::TopicTable;
use super::metrics::{MatchCounts, Prf, ratio};
use super::tables::{span_pairs, topic_table};
use crate::manifest::task::Task;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    pub baseline: String,
    pub candidate: String,
    pub resampling: Resampling,
    pub entities: Option<EntityComparison>,
    pub topics: Option<TopicComparison>,
    /// The documents with the most disagreements, sorted by their number.
    pub disagreements: Vec<Disagreement>,
}

/// A metric of both models, and the interval of the candidate's minus the baseline's (95%, paired bootstrap).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    pub baseline: f64,
    pub candidate: f64,
    pub difference: f64,
    #[serde(flatten)]
    pub interval: Interval,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntityComparison {
    pub n_documents: usize,
    pub precision: Difference,
    pub recall: Difference,
    pub f1: Difference,
    pub macro_f1: Difference,
    /// Of `f1`, by approximate randomisation.
    pub p_value: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicComparison {
    pub n_documents: usize,
    pub precision_at_1: Difference,
    pub subset_accuracy: Difference,
    pub micro_f1: Difference,
    pub macro_f1: Difference,
    pub mcnemar: McNemar,
}

/// Documents whose best label is right with one model only, and the p-value of McNemar's exact test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    pub only_baseline: u64,
    pub only_candidate: u64,
    pub p_value: f64,
}

/// One document with its gold labels and both answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Disagreement {
    pub document: String,
    pub text: String,
    /// Entities and accepted topics that only one of the two models gives.
    pub n: usize,
    pub gold: View,
    pub baseline: View,
    pub candidate: View,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    pub topics: Option<Vec<String>>,
    pub entities: Option<Vec<QuotedSpan>>,
}

/// Counts of one document by the index of the label, so that any sample of documents can be summed up.
type CountsByLabel = Vec<(usize, MatchCounts)>;

/// Documents that are shown.
const MAX_DISAGREEMENTS: usize = 20;

impl Comparison {
    /// Compares two models; a task that one of them, or the data, lacks is left out.
    pub fn of(
        gold: &[GoldDocument],
        models: [&ModelAnswers; 2],
        counted: &LabelsByTask,
        resampling: Resampling,
    ) -> Self {
        let [baseline, candidate] = models;
        let both = |task| models.iter().all(|model| model.labels.contains_key(&task)) && counted.contains_key(&task);
        let entities = (both(Task::Entities) && gold.iter().any(|document| document.entities.is_some()))
            .then(|| EntityComparison::of(models.map(|model| span_pairs(gold, &model.documents)), resampling));
        let topics = (both(Task::Topics) && gold.iter().any(|document| document.topics.is_some())).then(|| {
            let labels = counted.get(&Task::Topics).cloned().unwrap_or_default();
            TopicComparison::of(models.map(|model| topic_table(gold, &model.documents, &labels)), resampling)
        });
        Self {
            baseline: baseline.name.clone(),
            candidate: candidate.name.clone(),
            resampling,
            entities,
            topics,
            disagreements: disagreements(gold, models),
        }
    }

    /// All differences by name.
    pub fn differences(&self) -> Vec<(&'static str, Difference)> {
        let entities = self.entities.iter().flat_map(|entities| {
            [
                ("entities F1", entities.f1),
                ("entities precision", entities.precision),
                ("entities recall", entities.recall),
                ("entities macro F1", entities.macro_f1),
            ]
        });
        let topics = self.topics.iter().flat_map(|topics| {
            [
                ("topics precision at 1", topics.precision_at_1),
                ("topics subset accuracy", topics.subset_accuracy),
                ("topics micro F1", topics.micro_f1),
                ("topics macro F1", topics.macro_f1),
            ]
        });
        entities.chain(topics).collect()
    }
}

impl EntityComparison {
    fn of(models: [Vec<SpanPair<'_>>; 2], resampling: Resampling) -> Self {
        let n_documents = models[0].len();
        let (counts, n_labels) = number_counts(models);
        let metrics = |by_label: &[MatchCounts]| {
            let micro = micro(by_label);
            [micro.precision, micro.recall, micro.f1, macro_f1(by_label, |counts| counts.gold + counts.predicted > 0)]
        };
        let of_model = |model: usize, times: &[u32]| {
            metrics(&sum_counts(counts[model].iter().zip(times.iter().copied()), n_labels))
        };
        let [precision, recall, f1, macro_f1] = differences(n_documents, resampling, of_model);
        let exchanged = |exchanged: &[bool]| {
            let f1 = |of_exchanged: usize| {
                let documents = exchanged.iter().enumerate().map(|(index, exchanged)| {
                    let model = if *exchanged { of_exchanged } else { 1 - of_exchanged };
                    (&counts[model][index], 1)
                });
                micro(&sum_counts(documents, n_labels)).f1
            };
            f1(0) - f1(1)
        };
        let p_value = approximate_randomisation(n_documents, resampling, exchanged);
        Self { n_documents, precision, recall, f1, macro_f1, p_value }
    }
}

impl TopicComparison {
    fn of(tables: [TopicTable; 2], resampling: Resampling) -> Self {
        let n_documents = tables[0].n_documents();
        let n_labels = tables[0].labels.len();
        let counts = tables.each_ref().map(TopicTable::document_counts);
        let best: [Vec<Option<bool>>; 2] =
            tables.each_ref().map(|table| (0..n_documents).map(|document| table.is_best_right(document)).collect());
        let subset = tables.each_ref().map(TopicTable::subset_hits);
        let of_model = |model: usize, times: &[u32]| {
            let by_label = sum_counts(counts[model].iter().zip(times.iter().copied()), n_labels);
            [
                mean(best[model].iter().copied(), times),
                mean(subset[model].iter().map(|hit| Some(*hit)), times),
                micro(&by_label).f1,
                macro_f1(&by_label, |counts| counts.gold > 0),
            ]
        };
        let [precision_at_1, subset_accuracy, micro_f1, macro_f1] = differences(n_documents, resampling, of_model);
        let only = |model: usize| {
            let pairs = best[model].iter().zip(&best[1 - model]);
            pairs.filter(|(one, other)| **one == Some(true) && **other == Some(false)).count() as u64
        };
        let (only_baseline, only_candidate) = (only(0), only(1));
        let mcnemar = McNemar { only_baseline, only_candidate, p_value: mcnemar(only_baseline, only_candidate) };
        Self { n_documents, precision_at_1, subset_accuracy, micro_f1, macro_f1, mcnemar }
    }
}

impl TopicTable {
    /// The counts of each document.
    fn document_counts(&self) -> Vec<CountsByLabel> {
        let row = |document: usize| {
            let counts = self.gold.row(document).into_iter().zip(self.accepted.row(document));
            let counts = counts.map(|(gold, accepted)| MatchCounts::of(*gold, *accepted)).enumerate();
            counts.filter(|(_, counts)| counts.gold + counts.predicted > 0).collect()
        };
        (0..self.n_documents()).map(row).collect()
    }
}

/// Counts of every document of both models by the index of the label, and the number of labels.
fn number_counts<'d>(models: [Vec<SpanPair<'d>>; 2]) -> ([Vec<CountsByLabel>; 2], usize) {
    let mut numbers: BTreeMap<&'d str, usize> = BTreeMap::new();
    let counts = models.map(|pairs| {
        let mut documents = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let number = |(label, counts): (&'d str, MatchCounts)| {
                let next = numbers.len();
                (*numbers.entry(label).or_insert(next), counts)
            };
            documents.push(count_spans(pair).into_iter().map(number).collect());
        }
        documents
    });
    (counts, numbers.len())
}

/// Sums over documents, each counted `times` times, by label.
fn sum_counts<'c>(documents: impl IntoIterator<Item = (&'c CountsByLabel, u32)>, n_labels: usize) -> Vec<MatchCounts> {
    let mut by_label = vec![MatchCounts::default(); n_labels];
    for (document, times) in documents.into_iter().filter(|(_, times)| *times > 0) {
        document.iter().for_each(|(label, counts)| by_label[*label].add_times(*counts, u64::from(times)));
    }
    by_label
}

/// Mean F1 over the labels that `is_counted` accepts.
fn macro_f1(by_label: &[MatchCounts], is_counted: impl Fn(&MatchCounts) -> bool) -> f64 {
    Prf::mean(by_label.iter().filter(|counts| is_counted(counts)).map(|counts| counts.prf())).f1
}

/// Precision, recall and F1 over all labels together.
fn micro(by_label: &[MatchCounts]) -> Prf {
    by_label.iter().copied().sum::<MatchCounts>().prf()
}

/// The metrics that `of_model` gives for a sample of documents, for both models and their difference.
fn differences<const K: usize>(
    n_documents: usize,
    resampling: Resampling,
    of_model: impl Fn(usize, &[u32]) -> [f64; K],
) -> [Difference; K] {
    let once = vec![1; n_documents];
    let (baseline, candidate) = (of_model(0, &once), of_model(1, &once));
    let intervals: [Interval; K] = bootstrap(n_documents, resampling, |times| {
        let (baseline, candidate) = (of_model(0, times), of_model(1, times));
        std::array::from_fn(|index| candidate[index] - baseline[index])
    });
    std::array::from_fn(|index| Difference {
        baseline: baseline[index],
        candidate: candidate[index],
        difference: candidate[index] - baseline[index],
        interval: intervals[index],
    })
}

/// The share of hits among those that are not `None`, each counted `times` times.
fn mean(hits: impl Iterator<Item = Option<bool>>, times: &[u32]) -> f64 {
    let hits = hits.zip(times).filter_map(|(hit, times)| Some((u32::from(hit?), times)));
    let (right, n) = hits.fold((0, 0), |(right, n), (hit, times)| (right + hit * times, n + times));
    ratio(f64::from(right), f64::from(n))
}

fn disagreements(gold: &[GoldDocument], [baseline, candidate]: [&ModelAnswers; 2]) -> Vec<Disagreement> {
    let answers = baseline.documents.iter().zip(&candidate.documents);
    let count = |(gold, (a, b))| (n_disagreed(gold, a, b), gold, a, b);
    let mut documents: Vec<_> = gold.iter().zip(answers).map(count).filter(|(n, ..)| *n > 0).collect();
    documents.sort_by_key(|(n, ..)| std::cmp::Reverse(*n));
    let show = |(n, gold, a, b): (usize, &GoldDocument, &PredictedDocument, &PredictedDocument)| Disagreement {
        document: gold.id.clone(),
        text: gold.text.to_string(),
        n,
        gold: View {
            topics: gold.topics.as_ref().map(|topics| topics.iter().cloned().collect()),
            entities: quoted(&gold.text, gold.entities.as_deref()),
        },
        baseline: View::of(gold, a),
        candidate: View::of(gold, b),
    };
    documents.into_iter().take(MAX_DISAGREEMENTS).map(show).collect()
}

/// Entities and accepted topics that only one of the two has, for the tasks with gold labels.
fn n_disagreed(gold: &GoldDocument, a: &PredictedDocument, b: &PredictedDocument) -> usize {
    fn n_only<T: PartialEq>(a: &Option<Vec<T>>, b: &Option<Vec<T>>) -> usize {
        let (Some(a), Some(b)) = (a, b) else { return 0 };
        a.iter().filter(|one| !b.contains(one)).count() + b.iter().filter(|one| !a.contains(one)).count()
    }
    let spans = gold.entities.as_ref().map(|_| n_only(&a.entities, &b.entities));
    let topics = gold.topics.as_ref().map(|_| n_only(&a.accepted(), &b.accepted()));
    spans.unwrap_or(0) + topics.unwrap_or(0)
}

impl View {
    fn of(gold: &GoldDocument, answer: &PredictedDocument) -> Self {
        let topics = answer.accepted().filter(|_| gold.topics.is_some());
        Self {
            topics: topics.map(|topics| topics.into_iter().map(str::to_owned).collect()),
            entities: quoted(&gold.text, answer.entities.as_deref().filter(|_| gold.entities.is_some())),
        }
    }
}

fn quoted(text: &str, spans: Option<&[LabelledSpan]>) -> Option<Vec<QuotedSpan>> {
    Some(spans?.iter().map(|span| QuotedSpan::new(text, span)).collect())
}
