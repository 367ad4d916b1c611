//! Settings for reading files.

use crate::text::encoding::TextEncoding;

/// Settings for reading, where a format leaves a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadSettings {
    /// Between the values of a CSV or TSV; default: a tabulator in a TSV, and in a CSV the one that the first line shows.
    pub delimiter: Option<u8>,
    /// Whether a quote at the start of a CSV value has a meaning.
    pub has_quotes: bool,
    /// Encoding of files without a byte order mark; default: UTF-8, and a file that is not UTF-8 ends the run.
    pub encoding: Option<TextEncoding>,
    /// Longest row, or plain text, that is read into memory, in bytes.
    pub max_row_bytes: usize,
    /// Whether the last line of a plain text names its section.
    pub section: bool,
}

impl Default for ReadSettings {
    fn default() -> Self {
        Self { delimiter: None, has_quotes: true, encoding: None, max_row_bytes: 16 * 1024 * 1024, section: false }
    }
}
