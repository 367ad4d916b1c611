//! JSON lines: one object a line. Blank lines are skipped.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use super::bytes::Bytes;
use super::numbers::check_fields;
use super::reader::{Reader, joined, utf8};
use crate::score::error::{RowError, ScoreError};
use crate::score::layout::{Columns, Layout};
use crate::score::row::{Fields, ID, Origin, Passthrough, Record, RowPosition};
use crate::text::files::standard_json;

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
        let (text, passthrough) = match fields {
            Ok(fields) => {
                let (text, passthrough) = split(fields, layout);
                (text.and_then(|text| check_fields(&passthrough, layout).map(|()| text)), passthrough)
            }
            Err(error) => (Err(error), Fields::new()),
        };
        Ok(Some(Record { origin, text, passthrough: Passthrough::Fields(passthrough) }))
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
    let line = utf8(line)?;
    object_fields(line.as_bytes()).or_else(|error| {
        // Other programs write numbers that are none.
        object_fields(standard_json(line).as_bytes()).map_err(|_| {
            // The error knows of this line alone, and calls it the first.
            let message = error.to_string();
            let what = message.split(" at line ").next().unwrap_or_default();
            RowError::InvalidJson(format!("{what} at byte {}", error.column()))
        })
    })
}

/// The fields of one object in their order.
pub fn object_fields(json: &[u8]) -> serde_json::Result<Fields> {
    serde_json::from_slice::<Object>(json).map(|object| object.0)
}

/// The text and the passthrough columns of a row.
fn split(fields: Fields, layout: &Layout) -> (Result<Arc<str>, RowError>, Fields) {
    let text = layout.text.iter().map(|column| {
        let value = fields.iter().find(|(name, _)| name == column).map(|(_, value)| value.get());
        match value {
            None | Some("null") => Ok(None),
            Some(value) if value.starts_with('"') => {
                serde_json::from_str(value).map(Some).map_err(|error| RowError::InvalidJson(error.to_string()))
            }
            Some(_) => Err(RowError::NoText(format!("`{column}` is not a string"))),
        }
    });
    let text = text.collect::<Result<Vec<Option<String>>, RowError>>().and_then(|parts| joined(&parts, layout));
    let mut passthrough = Fields::new();
    for (column, value) in fields {
        let Some(name) = layout.output_name(&column) else { continue };
        if passthrough.iter().any(|(other, _)| *other == name) {
            let error = format!("two fields would be called `{name}` in the output; rename one");
            return (text.and(Err(RowError::InvalidRow(error))), passthrough);
        }
        passthrough.push((name, value));
    }
    passthrough.sort_by_key(|(name, _)| name != ID);
    (text, passthrough)
}

/// An object's fields in their order, each value as it is spelled. Of two with one name the last holds.
struct Object(Fields);

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
        let mut fields = Fields::new();
        while let Some(name) = map.next_key::<String>()? {
            let value: Box<RawValue> = map.next_value().map_err(de::Error::custom)?;
            match fields.iter_mut().find(|(other, _)| *other == name) {
                Some(field) => field.1 = value,
                None => fields.push((name, value)),
            }
        }
        Ok(Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::score::format::Format;
    use crate::score::layout::ColumnChoice;

    fn records(bytes: &[u8], text: &[&str]) -> Vec<(RowPosition, Result<String, &'static str>)> {
        let text = text.iter().map(|&name| name.to_owned()).collect();
        let choice = ColumnChoice { text, ..ColumnChoice::default() };
        let layout = Layout::new(&[], &choice, Format::Jsonl).unwrap();
        let mut reader = JsonlReader::new(Box::new(Cursor::new(bytes.to_vec())), 1 << 20, "a");
        let mut records = Vec::new();
        while let Some(record) = reader.next(&layout).unwrap() {
            let text = record.text.map(|text| text.to_string()).map_err(|error| error.code());
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
        assert!(records(b"", &[]).is_empty());
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
