//! What is wrong with the configuration, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// A configuration with which the server does not start.
#[derive(Debug)]
pub struct ConfigError {
    file: Option<PathBuf>,
    line: Option<usize>,
    what: String,
}

impl ConfigError {
    /// Of the settings together, wherever each comes from.
    pub fn new(what: impl Into<String>) -> Self {
        Self { file: None, line: None, what: what.into() }
    }

    pub fn of_file(file: &Path, what: impl Into<String>) -> Self {
        Self { file: Some(file.to_owned()), ..Self::new(what) }
    }

    /// `line` counts from 1.
    pub fn at(file: &Path, line: usize, what: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::of_file(file, what) }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
        }
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        let space = if self.file.is_some() { " " } else { "" };
        write!(f, "{space}{}", self.what)
    }
}

impl std::error::Error for ConfigError {}
