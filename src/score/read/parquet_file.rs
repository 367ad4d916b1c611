//! A Parquet file of which nothing is read beyond its end.
//!
//! `parquet` 60 skips unknown fields of a page header without a check for the end of the file. A damaged header that counts
//! millions of them made it read there for half a minute. For a length that the file does not have, it allocates as much.

use std::fs::File;
use std::io::{self, BufReader, Read};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

pub struct ParquetFile(pub File);

/// A reader for which the end is an error.
pub struct UntilEnd<R>(R);

impl Length for ParquetFile {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for ParquetFile {
    type T = UntilEnd<BufReader<File>>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(UntilEnd(self.0.get_read(start)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let end = start.checked_add(length as u64).filter(|end| *end <= self.len());
        end.ok_or_else(|| ParquetError::EOF(format!("{length} bytes from byte {start} are more than there are")))?;
        self.0.get_bytes(start, length)
    }
}

impl<R: Read> Read for UntilEnd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 if !buffer.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            n_bytes => Ok(n_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn read(bytes: &[u8]) -> Result<usize> {
        let mut file = tempfile::tempfile()?;
        file.write_all(bytes)?;
        let batches = ParquetRecordBatchReaderBuilder::try_new(ParquetFile(file))?.build()?;
        batches.map(|batch| Ok(batch?.num_rows())).sum()
    }

    #[test]
    fn a_page_header_that_goes_on_after_the_end_is_an_error() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["Köln", "Ulm"]));
        let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let mut bytes = writer.into_inner().unwrap();
        assert_eq!(read(&bytes).unwrap(), 2);
        // In the first page header, after the signature: an unknown field, a list of 2^31 - 1 numbers of eight bytes.
        bytes[4..11].copy_from_slice(&[0xf9, 0xf7, 0xff, 0xff, 0xff, 0xff, 0x07]);
        assert!(read(&bytes).is_err());
    }

    #[test]
    fn a_length_beyond_the_end_takes_no_memory() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"PAR1").unwrap();
        let file = ParquetFile(file);
        assert_eq!(&file.get_bytes(1, 3).unwrap()[..], b"AR1");
        for (start, length) in [(1, 4), (5, 0), (0, usize::MAX), (u64::MAX, 1)] {
            assert!(file.get_bytes(start, length).is_err(), "{length} bytes from {start}");
        }
    }
}
