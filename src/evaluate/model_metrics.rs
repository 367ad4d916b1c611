//! All metrics of one model, as the report has them.

use std::collections::BTreeSet;

use serde::Serialize;

use super::answers::ModelAnswers;
use super::document::GoldDocument;
use super::entity_errors::{EntityErrors, MAX_EXAMPLES};
use super::labels::{LabelsByTask, Unmatched};
use super::metrics::schemes::Schemes;
use super::metrics::spans::{SpanMetrics, span_metrics};
use super::metrics::topics::{TopicMetrics, topic_metrics};
use super::run_record::Speed;
use super::tables::{span_pairs, topic_table};
use crate::manifest::task::Task;

/// `None` for a task that the model or the data lacks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelMetrics {
    pub name: String,
    /// Content hash of the model's folder, where it is known.
    pub version: Option<String>,
    pub entities: Option<EntityReport>,
    pub topics: Option<TopicReport>,
    pub speed: Option<Speed>,
    /// Documents without an answer. They count as answered with nothing.
    pub n_failed: usize,
    /// Why, for the first of them.
    pub failures: Vec<Failure>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntityReport {
    #[serde(flatten)]
    pub metrics: SpanMetrics,
    pub schemes: Schemes,
    pub n_documents: usize,
    pub errors: EntityErrors,
    pub unmatched: Unmatched,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicReport {
    #[serde(flatten)]
    pub metrics: TopicMetrics,
    pub unmatched: Unmatched,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub document: String,
    pub reason: String,
}

impl ModelMetrics {
    /// The metrics of `answers` against `gold`, both restricted to the labels that count.
    pub fn of(gold: &[GoldDocument], answers: &ModelAnswers, gold_labels: &LabelsByTask) -> Self {
        let both = |task| Some((answers.labels.get(&task)?, gold_labels.get(&task)?));
        // The labels of a model show in its answers. Without any of them they are not known.
        let is_answered = answers.documents.iter().any(|answer| answer.failure.is_none());
        let unmatched = |model, labels| if is_answered { Unmatched::of(model, labels) } else { Unmatched::default() };
        let entities = both(Task::Entities).map(|(model, labels)| {
            let pairs = span_pairs(gold, &answers.documents);
            EntityReport {
                metrics: span_metrics(pairs.iter().copied()),
                schemes: Schemes::of(&pairs),
                n_documents: pairs.len(),
                errors: EntityErrors::of(gold, &answers.documents),
                unmatched: unmatched(model, labels),
            }
        });
        let topics = both(Task::Topics).map(|(model, labels)| TopicReport {
            metrics: topic_metrics(&topic_table(gold, &answers.documents, &(model | labels))),
            unmatched: unmatched(model, labels),
        });
        let failures: Vec<Failure> = gold
            .iter()
            .zip(&answers.documents)
            .filter_map(|(gold, answer)| Some(Failure { document: gold.id.clone(), reason: answer.failure.clone()? }))
            .collect();
        Self {
            name: answers.name.clone(),
            version: answers.version.clone(),
            entities,
            topics,
            speed: answers.speed.clone(),
            n_failed: failures.len(),
            failures: failures.into_iter().take(MAX_EXAMPLES).collect(),
        }
    }

    /// The labels without a counterpart, by the kind of label.
    pub fn unmatched(&self) -> impl Iterator<Item = (&'static str, &Unmatched)> {
        let entities = self.entities.iter().map(|entities| ("entity", &entities.unmatched));
        entities.chain(self.topics.iter().map(|topics| ("topic", &topics.unmatched)))
    }

    /// The metrics that [`Self::of`] would give for a model that predicts each of `labels`, all of them 0.
    pub fn outline(
        name: &str,
        gold: &[GoldDocument],
        labels: &LabelsByTask,
        gold_labels: &LabelsByTask,
        speed: Option<Speed>,
    ) -> Self {
        let both = |task| Some((labels.get(&task)?, gold_labels.get(&task)?));
        let entities = both(Task::Entities).map(|(model, gold)| {
            let labels: BTreeSet<String> = model | gold;
            EntityReport {
                metrics: SpanMetrics::outline(&labels),
                schemes: Schemes::outline(&labels),
                n_documents: 0,
                errors: EntityErrors::default(),
                unmatched: Unmatched::default(),
            }
        });
        let topics = both(Task::Topics).map(|(model, labels)| {
            let mut topics = gold.iter().filter_map(|document| document.topics.as_ref());
            TopicReport {
                metrics: TopicMetrics::outline(&(model | labels), labels, topics.all(|topics| topics.len() == 1)),
                unmatched: Unmatched::default(),
            }
        });
        Self { name: name.to_owned(), version: None, entities, topics, speed, n_failed: 0, failures: vec![] }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::evaluate::document::{LabelledSpan, PredictedDocument, ScoredTopic};
    use crate::evaluate::labels::collect_labels;

    /// The paths of all numbers.
    fn numbers(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Number(_) => drop(found.insert(path.to_owned())),
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| numbers(value, &format!("{path}.{name}"), found))
            }
            _ => {}
        }
    }

    #[test]
    fn the_metrics_known_before_a_run_are_those_of_the_report() {
        let document = |topics: &[&str]| GoldDocument {
            id: "1".into(),
            text: "Köln am Rhein".into(),
            topics: Some(topics.iter().map(|topic| (*topic).to_owned()).collect()),
            entities: Some(vec![LabelledSpan::new(0, 4, "LOC"), LabelledSpan::new(8, 13, "LOC")]),
        };
        let topic = |label: &str| ScoredTopic { label: label.into(), score: 0.5, accepted: true };
        let answer = PredictedDocument {
            topics: Some(vec![topic("Kultur"), topic("Sport")]),
            entities: Some(vec![LabelledSpan::new(0, 4, "ORG")]),
            failure: None,
        };
        for topics in [&["Sport"][..], &["Sport", "Reise"]] {
            let gold = [document(topics)];
            let gold_labels = collect_labels(gold.iter().map(GoldDocument::labels));
            let answers = ModelAnswers {
                name: "m".into(),
                version: None,
                labels: collect_labels([answer.labels()]),
                documents: vec![answer.clone()],
                speed: Some(Speed { resident_bytes: Some(1), ..Speed::default() }),
            };
            let report = ModelMetrics::of(&gold, &answers, &gold_labels);
            let outline = ModelMetrics::outline("m", &gold, &answers.labels, &gold_labels, answers.speed.clone());
            let [report, outline] = [report, outline].map(|metrics| {
                let mut found = BTreeSet::new();
                numbers(&serde_json::to_value(metrics).unwrap(), "", &mut found);
                found
            });
            assert_eq!(outline, report);
            assert_eq!(report.contains(".topics.accuracy"), topics.len() == 1);
        }
    }
}
