//! A scored row, as the formats for other tools see it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::classify::answer::{Answer, AnswerEntity};
use crate::classify::request::CheckedText;
use crate::score::error::ReadError;
use crate::score::row::{Fields, FinishedRow, Passthrough};
use crate::text::files::standard_json;
use crate::text::span::OffsetUnit;

/// A row that was scored.
#[derive(Clone, Copy)]
pub struct Scored<'r> {
    pub document: &'r CheckedText,
    row: &'r Passthrough,
    pub answer: &'r Answer,
}

/// An entity with its offsets in the text as a whole, in Unicode code points.
pub struct Mention<'r> {
    pub start: usize,
    pub end: usize,
    pub entity: &'r AnswerEntity,
}

impl<'r> Scored<'r> {
    pub fn new(row: &'r FinishedRow) -> Result<Self, ReadError> {
        let missing = || std::io::Error::other("a row has no text or no answer");
        let document = row.document.as_ref().ok_or_else(missing)?;
        Ok(Self { document, row: &row.passthrough, answer: row.answer.as_ref().map_err(|_| missing())? })
    }

    pub fn text(&self) -> &'r str {
        self.document.as_str()
    }

    /// The columns of the input that are passed through.
    pub fn passthrough(&self) -> &'r Fields {
        self.row.fields()
    }

    pub fn id(&self) -> Option<String> {
        self.row.id()
    }

    /// The value of a field of the document.
    pub fn field(&self, name: &str) -> Option<&'r str> {
        self.document.fields()?.value(name, self.text())
    }

    /// The entities in the order of the text.
    pub fn mentions(&self) -> impl Iterator<Item = Mention<'r>> + use<'r> {
        let starts = self.document.fields().map(|fields| fields.starts(self.text(), OffsetUnit::Codepoint));
        let start_of = move |field: Option<&str>| {
            let known = starts.iter().flatten().find(|(name, _)| Some(*name) == field);
            known.map_or(0, |(_, start)| *start)
        };
        self.answer.entities.iter().flatten().map(move |entity| {
            let start = start_of(entity.field);
            Mention { start: start + entity.start, end: start + entity.end, entity }
        })
    }

    /// The models that answered, each with its version.
    pub fn models(&self) -> String {
        let models = &self.answer.models;
        let mut named: Vec<String> =
            [&models.topics, &models.entities].into_iter().flatten().map(|it| it.versioned()).collect();
        named.dedup();
        named.join(", ")
    }
}

/// A value as other tools can store it: with U+FFFD for lone surrogates.
pub fn storable(value: &RawValue) -> Cow<'_, RawValue> {
    match value.get().contains("\\u") {
        false => Cow::Borrowed(value),
        true => RawValue::from_string(standard_json(value.get())).map_or(Cow::Borrowed(value), Cow::Owned),
    }
}
