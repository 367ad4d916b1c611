//! Rows of separated values: bounded in bytes, and with a way out of a quote that never closes.
//!
//! Within a line, quotes are read as the `csv` crate reads them. A quoted value may go on over lines only with proper
//! quotes. A quote counts as never closed at the end of the file, at the bound, or at a later quote that neither closes a
//! value nor is doubled. Its row fails under the line where it began, and reading continues with the next line.

use std::io::{self, BufRead};

use super::bytes::Bytes;
use crate::score::error::RowError;

/// How values are delimited.
#[derive(Debug, Clone, Copy)]
pub struct Syntax {
    pub delimiter: u8,
    /// Whether a quote at the start of a value has a meaning.
    pub has_quotes: bool,
    /// Whether a carriage return without a newline ends a line. Else it is a character, which other programs write unquoted.
    pub ends_with_return: bool,
    /// Longest row, in bytes.
    pub max_bytes: usize,
}

pub struct CsvRows {
    bytes: Bytes,
    syntax: Syntax,
    /// The next bytes, those that are read again before those of `bytes`.
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were read.
    at: usize,
    /// Line ends that were read.
    n_lines: u64,
    /// The last byte was a carriage return, whose newline belongs to it.
    after_return: bool,
}

/// One row.
#[derive(Debug)]
pub struct CsvRow {
    /// The line where it begins, counted from 1.
    pub line: u64,
    pub values: Result<Vec<Vec<u8>>, RowError>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a value.
    Start,
    Unquoted,
    Quoted,
    /// After a quote in a quoted value, which closes it or is the first of two.
    Quote,
}

/// The row that is being read.
struct Building {
    state: State,
    values: Vec<Vec<u8>>,
    n_bytes: usize,
    /// Everything after the first line of the row.
    later_lines: Vec<u8>,
    has_later_lines: bool,
    first_line_ends_with_return: bool,
}

/// What a byte makes of a row.
enum Step {
    More,
    RowEnds,
    /// The quote that is open was never closed.
    Unclosed,
}

impl CsvRows {
    pub fn new(bytes: Bytes, syntax: Syntax, n_lines: u64) -> Self {
        Self { bytes, syntax, buffer: Vec::new(), at: 0, n_lines, after_return: false }
    }

    /// The next row that is not an empty line; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<CsvRow>> {
        let mut row = Building::new();
        let mut line = self.n_lines + 1;
        while let Some((byte, ends_line)) = self.read_byte()? {
            if ends_line && row.n_bytes == 0 {
                line = self.n_lines + 1;
                continue;
            }
            match row.push(byte, ends_line, self.syntax) {
                Step::RowEnds => return Ok(Some(CsvRow { line, values: Ok(row.values) })),
                Step::Unclosed => {
                    return Ok(Some(self.start_again(row, line, "before the next one, which is within a value")));
                }
                Step::More if row.n_bytes <= self.syntax.max_bytes => {}
                Step::More if row.has_later_lines => {
                    let bound = format!("within {} bytes", self.syntax.max_bytes);
                    return Ok(Some(self.start_again(row, line, &bound)));
                }
                Step::More => {
                    self.skip_line()?;
                    return Ok(Some(CsvRow { line, values: Err(too_long(self.syntax.max_bytes)) }));
                }
            }
        }
        match row.state {
            _ if row.n_bytes == 0 => Ok(None),
            State::Quoted => Ok(Some(self.start_again(row, line, "before the end of the file"))),
            _ => Ok(Some(CsvRow { line, values: Ok(row.values) })),
        }
    }

    /// The next byte, and whether it ends a line. A newline after a carriage return is counted as one line end with it.
    fn read_byte(&mut self) -> io::Result<Option<(u8, bool)>> {
        if self.at >= self.buffer.len() {
            self.at = 0;
            self.buffer.clear();
            self.buffer.extend_from_slice(self.bytes.fill_buf()?);
            self.bytes.consume(self.buffer.len());
        }
        let Some(&byte) = self.buffer.get(self.at) else { return Ok(None) };
        self.at += 1;
        let ends_line =
            byte == b'\n' || (byte == b'\r' && (self.syntax.ends_with_return || self.is_before_newline()?));
        let is_second = byte == b'\n' && std::mem::take(&mut self.after_return);
        self.after_return = byte == b'\r' && ends_line;
        self.n_lines += u64::from(ends_line && !is_second);
        Ok(Some((byte, ends_line)))
    }

    /// Whether a newline or the end of the file comes next.
    fn is_before_newline(&mut self) -> io::Result<bool> {
        let next = match self.buffer.get(self.at) {
            Some(&byte) => Some(byte),
            None => self.bytes.fill_buf()?.first().copied(),
        };
        Ok(next.is_none_or(|byte| byte == b'\n'))
    }

    /// Gives up `row`, whose quote does not close `until` there, and goes back to the end of its first line.
    fn start_again(&mut self, row: Building, line: u64, until: &str) -> CsvRow {
        if row.has_later_lines {
            let rest = self.buffer.split_off(self.at);
            self.buffer = row.later_lines;
            self.buffer.extend(rest);
            self.at = 0;
            self.n_lines = line;
            self.after_return = row.first_line_ends_with_return;
        }
        let error = format!(
            "a quote opens in this line and does not close {until}; close it, double the quotes within quoted values, or give --quoting none to read quotes as characters"
        );
        CsvRow { line, values: Err(RowError::InvalidRow(error)) }
    }

    fn skip_line(&mut self) -> io::Result<()> {
        while let Some((_, ends_line)) = self.read_byte()? {
            if ends_line {
                break;
            }
        }
        Ok(())
    }
}

impl Building {
    fn new() -> Self {
        Self {
            state: State::Start,
            values: vec![Vec::new()],
            n_bytes: 0,
            later_lines: Vec::new(),
            has_later_lines: false,
            first_line_ends_with_return: false,
        }
    }

    fn push(&mut self, byte: u8, ends_line: bool, syntax: Syntax) -> Step {
        self.n_bytes += 1;
        let is_quote = syntax.has_quotes && byte == b'"';
        if self.has_later_lines {
            self.later_lines.push(byte);
        }
        match self.state {
            State::Start if is_quote => self.state = State::Quoted,
            State::Quoted if is_quote => self.state = State::Quote,
            State::Quoted => {
                if ends_line && !self.has_later_lines {
                    (self.has_later_lines, self.first_line_ends_with_return) = (true, byte == b'\r');
                }
                self.value(byte);
            }
            State::Quote if is_quote => {
                self.state = State::Quoted;
                self.value(byte);
            }
            _ if ends_line => return Step::RowEnds,
            _ if byte == syntax.delimiter => {
                self.state = State::Start;
                self.values.push(Vec::new());
            }
            State::Quote if self.has_later_lines => return Step::Unclosed,
            State::Start | State::Unquoted | State::Quote => {
                self.state = State::Unquoted;
                self.value(byte);
            }
        }
        Step::More
    }

    fn value(&mut self, byte: u8) {
        if let Some(value) = self.values.last_mut() {
            value.push(byte);
        }
    }
}

fn too_long(max_bytes: usize) -> RowError {
    RowError::InvalidRow(format!("the row has more than {max_bytes} bytes; split it, or raise --max-row-bytes"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    const SYNTAX: Syntax = Syntax { delimiter: b',', has_quotes: true, ends_with_return: true, max_bytes: 40 };

    fn rows(text: &str, syntax: Syntax) -> Vec<(u64, Option<Vec<String>>)> {
        let mut rows = CsvRows::new(Box::new(Cursor::new(text.as_bytes().to_vec())), syntax, 0);
        let mut found = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
            found.push((row.line, row.values.ok().map(|values| values.into_iter().map(text).collect())));
        }
        found
    }

    fn ok(line: u64, values: &[&str]) -> (u64, Option<Vec<String>>) {
        (line, Some(values.iter().map(|&value| value.to_owned()).collect()))
    }

    #[test]
    fn a_quote_that_never_closes_costs_the_row_that_opened_it() {
        for end in ["\n", "\r\n", "\r"] {
            let of = |lines: &[&str]| rows(&lines.join(end), SYNTAX);
            let at_end = [ok(1, &["1", "a"]), (2, None), ok(3, &["3", "c"]), ok(4, &["4", "d"])];
            assert_eq!(of(&["1,a", "2,\"b", "3,c", "4,d"]), at_end);
            assert_eq!(of(&["1,a", "2,\"b", "3,\"c\"", "4,d"]), at_end, "another quote opens");
            assert_eq!(of(&["1,a", "2,\"b", "", "", "4,\"d\"", ""])[1..], [(2, None), ok(5, &["4", "d"])]);
            let long = ["2,\"b", "3,0123456789", "4,0123456789", "5,0123456789"];
            assert_eq!(of(&long)[..2], [(1, None), ok(2, &["3", "0123456789"])], "the bound");
            let words = of(&["1,\"a", "2,sagte \"nein\" und", "3,c"]);
            assert_eq!(words, [(1, None), ok(2, &["2", "sagte \"nein\" und"]), ok(3, &["3", "c"])]);
            let whole = of(&["1,\"a", "\"\"b\"\"", "c\"", "2,b"]);
            assert_eq!(whole, [ok(1, &["1", &["a", "\"b\"", "c"].join(end)]), ok(4, &["2", "b"])]);
        }
    }

    #[test]
    fn an_open_quote_is_reported_with_the_place_up_to_which_it_is_open() {
        let long = format!("1,\"a\n{}\n", "x".repeat(50));
        for (text, until) in [
            ("1,\"a\n2,b\n", "before the end of the file"),
            ("1,\"a\n2,sagte \"nein\" und\n", "before the next one"),
            (long.as_str(), "within 40 bytes"),
        ] {
            let mut rows = CsvRows::new(Box::new(Cursor::new(text.as_bytes().to_vec())), SYNTAX, 0);
            let error = rows.next().unwrap().unwrap().values.unwrap_err().to_string();
            assert!(error.contains(until), "{error}");
        }
    }

    #[test]
    fn a_row_over_the_bound_fails_alone_and_quotes_can_be_switched_off() {
        let long = "x".repeat(50);
        assert_eq!(rows(&format!("1,{long}\n2,b"), SYNTAX), [(1, None), ok(2, &["2", "b"])]);
        assert_eq!(rows(&format!("1,\"{long}\n2,b"), SYNTAX), [(1, None), ok(2, &["2", "b"])]);
        let unquoted = Syntax { has_quotes: false, ..SYNTAX };
        assert_eq!(rows("1,\"a\n2,\"\"", unquoted), [ok(1, &["1", "\"a"]), ok(2, &["2", "\"\""])]);
        assert_eq!(rows("\n\r\n", SYNTAX), []);
        assert_eq!(rows("a,", SYNTAX), [ok(1, &["a", ""])]);
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_is_read_as_it_was(
            table in prop::collection::vec(prop::collection::vec("[a-c\",\\n\\r ]{0,6}", 2), 1..6)
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            table.iter().for_each(|row| writer.write_record(row).unwrap());
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let found: Vec<_> = rows(&text, Syntax { max_bytes: 1000, ..SYNTAX }).into_iter().map(|(_, row)| row.unwrap()).collect();
            prop_assert_eq!(found, table);
        }

        #[test]
        fn lines_are_read_as_by_the_csv_crate(text in "([a\",]{1,8}\n){1}") {
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let expected = reader.records().next().unwrap().unwrap();
            if let Some((1, Some(found))) = rows(&text, SYNTAX).first() {
                prop_assert_eq!(found, &expected.iter().map(str::to_owned).collect::<Vec<_>>());
            }
        }
    }
}
