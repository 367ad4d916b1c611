//! Readers: one file for each kind of input, all behind [`Reader`]. Rows come one after the other; a bad one carries its row
//! error, and only what makes the rest of a file unreadable is an error.

mod columnar;
mod jsonl;
mod open;
mod scan;
mod separated;
mod texts;

pub use open::{ReadSettings, open};
pub use scan::scan_columns;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::{RowError, ScoreError};
use super::layout::{Columns, Layout};
use super::row::Record;

/// One source, being read.
pub trait Reader: Send {
    /// The columns that its rows have.
    fn columns(&self) -> Columns;

    /// Passes over `n` records, which an earlier run has scored.
    fn skip(&mut self, n: u64) -> Result<(), ScoreError>;

    /// The next record; `None` at the end.
    fn next(&mut self, layout: &Layout) -> Result<Option<Record>, ScoreError>;

    /// How many records were read or passed over; what [`Reader::skip`] takes.
    fn n_read(&self) -> u64;

    /// Whether those who feed the source wait for the answers to what was read so far.
    fn is_awaited(&self) -> bool {
        false
    }
}

/// Bytes of all files that were read so far.
#[derive(Debug, Clone, Default)]
pub struct ByteCount(Arc<AtomicU64>);

impl ByteCount {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Longest line or field that is read into memory, in bytes.
const MAX_ROW_BYTES: usize = 64 * 1024 * 1024;

/// The text of a row out of its parts: those with anything in them, with an empty line between.
fn joined(parts: &[Option<String>], layout: &Layout) -> Result<Arc<str>, RowError> {
    let full = || parts.iter().flatten().filter(|part| !part.trim().is_empty());
    match (full().next(), full().count()) {
        (None, _) => {
            let columns = layout.text.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
            Err(RowError::NoText(format!("{columns} missing or empty")))
        }
        (Some(only), 1) => Ok(only.as_str().into()),
        _ => Ok(full().map(String::as_str).collect::<Vec<_>>().join("\n\n").into()),
    }
}

/// Bytes as text, or the place of the first that is none.
fn utf8(bytes: &[u8]) -> Result<&str, RowError> {
    std::str::from_utf8(bytes).map_err(|error| RowError::NotUtf8(error.valid_up_to() + 1))
}
