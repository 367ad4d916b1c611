//! Separated values (CSV, TSV) with a header. All values are text.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use arrow_schema::{DataType, Field};

use super::bytes::Bytes;
use super::csv_rows::{CsvRow, CsvRows, Syntax};
use super::reader::{Reader, utf8};
use crate::score::document_columns::RowDocument;
use crate::score::error::{ReadError, RowError, ScoreError};
use crate::score::layout::{Columns, Layout};
use crate::score::row::{Fields, ID, Origin, Passthrough, Record, RowPosition, json_string};
use crate::system::counted::counted;
use crate::text::files::{delimiter_of, sep_line};

/// Bytes of the header that show the delimiter.
const N_SNIFFED: u64 = 1 << 16;

/// How separated values are read.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// `None`: the one that a line `sep=;` names, else the default.
    pub delimiter: Option<u8>,
    /// `None`: the one that the header shows.
    pub default_delimiter: Option<u8>,
    pub has_quotes: bool,
    pub max_row_bytes: usize,
}

pub struct SeparatedReader {
    rows: CsvRows,
    name: Arc<str>,
    header: Vec<String>,
    n_read: u64,
}

impl SeparatedReader {
    pub fn new(mut bytes: Bytes, dialect: Dialect, name: &str) -> Result<Self, ReadError> {
        let mut start = Vec::new();
        bytes.by_ref().take(N_SNIFFED).read_until(b'\n', &mut start)?;
        let sep = sep_line(&start);
        let n_skipped = sep.map_or(0, |(_, n)| n);
        start.drain(..n_skipped);
        if start.is_empty() {
            bytes.by_ref().take(N_SNIFFED).read_until(b'\n', &mut start)?;
        }
        let named = dialect.delimiter.or(sep.map(|(delimiter, _)| delimiter)).or(dialect.default_delimiter);
        let delimiter = named.unwrap_or_else(|| delimiter_of(&start));
        let syntax = Syntax {
            delimiter,
            has_quotes: dialect.has_quotes,
            ends_with_return: ends_with_return(&start, dialect.has_quotes),
            max_bytes: dialect.max_row_bytes,
        };
        let whole = Box::new(io::Cursor::new(start).chain(bytes));
        let mut rows = CsvRows::new(whole, syntax, u64::from(sep.is_some()));
        let header = match rows.next()? {
            None => Vec::new(),
            Some(row) => header_of(row)?,
        };
        Ok(Self { rows, name: name.into(), header, n_read: 0 })
    }

    fn read(&mut self) -> Result<Option<CsvRow>, ScoreError> {
        let row = self.rows.next().map_err(|error| ScoreError::read(&self.name, error))?;
        self.n_read += u64::from(row.is_some());
        Ok(row)
    }

    /// The values of the row by the header's names.
    fn values(&self, row: CsvRow) -> Result<Vec<String>, RowError> {
        let values = row.values?;
        if values.len() != self.header.len() {
            return Err(RowError::InvalidRow(format!(
                "the row has {}, and the header {}; is a quote or a delimiter missing?",
                counted(values.len(), "value"),
                self.header.len()
            )));
        }
        values.iter().map(|value| utf8(value).map(str::to_owned)).collect()
    }
}

/// Whether the first line ends with a carriage return alone, as in files of old programs on the Mac.
fn ends_with_return(start: &[u8], has_quotes: bool) -> bool {
    let mut is_quoted = false;
    for (at, byte) in start.iter().enumerate() {
        match byte {
            b'"' if has_quotes => is_quoted = !is_quoted,
            b'\r' if !is_quoted => return start.get(at + 1) != Some(&b'\n'),
            b'\n' if !is_quoted => return false,
            _ => {}
        }
    }
    false
}

fn header_of(row: CsvRow) -> Result<Vec<String>, ReadError> {
    let named = row.values.and_then(|values| values.iter().map(|value| utf8(value).map(str::to_owned)).collect());
    named.map_err(|error| ReadError::Header { line: row.line, error })
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
        let Some(row) = self.read()? else { return Ok(None) };
        let origin = Origin { file: Arc::clone(&self.name), position: RowPosition::Line(row.line) };
        let (document, passthrough) = match self.values(row) {
            Ok(values) => (document_of(&self.header, &values, layout), passthrough_of(&self.header, values, layout)),
            Err(error) => (Err(error), Fields::new()),
        };
        Ok(Some(Record { origin, document, passthrough: Passthrough::Fields(passthrough) }))
    }

    fn n_read(&self) -> u64 {
        self.n_read
    }
}

fn document_of(header: &[String], values: &[String], layout: &Layout) -> Result<RowDocument, RowError> {
    let value_of = |column: &str| header.iter().position(|name| name == column).and_then(|at| values.get(at)).cloned();
    layout.document.document(layout.document.names().map(value_of).collect())
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

    type Row = (RowPosition, Option<String>, Result<String, &'static str>);

    fn records(bytes: &[u8]) -> Vec<Row> {
        let dialect = Dialect { delimiter: None, default_delimiter: None, has_quotes: true, max_row_bytes: 1 << 20 };
        let mut reader = SeparatedReader::new(Box::new(Cursor::new(bytes.to_vec())), dialect, "a").unwrap();
        let columns = SourceColumns { name: "a".into(), columns: reader.columns() };
        let layout = Layout::new(&[columns], &ColumnChoice::default(), Format::Csv).unwrap();
        let mut records = Vec::new();
        while let Some(record) = reader.next(&layout).unwrap() {
            let text = record.document.map(|document| document.checked(100).unwrap().as_str().to_owned());
            records.push((record.origin.position, record.passthrough.id(), text.map_err(|error| error.code())));
        }
        records
    }

    #[test]
    fn rows_know_their_lines_and_each_bad_one_is_a_row_error() {
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
        assert_eq!(records(b"id;text\n1;\"a\n\"\"b\"\"\"\n2\n3;\n4;\xe4\n5;Ende\n"), expected);
        let expected = [row(3, Some("1"), Ok("a")), row(4, None, Err("invalid_row")), row(6, Some("3"), Ok("c"))];
        let old = [row(2, Some("1"), Ok("a")), row(3, Some("2"), Ok("b"))];
        assert_eq!(records(b"id,text\r1,a\r2,b\r"), old, "a carriage return ends lines");
        let character = [row(2, Some("1"), Ok("a\rb")), row(3, Some("2\r"), Ok("c")), row(4, None, Err("invalid_row"))];
        assert_eq!(records(b"id,text\n1,a\rb\n2\r,c\r\n3\r\n"), character, "it is a character");
        assert_eq!(records(b"\"sep=;\"\r\nid;text\r\n1;a\r\n2\r\n\r\n3;c"), expected, "quoted");
        assert_eq!(records(b"sep=;\r\nid;text\r\n1;a\r\n2\r\n\r\n3;c"), expected, "Excel");
    }
}
