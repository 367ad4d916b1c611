//! A value that may change while the server runs.

use std::sync::{PoisonError, RwLock};

/// A value that is read whole and replaced whole.
#[derive(Debug, Default)]
pub struct Live<T>(RwLock<T>);

impl<T: Copy> Live<T> {
    pub fn new(value: T) -> Self {
        Self(RwLock::new(value))
    }

    /// The value now. Who needs it twice keeps it, so that both uses see the same one.
    pub fn get(&self) -> T {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}
