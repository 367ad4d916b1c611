//! Parquet and Arrow files out of the Arrow stream that a run has written.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::score::error::ReadError;
use crate::score::format::Format;

/// Rows of a row group. Fixed, so that the bytes of a file depend on its rows alone.
const ROW_GROUP_ROWS: usize = 65_536;

/// Reads the stream at `rows` and writes it as `format` to `target`, on the disk when this returns.
pub fn assemble(rows: &Path, target: &Path, format: Format) -> Result<(), ReadError> {
    let reader = StreamReader::try_new(BufReader::with_capacity(1 << 16, File::open(rows)?), None)?;
    let file = File::create(target)?;
    match format {
        Format::Parquet => write_parquet(reader, &file)?,
        _ => write_arrow(reader, &file)?,
    }
    Ok(file.sync_all()?)
}

fn write_parquet(reader: StreamReader<BufReader<File>>, file: &File) -> Result<(), ReadError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let mut writer = ArrowWriter::try_new(BufWriter::new(file), reader.schema(), Some(properties))?;
    for batch in reader {
        writer.write(&batch?)?;
    }
    Ok(writer.into_inner()?.flush()?)
}

fn write_arrow(reader: StreamReader<BufReader<File>>, file: &File) -> Result<(), ReadError> {
    let mut writer = FileWriter::try_new(BufWriter::new(file), &reader.schema())?;
    for batch in reader {
        writer.write(&batch?)?;
    }
    writer.finish()?;
    Ok(writer.flush()?)
}
