//! ONNX Runtime: finding its library, opening a model on the first execution provider that works, running a batch.
//!
//! The only module that names the `ort` crate.

mod library;
mod library_version;
mod ort_session;
mod placement;
mod runtime;
mod shared_model;
mod watch;

pub use ort_session::{OrtSession, SessionOptions};
pub use placement::{Placement, first_in_build, place};
pub use runtime::{MIN_RUNTIME_MINOR, Runtime, SessionError};
pub use shared_model::SharedModel;
