//! The text of a configuration file, for the lines of its parts.

use std::path::Path;

use super::error::ConfigError;

pub struct Source<'s> {
    pub path: &'s Path,
    pub text: &'s str,
}

impl Source<'_> {
    /// `at` is a byte offset.
    pub fn error(&self, at: usize, what: String) -> ConfigError {
        ConfigError::at(self.path, self.line(at), what)
    }

    pub fn syntax_error(&self, error: &toml::de::Error) -> ConfigError {
        let what = format!("this is not TOML: {}", error.message());
        match error.span() {
            Some(span) => self.error(span.start, what),
            None => ConfigError::of_file(self.path, what),
        }
    }

    /// The line of a byte offset, from 1.
    pub fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}
