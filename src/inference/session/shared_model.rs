//! The weights of a model, kept once for all its sessions.
//!
//! ONNX Runtime keeps large matrices twice: as they are in the model's file, and laid out again for this processor
//! ("prepacked"), which is all that a run reads of them. It shares the second only where the first is shared. So the first
//! is mapped from a private file and needs no memory once a session is open, except for the rows of the embedding table that
//! texts use. The graph is given from memory and refers to the private file. Sessions are opened without reading the user's
//! files, which may have been replaced, overwritten or removed.
#![allow(unsafe_code, reason = "docs/architecture.md explains it")]

use std::ptr::{self, NonNull};
use std::sync::Arc;

use ort::AsPointer;
use ort::memory::{Allocator, MemoryInfo};
use ort::session::Session;
use ort::session::builder::{PrepackedWeights, SessionBuilder};
use ort::value::{DynValue, TensorElementType};

use super::runtime::{Runtime, SessionError};
use crate::inference::settings::Provider;
use crate::manifest::{OnnxFile, Weight, WeightKind};
use crate::system::private_file::Mapped;

/// Given to each session of a model, which reads it for as long as it lives.
#[derive(Clone)]
pub struct SharedModel {
    /// The model without its large tensors.
    model: Arc<[u8]>,
    prepacked: PrepackedWeights,
    tensors: Vec<(String, Arc<DynValue>)>,
    /// The bytes of the tensors. Below them, so that they are dropped first.
    private: Option<Arc<Mapped>>,
}

impl SharedModel {
    /// The model of `file`, with a tensor over each of its weights.
    pub fn new(file: &OnnxFile) -> Result<Self, SessionError> {
        Runtime::get()?;
        let tensor = |weight: &Weight| {
            // SAFETY: the private file outlives the tensors.
            let tensor = unsafe { tensor_over(weight) }?;
            Ok((weight.name.clone(), Arc::new(tensor)))
        };
        let tensors = file.weights.iter().map(tensor).collect::<ort::Result<_>>();
        let tensors =
            tensors.map_err(|error| SessionError::Load { path: file.path.clone(), message: error.to_string() })?;
        let (model, private) = (Arc::clone(&file.model), file.private.clone());
        Ok(Self { model, prepacked: PrepackedWeights::new(), tensors, private })
    }

    /// Opens a session that uses these weights.
    pub fn open(&self, builder: SessionBuilder, provider: Provider) -> ort::Result<Session> {
        let mut builder = self.refer_to_weights(builder)?;
        // A GPU keeps weights in its own memory.
        if !provider.is_gpu() {
            builder = builder.with_prepacked_weights(&self.prepacked)?;
            for (name, tensor) in &self.tensors {
                // Only initializers that are given like this share their prepacked form.
                builder = builder.with_initializer(name, Arc::clone(tensor))?;
            }
        }
        builder.commit_from_memory(&self.model)
    }

    /// Has ONNX Runtime find the tensors that the model refers to. It maps a file; tensors without a file it copies.
    fn refer_to_weights(&self, mut builder: SessionBuilder) -> ort::Result<SessionBuilder> {
        const FOLDER: &str = "session.model_external_initializers_file_folder_path";
        let folder = self.private.as_ref().and_then(|private| private.folder());
        if let Some(folder) = folder.as_ref().and_then(|folder| folder.to_str()) {
            return builder.with_config_entry(FOLDER, folder).map_err(ort::Error::from);
        }
        for (name, tensor) in &self.tensors {
            builder = builder.with_external_initializer(name, Arc::clone(tensor))?;
        }
        Ok(builder)
    }

    /// Removes the name of the private file, so that it goes with the process, however that ends. Sessions that are opened
    /// later take more memory while they open.
    pub fn remove_name(&self) {
        self.private.iter().for_each(|private| private.remove_name());
    }

    /// Releases the memory of what was read while a session was opened.
    pub fn release(&self) {
        self.private.iter().for_each(|private| private.release());
    }
}

/// A tensor that shows the bytes of `weight` and doesn't own them.
///
/// # Safety
///
/// The bytes must stay readable until the last session is dropped that was given the tensor; and no session may write to its
/// weights.
unsafe fn tensor_over(weight: &Weight) -> ort::Result<DynValue> {
    let kind = match weight.kind {
        WeightKind::F32 => TensorElementType::Float32,
        WeightKind::F16 => TensorElementType::Float16,
        WeightKind::Bf16 => TensorElementType::Bfloat16,
        WeightKind::U8 => TensorElementType::Uint8,
        WeightKind::I8 => TensorElementType::Int8,
    };
    let (shape, memory) = (&weight.shape, MemoryInfo::default());
    let mut tensor = ptr::null_mut();
    // SAFETY: all pointers are good for the call; that the bytes stay is promised by the caller.
    unsafe {
        let create = ort::api().CreateTensorWithDataAsOrtValue;
        let (start, n_bytes) = (weight.bytes.as_ptr().cast_mut().cast(), weight.bytes.len());
        let status = create(memory.ptr(), start, n_bytes, shape.as_ptr(), shape.len(), kind.into(), &mut tensor);
        ort::Error::result_from_status(status)?;
    }
    let tensor = NonNull::new(tensor).ok_or_else(|| ort::Error::new("ONNX Runtime made no tensor"))?;
    // SAFETY: new, and owned by nobody else.
    Ok(unsafe { DynValue::from_ptr(tensor, Some(&Allocator::default())) })
}
