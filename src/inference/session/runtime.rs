//! ONNX Runtime's library: found and loaded at run time, once for the process.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::library::{Candidate, library_candidates};
use super::library_version::version_of;

/// The lowest ONNX Runtime that this build can load, as `1.MINOR`.
pub const MIN_RUNTIME_MINOR: u32 = ort::MINOR_VERSION;

/// ONNX Runtime, loaded.
#[derive(Debug)]
pub struct Runtime {
    pub library: PathBuf,
    /// Why the library was looked for there.
    pub origin: &'static str,
    /// As the library says it, such as `1.32.0`.
    pub version: String,
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

    /// Loads the first usable of `candidates`.
    fn load(candidates: &[Candidate]) -> Result<Self, SessionError> {
        let mut tried = Vec::new();
        for Candidate { origin, path: library } in candidates {
            if library.is_absolute() && !library.exists() {
                tried.push(format!("  {} ({origin}): no such file", library.display()));
                continue;
            }
            match ort::init_from(library).map_err(|error| error.to_string()).and_then(|builder| {
                builder.with_name("ressort").with_telemetry(false).build().map_err(|error| error.to_string())
            }) {
                Ok(environment) => {
                    let version = version_of(library).unwrap_or_else(|| "of an unknown version".to_owned());
                    return Ok(Self { library: library.clone(), origin, version, environment });
                }
                Err(error) => tried.push(format!("  {} ({origin}): {error}", library.display())),
            }
        }
        Err(SessionError::NoRuntime(tried))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_says_its_version() {
        let version = &Runtime::get().unwrap().version;
        assert!(version.starts_with("1.") && version.split('.').all(|part| part.parse::<u32>().is_ok()), "{version}");
    }

    #[test]
    fn a_missing_runtime_is_answered_with_where_it_was_looked_for() {
        let candidate = |origin, path: &str| Candidate { origin, path: path.into() };
        let candidates =
            [candidate("next to the program", "/nowhere/libonnxruntime.so"), candidate("system", "/dev/null")];
        let message = Runtime::load(&candidates).unwrap_err().to_string();
        for part in [
            "/nowhere/libonnxruntime.so (next to the program)",
            "/dev/null (system)",
            "scripts/onnxruntime.sh",
            "ORT_DYLIB_PATH",
        ] {
            assert!(message.contains(part), "{part} is missing in: {message}");
        }
    }
}
