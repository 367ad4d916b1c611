//! The settings of a run.

use std::path::PathBuf;

use super::error::STDOUT;
use super::format::Format;
use super::layout::ColumnChoice;
use super::read::ReadSettings;
use crate::classify::request::ClassifyOptions;

/// What to score, how, and where to write it.
#[derive(Debug, Clone)]
pub struct ScoreJob {
    /// Files, patterns, folders, or `-`.
    pub inputs: Vec<String>,
    pub input_format: Option<Format>,
    pub reading: ReadSettings,
    pub columns: ColumnChoice,
    pub target: Target,
    /// Files that are written at the end, by their flags.
    pub reports: Vec<(&'static str, PathBuf)>,
    /// Whether a run resumes although the times or inodes of its inputs have changed.
    pub inputs_unchanged: bool,
    pub output: OutputChoice,
    pub options: ClassifyOptions,
    /// Longest text that is read, in Unicode code points.
    pub max_characters: usize,
    /// The run ends when more rows than this have failed.
    pub max_errors: Option<u64>,
    /// Rows that are read at most, over all inputs; `None`: all.
    pub limit: Option<u64>,
    /// Nothing is written.
    pub dry_run: bool,
    /// Rows of a block: sorted by length, written and counted together; at least 1.
    pub look_ahead: usize,
}

/// How the output is written, as said on the command line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutputChoice {
    /// `None`: by the extension.
    pub format: Option<Format>,
    /// Between the values of separated formats; `None`: a comma in CSV, a tabulator in TSV.
    pub delimiter: Option<u8>,
    /// Whether separated values start with a byte order mark, by which Excel knows that they are UTF-8.
    pub has_bom: bool,
}

/// Where the scored rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    File {
        path: PathBuf,
        /// Whether an existing file is replaced.
        overwrite: bool,
    },
    /// Standard output, with a file for the rows that fail; without one, these are logged.
    Stdout { errors_file: Option<PathBuf> },
}

impl Target {
    /// The path of the output, for messages.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::File { path, .. } => path.clone(),
            Self::Stdout { .. } => STDOUT.into(),
        }
    }
}
