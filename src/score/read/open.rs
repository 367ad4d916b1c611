//! Opens a source with the reader for its format.

use std::fs::File;
use std::io::{self, BufRead, Read};

use super::bytes::{ARROW_FILE, ByteCount, Bytes, decoded, decompressed};
use super::columnar::ColumnarReader;
use super::ipc_batches::ArrowStream;
use super::jsonl::JsonlReader;
use super::reader::Reader;
use super::separated::{Dialect, SeparatedReader};
use super::settings::ReadSettings;
use super::texts::TextsReader;
use crate::score::error::{ReadError, RowError, ScoreError};
use crate::score::format::{Compression, Format};
use crate::score::inputs::{Location, Source};
use crate::system::file_start::{N_POINTER, refuse_pointer};
use crate::system::panics::caught;
use crate::text::encoding::is_surrogate;

/// Opens `source`, whose bytes are counted in `count`.
pub fn open(source: &Source, settings: ReadSettings, count: &ByteCount) -> Result<Box<dyn Reader>, ScoreError> {
    let failed = |error| ScoreError::Read { name: source.name.clone(), source: error };
    let path = match &source.location {
        Location::Texts(paths) => return Ok(Box::new(TextsReader::new(paths.clone(), settings, count.clone()))),
        Location::Stdin => None,
        Location::File(path) | Location::Pipe(path) => Some(path.as_path()),
    };
    let open = || match path {
        None => read_as(source, io::stdin(), settings, count),
        Some(path) => File::open(path).map_err(ReadError::from).and_then(|file| match source.format {
            Format::Parquet => parquet(file, source, count, settings.max_row_bytes),
            _ => read_as(source, file, settings, count),
        }),
    };
    // The libraries of typed columns panic at some damaged files.
    caught(open).unwrap_or_else(|message| Err(ReadError::Damaged(message))).map_err(|error| match error {
        ReadError::Header { error: RowError::NotUtf8 { is_surrogate, .. }, line } => {
            ScoreError::NotUtf8 { origin: format!("{}, line {line}", source.name), is_surrogate }
        }
        error => failed(error),
    })
}

/// Fails where the beginning of a file of text is not UTF-8 and no encoding was named. What comes later fails when it is read.
pub fn check_encoding(source: &Source, settings: ReadSettings) -> Result<(), ScoreError> {
    const N_BYTES: u64 = 1 << 20;
    let Location::File(path) = &source.location else { return Ok(()) };
    if source.format.is_columnar() || settings.encoding.is_some() {
        return Ok(());
    }
    let mut start = Vec::new();
    let bytes = File::open(path).and_then(|file| decoded(file, &ByteCount::default(), None));
    let read = bytes.and_then(|bytes| bytes.take(N_BYTES).read_to_end(&mut start));
    read.map_err(|error| ScoreError::read(&source.name, error))?;
    // The last character may be cut.
    match std::str::from_utf8(&start).err().filter(|error| error.error_len().is_some()) {
        None => Ok(()),
        Some(error) => {
            let (read, rest) = start.split_at(error.valid_up_to());
            let line = 1 + read.iter().filter(|byte| **byte == b'\n').count();
            let origin = format!("{}, line {line}", source.name);
            Err(ScoreError::NotUtf8 { origin, is_surrogate: is_surrogate(rest) })
        }
    }
}

fn parquet(
    mut file: File,
    source: &Source,
    count: &ByteCount,
    max_row_bytes: usize,
) -> Result<Box<dyn Reader>, ReadError> {
    let mut start = Vec::new();
    file.by_ref().take(N_POINTER as u64).read_to_end(&mut start)?;
    refuse_pointer(&start)?;
    if Compression::of_bytes(&start).is_some() {
        let message = "packed as a whole; unpack it first, since Parquet packs its own pages";
        return Err(io::Error::new(io::ErrorKind::InvalidData, message).into());
    }
    Ok(Box::new(ColumnarReader::of_parquet(file, &source.name, count.clone(), max_row_bytes)?))
}

/// Fails where the first line shows one JSON document over many lines, or an array of the rows.
fn json_lines(mut bytes: Bytes) -> Result<Bytes, ReadError> {
    const N_BYTES: u64 = 1 << 12;
    let mut start = Vec::new();
    bytes.by_ref().take(N_BYTES).read_until(b'\n', &mut start)?;
    let first = start.trim_ascii();
    let is_array = first.strip_prefix(b"[").is_some_and(|rest| matches!(rest.trim_ascii_start(), [] | [b'{', ..]));
    let is_object = first == b"{" && {
        let n_first = start.len();
        bytes.by_ref().take(N_BYTES).read_until(b'\n', &mut start)?;
        !start[n_first..].trim_ascii_start().starts_with(b"{")
    };
    match (is_array, is_object) {
        (true, _) => Err(ReadError::JsonDocument("'.[]'")),
        (_, true) => Err(ReadError::JsonDocument(".")),
        _ => Ok(Box::new(io::Cursor::new(start).chain(bytes))),
    }
}

fn read_as(
    source: &Source,
    file: impl Read + Send + 'static,
    settings: ReadSettings,
    count: &ByteCount,
) -> Result<Box<dyn Reader>, ReadError> {
    let name = source.name.as_str();
    let ReadSettings { delimiter, has_quotes, encoding, max_row_bytes, .. } = settings;
    let dialect = |delimiter| Dialect { delimiter, default_delimiter: None, has_quotes, max_row_bytes };
    Ok(match source.format {
        Format::Jsonl => Box::new(JsonlReader::new(json_lines(decoded(file, count, encoding)?)?, max_row_bytes, name)),
        Format::Csv => Box::new(SeparatedReader::new(decoded(file, count, encoding)?, dialect(delimiter), name)?),
        Format::Tsv => {
            let dialect = Dialect { default_delimiter: Some(b'\t'), ..dialect(delimiter) };
            Box::new(SeparatedReader::new(decoded(file, count, encoding)?, dialect, name)?)
        }
        Format::Arrow | Format::ArrowStream => {
            let mut bytes = decompressed(file, count)?;
            match &source.location {
                Location::File(path) if bytes.fill_buf()?.starts_with(ARROW_FILE) => {
                    Box::new(ColumnarReader::of_arrow_file(File::open(path)?, name, count.clone(), max_row_bytes)?)
                }
                location => {
                    let is_piped = !matches!(location, Location::File(_));
                    Box::new(ColumnarReader::of_arrow_stream(
                        ArrowStream::open(bytes, count.clone())?,
                        name,
                        is_piped,
                        max_row_bytes,
                    )?)
                }
            }
        }
        Format::Parquet | Format::Text => unreachable!("these are opened by path"),
        Format::LabelStudio | Format::Ninjs | Format::Spacy => unreachable!("`find_sources` refuses these"),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, RecordBatch, StringArray};
    use arrow_ipc::writer::StreamWriter;

    use super::*;
    use crate::score::layout::{ColumnChoice, Layout, SourceColumns};

    fn read_all(path: &std::path::Path) -> Result<usize, ScoreError> {
        let location = Location::File(path.to_owned());
        let source = Source { name: "a.arrows".into(), format: Format::ArrowStream, location };
        let mut reader = open(&source, ReadSettings::default(), &ByteCount::default())?;
        let columns = SourceColumns { name: source.name.clone(), columns: reader.columns() };
        let layout = Layout::new(&[columns], &ColumnChoice::default(), Format::Jsonl)?;
        let mut n_rows = 0;
        while reader.next(&layout)?.is_some() {
            n_rows += 1;
        }
        Ok(n_rows)
    }

    #[test]
    fn a_damaged_stream_of_columns_is_an_error_where_its_library_panics() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["Köln", "Ulm"]));
        let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        assert_eq!(read_all(file.path()).unwrap(), 2);
        // The offset of a buffer in its batch, 1,024 bytes further.
        let offsets = bytes.windows(8).rposition(|window| window == 64_u64.to_le_bytes()).expect("the last buffer");
        bytes[offsets + 1] = 4;
        std::fs::write(file.path(), &bytes).unwrap();
        let error = read_all(file.path()).unwrap_err();
        assert!(matches!(error, ScoreError::Read { source: ReadError::Damaged(_), .. }), "{error:?}");
    }
}
