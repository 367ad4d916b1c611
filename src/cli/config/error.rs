//! What is wrong with the configuration, and where: all errors that were found.

use std::fmt;
use std::path::{Path, PathBuf};

/// A configuration with which the server does not start.
#[derive(Debug)]
pub struct ConfigError(Vec<One>);

#[derive(Debug)]
struct One {
    file: Option<PathBuf>,
    line: Option<usize>,
    what: String,
}

impl ConfigError {
    /// Of the settings together, wherever each comes from.
    pub fn new(what: impl Into<String>) -> Self {
        Self(vec![One { file: None, line: None, what: what.into() }])
    }

    pub fn of_file(file: &Path, what: impl Into<String>) -> Self {
        Self(vec![One { file: Some(file.to_owned()), line: None, what: what.into() }])
    }

    /// `line` counts from 1.
    pub fn at(file: &Path, line: usize, what: impl Into<String>) -> Self {
        Self(vec![One { file: Some(file.to_owned()), line: Some(line), what: what.into() }])
    }
}

/// Errors that are collected, to be reported together.
#[derive(Debug, Default)]
pub struct Errors(Vec<One>);

impl Errors {
    pub fn push(&mut self, ConfigError(errors): ConfigError) {
        self.0.extend(errors);
    }

    /// The value, or `None` where there is an error, which is kept.
    pub fn take<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All errors, those of a file in the order of its lines.
    ///
    /// # Errors
    /// Where there is one.
    pub fn into_result(mut self) -> Result<(), ConfigError> {
        self.0.sort_by_key(|error| error.line);
        if self.0.is_empty() { Ok(()) } else { Err(ConfigError(self.0)) }
    }
}

/// One error is one line. Several follow a line that says how many.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [error] = &*self.0 {
            return error.fmt(f);
        }
        write!(f, "the configuration has {} errors:", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl fmt::Display for One {
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
