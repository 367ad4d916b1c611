//! What a model answered since it was loaded: documents, labels, scores, lengths, unknown tokens. Never a text.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::inference::decode::entity::Entity;
use crate::inference::decode::topics::Topic;
use crate::inference::pipeline::{Pipeline, Prediction, TokenCounts};
use crate::manifest::tags::entity_labels;
use crate::manifest::task::{ProblemType, Task};
use crate::models::drift::{DocumentFeatures, Recent};
use crate::system::histogram::Histogram;

/// Upper bounds of scores.
pub const SCORE_BUCKETS: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// Upper bounds of the lengths of documents, in tokens.
pub const LENGTH_BUCKETS: [f64; 10] = [8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 8192.0];

/// What one model answered.
#[derive(Debug)]
pub struct Traffic {
    pub n_documents: AtomicU64,
    pub n_tokens: AtomicU64,
    pub n_unknown_tokens: AtomicU64,
    pub lengths: Histogram,
    /// Of the best topic of each document.
    pub topic_scores: Histogram,
    pub entity_scores: Histogram,
    /// Documents for which each topic reached the model's own threshold, in the order of the labels.
    topics: Vec<(String, f32, AtomicU64)>,
    is_single_label: bool,
    /// Mentions by label, in the order in which the model names them.
    entities: Vec<(String, AtomicU64)>,
    /// Whether the tokenizer has a token for what it does not know.
    has_unknown: bool,
    /// The documents of the last day, for comparison with a baseline.
    pub recent: Recent,
}

impl Traffic {
    /// Counts for the labels of a model, all zero.
    pub fn of(pipeline: &Pipeline) -> Self {
        let head = pipeline.topics.as_ref();
        let labels = head.map_or(&[][..], |head| &head.labels);
        let tags = pipeline.entities.as_ref().map_or(&[][..], |head| &head.scheme.tags);
        Self {
            n_documents: AtomicU64::default(),
            n_tokens: AtomicU64::default(),
            n_unknown_tokens: AtomicU64::default(),
            lengths: Histogram::new(&LENGTH_BUCKETS),
            topic_scores: Histogram::new(&SCORE_BUCKETS),
            entity_scores: Histogram::new(&SCORE_BUCKETS),
            topics: labels.iter().map(|label| (label.label.clone(), label.threshold, AtomicU64::default())).collect(),
            is_single_label: head.is_some_and(|head| head.problem_type == ProblemType::SingleLabel),
            entities: entity_labels(tags).into_iter().map(|label| (label.to_owned(), AtomicU64::default())).collect(),
            has_unknown: pipeline.tokenizer.has_unknown(),
            recent: Recent::new(Instant::now()),
        }
    }

    /// Counts a document, of which this model answered `tasks`.
    pub fn count(&self, prediction: &Prediction, tasks: &[Task]) {
        let (topics, entities) = (tasks.contains(&Task::Topics), tasks.contains(&Task::Entities));
        let tokens = if topics { prediction.topic_tokens } else { prediction.entity_tokens };
        let topics = prediction.topics.as_deref().filter(|_| topics);
        let entities = prediction.entities.as_deref().filter(|_| entities);
        let document = DocumentFeatures {
            topics: topics.map(|topics| self.accepted(topics).map(|(label, _)| label.as_str()).collect()),
            best_topic_score: topics.and_then(|topics| topics.first()).map(|best| best.score),
            entities: entities.map(|entities| entities.iter().map(|entity| (&*entity.label, entity.score)).collect()),
            n_tokens: tokens.n,
            n_unknown: self.has_unknown.then_some(tokens.n_unknown),
        };
        self.recent.add(&document, Instant::now());
        self.count_length(tokens);
        self.count_topics(topics.unwrap_or_default());
        self.count_entities(entities.unwrap_or_default());
    }

    /// Documents that were answered.
    pub fn n_documents(&self) -> u64 {
        self.n_documents.load(Ordering::Relaxed)
    }

    /// Each topic with the number of its documents.
    pub fn topics(&self) -> impl Iterator<Item = (&str, u64)> {
        self.topics.iter().map(|(label, _, n)| (label.as_str(), n.load(Ordering::Relaxed)))
    }

    /// Each entity label with the number of its mentions.
    pub fn entities(&self) -> impl Iterator<Item = (&str, u64)> {
        self.entities.iter().map(|(label, n)| (label.as_str(), n.load(Ordering::Relaxed)))
    }

    fn count_length(&self, tokens: TokenCounts) {
        self.n_documents.fetch_add(1, Ordering::Relaxed);
        self.n_tokens.fetch_add(tokens.n as u64, Ordering::Relaxed);
        self.n_unknown_tokens.fetch_add(tokens.n_unknown as u64, Ordering::Relaxed);
        self.lengths.observe(tokens.n as f64);
    }

    /// `topics` are all topics of the model, by falling score. A threshold of the request does not matter.
    fn count_topics(&self, topics: &[Topic]) {
        if let Some(best) = topics.first() {
            self.topic_scores.observe(best.score.into());
        }
        for (_, n) in self.accepted(topics) {
            n.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The labels that reach the model's own threshold, with their counts.
    fn accepted(&self, topics: &[Topic]) -> impl Iterator<Item = (&String, &AtomicU64)> {
        let n_candidates = if self.is_single_label { topics.len().min(1) } else { topics.len() };
        topics[..n_candidates].iter().filter_map(|topic| {
            let (label, threshold, n) = self.topics.get(topic.index)?;
            (topic.score >= *threshold).then_some((label, n))
        })
    }

    fn count_entities(&self, entities: &[Entity]) {
        for entity in entities {
            self.entity_scores.observe(entity.score.into());
            if let Some((_, n)) = self.entities.iter().find(|(label, _)| *label == entity.label) {
                n.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
