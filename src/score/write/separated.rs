//! Separated values: passthrough columns, the top topic and its score, topics and entities as JSON.

use csv::{Writer, WriterBuilder};
use serde::Serialize;

use crate::classify::answer::{Answer, AnswerModel};
use crate::score::error::ReadError;
use crate::score::layout::FLAT_NAMES;
use crate::score::row::{Passthrough, ScoredRow, plain_text};

pub fn header(columns: &[String], delimiter: u8) -> Result<Vec<u8>, ReadError> {
    let mut writer = writer(delimiter);
    writer.write_record(columns.iter().map(String::as_str).chain(FLAT_NAMES))?;
    finished(writer)
}

pub fn rows(rows: &[ScoredRow], columns: &[String], delimiter: u8) -> Result<Vec<u8>, ReadError> {
    let mut writer = writer(delimiter);
    for row in rows {
        let passthrough = columns.iter().map(|column| match &row.passthrough {
            Passthrough::Fields(fields) => fields
                .iter()
                .find(|(name, _)| name == column)
                .and_then(|(_, value)| plain_text(value))
                .unwrap_or_default(),
            Passthrough::Row { .. } => String::new(),
        });
        writer.write_record(passthrough.chain(values(&row.answer)?))?;
    }
    finished(writer)
}

/// The answer's values in the order of [`FLAT_NAMES`].
fn values(answer: &Answer) -> Result<[String; FLAT_NAMES.len()], ReadError> {
    let top = answer.topics.as_ref().and_then(|topics| topics.first());
    let model = |model: &Option<AnswerModel>| {
        model.as_ref().map(|model| format!("{}@{}", model.name, model.version)).unwrap_or_default()
    };
    Ok([
        top.map(|topic| topic.label.clone()).unwrap_or_default(),
        json_or_nothing(top.map(|topic| topic.score).as_ref())?,
        json_or_nothing(answer.topics.as_ref())?,
        json_or_nothing(answer.entities.as_ref())?,
        answer.usage.characters.to_string(),
        answer.usage.tokens.to_string(),
        answer.usage.windows.to_string(),
        answer.usage.truncated.to_string(),
        model(&answer.models.topics),
        model(&answer.models.entities),
    ])
}

fn json_or_nothing<T: Serialize>(value: Option<&T>) -> Result<String, ReadError> {
    Ok(value.map(serde_json::to_string).transpose()?.unwrap_or_default())
}

fn writer(delimiter: u8) -> Writer<Vec<u8>> {
    WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new())
}

fn finished(writer: Writer<Vec<u8>>) -> Result<Vec<u8>, ReadError> {
    writer.into_inner().map_err(|error| ReadError::Io(error.into_error()))
}
