//! The columns of JSON lines, which only a pass over all lines can tell.

use std::collections::BTreeSet;

use arrow_schema::{DataType, Field};
use serde_json::value::RawValue;

use super::bytes::{ByteCount, decoded};
use super::jsonl::{JsonlReader, object_fields};
use super::numbers::is_float;
use super::settings::ReadSettings;
use crate::score::error::ScoreError;
use crate::score::format::Format;
use crate::score::inputs::{Location, Source};
use crate::score::layout::{ColumnChoice, Columns, no_column};

/// Objects and lists below this depth are text.
const MAX_DEPTH: usize = 8;

/// What the values of a field have in common.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Null,
    Boolean,
    Integer {
        /// Whether all of them are also floating-point numbers.
        is_exact: bool,
    },
    Float,
    Text,
    List(Box<Kind>),
    /// Sorted by name.
    Object(Vec<(String, Kind)>),
}

/// Reads the whole of `sources`, which are JSON lines, for names and kinds of fields. Needed where the output has fixed
/// columns. Lists and objects that all have one shape stay such; values of one field that no other kind holds without loss become
/// text: their JSON. At most `limit` rows are read.
pub fn scan_columns(sources: &[&Source], settings: ReadSettings, limit: Option<u64>) -> Result<Columns, ScoreError> {
    let mut kinds: Vec<(String, Kind)> = Vec::new();
    let mut n_left = limit.unwrap_or(u64::MAX);
    for source in sources {
        let mut reader = reader_of(source, settings)?;
        while n_left > 0 {
            let Some(fields) = reader.next_fields()? else { break };
            n_left -= 1;
            // A line that is no JSON becomes a row error when it is scored.
            for (name, value) in fields.unwrap_or_default() {
                let kind = kind_of(&value, 0).unwrap_or(Kind::Text);
                match kinds.iter_mut().find(|(other, _)| *other == name) {
                    Some((_, known)) => *known = widened(known, &kind).unwrap_or(Kind::Text),
                    None => kinds.push((name, kind)),
                }
            }
        }
    }
    Ok(Columns::Optional(kinds.into_iter().map(|(name, kind)| Field::new(name, kind.data_type(), true)).collect()))
}

/// Refuses a text or id column that no line of the JSON lines among `sources` has. Reads until each was met.
pub fn check_free_columns(sources: &[Source], settings: ReadSettings, choice: &ColumnChoice) -> Result<(), ScoreError> {
    let wanted = choice.wanted();
    let mut missing: Vec<_> = wanted.iter().collect();
    let mut known: BTreeSet<String> = BTreeSet::new();
    let lines = || sources.iter().filter(|source| source.format == Format::Jsonl);
    if lines().any(Source::is_read_once) {
        return Ok(());
    }
    for source in lines() {
        let mut reader = reader_of(source, settings)?;
        while !missing.is_empty() {
            let Some(fields) = reader.next_fields()? else { break };
            for (name, _) in fields.unwrap_or_default() {
                missing.retain(|(column, _)| *column != name);
                known.insert(name);
            }
        }
    }
    let first = lines().next().map(|source| source.name.as_str());
    match (first, missing.first()) {
        (Some(source), Some((column, flag))) if !known.is_empty() => {
            Err(no_column(source, column, known.iter().map(String::as_str), flag))
        }
        _ => Ok(()),
    }
}

fn reader_of(source: &Source, settings: ReadSettings) -> Result<JsonlReader, ScoreError> {
    let Location::File(path) = &source.location else {
        return Err(ScoreError::usage(format!(
            "JSON lines from {} can be written as JSON lines only, since their columns are known at the end; write the input to a file and name that, or give --output-format jsonl",
            source.name
        )));
    };
    let failed = |error| ScoreError::read(&source.name, error);
    let file = std::fs::File::open(path);
    let bytes = file.and_then(|file| decoded(file, &ByteCount::default(), settings.encoding)).map_err(failed)?;
    Ok(JsonlReader::new(bytes, settings.max_row_bytes, &source.name))
}

/// `None` where only text holds the value: a number that no type holds, and what has parts that differ, too many levels, or
/// no parts.
fn kind_of(value: &RawValue, depth: usize) -> Option<Kind> {
    match value.get() {
        "null" => Some(Kind::Null),
        "true" | "false" => Some(Kind::Boolean),
        text if text.starts_with('"') => Some(Kind::Text),
        text if text.starts_with(['[', '{']) => nested_kind(text, depth),
        text if text.parse::<i64>().is_ok() && text != "-0" => Some(Kind::Integer { is_exact: is_float(text) }),
        text => is_float(text).then_some(Kind::Float),
    }
}

fn nested_kind(text: &str, depth: usize) -> Option<Kind> {
    if depth >= MAX_DEPTH {
        return None;
    }
    if text.starts_with('[') {
        let elements: Vec<Box<RawValue>> = serde_json::from_str(text).ok()?;
        let mut kinds = elements.iter().map(|element| kind_of(element, depth + 1));
        let kind = kinds.try_fold(Kind::Null, |known, kind| widened(&known, &kind?))?;
        return Some(Kind::List(Box::new(kind)));
    }
    let fields = object_fields(text.as_bytes()).ok()?;
    let kinds = fields.iter().map(|(name, value)| Some((name.clone(), kind_of(value, depth + 1)?)));
    let mut kinds = kinds.collect::<Option<Vec<_>>>()?;
    kinds.sort_by(|(a, _), (b, _)| a.cmp(b));
    (!kinds.is_empty()).then_some(Kind::Object(kinds))
}

/// The kind of values of both kinds; `None` where there is none but text.
fn widened(known: &Kind, other: &Kind) -> Option<Kind> {
    use Kind::{Boolean, Float, Integer, List, Null, Object, Text};
    match (known, other) {
        (Null, kind) | (kind, Null) => Some(kind.clone()),
        (Boolean, Boolean) => Some(Boolean),
        (Text, Text) => Some(Text),
        (Integer { is_exact: a }, Integer { is_exact: b }) => Some(Integer { is_exact: *a && *b }),
        (Float, Float) | (Integer { is_exact: true }, Float) | (Float, Integer { is_exact: true }) => Some(Float),
        (List(a), List(b)) => widened(a, b).map(|kind| List(Box::new(kind))),
        (Object(a), Object(b)) if a.len() == b.len() => {
            let both = a.iter().zip(b).map(|((name, a), (other, b))| {
                (name == other).then(|| widened(a, b)).flatten().map(|kind| (name.clone(), kind))
            });
            both.collect::<Option<_>>().map(Object)
        }
        _ => None,
    }
}

impl Kind {
    fn data_type(self) -> DataType {
        let field = |name: &str, kind: Kind| Field::new(name, kind.data_type(), true);
        match self {
            // A field that is always null is written as text.
            Self::Null | Self::Text => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Integer { .. } => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::List(kind) => DataType::List(field("element", *kind).into()),
            Self::Object(kinds) => {
                DataType::Struct(kinds.into_iter().map(|(name, kind)| field(&name, kind)).collect::<Vec<_>>().into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &str) -> Vec<(String, DataType)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines).unwrap();
        let source = Source { name: "a".into(), format: Format::Jsonl, location: Location::File(file.path().into()) };
        let Columns::Optional(fields) = scan_columns(&[&source], ReadSettings::default(), None).unwrap() else {
            panic!("rows may lack columns")
        };
        fields.iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    }

    #[test]
    fn a_column_has_the_narrowest_kind_that_holds_all_its_values() {
        let lines = r#"{"i": 1, "f": 1, "b": true, "s": "x", "m": 1, "n": null, "big": 1}
not JSON
{"i": -2, "f": 0.5, "b": null, "m": "x", "late": 1e3, "big": 12345678901234567890}"#;
        let expected = [
            ("i", DataType::Int64),
            ("f", DataType::Float64),
            ("b", DataType::Boolean),
            ("s", DataType::Utf8),
            ("m", DataType::Utf8),
            ("n", DataType::Utf8),
            ("big", DataType::Utf8),
            ("late", DataType::Float64),
        ];
        assert_eq!(found(lines), expected.map(|(name, kind)| (name.to_owned(), kind)));
    }

    #[test]
    fn no_digit_is_lost() {
        for (values, kind) in [
            (&["0.1", "1e22", "-2.50"][..], DataType::Float64),
            (&["9007199254740993", "1"], DataType::Int64),
            (&["9007199254740993", "0.5"], DataType::Utf8),
            (&["0.5", "9007199254740992"], DataType::Float64),
            (&["1.0e400"], DataType::Utf8),
            (&["0.12345678901234567890"], DataType::Utf8),
            (&["NaN", "1"], DataType::Utf8),
            (&["0", "0.0", "0e5"], DataType::Float64),
        ] {
            let lines: String = values.iter().map(|value| format!("{{\"n\": {value}}}\n")).collect();
            assert_eq!(found(&lines), [("n".to_owned(), kind)], "{values:?}");
        }
    }

    #[test]
    fn nested_fields_of_one_shape_stay_nested() {
        let kind = |lines: &str| found(lines).remove(0).1;
        let list = |kind: DataType| DataType::List(Field::new("element", kind, true).into());
        let object = |fields: Vec<Field>| DataType::Struct(fields.into());
        let field = |name: &str, kind: DataType| Field::new(name, kind, true);
        for (lines, expected) in [
            ("{\"x\": []}\n{\"x\": [\"a\", null]}", list(DataType::Utf8)),
            ("{\"x\": [1]}\n{\"x\": [0.5]}", list(DataType::Float64)),
            (
                "{\"x\": {\"b\": 1, \"a\": []}}\n{\"x\": {\"a\": [true], \"b\": null}}",
                object(vec![field("a", list(DataType::Boolean)), field("b", DataType::Int64)]),
            ),
            ("{\"x\": {\"a\": 1}}\n{\"x\": {\"b\": 1}}", DataType::Utf8),
            ("{\"x\": [1, \"a\"]}", DataType::Utf8),
            ("{\"x\": [1e999]}", DataType::Utf8),
            ("{\"x\": {\"a\": 1e999}}", DataType::Utf8),
            ("{\"x\": [[1], [1, 2]]}", list(list(DataType::Int64))),
            ("{\"x\": {}}", DataType::Utf8),
            ("{\"x\": [1]}\n{\"x\": 1}", DataType::Utf8),
        ] {
            assert_eq!(kind(lines), expected, "{lines}");
        }
    }
}
