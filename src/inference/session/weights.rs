//! The weights of a model, kept once for all its sessions.
//!
//! ONNX Runtime keeps large matrices twice: as they are in the model's file, and laid out anew for this processor
//! ("prepacked"), which is all that a run reads of them. It shares the second only where the first is shared. So the first
//! lies in a file that needs no memory once a session is open, but for the rows of the embedding table that texts ask for.
#![allow(unsafe_code, reason = "docs/architecture.md explains it")]

use std::ptr::{self, NonNull};
use std::sync::Arc;

use ort::AsPointer;
use ort::memory::{Allocator, MemoryInfo};
use ort::session::builder::{PrepackedWeights, SessionBuilder};
use ort::value::{DynValue, TensorElementType};

use super::mapped::Mapped;
use super::{Runtime, SessionError};
use crate::inference::settings::Provider;
use crate::manifest::{Manifest, Weight, WeightKind, large_weights};

/// Smaller tensors are left to each session.
const MIN_BYTES: usize = 16 * 1024;

/// For [`super::OrtSession::open`], once for each session of a model.
#[derive(Clone)]
pub struct SharedWeights {
    prepacked: PrepackedWeights,
    tensors: Vec<(String, Arc<DynValue>)>,
    /// What the tensors show; `None` where there are none. Last, so that it is dropped after them.
    mapped: Option<Arc<Mapped>>,
}

impl SharedWeights {
    /// Reads the tensors of a model that are large enough to be worth sharing; none for a GPU, which has one stream and keeps
    /// weights in memory of its own.
    pub fn read(manifest: &Manifest, provider: Provider) -> Result<Self, SessionError> {
        Runtime::get()?;
        let prepacked = PrepackedWeights::new();
        if provider.is_gpu() {
            return Ok(Self { prepacked, tensors: Vec::new(), mapped: None });
        }
        let failed = |message: String| SessionError::Load { path: manifest.onnx_file.clone(), message };
        let weights = large_weights(&manifest.onnx_file, MIN_BYTES).map_err(|error| failed(error.to_string()))?;
        let parts: Vec<&[u8]> = weights.iter().map(|weight| &weight.bytes[..]).collect();
        let (mapped, places) = Mapped::new(&parts).map_err(|error| failed(format!("its weights: {error}")))?;
        let tensor = |(weight, place): (&Weight, usize)| {
            // SAFETY: the part has the weight's bytes, and `mapped` outlives the tensors.
            let tensor = unsafe { tensor_over(mapped.at(place), weight) }?;
            Ok((weight.name.clone(), Arc::new(tensor)))
        };
        let tensors = weights.iter().zip(places).map(tensor).collect::<ort::Result<_>>();
        let tensors = tensors.map_err(|error| failed(error.to_string()))?;
        Ok(Self { prepacked, tensors, mapped: Some(Arc::new(mapped)) })
    }

    /// Has the session that is built use these weights.
    pub fn give_to(&self, builder: SessionBuilder) -> ort::Result<SessionBuilder> {
        let mut builder = builder.with_prepacked_weights(&self.prepacked)?;
        for (name, tensor) in &self.tensors {
            builder = builder.with_initializer(name, Arc::clone(tensor))?;
        }
        Ok(builder)
    }

    /// Gives back the memory of what was read while a session was opened.
    pub fn release(&self) {
        if let Some(mapped) = &self.mapped {
            mapped.release();
        }
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
