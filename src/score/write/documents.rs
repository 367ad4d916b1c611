//! Documents for other tools: a row's text with its answer, as the elements of a JSON array or one a line.

use super::label_studio::Task;
use super::ninjs::NewsItem;
use super::scored::Scored;
use super::spacy::SpacyDocument;
use crate::classify::kinds::Kinds;
use crate::score::error::ReadError;
use crate::score::format::Format;
use crate::score::row::FinishedRow;

pub struct DocumentEncoder {
    /// One of those that hold documents.
    pub format: Format,
    pub kinds: Kinds,
}

impl DocumentEncoder {
    pub fn header(&self) -> &'static [u8] {
        if self.is_array() { b"[" } else { b"" }
    }

    pub fn footer(&self) -> &'static [u8] {
        if self.is_array() { b"\n]\n" } else { b"" }
    }

    /// `is_first`: no row was written before these.
    pub fn rows(&self, rows: &[&FinishedRow], is_first: bool) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            if self.is_array() {
                bytes.extend_from_slice(if is_first && index == 0 { b"\n" } else { b",\n" });
            }
            self.write(Scored::new(row)?, &mut bytes)?;
            if !self.is_array() {
                bytes.push(b'\n');
            }
        }
        Ok(bytes)
    }

    fn write(&self, row: Scored<'_>, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
        match self.format {
            Format::LabelStudio => serde_json::to_writer(bytes, &Task::new(row))?,
            Format::Ninjs => serde_json::to_writer(bytes, &NewsItem::new(row, &self.kinds))?,
            Format::Spacy => serde_json::to_writer(bytes, &SpacyDocument::new(row))?,
            Format::Jsonl
            | Format::Csv
            | Format::Tsv
            | Format::Parquet
            | Format::Arrow
            | Format::ArrowStream
            | Format::Text => unreachable!("`Encoder::new` chooses another encoder for rows"),
        }
        Ok(())
    }

    /// News items are documents by themselves; the other tools read lists.
    fn is_array(&self) -> bool {
        self.format != Format::Ninjs
    }
}
