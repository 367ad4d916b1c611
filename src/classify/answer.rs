//! An answer as it is written: what the API sends and what batch scoring puts into files, in one shape.

use std::sync::Arc;

use serde::Serialize;

use crate::inference::decode::entities::Entity;
use crate::inference::decode::topics::Topic;
use crate::inference::pipeline::Prediction;
use crate::manifest::TopicLabel;
use crate::manifest::task::Task;
use crate::models::load::Model;
use crate::models::registry::Assignment;
use crate::text::span::{OffsetConverter, OffsetUnit};

/// How much of a prediction is written, and in which units and language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerStyle {
    /// How many topics, best first.
    pub top_k: usize,
    pub offset_unit: OffsetUnit,
    /// Language tag of topic labels; `None`: the labels themselves.
    pub label_language: Option<String>,
}

/// The answer for one document.
#[derive(Debug, Serialize)]
pub struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<AnswerTopic>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<Vec<AnswerEntity>>,
    pub usage: AnswerUsage,
    pub models: AnswerModels,
}

#[derive(Debug, Serialize)]
pub struct AnswerTopic {
    pub label: String,
    pub score: f32,
    pub accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct AnswerEntity {
    pub label: String,
    pub score: f32,
    pub text: String,
    pub start: usize,
    pub end: usize,
}

#[derive(Debug, Serialize)]
pub struct AnswerUsage {
    pub characters: usize,
    pub tokens: usize,
    pub windows: usize,
    pub truncated: bool,
    /// Whether the text was read for an earlier request.
    pub cached: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct AnswerModels {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<AnswerModel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<AnswerModel>,
}

#[derive(Debug, Clone, Serialize)]
pub struct AnswerModel {
    pub name: String,
    pub version: String,
}

impl Answer {
    /// The answer for `text`, which `models` read.
    pub fn new(
        id: Option<String>,
        text: &str,
        prediction: Prediction,
        models: &Assignment,
        style: &AnswerStyle,
    ) -> Self {
        let labels = models.topics.as_ref().map_or(&[][..], |model| model.topic_labels());
        let topics = prediction.topics.map(|topics| {
            let best = topics.iter().take(style.top_k);
            best.filter_map(|topic| Some(AnswerTopic::new(topic, labels.get(topic.index)?, style))).collect()
        });
        Self {
            id,
            topics,
            entities: prediction.entities.map(|entities| answer_entities(text, entities, style.offset_unit)),
            usage: AnswerUsage {
                characters: text.chars().count(),
                tokens: prediction.usage.n_tokens,
                windows: prediction.usage.n_windows,
                truncated: prediction.usage.truncated,
                cached: prediction.usage.cached,
            },
            models: AnswerModels::of(models),
        }
    }
}

impl AnswerModels {
    pub fn of(models: &Assignment) -> Self {
        let answer = |model: &Arc<Model>| AnswerModel { name: model.name.clone(), version: model.version.clone() };
        Self { topics: models.get(Task::Topics).map(answer), entities: models.get(Task::Entities).map(answer) }
    }
}

impl AnswerTopic {
    fn new(topic: &Topic, label: &TopicLabel, style: &AnswerStyle) -> Self {
        let name = style.label_language.as_ref().and_then(|language| label.names.get(language)).unwrap_or(&label.label);
        Self { label: name.clone(), score: topic.score, accepted: topic.accepted, code: label.code.clone() }
    }
}

fn answer_entities(text: &str, entities: Vec<Entity>, unit: OffsetUnit) -> Vec<AnswerEntity> {
    let mut offsets = OffsetConverter::new(text, unit);
    let answer = |entity: Entity| AnswerEntity {
        start: offsets.convert(entity.span.start),
        end: offsets.convert(entity.span.end),
        text: entity.span.slice(text).unwrap_or_default().to_owned(),
        label: entity.label,
        score: entity.score,
    };
    entities.into_iter().map(answer).collect()
}
