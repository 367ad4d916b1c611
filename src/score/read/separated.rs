//! Separated values (CSV, TSV) with a header. All values are text.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use csv::{ByteRecord, ReaderBuilder};

use super::open::Bytes;
use super::{Reader, joined, utf8};
use crate::score::error::{Fault, ReadError, ScoreError};
use crate::score::layout::{Columns, Layout};
use crate::score::row::{Carried, Fields, ID, Origin, Record, RowPlace, json_string};

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
    fn values(&self) -> Result<Vec<String>, Fault> {
        if self.record.len() != self.header.len() {
            return Err(Fault::InvalidRow(format!(
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
        let origin = Origin { file: Arc::clone(&self.name), place: RowPlace::Line(line) };
        let (text, carried) = match self.values() {
            Ok(values) => (text_of(&self.header, &values, layout), carried_of(&self.header, values, layout)),
            Err(fault) => (Err(fault), Fields::new()),
        };
        Ok(Some(Record { origin, text, carried: Carried::Fields(carried) }))
    }

    fn n_read(&self) -> u64 {
        self.n_read
    }
}

fn text_of(header: &[String], values: &[String], layout: &Layout) -> Result<Arc<str>, Fault> {
    let value_of =
        |column: &String| header.iter().position(|name| name == column).and_then(|at| values.get(at)).cloned();
    joined(&layout.text.iter().map(value_of).collect::<Vec<_>>(), layout)
}

fn carried_of(header: &[String], values: Vec<String>, layout: &Layout) -> Fields {
    let named = header.iter().zip(values);
    let mut carried: Fields =
        named.filter_map(|(column, value)| Some((layout.output_name(column)?, json_string(&value)))).collect();
    carried.sort_by_key(|(name, _)| name != ID);
    carried
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::score::format::Format;
    use crate::score::layout::{ColumnChoice, SourceColumns};

    #[test]
    fn rows_know_their_lines_and_bad_ones_are_faults_of_their_own() {
        let bytes = b"\xef\xbb\xbfid;text\n1;\"a\n\"\"b\"\"\"\n2\n3;\n4;\xe4\n5;Ende\n";
        let mut reader = SeparatedReader::new(Box::new(Cursor::new(bytes.to_vec())), b';', "a").unwrap();
        let columns = SourceColumns { name: "a".into(), columns: reader.columns() };
        let layout = Layout::new(&[columns], &ColumnChoice::default(), Format::Csv).unwrap();
        let mut records = Vec::new();
        while let Some(record) = reader.next(&layout).unwrap() {
            let text = record.text.as_deref().map(str::to_owned).map_err(Fault::code);
            records.push((record.origin.place, record.carried.id(), text));
        }
        let row = |line, id: Option<&str>, text: Result<&str, _>| {
            (RowPlace::Line(line), id.map(str::to_owned), text.map(str::to_owned))
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
