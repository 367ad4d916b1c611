//! Encoders: scored rows to bytes of the output's format. Each chunk of rows is encoded by itself, so that a file can be
//! cut off after any chunk and resumed.

mod assemble;
mod columnar;
mod documents;
mod jsonl;
mod label_studio;
mod names;
mod ninjs;
mod scored;
mod separated;
mod spacy;

pub use assemble::assemble;

use arrow_schema::SchemaRef;

use self::columnar::ColumnarEncoder;
use self::documents::DocumentEncoder;
use self::separated::SeparatedEncoder;
use super::error::ReadError;
use super::format::{Compression, Format};
use super::job::OutputChoice;
use super::layout::Layout;
use super::row::FinishedRow;
use crate::classify::kinds::Kinds;
use crate::models::registry::Assignment;

/// Writes chunks of rows in one format.
pub struct Encoder {
    kind: Kind,
    compression: Option<Compression>,
    keep_errors: bool,
}

enum Kind {
    Jsonl,
    Separated(SeparatedEncoder),
    /// An Arrow stream, from which Parquet and Arrow files are assembled at the end.
    Columnar(ColumnarEncoder),
    Documents(DocumentEncoder),
}

impl Encoder {
    /// Writes as `format` what `layout` keeps of the input, and the answers of `models`.
    pub fn new(
        (format, compression): (Format, Option<Compression>),
        choice: OutputChoice,
        layout: &Layout,
        models: &Assignment,
    ) -> Result<Self, ReadError> {
        let passthrough = layout.passthrough.clone().unwrap_or_else(|| SchemaRef::new(arrow_schema::Schema::empty()));
        let keep_errors = layout.keep_errors;
        let kind = match format {
            Format::Csv | Format::Tsv => {
                let usual = if format == Format::Tsv { b'\t' } else { b',' };
                Kind::Separated(SeparatedEncoder {
                    columns: passthrough.fields().iter().map(|field| field.name().clone()).collect(),
                    delimiter: choice.delimiter.unwrap_or(usual),
                    has_bom: choice.has_bom,
                    keep_errors,
                    has_groups: layout.has_groups,
                    has_evidence: layout.has_evidence,
                    kinds: Kinds::of(models),
                })
            }
            Format::Parquet | Format::Arrow | Format::ArrowStream => {
                Kind::Columnar(ColumnarEncoder::new(&passthrough, models, layout)?)
            }
            Format::LabelStudio | Format::Ninjs | Format::Spacy => {
                Kind::Documents(DocumentEncoder { format, kinds: Kinds::of(models) })
            }
            Format::Jsonl | Format::Text => Kind::Jsonl,
        };
        Ok(Self { kind, compression, keep_errors })
    }

    /// The bytes before the first row.
    pub fn header(&self) -> Result<Vec<u8>, ReadError> {
        self.compressed(match &self.kind {
            Kind::Jsonl => Vec::new(),
            Kind::Separated(encoder) => encoder.header()?,
            Kind::Columnar(encoder) => encoder.header().to_vec(),
            Kind::Documents(encoder) => encoder.header().to_vec(),
        })
    }

    /// The rows of a chunk; those that failed are left out unless they are kept. `n_before` rows were scored before them.
    pub fn rows(&self, rows: &[FinishedRow], n_before: u64) -> Result<Vec<u8>, ReadError> {
        let rows: Vec<&FinishedRow> = rows.iter().filter(|row| self.keep_errors || row.answer.is_ok()).collect();
        self.compressed(match &self.kind {
            Kind::Jsonl => jsonl::rows(&rows)?,
            Kind::Separated(encoder) => encoder.rows(&rows)?,
            Kind::Columnar(encoder) => encoder.rows(&rows)?,
            Kind::Documents(encoder) => encoder.rows(&rows, n_before == 0)?,
        })
    }

    /// The bytes after the last row.
    pub fn footer(&self) -> Result<Vec<u8>, ReadError> {
        self.compressed(match &self.kind {
            Kind::Columnar(_) => columnar::END_OF_STREAM.to_vec(),
            Kind::Documents(encoder) => encoder.footer().to_vec(),
            Kind::Jsonl | Kind::Separated(_) => Vec::new(),
        })
    }

    /// Each chunk is a gzip member or a zstd frame; decompressors read them one after another.
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
