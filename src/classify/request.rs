//! What one request may ask for.

use std::time::Duration;

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
