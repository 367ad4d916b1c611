//! ONNX Runtime: finding its library, opening a model on the first execution provider that works, running a batch.
//!
//! The only room that names the `ort` crate. The library is loaded at run time, once for the process.

mod mapped;
mod weights;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ndarray::{Array2, Ix2, Ix3};
use ort::ep::{self, ExecutionProvider as _};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{DynValue, TensorElementType, TensorRef};

pub use weights::SharedWeights;

use crate::inference::arithmetic::ModelArithmetic;
use crate::inference::batch::{Batch, HeadOutput, Outputs, Run, RunError};
use crate::inference::settings::{Provider, RunSettings};
use crate::manifest::Manifest;

/// The lowest ONNX Runtime that this build can load, as `1.MINOR`.
pub const MIN_RUNTIME_MINOR: u32 = ort::MINOR_VERSION;

/// ONNX Runtime, loaded.
#[derive(Debug)]
pub struct Runtime {
    pub library: PathBuf,
    environment: ort::environment::Environment,
}

/// One instance of a model that runs on one thread.
pub struct OrtSession {
    session: ort::session::Session,
    takes_mask: bool,
    takes_type_ids: bool,
    topics: Option<String>,
    entities: Option<String>,
    /// What the session reads; after it, so that it is dropped later.
    _weights: SharedWeights,
}

/// How a session computes.
#[derive(Debug, Clone, Copy)]
pub struct SessionOptions {
    pub provider: Provider,
    pub arithmetic: ModelArithmetic,
    /// Threads of one run, at least 1.
    pub n_threads: usize,
}

/// How a model came to run where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub provider: Provider,
    /// Providers that were asked for before it, and why they were passed over.
    pub passed_over: Vec<(Provider, String)>,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum SessionError {
    #[error("ONNX Runtime was not found or is not usable (1.{MIN_RUNTIME_MINOR} or newer is needed); looked in:\n{tried}\nget it with scripts/onnxruntime.sh, or set ORT_DYLIB_PATH to a libonnxruntime of your own", tried = .0.join("\n"))]
    NoRuntime(Vec<String>),
    #[error("{path}: ONNX Runtime cannot load the model: {message}; export or copy the file again", path = path.display())]
    Load { path: PathBuf, message: String },
    #[error("no GPU is usable, and one is required: {reasons}; install the GPU build of ONNX Runtime and its CUDA libraries (scripts/serve.sh --gpu), or leave --require-gpu out", reasons = .0.join("; "))]
    NoGpu(Vec<String>),
}

impl Runtime {
    /// The library of this process, loaded by the first call.
    pub fn get() -> Result<&'static Self, SessionError> {
        static RUNTIME: OnceLock<Result<Runtime, SessionError>> = OnceLock::new();
        RUNTIME.get_or_init(|| Self::load(&library_candidates())).as_ref().map_err(Clone::clone)
    }

    /// Loads the first usable of `candidates`, given as (where it comes from, path).
    fn load(candidates: &[(&str, PathBuf)]) -> Result<Self, SessionError> {
        let mut tried = Vec::new();
        for (origin, library) in candidates {
            if library.is_absolute() && !library.exists() {
                tried.push(format!("  {} ({origin}): no such file", library.display()));
                continue;
            }
            match ort::init_from(library).map_err(|error| error.to_string()).and_then(|builder| {
                builder.with_name("ressort").with_telemetry(false).build().map_err(|error| error.to_string())
            }) {
                Ok(environment) => return Ok(Self { library: library.clone(), environment }),
                Err(error) => tried.push(format!("  {} ({origin}): {error}", library.display())),
            }
        }
        Err(SessionError::NoRuntime(tried))
    }
}

/// Where the library may be, in order: `ORT_DYLIB_PATH` (which then is the only place), beside the executable, where
/// `scripts/onnxruntime.sh` puts it, and wherever the system's loader looks.
fn library_candidates() -> Vec<(&'static str, PathBuf)> {
    let name = format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return vec![("ORT_DYLIB_PATH", PathBuf::from(path))];
    }
    let mut candidates = Vec::new();
    if let Some(folder) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        candidates.push(("beside the executable", folder.join(&name)));
    }
    if let Some(cache) = cache_dir() {
        candidates.push(("scripts/onnxruntime.sh", cache.join("onnxruntime").join(&name)));
    }
    candidates.push(("system", PathBuf::from(name)));
    candidates
}

/// `RESSORT_CACHE`, else `ressort` in the user's cache folder.
fn cache_dir() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    var("RESSORT_CACHE")
        .or_else(|| var("XDG_CACHE_HOME").map(|cache| cache.join("ressort")))
        .or_else(|| var("HOME").map(|home| home.join(".cache/ressort")))
}

/// Finds the first of `providers` on which the model runs; the CPU stands behind them all.
pub fn place(manifest: &Manifest, settings: &RunSettings) -> Result<Placement, SessionError> {
    let mut passed_over = Vec::new();
    let arithmetic = ModelArithmetic::new(manifest.graph.integer_products, settings.arithmetic);
    for &provider in settings.providers.iter().filter(|&&provider| provider != Provider::Cpu) {
        let opened = SharedWeights::read(manifest, provider).and_then(|weights| {
            OrtSession::open(manifest, SessionOptions { provider, arithmetic, n_threads: 1 }, &weights)
        });
        match opened {
            Ok(_) => return Ok(Placement { provider, passed_over }),
            Err(SessionError::Load { message, .. }) => passed_over.push((provider, message)),
            Err(error) => passed_over.push((provider, error.to_string())),
        }
    }
    if settings.require_gpu {
        let mut reasons: Vec<String> =
            passed_over.iter().map(|(provider, reason)| format!("{provider}: {reason}")).collect();
        if reasons.is_empty() {
            reasons.push("no GPU provider is among those asked for".to_owned());
        }
        return Err(SessionError::NoGpu(reasons));
    }
    Ok(Placement { provider: Provider::Cpu, passed_over })
}

impl OrtSession {
    pub fn open(manifest: &Manifest, options: SessionOptions, weights: &SharedWeights) -> Result<Self, SessionError> {
        let runtime = Runtime::get()?;
        let load = |message| SessionError::Load { path: manifest.onnx_file.clone(), message };
        let session = builder(runtime, options, weights)
            .and_then(|mut builder| builder.commit_from_file(&manifest.onnx_file))
            .map_err(|error| load(error.to_string()))?;
        weights.release();
        let takes = |name: &str| session.inputs().iter().any(|input| input.name() == name);
        Ok(Self {
            takes_mask: takes("attention_mask"),
            takes_type_ids: takes("token_type_ids"),
            topics: manifest.topics.as_ref().map(|head| head.output.clone()),
            entities: manifest.entities.as_ref().map(|head| head.output.clone()),
            session,
            _weights: weights.clone(),
        })
    }
}

fn builder(runtime: &Runtime, options: SessionOptions, weights: &SharedWeights) -> ort::Result<SessionBuilder> {
    let mut builder = ort::session::Session::builder(&runtime.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(options.n_threads)?
        .with_intra_op_spinning(false)?
        // Shapes change with every run, so that a plan made for one would be made again for the next.
        .with_memory_pattern(false)?;
    if options.arithmetic == ModelArithmetic::ExactByUnsignedWeights {
        builder = builder.with_config_entry("session.x64quantprecision", "1")?;
    }
    let builder = weights.give_to(builder)?;
    match options.provider {
        Provider::Cpu => Ok(builder),
        Provider::Cuda if ep::CUDA::is_available()? => {
            Ok(builder.with_execution_providers([ep::CUDA::default().build().error_on_failure()])?)
        }
        Provider::Cuda => Err(ort::Error::new("this build of ONNX Runtime has no CUDA execution provider")),
    }
}

impl Run for OrtSession {
    fn run(&mut self, batch: &Batch) -> Result<Outputs, RunError> {
        let shape = batch.shape();
        let failed = |error: ort::Error| RunError::Failed { shape, message: error.to_string() };
        let type_ids = Array2::<i64>::zeros(shape);
        let mut inputs = ort::inputs!["input_ids" => TensorRef::from_array_view(&batch.input_ids).map_err(failed)?];
        if self.takes_mask {
            inputs.push((
                "attention_mask".into(),
                TensorRef::from_array_view(&batch.attention_mask).map_err(failed)?.into(),
            ));
        }
        if self.takes_type_ids {
            inputs.push(("token_type_ids".into(), TensorRef::from_array_view(&type_ids).map_err(failed)?.into()));
        }
        let outputs = self.session.run(inputs).map_err(failed)?;
        let read =
            |name: &Option<String>| name.as_ref().map(|name| read_head(name, outputs.get(name), shape)).transpose();
        Ok(Outputs { topics: read(&self.topics)?, entities: read(&self.entities)? })
    }
}

/// Copies one output out of ONNX Runtime, as f32, checked for shape and for being numbers.
fn read_head(
    name: &str,
    value: Option<&DynValue>,
    (n_windows, length): (usize, usize),
) -> Result<HeadOutput, RunError> {
    let wrong = |shape: Vec<i64>| RunError::Shape {
        output: name.to_owned(),
        shape,
        expected: format!("[{n_windows}, L] or [{n_windows}, {length}, L] in fp32 or fp16"),
    };
    let value = value.ok_or_else(|| wrong(Vec::new()))?;
    let shape = value.dtype().tensor_shape().map(|shape| shape.to_vec()).unwrap_or_default();
    let array = match value.dtype().tensor_type() {
        Some(TensorElementType::Float32) => value.try_extract_array::<f32>().map(|array| array.to_owned()),
        Some(TensorElementType::Float16) => value.try_extract_array::<half::f16>().map(|array| array.mapv(f32::from)),
        _ => return Err(wrong(shape)),
    }
    .map_err(|_| wrong(shape.clone()))?;
    if !array.iter().all(|logit| logit.is_finite()) {
        return Err(RunError::NotFinite { output: name.to_owned() });
    }
    match array.shape() {
        [b, _] if *b == n_windows => {
            array.into_dimensionality::<Ix2>().map(HeadOutput::Sequence).map_err(|_| wrong(shape))
        }
        [b, t, _] if (*b, *t) == (n_windows, length) => {
            array.into_dimensionality::<Ix3>().map(HeadOutput::Token).map_err(|_| wrong(shape))
        }
        _ => Err(wrong(shape)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_runtime_is_answered_with_where_it_was_looked_for() {
        let candidates = [
            ("beside the executable", PathBuf::from("/nowhere/libonnxruntime.so")),
            ("system", PathBuf::from("/dev/null")),
        ];
        let message = Runtime::load(&candidates).unwrap_err().to_string();
        for part in [
            "/nowhere/libonnxruntime.so (beside the executable)",
            "/dev/null (system)",
            "scripts/onnxruntime.sh",
            "ORT_DYLIB_PATH",
        ] {
            assert!(message.contains(part), "{part} is missing in: {message}");
        }
    }
}
