//! Tensors of the protocol: texts in, outputs out, as JSON or as binary data.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::super::super::error::{Code, Problem};
use super::super::super::json::{Expected, Field};
use super::super::call::check_number;
use crate::classify::answer::Answer;
use crate::classify::request::{CheckedText, RequestLimits};
use crate::manifest::task::Task;
use crate::models::load::Model;
use crate::system::choice::UnknownWord;

/// The name of the only input.
pub const TEXT_INPUT: &str = "text";

/// Every output, in the order in which they are given.
pub const OUTPUTS: [Output; 5] =
    [Output::TopicLabels, Output::TopicScores, Output::TopicAccepted, Output::Entities, Output::Answer];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TensorDataType)]
#[serde(rename_all = "UPPERCASE")]
pub enum DataType {
    Bytes,
    Fp32,
    Bool,
}

/// An output. The first axis are the texts; topics have a second one, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case", const_into_str, parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<Output>)]
pub enum Output {
    TopicLabels,
    TopicScores,
    TopicAccepted,
    /// Of each text, the list of its entities as JSON.
    Entities,
    /// Of each text, the answer as `/v1/classify` gives it.
    Answer,
}

/// An output of a request.
pub struct Tensor {
    pub output: Output,
    pub shape: Vec<usize>,
    pub data: TensorData,
}

/// The elements in row-major order.
pub enum TensorData {
    Bytes(Vec<String>),
    Fp32(Vec<f32>),
    Bool(Vec<bool>),
}

const DATA: Expected = Expected { what: "a list of strings", example: r#""data": ["Angela Merkel in Berlin"]"# };

impl Output {
    pub fn name(self) -> &'static str {
        self.into_str()
    }

    pub fn datatype(self) -> DataType {
        match self {
            Self::TopicLabels | Self::Entities | Self::Answer => DataType::Bytes,
            Self::TopicScores => DataType::Fp32,
            Self::TopicAccepted => DataType::Bool,
        }
    }

    pub fn n_axes(self) -> usize {
        match self.task() {
            Some(Task::Topics) => 2,
            Some(Task::Entities) | None => 1,
        }
    }

    /// The task that it is about; `None`: all that the model gives.
    pub fn task(self) -> Option<Task> {
        match self {
            Self::TopicLabels | Self::TopicScores | Self::TopicAccepted => Some(Task::Topics),
            Self::Entities => Some(Task::Entities),
            Self::Answer => None,
        }
    }

    pub fn is_given_by(self, model: &Model) -> bool {
        self.task().is_none_or(|task| model.answers(task))
    }

    /// The tensor of this output. Rows of topics are filled up to the longest with an empty label and the score 0.
    pub fn tensor(self, answers: &[Answer]) -> Tensor {
        let topics = |answer: &Answer| answer.topics.as_ref().map_or(0, Vec::len);
        let n_topics = answers.iter().map(topics).max().unwrap_or(0);
        let columns = || answers.iter().flat_map(|answer| (0..n_topics).map(move |n| answer.topics.as_ref()?.get(n)));
        let data = match self {
            Self::TopicLabels => TensorData::Bytes(
                columns().map(|topic| topic.map(|topic| topic.label.clone()).unwrap_or_default()).collect(),
            ),
            Self::TopicScores => {
                TensorData::Fp32(columns().map(|topic| topic.map_or(0.0, |topic| topic.score)).collect())
            }
            Self::TopicAccepted => {
                TensorData::Bool(columns().map(|topic| topic.is_some_and(|topic| topic.accepted)).collect())
            }
            Self::Entities => TensorData::Bytes(answers.iter().map(|answer| json(&answer.entities)).collect()),
            Self::Answer => TensorData::Bytes(answers.iter().map(json).collect()),
        };
        let shape = [answers.len(), n_topics][..self.n_axes()].to_vec();
        Tensor { output: self, shape, data }
    }
}

fn json(value: &impl Serialize) -> String {
    // Plain structs of strings and numbers: there is nothing that cannot be written.
    serde_json::to_string(value).unwrap_or_default()
}

impl TensorData {
    /// Little-endian; each string follows its length in four bytes.
    pub fn binary(&self) -> Vec<u8> {
        match self {
            Self::Fp32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Bool(values) => values.iter().map(|value| u8::from(*value)).collect(),
            Self::Bytes(texts) => {
                let mut bytes = Vec::with_capacity(texts.iter().map(|text| 4 + text.len()).sum());
                for text in texts {
                    // A body has less than 4 GB, and so has a string of it.
                    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
                bytes
            }
        }
    }
}

impl Serialize for TensorData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bytes(texts) => texts.serialize(serializer),
            Self::Fp32(values) => values.serialize(serializer),
            Self::Bool(values) => values.serialize(serializer),
        }
    }
}

/// Texts in binary form: each is a length in four bytes (little-endian) and as many bytes of UTF-8.
pub fn binary_texts(mut bytes: &[u8], limits: RequestLimits) -> Result<Vec<CheckedText>, Problem> {
    let cut = |index: usize| {
        let detail = format!(
            "the binary data of input `{TEXT_INPUT}` ends within element {index}; send each as its length in 4 bytes (little-endian) and its bytes, and `binary_data_size` as their sum"
        );
        Problem::new(Code::InvalidRequest, detail)
    };
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let index = texts.len();
        check_number(index + 1, limits)?;
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| cut(index))?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(|| cut(index))?;
        let text = std::str::from_utf8(text).map_err(|error| {
            let detail = format!(
                "element {index} of input `{TEXT_INPUT}` is not UTF-8 at byte {}; send UTF-8",
                error.valid_up_to()
            );
            Problem::new(Code::InvalidText, detail)
        })?;
        texts.push(checked(Arc::from(text), limits).map_err(|problem| Problem {
            detail: format!("element {index} of input `{TEXT_INPUT}`: {}", problem.detail),
            ..problem
        })?);
        bytes = rest;
    }
    Ok(texts)
}

/// Texts in JSON: a list, or a list of rows.
pub fn json_texts(field: &Field<'_>, limits: RequestLimits) -> Result<Vec<CheckedText>, Problem> {
    let rows = field.list(limits.max_documents, DATA)?;
    check_number(rows.n_entries, limits)?;
    let mut texts = Vec::new();
    for row in &rows.entries {
        let elements = match row.starts_with('[') {
            true => {
                let elements = row.list(limits.max_documents, DATA)?;
                check_number(elements.n_entries, limits)?;
                elements.entries
            }
            false => vec![row.clone()],
        };
        for element in &elements {
            check_number(texts.len() + 1, limits)?;
            let text = checked(element.text(DATA)?, limits).map_err(|problem| element.located(problem))?;
            texts.push(text);
        }
    }
    Ok(texts)
}

fn checked(text: Arc<str>, limits: RequestLimits) -> Result<CheckedText, Problem> {
    Ok(CheckedText::new(text, limits.max_characters)?)
}
