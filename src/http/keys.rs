//! The optional keys of the operator, and who may change models.

use std::fmt;

use subtle::ConstantTimeEq;

/// A secret that is never printed.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// Compares in constant time.
    pub fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// Who may change models in the running server.
#[derive(Debug, Clone)]
pub enum AdminAccess {
    /// Clients that send this key.
    Key(ApiKey),
    /// Every client of this machine: for a server that listens on the loopback only.
    Anyone,
    /// Nobody: for a server that other machines reach and that has no admin key.
    Nobody,
}
