//! The version of ONNX Runtime's library, which `ort` reads but does not tell.
#![allow(unsafe_code, reason = "docs/architecture.md explains it")]

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ort::sys::OrtApiBase;

/// What the loaded library at `path` says, such as `1.32.0`.
pub fn version_of(path: &Path) -> Option<String> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: `path` is a C string. The library is loaded, so that its initialisers don't run again.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    if library.is_null() {
        return None;
    }
    // SAFETY: `library` is a handle that `dlopen` returned.
    let symbol = unsafe { libc::dlsym(library, c"OrtGetApiBase".as_ptr()) };
    if symbol.is_null() {
        return None;
    }
    // SAFETY: this is the type of `OrtGetApiBase` in onnxruntime_c_api.h, and `ort` has called it before.
    let base = unsafe { std::mem::transmute::<*mut libc::c_void, extern "C" fn() -> *const OrtApiBase>(symbol) }();
    // SAFETY: the base is a constant of the library, which stays loaded: this handle is never closed.
    let version = unsafe { (base.as_ref()?.GetVersionString)() };
    // SAFETY: the version is a C string constant of the library.
    let version = unsafe { CStr::from_ptr(version) };
    Some(version.to_str().ok()?.to_owned())
}
