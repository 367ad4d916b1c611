//! A row as it is read, and as it is written: scored or failed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use serde_json::value::RawValue;

use super::document_columns::RowDocument;
use super::error::RowError;
use super::json_rows::json_lines;
use crate::classify::answer::Answer;
use crate::classify::request::CheckedText;
use crate::text::files::standard_json;

/// One row as it was read.
#[derive(Debug)]
pub struct Record {
    pub origin: Origin,
    /// What to read, or why there is nothing.
    pub document: Result<RowDocument, RowError>,
    pub passthrough: Passthrough,
}

/// The file and position of a row, for messages.
#[derive(Debug, Clone)]
pub struct Origin {
    pub file: Arc<str>,
    pub position: RowPosition,
}

/// Both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowPosition {
    Line(u64),
    Row(u64),
    /// The file is the row.
    Whole,
}

/// The columns of an input row that the output repeats, under their names in the output.
#[derive(Debug, Clone)]
pub enum Passthrough {
    Fields(Fields),
    /// A row of a batch that has exactly the passthrough columns.
    Row {
        batch: Arc<RecordBatch>,
        row: usize,
    },
}

/// Names and values as JSON, in their order.
pub type Fields = Vec<(String, Box<RawValue>)>;

/// A row with its answer, or the reason why it has none.
#[derive(Debug)]
pub struct FinishedRow {
    pub origin: Origin,
    pub passthrough: Passthrough,
    /// What was read, where the output needs it.
    pub document: Option<CheckedText>,
    pub answer: Result<Answer, RowError>,
}

/// The name under which the id column is written.
pub const ID: &str = "id";

impl Passthrough {
    /// Its size in memory, about.
    pub fn n_bytes(&self) -> usize {
        match self {
            Self::Fields(fields) => fields.iter().map(|(name, value)| name.len() + value.get().len()).sum(),
            Self::Row { batch, .. } => batch.get_array_memory_size() / batch.num_rows().max(1),
        }
    }

    /// The fields of a row of JSON or CSV; none for one of a table of columns.
    pub fn fields(&self) -> &Fields {
        static NONE: Fields = Fields::new();
        match self {
            Self::Fields(fields) => fields,
            Self::Row { .. } => &NONE,
        }
    }

    /// The row's id as JSON, as the output has it too.
    pub fn json_id(&self) -> Option<Box<RawValue>> {
        match self {
            Self::Fields(fields) => {
                let (_, id) = fields.iter().find(|(name, _)| name == ID)?;
                // A string may have lone surrogates, which many programs refuse.
                if id.get().starts_with('"') {
                    return plain_text(id).map(|id| json_string(&id));
                }
                (id.get() != "null").then(|| id.clone())
            }
            Self::Row { batch, row } => {
                let column = batch.column_by_name(ID).filter(|column| column.is_valid(*row))?;
                let alone = RecordBatch::try_from_iter([(ID, column.slice(*row, 1))]).ok()?;
                serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(&json_lines(&alone).ok()?).ok()?.remove(ID)
            }
        }
    }

    /// The row's id as text, where it has one.
    pub fn id(&self) -> Option<String> {
        match self {
            Self::Fields(fields) => fields.iter().find(|(name, _)| name == ID).and_then(|(_, id)| plain_text(id)),
            Self::Row { batch, row } => {
                let column = batch.column_by_name(ID)?;
                column.is_valid(*row).then(|| arrow_cast::display::array_value_to_string(column, *row).ok()).flatten()
            }
        }
    }
}

/// A JSON value as plain text: a string without quotes and with U+FFFD for lone surrogates, nothing for `null`, anything else as it is spelled.
pub fn plain_text(value: &RawValue) -> Option<String> {
    match value.get() {
        "null" => None,
        text if text.starts_with('"') => {
            serde_json::from_str(text).or_else(|_| serde_json::from_str(&standard_json(text))).ok()
        }
        text => Some(text.to_owned()),
    }
}

/// The error of a row whose `number` in `column` would lose digits where integers and fractions meet.
pub fn digits_lost(column: &str, number: impl fmt::Display) -> RowError {
    RowError::InvalidRow(format!(
        "`{column}` is {number}; other inputs have fractions in this column, and the type of both (Float64) cannot hold all its digits; convert the column to text in all inputs, or score the inputs separately"
    ))
}

/// A string as JSON.
pub fn json_string(text: &str) -> Box<RawValue> {
    serde_json::value::to_raw_value(text).expect("a string is always JSON")
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            RowPosition::Line(line) => write!(f, "{}, line {line}", self.file),
            RowPosition::Row(row) => write!(f, "{}, row {row}", self.file),
            RowPosition::Whole => f.write_str(&self.file),
        }
    }
}
