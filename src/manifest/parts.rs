//! Takes an ONNX file apart while it is read: into the model without its large tensors, and these.
//!
//! ONNX Runtime is given the model from memory, with references to the private file that has the tensors. So a file of
//! gigabytes is read once for all sessions, and whoever writes to it later changes no answer. The format is that of Protocol
//! Buffers. Fields that are not known are kept as they are.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use prost::Message as _;

use super::pieces::{ExternalSource, Piece, Sink, Source};
use super::walk::check_inside;
use super::{ManifestError, proto};
use crate::system::private_file;

/// Smaller tensors stay in the model, where ONNX Runtime copies them for each session.
const MIN_WEIGHT_BYTES: u64 = 16 * 1024;

/// A tensor that was taken out.
pub struct Part {
    pub name: String,
    pub shape: Vec<i64>,
    pub kind: WeightKind,
    pub offset: u64,
    pub n_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightKind {
    F32,
    F16,
    Bf16,
    U8,
    I8,
}

impl WeightKind {
    /// The kind of ONNX's `TensorProto.DataType`; `None` for kinds that are not shared.
    fn of(data_type: i32) -> Option<Self> {
        match data_type {
            1 => Some(Self::F32),
            10 => Some(Self::F16),
            16 => Some(Self::Bf16),
            2 => Some(Self::U8),
            3 => Some(Self::I8),
            _ => None,
        }
    }

    fn n_bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::U8 | Self::I8 => 1,
        }
    }
}

/// The messages of `onnx.proto3` in which there can be tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph {
        /// Whether it is the model's own graph, and not one that a node runs.
        main: bool,
    },
    Function,
    Node,
    Attribute,
    SparseTensor,
    Tensor {
        main: bool,
    },
}

impl Message {
    /// The message in the field `number`, if tensors can be in it.
    fn field(self, number: u64) -> Option<Self> {
        match (self, number) {
            (Self::Model, 7) => Some(Self::Graph { main: true }),
            (Self::Model, 25) => Some(Self::Function),
            (Self::Graph { .. }, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Graph { main }, 5) => Some(Self::Tensor { main }),
            (Self::Graph { .. }, 15) | (Self::Attribute, 22 | 23) => Some(Self::SparseTensor),
            (Self::Node, 5) | (Self::Function, 11) => Some(Self::Attribute),
            (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => Some(Self::Tensor { main: false }),
            (Self::Attribute, 6 | 11) => Some(Self::Graph { main: false }),
            _ => None,
        }
    }
}

const VARINT: u64 = 0;
const BITS_64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const BITS_32: u64 = 5;

const RAW_DATA: u64 = 9;
const EXTERNAL_DATA: u64 = 13;
const DATA_LOCATION: u64 = 14;

/// Graphs inside graphs; protobuf's own readers end at 100 messages.
const MAX_DEPTH: usize = 100;

/// An ONNX file that is being taken apart.
pub struct Parts<'p> {
    path: &'p Path,
    source: Source,
    sink: Sink,
    parts: Vec<Part>,
    external: BTreeMap<String, Option<ExternalSource>>,
}

/// An ONNX file, taken apart.
pub struct Taken {
    /// The model without its large tensors.
    pub model: Vec<u8>,
    pub parts: Vec<Part>,
    pub source: Source,
    /// The files of external data by their location, not opened if the sink skips what is large.
    pub external: BTreeMap<String, Option<ExternalSource>>,
    pub sink: Sink,
}

impl<'p> Parts<'p> {
    pub fn take(path: &'p Path, sink: Sink) -> Result<Taken, ManifestError> {
        let source = Source::open(path).map_err(|source| ManifestError::Io { path: path.to_owned(), source })?;
        let end = source.stamp.n_bytes;
        let mut taking = Self { path, source, sink, parts: Vec::new(), external: BTreeMap::new() };
        let model = taking.message(Message::Model, end, 0)?;
        let Self { source, sink, parts, external, .. } = taking;
        Ok(Taken { model, parts, source, external, sink })
    }

    /// The message that ends at `end`, without large tensors.
    fn message(&mut self, message: Message, end: u64, depth: usize) -> Result<Vec<u8>, ManifestError> {
        let mut kept = Vec::new();
        while self.source.position < end {
            let tag = self.varint(end)?;
            match message.field(tag >> 3).filter(|_| tag & 7 == LENGTH_DELIMITED) {
                None => self.copy_field(tag, end, &mut kept)?,
                Some(_) if depth == MAX_DEPTH => return Err(self.damaged()),
                Some(inner) => {
                    let inner_end = self.length(end)?.saturating_add(self.source.position);
                    let content = match inner {
                        Message::Tensor { main } => self.tensor(main, inner_end)?,
                        _ => self.message(inner, inner_end, depth + 1)?,
                    };
                    put_field(&mut kept, tag >> 3, &content);
                }
            }
        }
        Ok(kept)
    }

    /// A tensor that ends at `end`. Only tensors of the main graph can be replaced by name, the others keep their bytes.
    fn tensor(&mut self, main: bool, end: u64) -> Result<Vec<u8>, ManifestError> {
        let (mut kept, mut entries, mut is_external) = (Vec::new(), Vec::new(), false);
        while self.source.position < end {
            let tag = self.varint(end)?;
            match (tag >> 3, tag & 7) {
                (RAW_DATA, LENGTH_DELIMITED) => {
                    let n_bytes = self.length(end)?;
                    let tensor = self.decode::<proto::Tensor>(&kept)?;
                    match tensor.weight_kind(n_bytes).filter(|_| main) {
                        Some(kind) => {
                            let offset = self.source.cut(n_bytes, &mut self.sink);
                            let offset = offset.map_err(|error| self.unreadable(error))?;
                            self.put_part(
                                &mut kept,
                                Part { name: tensor.name, shape: tensor.dims, kind, offset, n_bytes },
                            );
                        }
                        None => put_field(&mut kept, RAW_DATA, &self.bytes(n_bytes)?),
                    }
                }
                (EXTERNAL_DATA, LENGTH_DELIMITED) => {
                    let n_bytes = self.length(end)?;
                    let entry = self.bytes(n_bytes)?;
                    entries.push(self.decode::<proto::StringEntry>(&entry)?);
                }
                (DATA_LOCATION, VARINT) => is_external = self.varint(end)? == proto::LOCATION_EXTERNAL as u64,
                _ => self.copy_field(tag, end, &mut kept)?,
            }
        }
        if is_external {
            self.external_tensor(main, &mut kept, &entries)?;
        }
        Ok(kept)
    }

    /// Gives a tensor its bytes, which lie in another file.
    fn external_tensor(
        &mut self,
        main: bool,
        kept: &mut Vec<u8>,
        entries: &[proto::StringEntry],
    ) -> Result<(), ManifestError> {
        let tensor = self.decode::<proto::Tensor>(kept)?;
        let entry = |key| entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
        let number = |key, or| entry(key).map_or(Some(or), |value| value.parse::<u64>().ok());
        let (Some(location), Some(start), Some(n_bytes)) =
            (entry("location"), number("offset", 0), number("length", tensor.n_bytes()))
        else {
            return Err(self.damaged());
        };
        check_inside(Path::new(location), self.path)?;
        let file = self.path.with_file_name(location);
        if matches!(self.sink, Sink::Skip) {
            self.external.entry(location.to_owned()).or_default();
            return Ok(());
        }
        let failed = |error: io::Error| external_fault(&file, &tensor.name, &error);
        let source = match self.external.entry(location.to_owned()).or_default() {
            Some(source) => source,
            none => none.insert(ExternalSource::open(&file).map_err(failed)?),
        };
        let kind = tensor.weight_kind(n_bytes).filter(|_| main);
        let sink = kind.is_some().then_some(&mut self.sink);
        let piece = source.piece(start, n_bytes, sink).map_err(failed)?.clone();
        match (piece, kind) {
            (Piece::Private { offset, .. }, Some(kind)) => {
                self.put_part(kept, Part { name: tensor.name, shape: tensor.dims, kind, offset, n_bytes });
            }
            (Piece::Memory(bytes), _) => put_field(kept, RAW_DATA, &bytes),
            (Piece::Private { .. }, None) => return Err(self.damaged()),
        }
        Ok(())
    }

    /// Has the tensor refer to its bytes in the private file.
    fn put_part(&mut self, kept: &mut Vec<u8>, part: Part) {
        let entry = |key: &str, value: String| proto::StringEntry { key: key.to_owned(), value };
        let external_data = vec![
            entry("location", private_file::FILE_NAME.to_owned()),
            entry("offset", part.offset.to_string()),
            entry("length", part.n_bytes.to_string()),
        ];
        let reference =
            proto::Tensor { external_data, data_location: proto::LOCATION_EXTERNAL, ..proto::Tensor::default() };
        kept.extend(reference.encode_to_vec());
        self.parts.push(part);
    }

    fn copy_field(&mut self, tag: u64, end: u64, kept: &mut Vec<u8>) -> Result<(), ManifestError> {
        put_varint(kept, tag);
        match tag & 7 {
            VARINT => put_varint(kept, self.varint(end)?),
            BITS_64 => kept.extend(self.within(8, end)?),
            BITS_32 => kept.extend(self.within(4, end)?),
            LENGTH_DELIMITED => {
                let n_bytes = self.length(end)?;
                put_varint(kept, n_bytes);
                kept.extend(self.bytes(n_bytes)?);
            }
            _ => return Err(self.damaged()),
        }
        Ok(())
    }

    fn varint(&mut self, end: u64) -> Result<u64, ManifestError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            if self.source.position >= end {
                return Err(self.damaged());
            }
            let byte = self.source.take_byte().map_err(|error| self.unreadable(error))?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged())
    }

    /// The length of a field, which must end within its message.
    fn length(&mut self, end: u64) -> Result<u64, ManifestError> {
        let n_bytes = self.varint(end)?;
        if n_bytes > end.saturating_sub(self.source.position) { Err(self.damaged()) } else { Ok(n_bytes) }
    }

    fn within(&mut self, n_bytes: u64, end: u64) -> Result<Vec<u8>, ManifestError> {
        if n_bytes > end.saturating_sub(self.source.position) { Err(self.damaged()) } else { self.bytes(n_bytes) }
    }

    fn bytes(&mut self, n_bytes: u64) -> Result<Vec<u8>, ManifestError> {
        self.source.take(n_bytes).map_err(|error| self.unreadable(error))
    }

    fn decode<M: prost::Message + Default>(&self, bytes: &[u8]) -> Result<M, ManifestError> {
        M::decode(bytes).map_err(|_| self.damaged())
    }

    fn damaged(&self) -> ManifestError {
        not_readable(self.path, self.source.stamp.n_bytes)
    }

    fn unreadable(&self, source: io::Error) -> ManifestError {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(),
            _ => ManifestError::Io { path: self.path.to_owned(), source },
        }
    }
}

pub fn not_readable(path: &Path, n_bytes: u64) -> ManifestError {
    ManifestError::Invalid {
        path: path.to_owned(),
        message: format!("not a readable ONNX model ({n_bytes} bytes); export or copy the file again"),
    }
}

fn external_fault(file: &Path, tensor: &str, error: &io::Error) -> ManifestError {
    const REMEDY: &str = "the ONNX file keeps weights in it; copy it from where the ONNX file came from";
    let invalid = |fault: &str| ManifestError::Invalid {
        path: file.to_owned(),
        message: format!("tensor `{tensor}` {fault}; {REMEDY}"),
    };
    match error.kind() {
        io::ErrorKind::NotFound => ManifestError::Missing { path: file.to_owned(), remedy: REMEDY },
        io::ErrorKind::UnexpectedEof => invalid("ends after the file"),
        io::ErrorKind::InvalidData => invalid("overlaps with another one"),
        io::ErrorKind::Other => {
            ManifestError::Io { path: file.to_owned(), source: io::Error::other(error.to_string()) }
        }
        kind => ManifestError::Io { path: file.to_owned(), source: kind.into() },
    }
}

fn put_varint(kept: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        kept.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    kept.push(value as u8);
}

fn put_field(kept: &mut Vec<u8>, number: u64, content: &[u8]) {
    put_varint(kept, number << 3 | LENGTH_DELIMITED);
    put_varint(kept, content.len() as u64);
    kept.extend_from_slice(content);
}

impl proto::Tensor {
    /// How a tensor of `n_bytes` is shared; `None` if it stays in the model, since it is small, of another kind, or not as
    /// large as its shape says.
    fn weight_kind(&self, n_bytes: u64) -> Option<WeightKind> {
        let kind = WeightKind::of(self.data_type)?;
        let n_elements = self.dims.iter().try_fold(1_u64, |n, &size| n.checked_mul(u64::try_from(size).ok()?))?;
        let whole = n_elements.checked_mul(kind.n_bytes()) == Some(n_bytes);
        (whole && n_bytes >= MIN_WEIGHT_BYTES).then_some(kind)
    }
}
