//! The answer for one document, in the one shape that the API sends and that files contain.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::classify::chosen::chosen;
use crate::classify::request::ClassifyOptions;
use crate::inference::decode::entities::Entity;
use crate::inference::decode::topics::Topic;
use crate::inference::pipeline::Prediction;
use crate::manifest::TopicLabel;
use crate::manifest::task::Task;
use crate::models::load::Model;
use crate::models::registry::Assignment;
use crate::system::budget::Reserved;
use crate::text::span::{OffsetConverter, OffsetUnit};

/// The answer for one document.
#[derive(Debug, Serialize)]
pub struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<DocumentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<AnswerTopic>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<Vec<AnswerEntity>>,
    pub usage: AnswerUsage,
    pub models: AnswerModels,
    /// What it takes of the budget until it is written.
    #[serde(skip)]
    pub memory: Option<Reserved>,
}

/// The id of a document, as its caller wrote it.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum DocumentId {
    Text(String),
    /// The digits as sent, since no type of number holds all that JSON can write.
    Number(Box<RawValue>),
}

#[derive(Debug, Serialize)]
pub struct AnswerTopic {
    pub label: String,
    pub score: f32,
    pub accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Of the label in the model.
    #[serde(skip)]
    pub index: usize,
    /// What became the score.
    #[serde(skip)]
    pub logit: f32,
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
    /// Whether the prediction came from the cache.
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
    /// The answer for `text`, which `models` predicted. The id is the caller's to set.
    pub fn new(text: &str, prediction: &Prediction, models: &Assignment, options: &ClassifyOptions) -> Self {
        let labels = models.topics.as_ref().map_or(&[][..], |model| model.topic_labels());
        let topics = prediction.topics.as_ref().map(|topics| {
            let best = topics.iter().take(options.top_k);
            best.filter_map(|topic| Some(AnswerTopic::new(topic, labels.get(topic.index)?, options))).collect()
        });
        let entities = prediction.entities.as_ref().map(|entities| chosen(text, entities, models, options));
        Self {
            id: None,
            topics,
            entities: entities.map(|entities| answer_entities(text, &entities, options.offset_unit)),
            usage: AnswerUsage {
                characters: text.chars().count(),
                tokens: prediction.usage.n_tokens,
                windows: prediction.usage.n_windows,
                truncated: prediction.usage.truncated,
                cached: false,
            },
            models: AnswerModels::of(models),
            memory: None,
        }
    }

    /// About how many bytes of memory it takes.
    pub fn n_bytes_about(&self) -> u64 {
        const STRINGS: usize = 64;
        let topics = self.topics.as_ref().map_or(0, |topics| size_of_val(topics.as_slice()) + STRINGS * topics.len());
        let entities = self.entities.as_ref().map_or(0, |entities| {
            let texts = entities.iter().map(|entity| entity.text.len()).sum::<usize>();
            size_of_val(entities.as_slice()) + STRINGS * entities.len() + texts
        });
        (size_of::<Self>() + topics + entities) as u64
    }
}

impl AnswerModels {
    pub fn of(models: &Assignment) -> Self {
        let answer = |model: &Arc<Model>| AnswerModel { name: model.name.clone(), version: model.version.clone() };
        Self { topics: models.get(Task::Topics).map(answer), entities: models.get(Task::Entities).map(answer) }
    }
}

impl AnswerTopic {
    fn new(topic: &Topic, label: &TopicLabel, options: &ClassifyOptions) -> Self {
        let name = options.label_language.as_ref().and_then(|language| label.names.get(language));
        Self {
            label: name.unwrap_or(&label.label).clone(),
            score: topic.score,
            accepted: topic.accepted,
            code: label.code.clone(),
            index: topic.index,
            logit: topic.logit,
        }
    }
}

fn answer_entities(text: &str, entities: &[Entity], unit: OffsetUnit) -> Vec<AnswerEntity> {
    let mut offsets = OffsetConverter::new(text, unit);
    let answer = |entity: &Entity| AnswerEntity {
        start: offsets.convert(entity.span.start),
        end: offsets.convert(entity.span.end),
        text: entity.span.slice(text).unwrap_or_default().to_owned(),
        label: entity.label.clone(),
        score: entity.score,
    };
    entities.iter().map(answer).collect()
}
