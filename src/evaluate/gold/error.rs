//! Why labelled data cannot be read.

use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum GoldError {
    #[error("{path}: cannot be read; give a file of labelled documents", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}, line {line}: {message}", path = path.display())]
    Line { path: PathBuf, line: usize, message: String },
    #[error("{path}: {message}", path = path.display())]
    File { path: PathBuf, message: String },
}

/// What is wrong with the content of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ContentError {
    Line(usize, String),
    File(String),
}

impl ContentError {
    pub fn in_file(self, path: &Path) -> GoldError {
        let path = path.to_owned();
        match self {
            Self::Line(line, message) => GoldError::Line { path, line, message },
            Self::File(message) => GoldError::File { path, message },
        }
    }
}
