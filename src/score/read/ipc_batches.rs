//! Record batches of Arrow IPC, as a file or a stream, that take no more memory than the bytes of the file account for.
//!
//! The readers of `arrow` 60 allocate what the footer of a file says, and what compressed buffers say that they unpack to: a
//! file of 2 kB took 1 GB. Here lengths are checked against the file and the message first; `arrow` decodes the rest.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::{self as ipc, Block, MessageHeader, MetadataVersion, root_as_footer, root_as_message};
use arrow_schema::{ArrowError, SchemaRef};

use super::bytes::{ByteCount, Bytes};
use crate::score::error::ReadError;

/// A batch may take this much memory, whatever the file has.
const MIN_ALLOWED_BYTES: u64 = 256 << 20;

/// A larger one may have this many times the bytes that the file has for it. Tables of texts shrink to a tenth at most.
const MAX_EXPANSION: u64 = 32;

/// The signature and the length of the footer, at the end of a file.
const N_TRAILER: usize = 10;

const CONTINUATION: [u8; 4] = [0xff; 4];

/// A file with an index of its batches.
pub struct ArrowFile {
    file: BufReader<File>,
    decoder: FileDecoder,
    schema: SchemaRef,
    blocks: std::vec::IntoIter<Block>,
}

/// Messages one after the other.
pub struct ArrowStream {
    bytes: Bytes,
    count: ByteCount,
    /// Bytes that were read of other inputs.
    n_before: u64,
    decoder: FileDecoder,
    schema: SchemaRef,
    is_over: bool,
}

/// Metadata and body, as [`FileDecoder`] takes them.
struct Message {
    block: Block,
    bytes: Buffer,
}

impl ArrowFile {
    pub fn open(file: File) -> Result<Self, ReadError> {
        let n_bytes = file.metadata()?.len();
        let mut file = BufReader::new(file);
        let footer = read_footer(&mut file, n_bytes)?;
        let footer = root_as_footer(&footer).map_err(damaged)?;
        let schema = schema_of(footer.schema())?;
        let mut decoder = FileDecoder::new(Arc::clone(&schema), footer.version());
        for block in footer.dictionaries().iter().flatten() {
            let message = Message::of_block(&mut file, *block, n_bytes)?;
            decoder.read_dictionary(&message.block, &message.bytes)?;
        }
        let blocks = footer.recordBatches().ok_or_else(|| damaged("its footer lists no batches"))?;
        let blocks: Vec<Block> = blocks.iter().copied().collect();
        blocks.iter().try_for_each(|block| extent(block, n_bytes).map(drop))?;
        Ok(Self { file, decoder, schema, blocks: blocks.into_iter() })
    }

    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn read(&mut self, block: Block) -> Result<RecordBatch, ReadError> {
        // A file that has shrunk meanwhile fails here.
        let n_bytes = self.file.get_ref().metadata()?.len();
        let message = Message::of_block(&mut self.file, block, n_bytes)?;
        message.batch(&self.decoder)
    }
}

impl ExactSizeIterator for ArrowFile {}

impl Iterator for ArrowFile {
    type Item = Result<RecordBatch, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.blocks.next()?;
        Some(self.read(block))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.blocks.size_hint()
    }
}

impl ArrowStream {
    /// `count` counts the bytes that are read of the input, before they are unpacked.
    pub fn open(mut bytes: Bytes, count: ByteCount) -> Result<Self, ReadError> {
        let n_before = count.get();
        let first = Message::of_stream(&mut bytes, || allowed(count.get() - n_before))?;
        let first = first.ok_or_else(|| damaged("it is empty"))?;
        let schema = match first.header()? {
            MessageHeader::Schema => schema_of(first.parsed()?.header_as_schema())?,
            kind => return Err(damaged(format!("its first message is no schema, but {kind:?}"))),
        };
        // Streams need not have one version, and this one is checked nowhere.
        let decoder = FileDecoder::new(Arc::clone(&schema), MetadataVersion::V1);
        Ok(Self { bytes, count, n_before, decoder, schema, is_over: false })
    }

    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn read(&mut self) -> Result<Option<RecordBatch>, ReadError> {
        loop {
            let (count, n_before) = (self.count.clone(), self.n_before);
            let message = Message::of_stream(&mut self.bytes, || allowed(count.get() - n_before))?;
            let Some(message) = message else { return Ok(None) };
            match message.header()? {
                MessageHeader::DictionaryBatch => self.decoder.read_dictionary(&message.block, &message.bytes)?,
                _ => return message.batch(&self.decoder).map(Some),
            }
        }
    }
}

impl Iterator for ArrowStream {
    type Item = Result<RecordBatch, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.read().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Message {
    /// Reads a block of a file of `n_bytes`.
    fn of_block(file: &mut BufReader<File>, block: Block, n_bytes: u64) -> Result<Self, ReadError> {
        let (start, length) = extent(&block, n_bytes)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::with_capacity(usize::try_from(length).map_err(damaged)?);
        if file.take(length).read_to_end(&mut bytes)? as u64 != length {
            return Err(damaged("a batch ends too early"));
        }
        let message = Self { block, bytes: bytes.into() };
        message.check_expansion(allowed(length))?;
        Ok(message)
    }

    /// Reads the next message, where there is one. `allowed` gives the memory that it may take by now.
    fn of_stream(bytes: &mut Bytes, allowed: impl Fn() -> u64) -> Result<Option<Self>, ReadError> {
        let Some((mut message, n_metadata)) = read_prefix(bytes)? else { return Ok(None) };
        let n_prefix = message.len();
        read_bounded(bytes, &mut message, n_metadata, &allowed)?;
        let metadata = message.get(n_prefix..).unwrap_or_default();
        let n_body = root_as_message(metadata).map_err(damaged)?.bodyLength();
        let n_body_bytes = u64::try_from(n_body).map_err(|_| damaged(format!("a body of {n_body} bytes")))?;
        let block = Block::new(0, i32::try_from(message.len()).map_err(damaged)?, n_body);
        read_bounded(bytes, &mut message, n_body_bytes, &allowed)?;
        let message = Self { block, bytes: message.into() };
        message.check_expansion(allowed())?;
        Ok(Some(message))
    }

    fn parsed(&self) -> Result<ipc::Message<'_>, ReadError> {
        let metadata = match self.bytes.get(..4) {
            Some(start) if start == CONTINUATION => self.bytes.get(8..),
            _ => self.bytes.get(4..),
        };
        root_as_message(metadata.unwrap_or_default()).map_err(damaged)
    }

    fn header(&self) -> Result<MessageHeader, ReadError> {
        Ok(self.parsed()?.header_type())
    }

    fn batch(&self, decoder: &FileDecoder) -> Result<RecordBatch, ReadError> {
        let batch = decoder.read_record_batch(&self.block, &self.bytes)?;
        batch.ok_or_else(|| damaged("a message without a batch"))
    }

    /// Fails where the buffers say that they unpack to more than `allowed` bytes.
    fn check_expansion(&self, allowed: u64) -> Result<(), ReadError> {
        let message = self.parsed()?;
        let dictionary = message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
        let Some(batch) = message.header_as_record_batch().or(dictionary) else { return Ok(()) };
        if batch.compression().is_none() {
            return Ok(());
        }
        let body = usize::try_from(self.block.metaDataLength()).ok().and_then(|at| self.bytes.get(at..));
        let unpacked = |buffer: &ipc::Buffer| {
            let at = usize::try_from(buffer.offset()).ok()?;
            let length = body?.get(at..at.checked_add(8)?)?.try_into().ok()?;
            // Minus one stands for bytes that are not packed.
            u64::try_from(i64::from_le_bytes(length)).ok()
        };
        let n_bytes = batch.buffers().iter().flatten().filter_map(unpacked).fold(0, u64::saturating_add);
        if n_bytes > allowed { Err(ReadError::LargeBatch { n_bytes, allowed }) } else { Ok(()) }
    }
}

fn allowed(n_bytes: u64) -> u64 {
    n_bytes.saturating_mul(MAX_EXPANSION).max(MIN_ALLOWED_BYTES)
}

/// Start and length of a block. Fails where they are not within the file.
fn extent(block: &Block, n_bytes: u64) -> Result<(u64, u64), ReadError> {
    let lengths =
        (u64::try_from(block.offset()), u64::try_from(block.metaDataLength()), u64::try_from(block.bodyLength()));
    let found = match lengths {
        (Ok(start), Ok(metadata), Ok(body)) => metadata.checked_add(body).map(|length| (start, length)),
        _ => None,
    };
    let within = found.filter(|(start, length)| start.checked_add(*length).is_some_and(|end| end <= n_bytes));
    within.ok_or_else(|| damaged(format!("its footer names a batch that is not within its {n_bytes} bytes")))
}

fn read_footer(file: &mut BufReader<File>, n_bytes: u64) -> Result<Vec<u8>, ReadError> {
    let end = n_bytes.checked_sub(N_TRAILER as u64).ok_or_else(|| damaged("it has no footer"))?;
    let mut trailer = [0; N_TRAILER];
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut trailer)?;
    let length = read_footer_length(trailer)? as u64;
    let start = end.checked_sub(length).ok_or_else(|| damaged("its footer is longer than the file"))?;
    file.seek(SeekFrom::Start(start))?;
    let mut footer = Vec::new();
    file.take(length).read_to_end(&mut footer)?;
    Ok(footer)
}

fn schema_of(schema: Option<ipc::Schema<'_>>) -> Result<SchemaRef, ReadError> {
    let schema = schema.ok_or_else(|| damaged("it has no schema"))?;
    match schema.endianness().equals_to_target_endianness() {
        true => Ok(Arc::new(try_fb_to_schema(schema)?)),
        false => {
            Err(ArrowError::IpcError("its numbers have another byte order than those of this machine".into()).into())
        }
    }
}

/// The prefix of a message and the length of its metadata. `None` at the end, which a writer may leave unmarked.
fn read_prefix(bytes: &mut Bytes) -> Result<Option<(Vec<u8>, u64)>, ReadError> {
    if bytes.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut word = [0; 4];
    let mut prefix = Vec::with_capacity(8);
    bytes.read_exact(&mut word)?;
    prefix.extend(word);
    if word == CONTINUATION {
        bytes.read_exact(&mut word)?;
        prefix.extend(word);
    }
    match i32::from_le_bytes(word) {
        0 => Ok(None),
        length => {
            let length = u64::try_from(length).map_err(|_| damaged(format!("metadata of {length} bytes")))?;
            Ok(Some((prefix, length)))
        }
    }
}

/// Appends the next `n` bytes to `message`, as long as it takes no more than `allowed` by then.
fn read_bounded(bytes: &mut Bytes, message: &mut Vec<u8>, n: u64, allowed: impl Fn() -> u64) -> Result<(), ReadError> {
    /// Read between two looks at what is allowed.
    const N_AT_ONCE: u64 = 16 << 20;
    let mut n_left = n;
    while n_left > 0 {
        let allowed = allowed();
        if message.len() as u64 > allowed {
            return Err(ReadError::LargeBatch { n_bytes: n, allowed });
        }
        let n_next = n_left.min(N_AT_ONCE);
        message.reserve_exact(n_next as usize);
        let n_read = bytes.by_ref().take(n_next).read_to_end(message)? as u64;
        if n_read == 0 {
            return Err(damaged(format!("it ends {n_left} bytes before the end of a batch")));
        }
        n_left -= n_read;
    }
    Ok(())
}

fn damaged(message: impl ToString) -> ReadError {
    ReadError::Damaged(message.to_string())
}

#[cfg(test)]
mod tests;
