//! The interface of all readers.

use crate::score::error::{RowError, ScoreError};
use crate::score::layout::{Columns, Layout};
use crate::score::row::Record;
use crate::text::encoding::is_surrogate;

/// One source, being read.
pub trait Reader: Send {
    /// The columns that its rows have.
    fn columns(&self) -> Columns;

    /// Skips `n` records, which an earlier process has scored.
    fn skip(&mut self, n: u64) -> Result<(), ScoreError>;

    /// The next record; `None` at the end. A bad row carries its row error; an error means that the rest cannot be read.
    fn next(&mut self, layout: &Layout) -> Result<Option<Record>, ScoreError>;

    /// Records that were read or skipped; what [`Reader::skip`] takes.
    fn n_read(&self) -> u64;

    /// Whether the sender of a piped source may wait for the answers to what was read so far.
    fn is_awaited(&self) -> bool {
        false
    }
}

/// Bytes as text; the error gives the position of the first byte that is not UTF-8, counted from 1.
pub fn utf8(bytes: &[u8]) -> Result<&str, RowError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let n_valid = error.valid_up_to();
        RowError::NotUtf8 { at: n_valid + 1, is_surrogate: bytes.get(n_valid..).is_some_and(is_surrogate) }
    })
}
