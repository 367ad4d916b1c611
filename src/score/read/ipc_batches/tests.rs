//! Files and streams whose lengths are wrong, and those that are right.

use std::io::{Cursor, Write};

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, StringArray};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use super::*;
use crate::score::read::bytes::decompressed;
use crate::system::memory::held;

/// A footer, a schema and other small things.
const SMALL: usize = 1 << 20;

const N_TEXT_BYTES: i64 = 500;

fn batches() -> Vec<RecordBatch> {
    let batch = || {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["Köln"; 100]));
        let kinds: ArrayRef = Arc::new(["Ulm"; 100].into_iter().collect::<DictionaryArray<Int32Type>>());
        RecordBatch::try_from_iter([("text", texts), ("kind", kinds)]).unwrap()
    };
    vec![batch(), batch()]
}

fn options(compression: Option<CompressionType>) -> IpcWriteOptions {
    IpcWriteOptions::default().try_with_compression(compression).unwrap()
}

fn file(compression: Option<CompressionType>) -> Vec<u8> {
    let batches = batches();
    let writer = FileWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options(compression));
    let mut writer = writer.unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn stream(compression: Option<CompressionType>) -> Vec<u8> {
    let batches = batches();
    let writer = StreamWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options(compression));
    let mut writer = writer.unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn temporary(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// The rows of a file or a stream, and the memory that was taken to read them.
fn read(bytes: &[u8]) -> (Result<usize, ReadError>, usize) {
    fn count(batches: impl Iterator<Item = Result<RecordBatch, ReadError>>) -> Result<usize, ReadError> {
        batches.map(|batch| batch.map(|batch| batch.num_rows())).sum()
    }
    let (copy, before) = (bytes.to_vec(), held::taken());
    let n_rows = if bytes.starts_with(b"ARROW1") {
        ArrowFile::open(temporary(bytes)).and_then(count)
    } else {
        let counter = ByteCount::default();
        let bytes = decompressed(Cursor::new(copy), &counter).unwrap();
        ArrowStream::open(bytes, counter).and_then(count)
    };
    (n_rows, held::taken() - before)
}

/// `bytes` with the last `old` in them replaced.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).rposition(|window| window == old).expect("the bytes are there");
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

/// The index entry of the last batch.
fn last_block(bytes: &[u8]) -> Block {
    let footer = read_footer(&mut BufReader::new(temporary(bytes)), bytes.len() as u64).unwrap();
    let blocks: Vec<Block> = root_as_footer(&footer).unwrap().recordBatches().unwrap().iter().copied().collect();
    *blocks.last().unwrap()
}

#[test]
fn files_and_streams_are_read_whole_however_they_are_packed() {
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        for bytes in [file(compression), stream(compression)] {
            assert_eq!(read(&bytes).0.unwrap(), 200, "{compression:?}");
        }
    }
    let packed = zstd::encode_all(Cursor::new(stream(None)), 3).unwrap();
    assert_eq!(read(&packed).0.unwrap(), 200);
}

#[test]
fn lengths_that_a_file_does_not_have_take_no_memory() {
    let bytes = file(None);
    let block = last_block(&bytes);
    for other in [
        Block::new(block.offset(), 0x2222_2200, block.bodyLength()),
        Block::new(block.offset(), block.metaDataLength(), 1 << 40),
        Block::new(block.offset(), block.metaDataLength(), -8),
        Block::new(block.offset(), -8, block.bodyLength()),
        Block::new(i64::MAX, block.metaDataLength(), block.bodyLength()),
    ] {
        let (n_rows, n_bytes) = read(&replaced(&bytes, &block.0, &other.0));
        let error = n_rows.unwrap_err().to_string();
        assert!(error.contains("not within its") && n_bytes < SMALL, "{other:?}: {n_bytes} bytes, {error}");
    }
    let n_footer = bytes.len() - N_TRAILER;
    let wrong = [&bytes[..n_footer], &i32::MAX.to_le_bytes(), b"ARROW1"].concat();
    let (n_rows, n_bytes) = read(&wrong);
    assert!(n_rows.unwrap_err().to_string().contains("its footer is longer") && n_bytes < SMALL);
}

#[test]
fn lengths_that_a_stream_does_not_have_take_little_memory() {
    let bytes = stream(None);
    let body = last_block(&file(None)).bodyLength().to_le_bytes();
    let (n_rows, n_bytes) = read(&replaced(&bytes, &body, &(1_i64 << 40).to_le_bytes()));
    assert!(n_rows.is_err() && n_bytes < 40 * SMALL, "{n_bytes} bytes");
}

#[test]
fn buffers_that_unpack_to_more_than_is_allowed_are_refused() {
    for compression in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        for bytes in [file(Some(compression)), stream(Some(compression))] {
            // In front of the packed texts.
            let wrong = replaced(&bytes, &N_TEXT_BYTES.to_le_bytes(), &(1_i64 << 40).to_le_bytes());
            let (n_rows, n_bytes) = read(&wrong);
            let error = n_rows.unwrap_err().to_string();
            assert!(error.contains("write it in batches of fewer rows") && n_bytes < SMALL, "{n_bytes} bytes, {error}");
        }
    }
}

#[test]
fn a_packed_stream_of_one_endless_batch_is_refused() {
    let n_body = 2 * MIN_ALLOWED_BYTES as i64;
    let body = last_block(&file(None)).bodyLength().to_le_bytes();
    let start = replaced(&stream(None), &body, &n_body.to_le_bytes());
    let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
    packed.write_all(&start).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(n_body as u64), &mut packed).unwrap();
    let (n_rows, _) = read(&packed.finish().unwrap());
    assert!(matches!(n_rows, Err(ReadError::LargeBatch { .. })), "{n_rows:?}");
}
