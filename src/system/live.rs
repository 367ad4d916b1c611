//! A value that may change while the server runs.

use std::sync::{PoisonError, RwLock};

/// A value that is read whole and replaced whole.
#[derive(Debug, Default)]
pub struct Live<T>(RwLock<T>);

impl<T: Copy> Live<T> {
    pub fn new(value: T) -> Self {
        Self(RwLock::new(value))
    }

    /// The current value. Call this once, and keep the result where two uses must agree.
    pub fn get(&self) -> T {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}
