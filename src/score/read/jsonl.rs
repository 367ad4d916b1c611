//! JSON lines: one object a line. Blank lines are skipped.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use super::bytes::Bytes;
use super::numbers::check_fields;
use super::reader::{Reader, utf8};
use crate::score::document_columns::RowDocument;
use crate::score::error::{RowError, ScoreError};
use crate::score::layout::{Columns, Layout};
use crate::score::row::{Fields, ID, Origin, Passthrough, Record, RowPosition};
use crate::text::files::{json_with_nulls, standard_json};

pub struct JsonlReader {
    bytes: Bytes,
    name: Arc<str>,
    n_lines: u64,
    line: Vec<u8>,
    max_row_bytes: usize,
}

impl JsonlReader {
    /// `bytes` start without a byte order mark.
    pub fn new(bytes: Bytes, max_row_bytes: usize, name: &str) -> Self {
        Self { bytes, name: name.into(), n_lines: 0, line: Vec::new(), max_row_bytes }
    }

    /// The fields of the next line that is not blank.
    pub fn next_fields(&mut self) -> Result<Option<Result<Fields, RowError>>, ScoreError> {
        while self.read_line().map_err(|error| ScoreError::read(&self.name, error))? {
            if self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return Ok(Some(fields_of(&self.line, self.max_row_bytes)));
        }
        Ok(None)
    }

    /// A text that is `NaN` is missing, and not the word.
    fn remove_bare_numbers(&self, fields: &mut Fields, layout: &Layout) {
        let is_word = |value: &RawValue| ["\"NaN\"", "\"Infinity\"", "\"-Infinity\""].contains(&value.get());
        fields.retain(|(name, value)| {
            !(layout.is_text_column(name) && is_word(value) && is_bare_number(&self.line, name))
        });
    }

    /// Reads the next line into `self.line`, without more of it than a row may have; `false` at the end.
    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let n = self.bytes.by_ref().take(self.max_row_bytes as u64 + 1).read_until(b'\n', &mut self.line)?;
        if n > self.max_row_bytes && self.line.last() != Some(&b'\n') {
            self.bytes.skip_until(b'\n')?;
        }
        self.n_lines += u64::from(n > 0);
        Ok(n > 0)
    }
}

impl Reader for JsonlReader {
    fn columns(&self) -> Columns {
        Columns::Free
    }

    fn skip(&mut self, n: u64) -> Result<(), ScoreError> {
        for _ in 0..n {
            let n_bytes = self.bytes.skip_until(b'\n').map_err(|error| ScoreError::read(&self.name, error))?;
            self.n_lines += u64::from(n_bytes > 0);
        }
        Ok(())
    }

    fn next(&mut self, layout: &Layout) -> Result<Option<Record>, ScoreError> {
        let Some(fields) = self.next_fields()? else { return Ok(None) };
        let origin = Origin { file: Arc::clone(&self.name), position: RowPosition::Line(self.n_lines) };
        let (document, passthrough) = match fields {
            Ok(mut fields) => {
                self.remove_bare_numbers(&mut fields, layout);
                let (document, passthrough) = split(fields, layout);
                (document.and_then(|document| check_fields(&passthrough, layout).map(|()| document)), passthrough)
            }
            Err(error) => (Err(error), Fields::new()),
        };
        Ok(Some(Record { origin, document, passthrough: Passthrough::Fields(passthrough) }))
    }

    fn n_read(&self) -> u64 {
        self.n_lines
    }
}

fn fields_of(line: &[u8], max_bytes: usize) -> Result<Fields, RowError> {
    if line.len() > max_bytes {
        return Err(RowError::InvalidRow(format!(
            "the line has more than {max_bytes} bytes; is it JSON lines, one object a line? If so, split the row or raise --max-row-bytes"
        )));
    }
    // The parser counts an error after the line end as one of the next line, so that its byte would be wrong.
    let line = utf8(line)?.trim_end_matches(['\n', '\r']);
    let object = serde_json::from_str::<Object>(line).or_else(|error| {
        // Other programs write numbers that are none.
        serde_json::from_str(&standard_json(line)).map_err(|_| {
            // The error knows of this line alone, and calls it the first.
            let message = error.to_string();
            let what = message.split(" at line ").next().unwrap_or_default();
            // Of a value of another type it knows only what was read before.
            let position = if error.is_data() { String::new() } else { format!(" at byte {}", error.column()) };
            RowError::InvalidJson(format!("{what}{position}"))
        })
    })?;
    match object.twice {
        None => Ok(object.fields),
        Some(name) => Err(RowError::InvalidRow(two_fields(&name))),
    }
}

/// The fields of one object in their order. Fails where two of one name have different values.
pub fn object_fields(json: &[u8]) -> serde_json::Result<Fields> {
    let object: Object = serde_json::from_slice(json)?;
    match object.twice {
        None => Ok(object.fields),
        Some(name) => Err(de::Error::custom(two_fields(&name))),
    }
}

fn two_fields(name: &str) -> String {
    format!("two fields are called `{name}` and have different values; rename or remove one")
}

/// Whether `column` of `line` is a bare `NaN` or the like, which programs write for a text that is missing.
fn is_bare_number(line: &[u8], column: &str) -> bool {
    let Ok(line) = std::str::from_utf8(line) else { return false };
    // A line that the standard allows has such words in strings only.
    if serde_json::from_str::<Object>(line).is_ok() {
        return false;
    }
    let object = serde_json::from_str::<Object>(&json_with_nulls(line));
    object.is_ok_and(|object| object.fields.iter().any(|(name, value)| name == column && value.get() == "null"))
}

/// The document and the passthrough columns of a row.
fn split(fields: Fields, layout: &Layout) -> (Result<RowDocument, RowError>, Fields) {
    let values = layout.document.names().map(|column| {
        let value = fields.iter().find(|(name, _)| name == column).map(|(_, value)| value.get());
        match value {
            None | Some("null") => Ok(None),
            Some(value) if value.starts_with('"') => {
                serde_json::from_str(value).map(Some).map_err(|error| invalid_string(column, value, &error))
            }
            Some(_) => Err(RowError::NoText(format!("`{column}` is not a string"))),
        }
    });
    let document = values.collect::<Result<_, RowError>>().and_then(|values| layout.document.document(values));
    let mut passthrough = Fields::new();
    for (column, value) in fields {
        let Some(name) = layout.output_name(&column) else { continue };
        if passthrough.iter().any(|(other, _)| *other == name) {
            let error = format!("the output has two fields called `{name}`; rename one");
            return (document.and(Err(RowError::InvalidRow(error))), passthrough);
        }
        passthrough.push((name, value));
    }
    passthrough.sort_by_key(|(name, _)| name != ID);
    (document, passthrough)
}

/// Why the `value` of a text column cannot be decoded.
fn invalid_string(column: &str, value: &str, error: &serde_json::Error) -> RowError {
    let is_decoded = serde_json::from_str::<String>(&standard_json(value)).is_ok();
    RowError::InvalidJson(match is_decoded {
        true => format!("`{column}` has half of a surrogate pair (such as \\ud83d), which is no character; remove it"),
        false => format!("`{column}`: {error}"),
    })
}

/// An object's fields in their order, each value as it is spelled.
struct Object {
    fields: Fields,
    /// The first name that two fields with different values have.
    twice: Option<String>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut object = Object { fields: Fields::new(), twice: None };
        while let Some(name) = map.next_key::<String>()? {
            let value: Box<RawValue> = map.next_value()?;
            match object.fields.iter().find(|(other, _)| *other == name) {
                Some((_, other)) if other.get() == value.get() => {}
                Some(_) => object.twice = object.twice.or(Some(name)),
                None => object.fields.push((name, value)),
            }
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::score::document_columns::DocumentColumns;
    use crate::score::format::Format;
    use crate::score::layout::ColumnChoice;

    fn records(bytes: &[u8], text: &[&str]) -> Vec<(RowPosition, Result<String, &'static str>)> {
        let text = text.iter().map(|&name| name.to_owned()).collect();
        let document = DocumentColumns { text, ..DocumentColumns::default() };
        let choice = ColumnChoice { document, ..ColumnChoice::default() };
        let layout = Layout::new(&[], &choice, Format::Jsonl).unwrap();
        let mut reader = JsonlReader::new(Box::new(Cursor::new(bytes.to_vec())), 1 << 20, "a");
        let mut records = Vec::new();
        while let Some(record) = reader.next(&layout).unwrap() {
            let text = record.document.map(|document| document.checked(100).unwrap().as_str().to_owned());
            let text = text.map_err(|error| error.code());
            records.push((record.origin.position, text));
        }
        records
    }

    #[test]
    fn a_bad_line_becomes_one_row_error() {
        let lines = "{\"text\": \"ä\"}\r\n\n \n{\"text\": 5}\n{\"text\": null}\n{\"t\": 1}\n[1]\n{\"text\": \"x\"} y\n{\"text\": \" \"}\n{\"topics\": 1, \"input_topics\": 2, \"text\": \"x\"}\n{\"text\": \"Ende\"}";
        let positions: Vec<_> = [1, 4, 5, 6, 7, 8, 9, 10, 11].map(RowPosition::Line).into();
        let texts = [
            Ok("ä".to_owned()),
            Err("no_text"),
            Err("no_text"),
            Err("no_text"),
            Err("invalid_json"),
            Err("invalid_json"),
            Err("no_text"),
            Err("invalid_row"),
            Ok("Ende".to_owned()),
        ];
        assert_eq!(records(lines.as_bytes(), &[]), positions.into_iter().zip(texts).collect::<Vec<_>>());
        assert_eq!(records(b"{\"text\": \"\xff\"}\n", &[])[0].1, Err("not_utf8"));
        assert_eq!(records(br#"{"text": "\ud83d"}"#, &[])[0].1, Err("invalid_json"));
        for (line, expected) in [
            (r#"{"id": 1, "id": 2, "text": "x"}"#, Err("invalid_row")),
            (r#"{"text": "x", "text": "y"}"#, Err("invalid_row")),
            (r#"{"id": 1, "id": 1, "text": "x"}"#, Ok("x".to_owned())),
            (r#"{"text": NaN}"#, Err("no_text")),
            (r#"{"text": -Infinity, "b": "NaN"}"#, Err("no_text")),
            (r#"{"text": "NaN"}"#, Ok("NaN".to_owned())),
            (r#"{"text": "NaN", "b": {"text": NaN}}"#, Ok("NaN".to_owned())),
        ] {
            assert_eq!(records(line.as_bytes(), &[])[0].1, expected, "{line}");
        }
        assert!(records(b"", &[]).is_empty());
    }

    #[test]
    fn an_error_of_a_line_names_the_byte_where_it_is_or_none() {
        for (line, expected) in [
            (r#"{"id":2,"text":"#, "EOF while parsing a value at byte 15"),
            (r#"{"id":2,"text":"ä"#, "EOF while parsing a string at byte 18"),
            (r#"["a"]"#, "invalid type: sequence, expected an object"),
            (r#"  5"#, "invalid type: integer `5`, expected an object"),
            (r#"{"a": 1} y"#, "trailing characters at byte 10"),
            (r#"{"a": 1, b}"#, "key must be a string at byte 10"),
            (r#"{"a": [1, x]}"#, "expected value at byte 11"),
        ] {
            for end in ["", "\n", "\r\n"] {
                let error = fields_of(format!("{line}{end}").as_bytes(), 100).unwrap_err();
                assert_eq!(error, RowError::InvalidJson(expected.to_owned()), "{line}");
            }
        }
    }

    #[test]
    fn several_text_columns_are_joined_by_an_empty_line() {
        let lines = br#"{"title": "A", "body": "B"}
{"title": null, "body": "B"}
{"body": "", "title": "A"}"#;
        let texts: Vec<_> = records(lines, &["title", "body"]).into_iter().map(|(_, text)| text.unwrap()).collect();
        assert_eq!(texts, ["A\n\nB", "B", "A"]);
    }
}
