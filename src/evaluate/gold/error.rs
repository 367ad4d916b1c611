//! Why labelled data cannot be read.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum GoldError {
    #[error("{path}: cannot be read; give a file of labelled documents", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}{error}", path = path.display())]
    Content { path: PathBuf, error: ContentError },
}

/// What is wrong with the content of a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    #[error(", line {0}: {1}")]
    Line(usize, String),
    #[error(": {0}")]
    File(String),
}
