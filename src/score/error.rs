//! Why a scoring run fails, and why one row cannot be scored.

use std::io;
use std::path::{Path, PathBuf};

use crate::classify::error::ClassifyError;
use crate::parts::{Difference, PartsError, listed};
use crate::system::counted::counted;
use crate::text::encoding::not_utf8_remedy;

/// Fields of a source's fingerprint that a copy of the same content, or a change of its permissions, changes.
pub const TIMES_AND_IDENTITIES: &[&str] = &["changed", "digest", "identity"];

/// What messages call standard output.
pub const STDOUT: &str = "standard output";

/// What ends a run. Rows that were saved by then are kept, and the same command resumes.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The command line is wrong, whatever the files contain.
    #[error("{0}")]
    Usage(String),
    #[error("{name}: cannot be read")]
    Read { name: String, source: ReadError },
    #[error("{origin}: is not UTF-8; {}", not_utf8_remedy(*is_surrogate))]
    NotUtf8 { origin: String, is_surrogate: bool },
    #[error(
        "{name}: has changed while it was read; make sure that no other program writes to it, and run the command again"
    )]
    InputChanged { name: String },
    #[error("{path}: cannot be written{remedy}", path = path.display(), remedy = remedy_of(path, source))]
    Write { path: PathBuf, source: io::Error },
    #[error("{path}: the rows cannot be written in this format", path = path.display())]
    Encode { path: PathBuf, source: ReadError },
    #[error("{path} is there already; move it, name another output, or give --overwrite", path = .0.display())]
    OutputExists(PathBuf),
    #[error("{path}: another `ressort score` is writing there; wait until it has finished, or stop it", path = .0.display())]
    Locked(PathBuf),
    /// The content of the inputs may be the same.
    #[error(
        "{parts} holds a run whose inputs have changed, and cannot be resumed: {}; if their content is the same (a copy, or other permissions), give --inputs-unchanged to resume, or else remove {parts} to start again",
        listed(differences),
        parts = parts.display()
    )]
    InputTimes { parts: PathBuf, differences: Vec<Difference> },
    /// The run cannot resume.
    #[error(transparent)]
    Parts(PartsError),
    #[error(
        "{} could not be scored, and --max-errors is {max_errors}; {errors} lists them with the reasons; correct the input, or run the same command with a higher --max-errors to resume",
        counted(*n_errors, "row")
    )]
    TooManyErrors { n_errors: u64, max_errors: u64, errors: String },
    #[error("{origin}: the model cannot answer; run the same command again to resume at this row")]
    Predict { origin: String, source: ClassifyError },
    #[error(
        "{name}: has fewer rows than the checkpoint of the interrupted run counts; remove the .parts folder to start again"
    )]
    Position { name: String },
    #[error("a thread of the run has failed; the log has the reason")]
    Broken,
}

/// An error in the bytes of a file, by the library that found it.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Csv(#[from] csv::Error),
    #[error(transparent)]
    Arrow(#[from] arrow_schema::ArrowError),
    #[error(transparent)]
    Parquet(#[from] parquet::errors::ParquetError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(
        "column `{column}` has values of {n_bytes} bytes on average, and a row may have {max_row_bytes}; split them, or raise --max-row-bytes"
    )]
    LargeValues { column: String, n_bytes: usize, max_row_bytes: usize },
    #[error(
        "one JSON document, and not JSON lines (one object a line); convert it, for instance with `jq -c {0} FILE > FILE.jsonl`"
    )]
    JsonDocument(&'static str),
    #[error(
        "a batch of rows takes {n_bytes} bytes of memory, and {allowed} are allowed for what the file has; write it in batches of fewer rows"
    )]
    LargeBatch { n_bytes: u64, allowed: u64 },
    /// A library panicked at the file, or its lengths do not match.
    #[error("the file is damaged ({0}); copy or write it again")]
    Damaged(String),
    #[error("{0} of the rows that the checkpoint counts are not there")]
    TooFewRows(u64),
    #[error("line {line}, which names the columns: {error}")]
    Header { line: u64, error: RowError },
}

/// Why one row was not scored. It is written to the errors file, and the run continues.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RowError {
    #[error("not JSON: {0}")]
    InvalidJson(String),
    /// `at` counts from 1. The remedy is for a whole file of such rows.
    #[error("byte {at} is not UTF-8{}", if *is_surrogate { ", but half of a surrogate pair, as in CESU-8 or WTF-8" } else { "" })]
    NotUtf8 { at: usize, is_surrogate: bool },
    #[error("no text: {0}")]
    NoText(String),
    #[error("{0}")]
    InvalidRow(String),
    #[error(transparent)]
    Classify(#[from] ClassifyError),
}

impl ScoreError {
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// Whether the command line is wrong, rather than a file or the run.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }

    pub fn read(name: &str, source: impl Into<ReadError>) -> Self {
        Self::Read { name: name.to_owned(), source: source.into() }
    }

    pub fn write(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Write { path: path.into(), source }
    }
}

impl From<PartsError> for ScoreError {
    fn from(error: PartsError) -> Self {
        match error {
            PartsError::Read { path, source } => Self::read(&path.to_string_lossy(), source),
            PartsError::Write { path, source } => Self::Write { path, source },
            PartsError::Locked(path) => Self::Locked(path),
            PartsError::Changed { parts, differences }
                if differences.iter().all(|difference| TIMES_AND_IDENTITIES.contains(&difference.field())) =>
            {
                Self::InputTimes { parts, differences }
            }
            error @ (PartsError::Changed { .. } | PartsError::Damaged { .. } | PartsError::Foreign { .. }) => {
                Self::Parts(error)
            }
        }
    }
}

fn remedy_of(path: &Path, error: &io::Error) -> &'static str {
    match error.kind() {
        // Nothing resumes what went to standard output.
        io::ErrorKind::StorageFull if path == Path::new(STDOUT) => " (free space and run the same command again)",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            " (free space and run the same command again to resume)"
        }
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => " (its folder does not exist)",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            " (choose a folder that you may write to)"
        }
        _ => "",
    }
}

impl RowError {
    /// Code and reason, for the `error` column of the output.
    pub fn described(&self) -> String {
        match self {
            Self::InvalidJson(reason) | Self::NoText(reason) => format!("{}: {reason}", self.code()),
            error => format!("{}: {error}", error.code()),
        }
    }

    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidJson(_) => "invalid_json",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::NoText(_) => "no_text",
            Self::InvalidRow(_) => "invalid_row",
            Self::Classify(error) => error.code(),
        }
    }
}
