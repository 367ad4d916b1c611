//! Tries a type on the writer of a format, before any text is scored.

use std::sync::Arc;

use arrow_array::{RecordBatch, new_null_array};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

use super::error::ReadError;
use super::format::Format;
use super::json_rows::json_lines;
use crate::system::panics::caught;

/// Whether `format` can hold a column of type `kind`.
pub fn can_encode(kind: &DataType, format: Format) -> bool {
    // The writers panic at some types.
    caught(|| written(kind, format)).is_ok_and(|written| written.is_ok())
}

/// Writes one row without a value.
fn written(kind: &DataType, format: Format) -> Result<(), ReadError> {
    let schema = Arc::new(Schema::new(vec![Field::new("x", kind.clone(), true)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![new_null_array(kind, 1)])?;
    match format {
        Format::Parquet => {
            let mut writer = ArrowWriter::try_new(Vec::new(), schema, None)?;
            writer.write(&batch)?;
            writer.close()?;
        }
        Format::Arrow | Format::ArrowStream => {
            let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
            writer.write(&batch)?;
            writer.finish()?;
        }
        Format::Jsonl
        | Format::Csv
        | Format::Tsv
        | Format::Text
        | Format::LabelStudio
        | Format::Ninjs
        | Format::Spacy => drop(json_lines(&batch)?),
    }
    Ok(())
}
