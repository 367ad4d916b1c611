//! The columns of JSON lines, which only a pass over all lines can tell. Needed where the output has fixed columns.

use arrow::datatypes::{DataType, Field};
use serde_json::value::RawValue;

use super::bytes::{ByteCount, decompressed};
use super::jsonl::JsonlReader;
use crate::score::error::ScoreError;
use crate::score::inputs::{Location, Source};
use crate::score::layout::Columns;

/// Reads the whole of `source`, which is JSON lines, for names and kinds of fields. Values of one field that are of
/// different kinds, and lists and objects, become text: their JSON.
pub fn scan_columns(source: &Source) -> Result<Columns, ScoreError> {
    let Location::File(path) = &source.location else {
        return Err(ScoreError::usage(
            "JSON lines from standard input can be written as JSON lines only, since their columns are known at the end; write the input to a file and name that, or give --output-format jsonl",
        ));
    };
    let failed = |error| ScoreError::read(&source.name, error);
    let bytes = std::fs::File::open(path).and_then(|file| decompressed(file, &ByteCount::default())).map_err(failed)?;
    let mut reader = JsonlReader::new(bytes, &source.name);
    let mut kinds: Vec<(String, DataType)> = Vec::new();
    while let Some(fields) = reader.next_fields()? {
        // A line that is no JSON becomes a row error when it is its turn.
        for (name, value) in fields.unwrap_or_default() {
            let kind = kind_of(&value);
            match kinds.iter_mut().find(|(other, _)| *other == name) {
                Some((_, known)) => *known = widened(known, kind),
                None => kinds.push((name, kind)),
            }
        }
    }
    Ok(Columns::Optional(kinds.into_iter().map(|(name, kind)| Field::new(name, settled(kind), true)).collect()))
}

/// `Null` where the value tells nothing.
fn kind_of(value: &RawValue) -> DataType {
    match value.get() {
        "null" => DataType::Null,
        "true" | "false" => DataType::Boolean,
        text if text.starts_with(['"', '[', '{']) => DataType::Utf8,
        text if text.parse::<i64>().is_ok() => DataType::Int64,
        // Whole numbers that fit no integer would lose digits as floating-point numbers.
        text if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => DataType::Utf8,
        _ => DataType::Float64,
    }
}

fn widened(known: &DataType, other: DataType) -> DataType {
    match (known, other) {
        (known, other) if *known == other => other,
        (DataType::Null, other) => other,
        (known, DataType::Null) => known.clone(),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        _ => DataType::Utf8,
    }
}

/// A field that is always null is written as text.
fn settled(kind: DataType) -> DataType {
    match kind {
        DataType::Null => DataType::Utf8,
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::format::Format;

    #[test]
    fn a_column_has_the_narrowest_kind_that_holds_all_its_values() {
        let lines = r#"{"i": 1, "f": 1, "b": true, "s": "x", "m": 1, "o": {"a": 1}, "n": null, "big": 1}
not JSON
{"i": -2, "f": 0.5, "b": null, "m": "x", "late": 1e3, "big": 12345678901234567890}"#;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines).unwrap();
        let source = Source { name: "a".into(), format: Format::Jsonl, location: Location::File(file.path().into()) };
        let Columns::Optional(fields) = scan_columns(&source).unwrap() else { panic!("rows may lack columns") };
        let found: Vec<_> = fields.iter().map(|field| (field.name().as_str(), field.data_type().clone())).collect();
        let expected = [
            ("i", DataType::Int64),
            ("f", DataType::Float64),
            ("b", DataType::Boolean),
            ("s", DataType::Utf8),
            ("m", DataType::Utf8),
            ("o", DataType::Utf8),
            ("n", DataType::Utf8),
            ("big", DataType::Utf8),
            ("late", DataType::Float64),
        ];
        assert_eq!(found, expected);
    }
}
