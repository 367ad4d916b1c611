//! Separated values: passthrough columns, topics and names as plain text, topics and entities as JSON.

use csv::{Writer, WriterBuilder};
use serde::Serialize;

use super::names::{listed, of_entities};
use crate::classify::answer::{Answer, AnswerModel, AnswerTopic};
use crate::classify::kinds::Kinds;
use crate::score::answer_columns::{ERROR, EVIDENCE_METHOD, FLAT_NAMES, GROUPS};
use crate::score::error::ReadError;
use crate::score::row::{FinishedRow, Passthrough, plain_text};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub struct SeparatedEncoder {
    /// The passthrough columns.
    pub columns: Vec<String>,
    pub delimiter: u8,
    pub has_bom: bool,
    pub keep_errors: bool,
    pub has_groups: bool,
    pub has_evidence: bool,
    pub kinds: Kinds,
}

impl SeparatedEncoder {
    pub fn header(&self) -> Result<Vec<u8>, ReadError> {
        let mut bytes = if self.has_bom { BYTE_ORDER_MARK.to_vec() } else { Vec::new() };
        let mut writer = self.writer();
        let (groups, error) = (self.has_groups.then_some(GROUPS), self.keep_errors.then_some(ERROR));
        let method = self.has_evidence.then_some(EVIDENCE_METHOD);
        writer.write_record(
            self.columns.iter().map(String::as_str).chain(FLAT_NAMES).chain(groups).chain(method).chain(error),
        )?;
        bytes.extend(finished(writer)?);
        Ok(bytes)
    }

    pub fn rows(&self, rows: &[&FinishedRow]) -> Result<Vec<u8>, ReadError> {
        let mut writer = self.writer();
        for row in rows {
            let passthrough = self.columns.iter().map(|column| match &row.passthrough {
                Passthrough::Fields(fields) => fields
                    .iter()
                    .find(|(name, _)| name == column)
                    .and_then(|(_, value)| plain_text(value))
                    .unwrap_or_default(),
                Passthrough::Row { .. } => String::new(),
            });
            let values =
                row.answer.as_ref().map(|answer| self.values(answer)).unwrap_or_else(|_| Ok(Default::default()))?;
            let answer = row.answer.as_ref().ok();
            let groups = answer.map(|answer| json_or_nothing(answer.groups.as_ref())).transpose()?.unwrap_or_default();
            let groups = self.has_groups.then_some(groups);
            let method = answer.and_then(|answer| answer.evidence_method).unwrap_or_default().to_owned();
            let method = self.has_evidence.then_some(method);
            let error = self.keep_errors.then(|| row.answer.as_ref().err().map(|error| error.described()));
            writer.write_record(
                passthrough.chain(values).chain(groups).chain(method).chain(error.map(Option::unwrap_or_default)),
            )?;
        }
        finished(writer)
    }

    /// The answer's values in the order of [`FLAT_NAMES`].
    fn values(&self, answer: &Answer) -> Result<[String; FLAT_NAMES.len()], ReadError> {
        let topics = answer.topics.as_deref().unwrap_or_default();
        let best = topics.first();
        let accepted = || topics.iter().filter(|topic| topic.accepted);
        let label = |topic: Option<&AnswerTopic>| topic.map(|topic| topic.label.clone()).unwrap_or_default();
        let score = |topic: Option<&AnswerTopic>| json_or_nothing(topic.map(|topic| topic.score).as_ref());
        let model = |model: &Option<AnswerModel>| model.as_ref().map(AnswerModel::versioned).unwrap_or_default();
        let [persons, places, organisations] = of_entities(&self.kinds, answer.entities.as_deref().unwrap_or_default());
        Ok([
            label(accepted().next()),
            score(accepted().next())?,
            label(best),
            score(best)?,
            listed(accepted().map(|topic| topic.label.as_str())),
            json_or_nothing(answer.topics.as_ref())?,
            persons,
            places,
            organisations,
            json_or_nothing(answer.entities.as_ref())?,
            answer.usage.characters.to_string(),
            answer.usage.tokens.to_string(),
            answer.usage.windows.to_string(),
            answer.usage.truncated.to_string(),
            model(&answer.models.topics),
            model(&answer.models.entities),
        ])
    }

    fn writer(&self) -> Writer<Vec<u8>> {
        WriterBuilder::new().delimiter(self.delimiter).from_writer(Vec::new())
    }
}

fn json_or_nothing<T: Serialize>(value: Option<&T>) -> Result<String, ReadError> {
    Ok(value.map(serde_json::to_string).transpose()?.unwrap_or_default())
}

fn finished(writer: Writer<Vec<u8>>) -> Result<Vec<u8>, ReadError> {
    writer.into_inner().map_err(|error| ReadError::Io(error.into_error()))
}
