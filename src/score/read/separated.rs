//! Separated values (CSV, TSV) with a header. All values are text.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use csv::{ByteRecord, ReaderBuilder};

use super::bytes::Bytes;
use super::reader::{Reader, joined, utf8};
use crate::score::error::{ReadError, RowError, ScoreError};
use crate::score::layout::{Columns, Layout};
use crate::score::row::{Fields, ID, Origin, Passthrough, Record, RowPosition, json_string};

pub struct SeparatedReader {
    reader: csv::Reader<Bytes>,
    name: Arc<str>,
    header: Vec<String>,
    record: ByteRecord,
    n_read: u64,
}

impl SeparatedReader {
    pub fn new(bytes: Bytes, delimiter: u8, name: &str) -> Result<Self, ReadError> {
        let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bytes);
        let header = reader.headers()?.iter().map(str::to_owned).collect();
        Ok(Self { reader, name: name.into(), header, record: ByteRecord::new(), n_read: 0 })
    }

    fn read(&mut self) -> Result<bool, ScoreError> {
        let more = self.reader.read_byte_record(&mut self.record);
        let more = more.map_err(|error| ScoreError::read(&self.name, error))?;
        self.n_read += u64::from(more);
        Ok(more)
    }

    /// The values of the row by the header's names.
    fn values(&self) -> Result<Vec<String>, RowError> {
        if self.record.len() != self.header.len() {
            return Err(RowError::InvalidRow(format!(
                "the row has {} values, and the header {}; is a quote or a delimiter missing?",
                self.record.len(),
                self.header.len()
            )));
        }
        self.record.iter().map(|value| utf8(value).map(str::to_owned)).collect()
    }
}

impl Reader for SeparatedReader {
    fn columns(&self) -> Columns {
        Columns::Fixed(self.header.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect())
    }

    fn skip(&mut self, n: u64) -> Result<(), ScoreError> {
        for _ in 0..n {
            self.read()?;
        }
        Ok(())
    }

    fn next(&mut self, layout: &Layout) -> Result<Option<Record>, ScoreError> {
        if !self.read()? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, |position| position.line());
        let origin = Origin { file: Arc::clone(&self.name), position: RowPosition::Line(line) };
        let (text, passthrough) = match self.values() {
            Ok(values) => (text_of(&self.header, &values, layout), passthrough_of(&self.header, values, layout)),
            Err(error) => (Err(error), Fields::new()),
        };
        Ok(Some(Record { origin, text, passthrough: Passthrough::Fields(passthrough) }))
    }

    fn n_read(&self) -> u64 {
        self.n_read
    }
}

fn text_of(header: &[String], values: &[String], layout: &Layout) -> Result<Arc<str>, RowError> {
    let value_of =
        |column: &String| header.iter().position(|name| name == column).and_then(|at| values.get(at)).cloned();
    joined(&layout.text.iter().map(value_of).collect::<Vec<_>>(), layout)
}

fn passthrough_of(header: &[String], values: Vec<String>, layout: &Layout) -> Fields {
    let named = header.iter().zip(values);
    let mut passthrough: Fields =
        named.filter_map(|(column, value)| Some((layout.output_name(column)?, json_string(&value)))).collect();
    passthrough.sort_by_key(|(name, _)| name != ID);
    passthrough
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::score::format::Format;
    use crate::score::layout::{ColumnChoice, SourceColumns};

    #[test]
    fn rows_know_their_lines_and_each_bad_one_is_a_row_error() {
        let bytes = b"\xef\xbb\xbfid;text\n1;\"a\n\"\"b\"\"\"\n2\n3;\n4;\xe4\n5;Ende\n";
        let mut reader = SeparatedReader::new(Box::new(Cursor::new(bytes.to_vec())), b';', "a").unwrap();
        let columns = SourceColumns { name: "a".into(), columns: reader.columns() };
        let layout = Layout::new(&[columns], &ColumnChoice::default(), Format::Csv).unwrap();
        let mut records = Vec::new();
        while let Some(record) = reader.next(&layout).unwrap() {
            let text = record.text.as_deref().map(str::to_owned).map_err(RowError::code);
            records.push((record.origin.position, record.passthrough.id(), text));
        }
        let row = |line, id: Option<&str>, text: Result<&str, _>| {
            (RowPosition::Line(line), id.map(str::to_owned), text.map(str::to_owned))
        };
        let expected = [
            row(2, Some("1"), Ok("a\n\"b\"")),
            row(4, None, Err("invalid_row")),
            row(5, Some("3"), Err("no_text")),
            row(6, None, Err("not_utf8")),
            row(7, Some("5"), Ok("Ende")),
        ];
        assert_eq!(records, expected);
    }
}
