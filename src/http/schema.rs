//! The JSON of requests and responses.
//!
//! A request is parsed in two steps: first the body, with its documents still raw, then each document alone. So a bad document
//! does not fail the others.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Deserialize as Derive, Serialize};
use serde_json::value::RawValue;

use super::body::parse_json;
use super::error::{Code, Problem, ProblemBody};
use crate::classify::answer::{Answer, AnswerModels};
use crate::classify::request::{CheckedText, ClassifyOptions, RequestLimits};
use crate::inference::pipeline::Overflow;
use crate::inference::scheduler::Priority;
use crate::manifest::task::{AggregationStrategy, Task, Tasks};
use crate::models::registry::ByTask;
use crate::system::choice::UnknownWord;
use crate::text::span::OffsetUnit;

/// A checked request. Documents that are not valid keep their problem.
#[derive(Debug)]
pub struct ClassifyRequest {
    pub input: Input,
    /// `None`: every task that is served.
    pub tasks: Option<Tasks>,
    pub models: ByTask<String>,
    pub priority: Priority,
    pub options: ClassifyOptions,
}

#[derive(Debug)]
pub enum Input {
    One(CheckedText),
    Many(Vec<InputDocument>),
}

#[derive(Debug)]
pub struct InputDocument {
    pub id: Option<String>,
    pub text: Result<CheckedText, Problem>,
}

#[derive(Derive)]
#[serde(deny_unknown_fields)]
struct RequestBody<'b> {
    text: Option<Text>,
    #[serde(borrow)]
    documents: Option<Vec<&'b RawValue>>,
    #[serde(default, deserialize_with = "tasks")]
    tasks: Option<Tasks>,
    top_k: Option<usize>,
    threshold: Option<Threshold>,
    #[serde(default, deserialize_with = "word")]
    aggregation: Option<AggregationStrategy>,
    #[serde(default, deserialize_with = "word")]
    offset_unit: Option<OffsetUnit>,
    #[serde(default, deserialize_with = "word")]
    overflow: Option<Overflow>,
    #[serde(default, deserialize_with = "word")]
    priority: Option<Priority>,
    models: Option<ModelNames>,
    label_language: Option<String>,
}

#[derive(Derive)]
#[serde(deny_unknown_fields)]
struct DocumentBody {
    id: Option<String>,
    text: Text,
}

/// A text, copied once: from the body into shared memory.
struct Text(Arc<str>);

/// One threshold for both tasks, or one per task.
#[derive(Derive)]
#[serde(untagged, expecting = "a number from 0 to 1, or {\"topics\": number, \"entities\": number}")]
enum Threshold {
    Both(f32),
    Each(EachThreshold),
}

#[derive(Derive)]
#[serde(deny_unknown_fields)]
struct EachThreshold {
    topics: Option<f32>,
    entities: Option<f32>,
}

/// Names of models by task.
#[derive(Derive)]
#[serde(try_from = "BTreeMap<String, Option<String>>")]
pub struct ModelNames {
    topics: Option<String>,
    entities: Option<String>,
}

/// Through a map, because serde reads a struct from an array too, and the API has no such form.
impl TryFrom<BTreeMap<String, Option<String>>> for ModelNames {
    type Error = String;

    fn try_from(mut names: BTreeMap<String, Option<String>>) -> Result<Self, String> {
        let (topics, entities) = (names.remove("topics").flatten(), names.remove("entities").flatten());
        match names.keys().next() {
            None => Ok(Self { topics, entities }),
            Some(field) => Err(format!("unknown field `{field}`, expected `topics` or `entities`")),
        }
    }
}

impl From<ModelNames> for ByTask<String> {
    fn from(names: ModelNames) -> Self {
        Self { topics: names.topics, entities: names.entities }
    }
}

impl ClassifyRequest {
    /// Parses a body and checks it against the limits.
    pub fn parse(body: &[u8], limits: &RequestLimits) -> Result<Self, Problem> {
        let body: RequestBody<'_> = parse_json(body)?;
        let options = body.options()?;
        let input = match (body.text, body.documents) {
            (Some(text), None) => Input::One(CheckedText::new(text.0, limits.max_characters)?),
            (None, Some(documents)) if documents.len() > limits.max_documents => {
                let detail = format!(
                    "{} documents are more than the {} of one request; send them in several requests",
                    documents.len(),
                    limits.max_documents
                );
                return Err(Problem::new(Code::TooManyDocuments, detail));
            }
            (None, Some(documents)) => {
                Input::Many(documents.into_iter().map(|document| InputDocument::parse(document, limits)).collect())
            }
            (Some(_), Some(_)) => return Err(invalid("both `text` and `documents` are given; give one of them")),
            (None, None) => {
                return Err(invalid(
                    "neither `text` nor `documents` is given; send {\"text\": \"…\"} or {\"documents\": [{\"id\": \"a\", \"text\": \"…\"}]}",
                ));
            }
        };
        Ok(Self {
            input,
            tasks: body.tasks,
            models: body.models.map(Into::into).unwrap_or_default(),
            priority: body.priority.unwrap_or_default(),
            options,
        })
    }
}

impl RequestBody<'_> {
    fn options(&self) -> Result<ClassifyOptions, Problem> {
        let default = ClassifyOptions::default();
        let options = ClassifyOptions {
            top_k: self.top_k.unwrap_or(default.top_k),
            threshold: match &self.threshold {
                None => default.threshold,
                Some(Threshold::Both(both)) => ByTask { topics: Some(*both), entities: Some(*both) },
                Some(Threshold::Each(each)) => ByTask { topics: each.topics, entities: each.entities },
            },
            aggregation: self.aggregation,
            overflow: self.overflow.unwrap_or_default(),
            offset_unit: self.offset_unit.unwrap_or_default(),
            label_language: self.label_language.clone(),
        };
        options.check()?;
        Ok(options)
    }
}

impl InputDocument {
    fn parse(raw: &RawValue, limits: &RequestLimits) -> Self {
        match parse_json::<DocumentBody>(raw.get().as_bytes()) {
            Ok(document) => Self {
                text: CheckedText::new(document.text.0, limits.max_characters).map_err(Problem::from),
                id: document.id,
            },
            Err(problem) => Self { id: readable_id(raw), text: Err(problem) },
        }
    }
}

/// The id of a document that is not valid otherwise: its client finds the problem by it.
fn readable_id(raw: &RawValue) -> Option<String> {
    #[derive(Derive)]
    struct OnlyId {
        id: Option<String>,
    }
    serde_json::from_str::<OnlyId>(raw.get()).ok()?.id
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText;
        impl Visitor<'_> for AsText {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.into()))
            }
        }
        deserializer.deserialize_str(AsText)
    }
}

/// Reads an enum by its word; `null` means that the field is absent.
fn word<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let word = Option::<String>::deserialize(deserializer)?;
    word.map(|word| word.parse().map_err(de::Error::custom)).transpose()
}

fn tasks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tasks>, D::Error> {
    let Some(words) = Option::<Vec<String>>::deserialize(deserializer)? else { return Ok(None) };
    let tasks: Vec<Task> =
        words.iter().map(|word| word.parse()).collect::<Result<_, UnknownWord>>().map_err(de::Error::custom)?;
    if tasks.is_empty() {
        return Err(de::Error::custom("no task is named; name `topics`, `entities` or both"));
    }
    Ok(Some(Tasks { topics: tasks.contains(&Task::Topics), entities: tasks.contains(&Task::Entities) }))
}

/// The entry of a document that failed.
#[derive(Debug, Serialize)]
pub struct FailureBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub error: ProblemBody,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum DocumentBodyOut {
    Result(Box<Answer>),
    Failure(FailureBody),
}

#[derive(Debug, Serialize)]
pub struct ResultsBody {
    pub results: Vec<DocumentBodyOut>,
    pub models: AnswerModels,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(body: &[u8]) -> (Code, String) {
        let limits = RequestLimits { max_characters: 5, max_documents: 2, ..RequestLimits::default() };
        let problem = ClassifyRequest::parse(body, &limits).expect_err("the body is bad");
        (problem.code, problem.detail)
    }

    #[test]
    fn a_bad_body_names_the_field_and_what_is_expected() {
        for (body, code, part) in [
            (r#"{"text": "a""#, Code::InvalidJson, "EOF"),
            ("", Code::InvalidJson, "EOF"),
            (r#"{"text": "\ud83d"}"#, Code::InvalidJson, "surrogate"),
            (r#"{"text": "\ud83dx"}"#, Code::InvalidJson, "surrogate"),
            (r#"{"text": "a"} x"#, Code::InvalidJson, "trailing"),
            (r#"[]"#, Code::InvalidRequest, "is an array"),
            (r#"{"text": 5}"#, Code::InvalidRequest, "text: invalid type: integer `5`"),
            (r#"{"txt": "a"}"#, Code::InvalidRequest, "unknown field `txt`"),
            (r#"{}"#, Code::InvalidRequest, "neither"),
            (r#"{"text": "a", "documents": []}"#, Code::InvalidRequest, "both"),
            (r#"{"text": "a", "top_k": 0}"#, Code::InvalidRequest, "top_k 0"),
            (r#"{"text": "a", "top_k": -1}"#, Code::InvalidRequest, "top_k"),
            (r#"{"text": "a", "threshold": 1.5}"#, Code::InvalidRequest, "threshold 1.5"),
            (r#"{"text": "a", "threshold": {"topics": -0.1}}"#, Code::InvalidRequest, "threshold -0.1"),
            (r#"{"text": "a", "threshold": "high"}"#, Code::InvalidRequest, "a number from 0 to 1"),
            (r#"{"text": "a", "aggregation": "best"}"#, Code::InvalidRequest, "`best` is not one of `none`"),
            (r#"{"text": "a", "offset_unit": "utf8"}"#, Code::InvalidRequest, "`codepoint`, `utf16`, `byte`"),
            (r#"{"text": "a", "tasks": []}"#, Code::InvalidRequest, "no task"),
            (r#"{"text": "a", "tasks": ["mood"]}"#, Code::InvalidRequest, "`topics`, `entities`"),
            (r#"{"text": "a", "models": {"sport": "x"}}"#, Code::InvalidRequest, "unknown field `sport`"),
            (r#"{"text": "a", "models": ["x", "y"]}"#, Code::InvalidRequest, "models: invalid type: sequence"),
            (r#"{"text": "äöüßäö"}"#, Code::TextTooLong, "6 characters, and the limit is 5"),
            (r#"{"text": "a\u0000"}"#, Code::InvalidText, "at character 1"),
            (r#"{"documents": [1, 2, 3]}"#, Code::TooManyDocuments, "3 documents are more than the 2"),
        ] {
            let (found, detail) = problem(body.as_bytes());
            assert_eq!(found, code, "{body}: {detail}");
            assert!(detail.contains(part), "{body}: {detail}");
        }
        assert_eq!(problem(b"{\"text\": \"\xff\"}").0, Code::InvalidJson);
    }

    #[test]
    fn a_document_that_is_not_valid_keeps_its_id_and_fails_alone() {
        let body = r#"{"documents": [{"id": "a", "text": 5}, {"id": "b", "text": "gut"}]}"#;
        let request = ClassifyRequest::parse(body.as_bytes(), &RequestLimits::default()).unwrap();
        let Input::Many(documents) = request.input else { panic!("documents were sent") };
        assert_eq!(documents[0].id.as_deref(), Some("a"));
        assert_eq!(documents[0].text.as_ref().unwrap_err().code, Code::InvalidRequest);
        assert_eq!(documents[1].text.as_ref().map(CheckedText::as_str), Ok("gut"));
        let body = r#"{"documents": [{"text": "\ud83d"}, {"text": "gut"}]}"#;
        let request = ClassifyRequest::parse(body.as_bytes(), &RequestLimits::default()).unwrap();
        let Input::Many(documents) = request.input else { panic!("documents were sent") };
        assert_eq!(documents[0].text.as_ref().unwrap_err().code, Code::InvalidJson);
        assert!(documents[1].text.is_ok());
    }
}
