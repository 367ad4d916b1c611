//! Readers: one file for each kind of input, all as a [`Reader`]; [`open()`] chooses.

mod bytes;
mod columnar;
mod jsonl;
mod open;
mod reader;
mod scan;
mod separated;
mod texts;

pub use bytes::ByteCount;
pub use open::{ReadSettings, open};
pub use reader::Reader;
pub use scan::scan_columns;
