//! The bytes of a file: counted as they are read, and decompressed where their start names a compression.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::score::format::Compression;
use crate::system::file_start::{N_POINTER, refuse_pointer};
use crate::text::encoding::{TextEncoding, reader_in_utf8};

/// Bytes, decompressed.
pub type Bytes = Box<dyn BufRead + Send>;

/// The signature at the start of an Arrow file.
pub const ARROW_FILE: &[u8] = b"ARROW1";

/// Bytes of the longest signature that a format or compression is recognized by.
const LONGEST_SIGNATURE: usize = N_POINTER;

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

/// `source` without the compression that its first bytes name.
pub fn decompressed(source: impl Read + Send + 'static, count: &ByteCount) -> io::Result<Bytes> {
    let mut counted = Counted { inner: source, count: count.clone() };
    let mut start = Vec::with_capacity(LONGEST_SIGNATURE);
    counted.by_ref().take(LONGEST_SIGNATURE as u64).read_to_end(&mut start)?;
    refuse_pointer(&start)?;
    refuse_other_kind(&start)?;
    let compression = Compression::of_bytes(&start);
    let whole = Cursor::new(start).chain(counted);
    Ok(match compression {
        Some(Compression::Gzip) => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(whole))),
        Some(Compression::Zstd) => Box::new(BufReader::new(zstd::Decoder::new(whole)?)),
        None => Box::new(BufReader::with_capacity(1 << 16, whole)),
    })
}

/// Refuses a file of another kind by its signature. Without this, the message would be about its encoding.
fn refuse_other_kind(start: &[u8]) -> io::Result<()> {
    let kinds: [(&[u8], &str); 4] = [
        (b"PK\x03\x04", "a workbook or a ZIP archive; save the table as CSV (UTF-8), or unpack the archive"),
        (b"PAR1", "a Parquet file; give it the extension .parquet, or give --format parquet"),
        (b"\xfd7zXZ\x00", "packed with xz; unpack it, or pack it with gzip or zstd"),
        (b"BZh91AY&SY", "packed with bzip2; unpack it, or pack it with gzip or zstd"),
    ];
    match kinds.iter().find(|(signature, _)| start.starts_with(signature)) {
        None => Ok(()),
        Some((_, message)) => Err(io::Error::new(io::ErrorKind::InvalidData, *message)),
    }
}

/// `source` decompressed, in UTF-8 and without a byte order mark.
pub fn decoded(
    source: impl Read + Send + 'static,
    count: &ByteCount,
    encoding: Option<TextEncoding>,
) -> io::Result<Bytes> {
    reader_in_utf8(decompressed(source, count)?, encoding)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::memory::held;

    #[test]
    fn empty_members_of_gzip_take_neither_memory_nor_stack() {
        let pack = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            io::Write::write_all(&mut encoder, bytes).unwrap();
            encoder.finish().unwrap()
        };
        let packed = [pack(b"a"), pack(b"").repeat(20_000), pack(b"b")].concat();
        let mut read = String::new();
        let mut bytes = decompressed(Cursor::new(packed), &ByteCount::default()).unwrap();
        let before = held::bytes();
        bytes.read_to_string(&mut read).unwrap();
        assert_eq!(read, "ab");
        assert!(held::bytes() - before < 1 << 20);
    }
}
