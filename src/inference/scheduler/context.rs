//! The request that a document belongs to, its priority, admission and deadline.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::system::choice::UnknownWord;

/// How a document is scheduled.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext {
    pub request: RequestId,
    pub priority: Priority,
    pub admission: Admission,
    pub deadline: Instant,
}

/// How soon a request wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, strum::Display, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<Priority>)]
pub enum Priority {
    #[default]
    Normal,
    /// Batch jobs and the like: yields to all others.
    Bulk,
}

/// Whether a caller waits for a permit while the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Refused at once.
    Try,
    /// Waits until the deadline: for the follow-up documents of an admitted request.
    Wait,
}

/// Which windows belong together: each request gets a fair share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(u64);

impl RequestContext {
    /// The context of a new request of normal priority.
    pub fn new(admission: Admission, deadline: Instant) -> Self {
        Self { request: RequestId::next(), priority: Priority::Normal, admission, deadline }
    }
}

impl RequestId {
    /// An id that no other request of this process has.
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
