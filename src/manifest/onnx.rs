//! An ONNX file in memory, and its large tensors, which all sessions of a model share.

use std::path::{Path, PathBuf};

use prost::Message;
use prost::bytes::Bytes;

use super::file_stamp::{FileStamp, read_stamped};
use super::{ManifestError, proto};

/// The content of an ONNX file.
#[derive(Debug, Clone)]
pub struct OnnxFile {
    pub path: PathBuf,
    pub bytes: Bytes,
    pub stamp: FileStamp,
}

/// A tensor as it lies in the file: little-endian, row by row.
#[derive(Debug, Clone)]
pub struct Weight {
    pub name: String,
    pub shape: Vec<i64>,
    pub kind: WeightKind,
    /// A slice of the file's content, not a copy.
    pub bytes: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightKind {
    F32,
    F16,
    U8,
    I8,
}

impl OnnxFile {
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let (bytes, stamp) = read_stamped(path)?;
        Ok(Self { path: path.to_owned(), bytes, stamp })
    }

    /// The tensors of at least `min_bytes` that lie in the file itself, not in external data files.
    pub fn large_weights(&self, min_bytes: usize) -> Result<Vec<Weight>, ManifestError> {
        let tensors = self.decode()?.graph.unwrap_or_default().initializer.into_iter();
        Ok(tensors.filter(|tensor| tensor.raw_data.len() >= min_bytes).filter_map(proto::Tensor::into_weight).collect())
    }

    /// What is read of the file.
    pub(super) fn decode(&self) -> Result<proto::Model, ManifestError> {
        proto::Model::decode(self.bytes.clone()).map_err(|error| self.damaged(error))
    }

    fn damaged(&self, error: prost::DecodeError) -> ManifestError {
        ManifestError::Invalid {
            path: self.path.clone(),
            message: format!("not a readable ONNX model ({error}); export or copy the file again"),
        }
    }
}

impl proto::Tensor {
    /// `None` for kinds that are not shared, and where the bytes are not what the shape says.
    fn into_weight(self) -> Option<Weight> {
        let (kind, size) = match self.data_type {
            1 => (WeightKind::F32, 4),
            10 => (WeightKind::F16, 2),
            2 => (WeightKind::U8, 1),
            3 => (WeightKind::I8, 1),
            _ => return None,
        };
        let n_elements = usize::try_from(self.dims.iter().product::<i64>()).ok()?;
        let whole = n_elements * size == self.raw_data.len();
        whole.then_some(Weight { name: self.name, shape: self.dims, kind, bytes: self.raw_data })
    }
}
