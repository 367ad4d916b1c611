//! What a step of the start found, for the log of `serve` and the report of `doctor`.

use serde_json::Value;

/// What a step found.
pub struct Finding {
    pub text: String,
    pub warnings: Vec<Warning>,
    /// The finding for programs.
    pub details: Value,
}

/// The server runs, but perhaps not as it was meant.
pub struct Warning {
    pub text: String,
    pub remedy: &'static str,
}

impl Finding {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), warnings: Vec::new(), details: Value::Null }
    }

    pub fn details(self, details: Value) -> Self {
        Self { details, ..self }
    }

    pub fn with(mut self, warning: Option<Warning>) -> Self {
        self.warnings.extend(warning);
        self
    }
}
