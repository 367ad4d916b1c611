//! The answer for one document, in the one shape that the API sends and that files contain.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::classify::chosen::{Types, chosen, tags};
use crate::classify::fields::{Located, Locator};
use crate::classify::groups::{Group, Labels, groups, title};
use crate::classify::kinds::Kinds;
use crate::classify::request::{CheckedText, ClassifyOptions};
use crate::inference::decode::entity::Entity;
use crate::inference::decode::topics::Topic;
use crate::inference::evidence::Evidence;
use crate::inference::pipeline::Prediction;
use crate::manifest::TopicLabel;
use crate::manifest::task::Task;
use crate::models::load::Model;
use crate::models::registry::Assignment;
use crate::system::budget::Reserved;
use crate::text::span::ByteSpan;

/// The answer for one document.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub id: Option<DocumentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub topics: Option<Vec<AnswerTopic>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub entities: Option<Vec<AnswerEntity>>,
    /// The entities that are one, the most salient first; `None` unless they are requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub groups: Option<Vec<AnswerGroup>>,
    /// How the evidence of topics was found; `None` unless it is requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub evidence_method: Option<&'static str>,
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

impl PartialSchema for DocumentId {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Number]));
        Schema::from(schema.description(Some("As it was sent"))).into()
    }
}

impl ToSchema for DocumentId {}

#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerTopic {
    pub label: String,
    #[schema(minimum = 0, maximum = 1)]
    pub score: f32,
    pub accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub code: Option<String>,
    /// Of the label in the model.
    #[serde(skip)]
    pub index: usize,
    /// What became the score.
    #[serde(skip)]
    pub logit: f32,
    /// Of an accepted topic: the passages that carry it, by falling contribution; `None` unless it is requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub evidence: Option<Vec<AnswerPassage>>,
}

/// A passage, and what it adds to the logit of a topic.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AnswerPassage {
    /// Where the document has fields: that in which the offsets count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub field: Option<&'static str>,
    pub start: usize,
    pub end: usize,
    pub text: String,
    pub contribution: f32,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerEntity {
    pub label: String,
    #[schema(minimum = 0, maximum = 1)]
    pub score: f32,
    pub text: String,
    /// Where the document has fields: that in which the offsets count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub field: Option<&'static str>,
    pub start: usize,
    pub end: usize,
}

/// Mentions that are one entity.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerGroup {
    pub name: String,
    pub label: String,
    /// Indices into `entities`.
    pub mentions: Vec<usize>,
    pub count: usize,
    /// Of the first mention.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub field: Option<&'static str>,
    /// Of the first mention.
    pub start: usize,
    pub salience: f32,
    /// The names of other groups that it could be short for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub may_be: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerUsage {
    pub characters: usize,
    pub tokens: usize,
    pub windows: usize,
    /// Windows that were read again to measure evidence.
    #[serde(skip_serializing_if = "is_zero")]
    pub evidence_windows: usize,
    pub truncated: bool,
    /// Whether the prediction came from the cache.
    pub cached: bool,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AnswerModels {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub topics: Option<AnswerModel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub entities: Option<AnswerModel>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AnswerModel {
    pub name: String,
    pub version: String,
}

impl Answer {
    /// The answer for `text`, which `models` predicted. The id is the caller's to set.
    pub fn new(
        document: &CheckedText,
        prediction: &Prediction,
        models: &Assignment,
        options: &ClassifyOptions,
    ) -> Self {
        let text = document.as_str();
        let locator = || Locator::new(text, document.fields(), options.offset_unit);
        let labels = models.topics.as_ref().map_or(&[][..], |model| model.topic_labels());
        let evidence = prediction.evidence.as_ref().filter(|_| options.evidence);
        let passages = evidence.map(|evidence| answer_passages(locator(), evidence)).unwrap_or_default();
        let topics = prediction.topics.as_ref().map(|topics| {
            let answer = |topic: &Topic| {
                let evidence = evidence.and_then(|evidence| carrying(&passages, evidence, topic));
                Some(AnswerTopic { evidence, ..AnswerTopic::new(topic, labels.get(topic.index)?, options) })
            };
            topics.iter().take(options.top_k).filter_map(answer).collect()
        });
        let entities = prediction.entities.as_ref().map(|entities| chosen(text, entities, models, options));
        let groups =
            entities.as_deref().filter(|_| options.group).map(|entities| groups_of(document, entities, models));
        let entities = entities.map(|entities| answer_entities(locator(), &entities));
        Self {
            id: None,
            topics,
            groups: groups.map(|groups| answer_groups(groups, entities.as_deref().unwrap_or_default())),
            entities,
            evidence_method: evidence.map(|evidence| evidence.method.into_str()),
            usage: AnswerUsage {
                characters: document.n_characters(),
                tokens: prediction.usage.n_tokens,
                windows: prediction.usage.n_windows,
                evidence_windows: prediction.usage.n_evidence_windows,
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
        let topics = self.topics.as_ref().map_or(0, |topics| {
            let passages = topics.iter().flat_map(|topic| topic.evidence.iter().flatten());
            let evidence: usize = passages.map(|passage| size_of::<AnswerPassage>() + passage.text.len()).sum();
            size_of_val(topics.as_slice()) + STRINGS * topics.len() + evidence
        });
        let entities = self.entities.as_ref().map_or(0, |entities| {
            let texts = entities.iter().map(|entity| entity.text.len()).sum::<usize>();
            size_of_val(entities.as_slice()) + STRINGS * entities.len() + texts
        });
        let groups = self.groups.as_ref().map_or(0, |groups| {
            let of_group = |group: &AnswerGroup| group.name.len() + size_of_val(group.mentions.as_slice());
            size_of_val(groups.as_slice()) + STRINGS * groups.len() + groups.iter().map(of_group).sum::<usize>()
        });
        (size_of::<Self>() + topics + entities + groups) as u64
    }
}

impl AnswerModel {
    /// Name and version in one word.
    pub fn versioned(&self) -> String {
        format!("{}@{}", self.name, self.version)
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
            evidence: None,
        }
    }
}

fn answer_entities(mut locator: Locator<'_>, entities: &[Entity]) -> Vec<AnswerEntity> {
    let answer = |entity: &Entity| {
        let Located { field, start, end, text } = locator.locate(entity.span);
        let (label, score) = (entity.label.clone(), entity.score);
        AnswerEntity { label, score, text: text.to_owned(), field, start, end }
    };
    entities.iter().map(answer).collect()
}

/// The passages of the evidence, without contributions.
fn answer_passages(mut locator: Locator<'_>, evidence: &Evidence) -> Vec<AnswerPassage> {
    let answer = |span: &ByteSpan| {
        let Located { field, start, end, text } = locator.locate(*span);
        AnswerPassage { field, start, end, text: text.to_owned(), contribution: 0.0 }
    };
    evidence.passages.iter().map(answer).collect()
}

/// What carries `topic`, the strongest passage first; `None` for a topic that is not accepted.
fn carrying(passages: &[AnswerPassage], evidence: &Evidence, topic: &Topic) -> Option<Vec<AnswerPassage>> {
    let (_, contributions) = evidence.contributions.iter().find(|(index, _)| *index == topic.index)?;
    let with = |(passage, contribution): (&AnswerPassage, &f32)| AnswerPassage {
        contribution: *contribution,
        ..passage.clone()
    };
    let mut carrying: Vec<AnswerPassage> = passages.iter().zip(contributions).map(with).collect();
    // Stable, so that equal ones stay in the order of the text.
    carrying.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
    Some(carrying)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

fn groups_of(document: &CheckedText, entities: &[Entity], models: &Assignment) -> Vec<Group> {
    let labels = Labels { types: Types::of(tags(models)), kinds: Kinds::of(models) };
    let text = document.as_str();
    let title = match document.fields() {
        Some(fields) => fields.title(),
        None => title(text),
    };
    groups(text, title, entities, &labels)
}

fn answer_groups(groups: Vec<Group>, entities: &[AnswerEntity]) -> Vec<AnswerGroup> {
    let first = |group: &Group| entities.get(*group.mentions.first()?);
    let answer = |group: Group| AnswerGroup {
        count: group.mentions.len(),
        field: first(&group).and_then(|first| first.field),
        start: first(&group).map_or(0, |first| first.start),
        name: group.name,
        label: group.label,
        mentions: group.mentions,
        salience: group.salience,
        may_be: group.may_be,
    };
    groups.into_iter().map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(topics: Option<usize>, texts: Option<&[&str]>) -> Answer {
        let topic = |index| AnswerTopic {
            label: "t".into(),
            score: 1.0,
            accepted: true,
            code: None,
            index,
            logit: 1.0,
            evidence: None,
        };
        let entity = |text: &&str| AnswerEntity {
            label: "PER".into(),
            score: 1.0,
            text: (*text).to_owned(),
            field: None,
            start: 0,
            end: 1,
        };
        Answer {
            id: None,
            topics: topics.map(|n| (0..n).map(topic).collect()),
            entities: texts.map(|texts| texts.iter().map(entity).collect()),
            groups: None,
            evidence_method: None,
            usage: AnswerUsage {
                characters: 1,
                tokens: 1,
                windows: 1,
                evidence_windows: 0,
                truncated: false,
                cached: false,
            },
            models: AnswerModels { topics: None, entities: None },
            memory: None,
        }
    }

    #[test]
    fn an_answer_takes_the_memory_of_its_topics_its_entities_and_their_texts() {
        let empty = answer(None, None).n_bytes_about();
        assert_eq!(empty, size_of::<Answer>() as u64);
        let of_topics = answer(Some(3), None).n_bytes_about() - empty;
        assert_eq!(of_topics, 3 * (size_of::<AnswerTopic>() + 64) as u64);
        let of_entities = answer(None, Some(&["Ulm", "Köln"])).n_bytes_about() - empty;
        assert_eq!(of_entities, 2 * (size_of::<AnswerEntity>() + 64) as u64 + 8);
        assert_eq!(answer(Some(3), Some(&["Ulm", "Köln"])).n_bytes_about(), empty + of_topics + of_entities);
    }

    #[test]
    fn an_answer_takes_the_memory_of_its_evidence_and_its_groups() {
        let (mut with_evidence, mut with_group) = (answer(Some(1), None), answer(None, None));
        let without = (with_evidence.n_bytes_about(), with_group.n_bytes_about());
        let passage = AnswerPassage { field: None, start: 0, end: 1, text: "Köln".into(), contribution: 1.0 };
        with_evidence
            .topics
            .iter_mut()
            .flatten()
            .for_each(|topic| topic.evidence = Some(vec![passage.clone(), passage.clone()]));
        assert_eq!(with_evidence.n_bytes_about() - without.0, 2 * (size_of::<AnswerPassage>() + 5) as u64);
        let mentions = vec![0, 2, 5];
        let (name, label) = ("Ulm".into(), "LOC".into());
        let group =
            AnswerGroup { name, label, mentions, count: 3, field: None, start: 0, salience: 1.0, may_be: Vec::new() };
        with_group.groups = Some(vec![group]);
        let of_group = size_of::<AnswerGroup>() + 64 + 3 + 3 * size_of::<usize>();
        assert_eq!(with_group.n_bytes_about() - without.1, of_group as u64);
    }
}
