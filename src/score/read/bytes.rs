//! The bytes of a file: counted as they are read, and decompressed where their start names a compression.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::score::format::Compression;

/// Bytes, decompressed.
pub type Bytes = Box<dyn BufRead + Send>;

/// The signature at the start of an Arrow file.
pub const ARROW_FILE: &[u8] = b"ARROW1";

/// Bytes of the longest signature that a format or compression is recognized by.
const LONGEST_SIGNATURE: usize = ARROW_FILE.len();

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
    let compression = Compression::of_bytes(&start);
    let whole = Cursor::new(start).chain(counted);
    Ok(match compression {
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
