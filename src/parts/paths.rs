//! The files that a run writes, named after its output.

use std::path::{Path, PathBuf};

/// What follows the output's name in the name of the folder of parts.
pub const PARTS: &str = ".parts";

/// The folder in which a run keeps what it has written until the output is whole.
pub fn parts_dir(output: &Path) -> PathBuf {
    with_suffix(output, PARTS)
}

/// What the folder of parts is called while a finished run removes it. Hidden, so that no later run takes it for input.
pub fn finished_dir(output: &Path) -> PathBuf {
    let name = with_suffix(output, ".parts.finished").file_name().unwrap_or_default().to_owned();
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    output.with_file_name(hidden)
}

/// The file that lists the rows that could not be scored.
pub fn errors_path(output: &Path) -> PathBuf {
    with_suffix(output, ".errors.jsonl")
}

fn with_suffix(output: &Path, suffix: &str) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    output.with_file_name(name)
}
