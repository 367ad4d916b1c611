//! Keeps ONNX Runtime from reporting to Microsoft.
//!
//! Its wheels (1.32.0) have a telemetry client. From the first call on, it keeps a device id and a database in the user's cache, and
//! looks up `mobile.events.data.microsoft.com`. The switch of its C interface comes too late for both: only this variable keeps
//! the client from starting.
#![allow(unsafe_code, reason = "docs/architecture.md explains it")]

/// Sets `ORT_DISABLE_TELEMETRY`, and overrides a value that is set. Call it first in `main`, before there is another thread.
pub fn disable_library_telemetry() {
    // SAFETY: there is no other thread that could read the environment meanwhile.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}
