//! Why a run cannot save what it has done, or cannot resume.

use std::io;
use std::path::PathBuf;

use super::plan::Difference;

#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    #[error("{path}: cannot be read", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: cannot be written", path = path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{path}: another process is writing there; wait until it has finished, or stop it", path = .0.display())]
    Locked(PathBuf),
    #[error(
        "{parts} holds a run that was started differently, and cannot be resumed: {}; use the same again, or remove {parts} to start again",
        listed(differences), parts = parts.display()
    )]
    Changed { parts: PathBuf, differences: Vec<Difference> },
    #[error("{path}: {message}; remove the folder {parts} to start again", path = path.display(), parts = parts.display())]
    Damaged { path: PathBuf, message: String, parts: PathBuf },
    /// It would lead to files that no run has written.
    #[error(
        "{path}: {message}; move {parts} away, or name another output",
        path = path.display(),
        parts = parts.display()
    )]
    Foreign { path: PathBuf, message: String, parts: PathBuf },
}

/// Differences, separated by semicolons.
pub fn listed(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl PartsError {
    pub(super) fn write(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Write { path: path.into(), source }
    }
}
