//! What an operator sets: limits, execution providers, which models serve what. Plain values, checked where they are made.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::task::UnknownWord;

/// Where a model may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    Cuda,
    Cpu,
}

/// How models are loaded and run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSettings {
    /// In the order in which they are tried; the CPU stands behind them all.
    pub providers: Vec<Provider>,
    /// Refuse to serve on the CPU alone.
    pub require_gpu: bool,
    /// Sessions of one model that run at the same time, each on one thread; at least 1.
    pub n_streams: usize,
    /// Windows that may wait for a run before a request is refused; at least 1.
    pub max_queued_windows: usize,
    pub batching: Batching,
}

/// Whether windows may share a run.
///
/// The same window gives the same bits in every run of one shape; in runs of another shape the last digit of a score may
/// differ. Which windows meet in a queue depends on time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batching {
    /// Those that meet in the queue do, as far as the model allows it.
    Shared,
    /// Each window has a run of its own, so that its scores are the same to the last bit every time.
    Alone,
}

/// What one request may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Unicode code points of one text.
    pub max_characters: usize,
    pub max_documents: usize,
    /// Bytes of a request's body.
    pub max_body_bytes: usize,
    /// From the arrival of a request to its answer.
    pub timeout: Duration,
}

/// A model to load: `[NAME=]PATH` on the command line. Without a name it is called after its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSpec {
    pub name: String,
    pub path: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelSpecError {
    #[error("`{0}` names no model: give NAME=PATH, or the path of a folder that has a name")]
    NoName(String),
    #[error(
        "model name `{0}` may hold letters, digits, `.`, `_` and `-` only, at most 64 of them and no dot first; give another: NAME=PATH"
    )]
    BadName(String),
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            providers: vec![Provider::Cuda, Provider::Cpu],
            require_gpu: false,
            n_streams: usable_cores(),
            max_queued_windows: 1024,
            batching: Batching::Shared,
        }
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            max_characters: 200_000,
            max_documents: 1_000,
            max_body_bytes: 32 * 1024 * 1024,
            timeout: Duration::from_secs(60),
        }
    }
}

impl Provider {
    pub fn is_gpu(self) -> bool {
        self != Self::Cpu
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cuda => "cuda",
            Self::Cpu => "cpu",
        })
    }
}

impl FromStr for Provider {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "cuda" => Ok(Self::Cuda),
            "cpu" => Ok(Self::Cpu),
            _ => Err(UnknownWord { found: word.to_owned(), expected: "`cuda`, `cpu`".to_owned() }),
        }
    }
}

impl FromStr for Batching {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "shared" => Ok(Self::Shared),
            "alone" => Ok(Self::Alone),
            _ => Err(UnknownWord { found: word.to_owned(), expected: "`shared`, `alone`".to_owned() }),
        }
    }
}

impl FromStr for ModelSpec {
    type Err = ModelSpecError;

    fn from_str(text: &str) -> Result<Self, ModelSpecError> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (Some(name.to_owned()), Path::new(path)),
            None => (None, Path::new(text)),
        };
        // `models/x/.` and `.` have a name once they are looked up.
        let folder_name = || {
            path.canonicalize()
                .ok()
                .as_deref()
                .unwrap_or(path)
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let name = name.or_else(folder_name).ok_or_else(|| ModelSpecError::NoName(text.to_owned()))?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.starts_with('.') || name.len() > 64 || !name.chars().all(is_plain) {
            return Err(ModelSpecError::BadName(name));
        }
        Ok(Self { name, path: path.to_owned() })
    }
}

/// The cores that this process may really use (affinity and cgroup quota, not the machine's count).
pub fn usable_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_by_hand_or_after_its_folder() {
        let spec = |name: &str, path: &str| ModelSpec { name: name.into(), path: path.into() };
        for (text, expected) in [
            ("models/ressort", spec("ressort", "models/ressort")),
            ("neu=/srv/a b", spec("neu", "/srv/a b")),
            ("models/ressort/", spec("ressort", "models/ressort/")),
        ] {
            assert_eq!(text.parse(), Ok(expected));
        }
        assert_eq!("a/b=x".parse::<ModelSpec>(), Err(ModelSpecError::BadName("a/b".into())));
        assert_eq!("=x".parse::<ModelSpec>(), Err(ModelSpecError::BadName(String::new())));
        assert_eq!("/".parse::<ModelSpec>(), Err(ModelSpecError::NoName("/".into())));
    }
}
