//! Readers: one file for each kind of input, all as a [`Reader`]; [`open()`] chooses.

mod bytes;
mod column_kinds;
mod columnar;
mod csv_rows;
mod ipc_batches;
mod jsonl;
mod numbers;
mod open;
mod parquet_file;
mod reader;
mod scan;
mod separated;
mod settings;
mod slices;
mod texts;
mod times;

pub use bytes::ByteCount;
pub use open::{check_encoding, open};
pub use reader::Reader;
pub use scan::{check_free_columns, scan_columns};
pub use settings::ReadSettings;
