//! Encoders: scored rows to bytes of the output's format. Each chunk of rows is encoded by itself, so that a file can be
//! cut off after any chunk and resumed.

mod assemble;
mod columnar;
mod jsonl;
mod separated;

pub use assemble::assemble;

use arrow::datatypes::SchemaRef;

use self::columnar::ColumnarEncoder;
use super::error::ReadError;
use super::format::{Compression, Format};
use super::layout::Layout;
use super::row::ScoredRow;
use crate::models::registry::Assignment;

/// Writes chunks of rows in one format.
pub struct Encoder {
    kind: Kind,
    compression: Option<Compression>,
}

enum Kind {
    Jsonl,
    Separated {
        columns: Vec<String>,
        delimiter: u8,
    },
    /// An Arrow stream, from which Parquet and Arrow files are assembled at the end.
    Columnar(ColumnarEncoder),
}

impl Encoder {
    pub fn new(
        format: Format,
        layout: &Layout,
        models: &Assignment,
        compression: Option<Compression>,
    ) -> Result<Self, ReadError> {
        let passthrough =
            layout.passthrough.clone().unwrap_or_else(|| SchemaRef::new(arrow::datatypes::Schema::empty()));
        let names = || passthrough.fields().iter().map(|field| field.name().clone()).collect();
        let kind = match format {
            Format::Csv => Kind::Separated { columns: names(), delimiter: b',' },
            Format::Tsv => Kind::Separated { columns: names(), delimiter: b'\t' },
            Format::Parquet | Format::Arrow | Format::ArrowStream => {
                Kind::Columnar(ColumnarEncoder::new(&passthrough, models)?)
            }
            Format::Jsonl | Format::Text => Kind::Jsonl,
        };
        Ok(Self { kind, compression })
    }

    /// The bytes before the first row.
    pub fn header(&self) -> Result<Vec<u8>, ReadError> {
        self.compressed(match &self.kind {
            Kind::Jsonl => Vec::new(),
            Kind::Separated { columns, delimiter } => separated::header(columns, *delimiter)?,
            Kind::Columnar(encoder) => encoder.header().to_vec(),
        })
    }

    pub fn rows(&self, rows: &[ScoredRow]) -> Result<Vec<u8>, ReadError> {
        self.compressed(match &self.kind {
            Kind::Jsonl => jsonl::rows(rows)?,
            Kind::Separated { columns, delimiter } => separated::rows(rows, columns, *delimiter)?,
            Kind::Columnar(encoder) => encoder.rows(rows)?,
        })
    }

    /// The bytes after the last row.
    pub fn footer(&self) -> &'static [u8] {
        match &self.kind {
            Kind::Columnar(_) => columnar::END_OF_STREAM,
            Kind::Jsonl | Kind::Separated { .. } => &[],
        }
    }

    /// Each chunk is a gzip member or a zstd frame; decompressors read them on end.
    fn compressed(&self, bytes: Vec<u8>) -> Result<Vec<u8>, ReadError> {
        use std::io::Write;
        const ZSTD_LEVEL: i32 = 3;
        match self.compression {
            _ if bytes.is_empty() => Ok(bytes),
            None => Ok(bytes),
            Some(Compression::Zstd) => Ok(zstd::encode_all(bytes.as_slice(), ZSTD_LEVEL)?),
            Some(Compression::Gzip) => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&bytes)?;
                Ok(encoder.finish()?)
            }
        }
    }
}
