//! Opens a source: finds out whether it is compressed, counts its bytes, and picks the reader for its format.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use super::columnar::ColumnarReader;
use super::jsonl::JsonlReader;
use super::separated::SeparatedReader;
use super::texts::TextsReader;
use super::{ByteCount, Reader};
use crate::score::error::{ReadError, ScoreError};
use crate::score::format::{Compression, Format};
use crate::score::inputs::{Location, Source};

/// What was said about how files are to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadSettings {
    /// Between the values of a CSV; default: `,`.
    pub delimiter: Option<u8>,
    /// Whether the last line of a plain text is the section that it was filed under.
    pub section: bool,
}

/// The mark at the start of an Arrow file.
const ARROW_FILE: &[u8] = b"ARROW1";

/// Bytes of the longest mark that a file is told by.
const LONGEST_MARK: usize = ARROW_FILE.len();

/// Bytes, decompressed.
pub type Bytes = Box<dyn BufRead + Send>;

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

/// `source` without the compression that its first bytes tell of.
pub fn decompressed(source: impl Read + Send + 'static, count: &ByteCount) -> io::Result<Bytes> {
    let mut counted = Counted { inner: source, count: count.clone() };
    let mut start = [0; LONGEST_MARK];
    let mut n = 0;
    while n < start.len() {
        match counted.read(&mut start[n..])? {
            0 => break,
            more => n += more,
        }
    }
    let whole = Cursor::new(start[..n].to_vec()).chain(counted);
    Ok(match Compression::of_bytes(&start[..n]) {
        Some(Compression::Gzip) => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(whole))),
        Some(Compression::Zstd) => Box::new(BufReader::new(zstd::Decoder::new(whole)?)),
        None => Box::new(BufReader::with_capacity(1 << 16, whole)),
    })
}

struct Counted<R> {
    inner: R,
    count: ByteCount,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count.add(n as u64);
        Ok(n)
    }
}
