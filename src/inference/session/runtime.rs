//! ONNX Runtime's library: found and loaded at run time, once for the process.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The lowest ONNX Runtime that this build can load, as `1.MINOR`.
pub const MIN_RUNTIME_MINOR: u32 = ort::MINOR_VERSION;

/// ONNX Runtime, loaded.
#[derive(Debug)]
pub struct Runtime {
    pub library: PathBuf,
    pub(super) environment: ort::environment::Environment,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum SessionError {
    #[error("ONNX Runtime was not found or is not usable (1.{MIN_RUNTIME_MINOR} or newer is needed); looked in:\n{tried}\nget it with scripts/onnxruntime.sh, or set ORT_DYLIB_PATH to your libonnxruntime", tried = .0.join("\n"))]
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

/// Where the library may be, in order: `ORT_DYLIB_PATH` (no other path is tried then), next to the executable, where
/// `scripts/onnxruntime.sh` puts it, and where the system's loader looks.
fn library_candidates() -> Vec<(&'static str, PathBuf)> {
    let name = format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return vec![("ORT_DYLIB_PATH", PathBuf::from(path))];
    }
    let mut candidates = Vec::new();
    if let Some(folder) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        candidates.push(("next to the executable", folder.join(&name)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_runtime_is_answered_with_where_it_was_looked_for() {
        let candidates = [
            ("next to the executable", PathBuf::from("/nowhere/libonnxruntime.so")),
            ("system", PathBuf::from("/dev/null")),
        ];
        let message = Runtime::load(&candidates).unwrap_err().to_string();
        for part in [
            "/nowhere/libonnxruntime.so (next to the executable)",
            "/dev/null (system)",
            "scripts/onnxruntime.sh",
            "ORT_DYLIB_PATH",
        ] {
            assert!(message.contains(part), "{part} is missing in: {message}");
        }
    }
}
