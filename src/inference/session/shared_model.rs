//! The weights of a model, kept once for all its sessions.
//!
//! ONNX Runtime keeps large matrices twice: as they are in the model's file, and laid out anew for this processor
//! ("prepacked"), which is all that a run reads of them. It shares the second only where the first is shared. So the first
//! is mapped from a file and needs no memory once a session is open, except for the rows of the embedding table that texts
//! use.
#![allow(unsafe_code, reason = "docs/architecture.md explains it")]

use std::ptr::{self, NonNull};
use std::sync::Arc;

use ort::AsPointer;
use ort::memory::{Allocator, MemoryInfo};
use ort::session::builder::{PrepackedWeights, SessionBuilder};
use ort::value::{DynValue, TensorElementType};

use super::mapped::Mapped;
use super::runtime::{Runtime, SessionError};
use crate::inference::settings::Provider;
use crate::manifest::{OnnxFile, Weight, WeightKind};

/// Smaller tensors are left to each session.
const MIN_BYTES: usize = 16 * 1024;

/// Given to each session of a model, which reads it for as long as it lives.
#[derive(Clone)]
pub struct SharedModel {
    prepacked: PrepackedWeights,
    tensors: Vec<(String, Arc<DynValue>)>,
    /// The bytes of the tensors. Last, so that it is dropped after them.
    mapped: Arc<Mapped>,
}

impl SharedModel {
    /// Maps the tensors of a model that are large enough to be worth sharing.
    pub fn new(file: &OnnxFile) -> Result<Self, SessionError> {
        Runtime::get()?;
        let failed = |message: String| SessionError::Load { path: file.path.clone(), message };
        let weights = file.large_weights(MIN_BYTES).map_err(|error| failed(error.to_string()))?;
        let parts: Vec<&[u8]> = weights.iter().map(|weight| &weight.bytes[..]).collect();
        let (mapped, offsets) = Mapped::new(&parts).map_err(|error| failed(format!("its weights: {error}")))?;
        let tensor = |(weight, offset): (&Weight, usize)| {
            // SAFETY: the part has the weight's bytes, and `mapped` outlives the tensors.
            let tensor = unsafe { tensor_over(mapped.at(offset), weight) }?;
            Ok((weight.name.clone(), Arc::new(tensor)))
        };
        let tensors = weights.iter().zip(offsets).map(tensor).collect::<ort::Result<_>>();
        let tensors = tensors.map_err(|error| failed(error.to_string()))?;
        Ok(Self { prepacked: PrepackedWeights::new(), tensors, mapped: Arc::new(mapped) })
    }

    /// Has the session that is built use these weights.
    pub fn add_to(&self, builder: SessionBuilder, provider: Provider) -> ort::Result<SessionBuilder> {
        if provider.is_gpu() {
            // A GPU keeps weights in its own memory.
            return Ok(builder);
        }
        let mut builder = builder.with_prepacked_weights(&self.prepacked)?;
        for (name, tensor) in &self.tensors {
            // Only initializers that are given like this share their prepacked form.
            builder = builder.with_initializer(name, Arc::clone(tensor))?;
        }
        Ok(builder)
    }

    /// Releases the memory of what was read while a session was opened.
    pub fn release(&self) {
        self.mapped.release();
    }
}

/// A tensor that shows the bytes at `start` and doesn't own them.
///
/// # Safety
///
/// `start` must stay readable, for as many bytes as `weight` has, until the last session is dropped that was given the
/// tensor; and no session may write to its weights.
unsafe fn tensor_over(start: NonNull<std::ffi::c_void>, weight: &Weight) -> ort::Result<DynValue> {
    let kind = match weight.kind {
        WeightKind::F32 => TensorElementType::Float32,
        WeightKind::F16 => TensorElementType::Float16,
        WeightKind::U8 => TensorElementType::Uint8,
        WeightKind::I8 => TensorElementType::Int8,
    };
    let (shape, memory) = (&weight.shape, MemoryInfo::default());
    let mut tensor = ptr::null_mut();
    // SAFETY: all pointers are good for the call; that the bytes stay is promised by the caller.
    unsafe {
        let create = ort::api().CreateTensorWithDataAsOrtValue;
        let n_bytes = weight.bytes.len();
        let status =
            create(memory.ptr(), start.as_ptr(), n_bytes, shape.as_ptr(), shape.len(), kind.into(), &mut tensor);
        ort::Error::result_from_status(status)?;
    }
    let tensor = NonNull::new(tensor).ok_or_else(|| ort::Error::new("ONNX Runtime made no tensor"))?;
    // SAFETY: new, and owned by nobody else.
    Ok(unsafe { DynValue::from_ptr(tensor, Some(&Allocator::default())) })
}
