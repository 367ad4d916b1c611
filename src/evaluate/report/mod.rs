//! The outcome of an evaluation as a report: as JSON with stable keys, as a table for a terminal, as a page of HTML.

mod examples;
pub mod html;
mod svg;
mod terminal;

use serde::Serialize;

pub use examples::{EntityErrors, ErrorExample, PlacedText};

use super::comparison::Comparison;
use super::document::{GoldDocument, PredictedDocument};
use super::labels::Unmatched;
use super::metrics::schemes::Schemes;
use super::metrics::spans::{SpanFigures, span_figures};
use super::metrics::topics::{TopicFigures, topic_figures};
use super::require::Outcome;
use super::speed::Speed;
use super::tables::{Labels, span_pairs, topic_table};
use crate::manifest::task::Task;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Version of `ressort`.
    pub ressort: &'static str,
    pub data: DataReport,
    pub models: Vec<ModelReport>,
    /// The first model with each of the others.
    pub comparison: Vec<Comparison>,
    pub verdict: Vec<Outcome>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataReport {
    pub file: String,
    /// Content hash of the labelled data.
    pub version: String,
    pub n_documents: usize,
    /// Documents that are labelled with topics, and with entities.
    pub n_with_topics: usize,
    pub n_with_entities: usize,
    /// The labels that the figures are confined to; empty for all.
    pub labels: Vec<String>,
}

/// The figures of one model; `None` for a task that the model or the data lacks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    pub name: String,
    /// Content hash of the model's folder, where it is known.
    pub version: Option<String>,
    pub entities: Option<EntityReport>,
    pub topics: Option<TopicReport>,
    pub speed: Option<Speed>,
    /// Documents without an answer, which count as answered with nothing.
    pub n_failed: usize,
    /// Why, of the first of them.
    pub failures: Vec<Failure>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntityReport {
    #[serde(flatten)]
    pub figures: SpanFigures,
    pub schemes: Schemes,
    pub n_documents: usize,
    pub errors: EntityErrors,
    pub unmatched: Unmatched,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicReport {
    #[serde(flatten)]
    pub figures: TopicFigures,
    pub unmatched: Unmatched,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub document: String,
    pub reason: String,
}

/// What a model said, in the words and within the labels of the evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelAnswers {
    pub name: String,
    pub version: Option<String>,
    /// In the order of the data.
    pub documents: Vec<PredictedDocument>,
    /// What the model can give, by task; a task that it cannot do is missing.
    pub labels: Labels,
    pub speed: Option<Speed>,
}

impl ModelReport {
    /// The figures of `answers` against `gold`; `looked_at` are the labels that count.
    pub fn of(gold: &[GoldDocument], answers: &ModelAnswers, gold_labels: &Labels, looked_at: &Labels) -> Self {
        let both = |task| Some((answers.labels.get(&task)?, gold_labels.get(&task)?));
        let entities = both(Task::Entities).map(|(model, labels)| {
            let pairs = span_pairs(gold, &answers.documents);
            EntityReport {
                figures: span_figures(pairs.iter().copied()),
                schemes: Schemes::of(&pairs),
                n_documents: pairs.len(),
                errors: EntityErrors::of(gold, &answers.documents),
                unmatched: Unmatched::of(model, labels),
            }
        });
        let topics = both(Task::Topics).map(|(model, labels)| {
            let columns = model
                .union(labels)
                .filter(|label| looked_at.get(&Task::Topics).is_some_and(|all| all.contains(*label)));
            let table = topic_table(gold, &answers.documents, &columns.cloned().collect());
            TopicReport { figures: topic_figures(&table), unmatched: Unmatched::of(model, labels) }
        });
        let failed =
            || gold.iter().zip(&answers.documents).filter_map(|(gold, answer)| Some((gold, answer.failure.as_ref()?)));
        let failure =
            |(gold, reason): (&GoldDocument, &String)| Failure { document: gold.id.clone(), reason: reason.clone() };
        Self {
            name: answers.name.clone(),
            version: answers.version.clone(),
            entities,
            topics,
            speed: answers.speed.clone(),
            n_failed: failed().count(),
            failures: failed().take(MAX_EXAMPLES).map(failure).collect(),
        }
    }
}

impl Report {
    /// Whether every requirement is met.
    pub fn holds(&self) -> bool {
        self.verdict.iter().all(|outcome| outcome.holds)
    }
}

/// Of each kind of example.
pub(super) const MAX_EXAMPLES: usize = 10;
