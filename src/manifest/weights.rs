//! The large tensors of an ONNX file, read once so that all sessions of a model can share them.

use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;

use super::{ManifestError, proto};

/// A tensor as it lies in the file: little-endian, row by row.
#[derive(Debug, Clone)]
pub struct Weight {
    pub name: String,
    pub shape: Vec<i64>,
    pub kind: WeightKind,
    pub bytes: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightKind {
    F32,
    F16,
    U8,
    I8,
}

/// The tensors of at least `min_bytes` that stand in the file itself. Those in external data files are left out: ONNX
/// Runtime maps such files into memory, which its sessions share as it is.
pub fn large_weights(path: &Path, min_bytes: usize) -> Result<Vec<Weight>, ManifestError> {
    let file = std::fs::read(path).map_err(|source| ManifestError::Io { path: path.to_owned(), source })?;
    let model = proto::Model::decode(Bytes::from(file)).map_err(|error| ManifestError::Invalid {
        path: path.to_owned(),
        message: format!("not a readable ONNX model ({error}); export or copy the file again"),
    })?;
    let tensors = model.graph.unwrap_or_default().initializer.into_iter();
    Ok(tensors.filter(|tensor| tensor.raw_data.len() >= min_bytes).filter_map(proto::Tensor::into_weight).collect())
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
