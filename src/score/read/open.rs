//! Opens a source with the reader for its format.

use std::fs::File;
use std::io;
use std::path::Path;

use super::bytes::{ARROW_FILE, ByteCount, Bytes, decompressed};
use super::columnar::ColumnarReader;
use super::jsonl::JsonlReader;
use super::reader::Reader;
use super::separated::SeparatedReader;
use super::texts::TextsReader;
use crate::score::error::{ReadError, ScoreError};
use crate::score::format::Format;
use crate::score::inputs::{Location, Source};

/// How files are read, where their format leaves a choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadSettings {
    /// Between the values of a CSV; default: `,`.
    pub delimiter: Option<u8>,
    /// Whether the last line of a plain text names its section.
    pub section: bool,
}

/// Opens `source`, whose bytes are counted in `count`.
pub fn open(source: &Source, settings: ReadSettings, count: &ByteCount) -> Result<Box<dyn Reader>, ScoreError> {
    let failed = |error| ScoreError::Read { name: source.name.clone(), source: error };
    let path = match &source.location {
        Location::Texts(paths) => {
            return Ok(Box::new(TextsReader::new(paths.clone(), settings.section, count.clone())));
        }
        Location::Stdin => None,
        Location::File(path) => Some(path),
    };
    if let (Format::Parquet, Some(path)) = (source.format, path) {
        let reader = File::open(path)
            .map_err(ReadError::from)
            .and_then(|file| ColumnarReader::of_parquet(file, &source.name, count.clone()));
        return Ok(Box::new(reader.map_err(failed)?));
    }
    let bytes = match path {
        None => decompressed(io::stdin(), count),
        Some(path) => File::open(path).and_then(|file| decompressed(file, count)),
    };
    let bytes = bytes.map_err(|error| failed(error.into()))?;
    read_as(source, path.map(|path| path.as_path()), bytes, settings, count).map_err(failed)
}

fn read_as(
    source: &Source,
    path: Option<&Path>,
    mut bytes: Bytes,
    settings: ReadSettings,
    count: &ByteCount,
) -> Result<Box<dyn Reader>, ReadError> {
    let name = source.name.as_str();
    Ok(match source.format {
        Format::Jsonl => Box::new(JsonlReader::new(bytes, name)),
        Format::Csv => Box::new(SeparatedReader::new(bytes, settings.delimiter.unwrap_or(b','), name)?),
        Format::Tsv => Box::new(SeparatedReader::new(bytes, settings.delimiter.unwrap_or(b'\t'), name)?),
        Format::Arrow | Format::ArrowStream => match path {
            Some(path) if bytes.fill_buf()?.starts_with(ARROW_FILE) => {
                Box::new(ColumnarReader::of_arrow_file(File::open(path)?, name, count.clone())?)
            }
            _ => Box::new(ColumnarReader::of_arrow_stream(bytes, name, path.is_none())?),
        },
        Format::Parquet | Format::Text => unreachable!("these are opened by path"),
    })
}
