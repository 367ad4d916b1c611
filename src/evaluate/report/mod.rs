//! The outcome of an evaluation: as JSON with stable keys, as text for a terminal, as a page of HTML.

mod difference;
mod disagreement;
pub mod html;
mod markup;
mod model_section;
mod reliability;
mod rows;
mod terminal;

use serde::Serialize;

use super::comparison::Comparison;
use super::model_metrics::ModelMetrics;
use super::require::Outcome;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// Version of `ressort`.
    pub ressort: &'static str,
    pub data: DataReport,
    pub models: Vec<ModelMetrics>,
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
    /// Documents that have the id of an earlier one.
    pub n_repeated_ids: usize,
    /// Gold entities that had white space at an end in the file.
    pub n_trimmed_entities: usize,
    /// Counted gold entities that overlap an earlier one. No model gives such entities.
    pub n_overlapping_entities: usize,
    /// The labels that the metrics are restricted to; empty for all.
    pub labels: Vec<String>,
}

impl DataReport {
    /// What qualifies all metrics.
    fn remarks(&self) -> impl Iterator<Item = String> {
        let (overlapping, repeated) = (self.n_overlapping_entities, self.n_repeated_ids);
        let trimmed = self.n_trimmed_entities;
        let overlapping = (overlapping > 0).then(|| {
            format!("gold entities that overlap an earlier one: {overlapping}; models give none that do, so they count as missed")
        });
        let repeated =
            (repeated > 0).then(|| format!("documents with the id of an earlier one: {repeated}; each of them counts"));
        let trimmed = (trimmed > 0)
            .then(|| format!("gold entities with white space at an end: {trimmed}; they count without it"));
        overlapping.into_iter().chain(repeated).chain(trimmed)
    }
}

impl EvaluationReport {
    /// Whether every requirement is met.
    pub fn meets_requirements(&self) -> bool {
        self.verdict.iter().all(|outcome| outcome.holds)
    }
}
