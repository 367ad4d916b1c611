//! Whether a model folder may be read at all: within bounds, and into the memory that is left.

use std::path::Path;

use crate::manifest::{ManifestError, ReadingSizes};
use crate::models::spec::ModelSpec;
use crate::system::memory_limits::available_bytes;

#[derive(Debug, thiserror::Error)]
pub enum FitError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("loading `{name}` takes about {needed} MB, and {available} MB are free; raise the memory limit of this process, or load fewer models; a running server unloads one with `ressort models remove NAME` (DELETE /v1/models/NAME)", needed = .needed / 1_000_000, available = .available / 1_000_000)]
    InsufficientMemory { name: String, needed: u64, available: u64 },
}

/// While a model is opened, its weights are in memory as they are in the file and as they are laid out for this processor.
const COPIES: u64 = 2;
/// A tokenizer takes several times the size of its file: text, parsed values, and maps in both directions.
const TOKENIZER_COPIES: u64 = 12;

/// Checks a folder before its large files are read. `root` is where `/proc` and `/sys` are found.
pub fn check_before_reading(spec: &ModelSpec, root: &Path) -> Result<(), FitError> {
    let ReadingSizes { onnx_bytes, tokenizer_bytes } = ReadingSizes::of(&spec.path)?;
    check(spec, onnx_bytes, tokenizer_bytes, root)
}

fn check(spec: &ModelSpec, onnx_bytes: u64, tokenizer_bytes: u64, root: &Path) -> Result<(), FitError> {
    let copies = |n: u64, n_bytes: u64| n.saturating_mul(n_bytes);
    let needed = copies(COPIES, onnx_bytes).saturating_add(copies(TOKENIZER_COPIES, tokenizer_bytes));
    match available_bytes(root).filter(|&available| available < needed) {
        None => Ok(()),
        Some(available) => Err(FitError::InsufficientMemory { name: spec.name.clone(), needed, available }),
    }
}
