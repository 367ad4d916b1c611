//! A file that is read once: what is small stays in memory, large tensors go into a private file. Together they are the very
//! bytes of the file, from which its hash is made.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use prost::bytes::Bytes;

use crate::system::file_stamp::FileStamp;
use crate::system::file_start::refuse_pointer_at;
use crate::system::private_file::{Mapped, PrivateFile};

/// Some consecutive bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Memory(Bytes),
    Private { offset: u64, n_bytes: u64 },
}

impl Piece {
    pub fn n_bytes(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Private { n_bytes, .. } => *n_bytes,
        }
    }

    /// Gives the bytes to `read`, a part at a time.
    pub fn read(&self, mapped: Option<&Mapped>, mut read: impl FnMut(&[u8])) -> io::Result<()> {
        const AT_ONCE: u64 = 256 * 1024;
        match (self, mapped) {
            (Self::Memory(bytes), _) => read(bytes),
            (Self::Private { offset, n_bytes }, Some(mapped)) => {
                let mut buffer = vec![0; usize::try_from((*n_bytes).min(AT_ONCE)).map_err(io::Error::other)?];
                for start in (0..*n_bytes).step_by(buffer.len().max(1)) {
                    let n = (n_bytes - start).min(AT_ONCE);
                    let part = &mut buffer[..usize::try_from(n).map_err(io::Error::other)?];
                    mapped.read_exact_at(part, offset + start)?;
                    read(part);
                }
            }
            (Self::Private { .. }, None) => return Err(io::Error::other("a piece without its private file")),
        }
        Ok(())
    }
}

/// Where large tensors go.
pub enum Sink {
    /// Nowhere: only the rest of the file is looked at.
    Skip,
    /// Into a private file, which is made for the first of them.
    Keep(Option<PrivateFile>),
}

impl Sink {
    fn append(&mut self, source: &mut BufReader<File>, n_bytes: u64) -> io::Result<u64> {
        let Self::Keep(private) = self else {
            source.seek_relative(i64::try_from(n_bytes).map_err(io::Error::other)?)?;
            return Ok(0);
        };
        let private = match private {
            Some(private) => private,
            None => private.insert(PrivateFile::new()?),
        };
        private.append(source, n_bytes)
    }
}

/// A file while it is read from start to end. Every byte becomes part of a piece as it is read.
pub struct Source {
    file: BufReader<File>,
    pub stamp: FileStamp,
    pub position: u64,
    pieces: Vec<Piece>,
    /// What was read since the last piece.
    read: Vec<u8>,
}

impl Source {
    /// The stamp is taken before the content is read, so that it does not fit a file that changed meanwhile.
    pub fn open(path: &Path) -> io::Result<Self> {
        refuse_pointer_at(path)?;
        let file = File::open(path)?;
        let stamp = FileStamp::new(path, &file.metadata()?);
        Ok(Self { file: BufReader::new(file), stamp, position: 0, pieces: Vec::new(), read: Vec::new() })
    }

    /// The next `n_bytes`, which stay in memory.
    pub fn take(&mut self, n_bytes: u64) -> io::Result<Vec<u8>> {
        // A length that the file does not have must not decide how much memory is taken.
        if n_bytes > self.stamp.n_bytes.saturating_sub(self.position) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; usize::try_from(n_bytes).map_err(io::Error::other)?];
        self.file.read_exact(&mut bytes)?;
        self.read.extend_from_slice(&bytes);
        self.position += n_bytes;
        Ok(bytes)
    }

    /// The next byte, which stays in memory.
    pub fn take_byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.file.read_exact(&mut byte)?;
        self.read.push(byte[0]);
        self.position += 1;
        Ok(byte[0])
    }

    /// Moves the next `n_bytes` into `sink` and returns their offset there.
    pub fn cut(&mut self, n_bytes: u64, sink: &mut Sink) -> io::Result<u64> {
        if n_bytes > self.stamp.n_bytes.saturating_sub(self.position) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let offset = sink.append(&mut self.file, n_bytes)?;
        self.end_piece();
        self.pieces.push(Piece::Private { offset, n_bytes });
        self.position += n_bytes;
        Ok(offset)
    }

    /// All bytes of the file up to here.
    pub fn into_pieces(mut self) -> Vec<Piece> {
        self.end_piece();
        self.pieces
    }

    fn end_piece(&mut self) {
        if !self.read.is_empty() {
            self.pieces.push(Piece::Memory(std::mem::take(&mut self.read).into()));
        }
    }
}

/// A file of external data, of which parts are read in any order.
pub struct ExternalSource {
    file: BufReader<File>,
    pub stamp: FileStamp,
    /// By their start in the file.
    pieces: BTreeMap<u64, Piece>,
}

impl ExternalSource {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        refuse_pointer_at(path).map_err(io::Error::other)?;
        let stamp = FileStamp::new(path, &file.metadata()?);
        Ok(Self { file: BufReader::new(file), stamp, pieces: BTreeMap::new() })
    }

    /// The piece of `n_bytes` at `start`, in memory or in `sink`. Tensors may share a piece.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before; `InvalidData` where the piece overlaps with another one in part.
    pub fn piece(&mut self, start: u64, n_bytes: u64, sink: Option<&mut Sink>) -> io::Result<&Piece> {
        if start.checked_add(n_bytes).is_none_or(|end| end > self.stamp.n_bytes) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let same = self.pieces.get(&start).is_some_and(|piece| {
            piece.n_bytes() == n_bytes && sink.is_some() == matches!(piece, Piece::Private { .. })
        });
        if !same {
            let overlaps = |(at, piece): (&u64, &Piece)| *at < start + n_bytes && start < at + piece.n_bytes();
            let mut before = self.pieces.range(..start + n_bytes);
            if before.next_back().is_some_and(overlaps) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "two tensors overlap"));
            }
            let piece = self.read(start, n_bytes, sink)?;
            self.pieces.insert(start, piece);
        }
        self.pieces.get(&start).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn read(&mut self, start: u64, n_bytes: u64, sink: Option<&mut Sink>) -> io::Result<Piece> {
        self.file.seek(SeekFrom::Start(start))?;
        match sink {
            Some(sink) => Ok(Piece::Private { offset: sink.append(&mut self.file, n_bytes)?, n_bytes }),
            None => {
                let mut bytes = vec![0; usize::try_from(n_bytes).map_err(io::Error::other)?];
                self.file.read_exact(&mut bytes)?;
                Ok(Piece::Memory(bytes.into()))
            }
        }
    }

    /// All bytes of the file; those that no tensor has go into `sink`.
    pub fn into_pieces(mut self, sink: &mut Sink) -> io::Result<Vec<Piece>> {
        let (mut all, mut end) = (Vec::new(), 0);
        for (start, piece) in std::mem::take(&mut self.pieces) {
            if start > end {
                all.push(self.read(end, start - end, Some(sink))?);
            }
            end = start + piece.n_bytes();
            all.push(piece);
        }
        if self.stamp.n_bytes > end {
            all.push(self.read(end, self.stamp.n_bytes - end, Some(sink))?);
        }
        Ok(all)
    }
}
