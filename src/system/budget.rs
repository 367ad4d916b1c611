//! One budget of memory for all requests under way: their bodies, texts, tokens and answers.
//!
//! What does not fit waits or is refused. Small reservations may use all of the budget, large ones a part of it, so that large
//! requests never keep small ones out. Bodies leave a part for the documents in them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Bytes that requests under way may take.
#[derive(Debug)]
pub struct MemoryBudget {
    max: AtomicU64,
    used: Mutex<u64>,
    freed: Notify,
}

/// What a reservation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryUse {
    Body,
    Document,
}

/// A part of the budget, returned when it is dropped.
#[derive(Debug)]
pub struct Reserved {
    budget: Arc<MemoryBudget>,
    n_bytes: u64,
    used_for: MemoryUse,
}

/// The budget has no such part left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the requests under way take the {} MB that --request-memory-mb allows; try again shortly, send less text at once, or start the server with a higher --request-memory-mb",
    .max / 1_000_000
)]
pub struct BudgetExceeded {
    max: u64,
}

/// A reservation of at most so many bytes is small.
const SMALL_BYTES: u64 = 64 * 1024;

impl MemoryBudget {
    pub fn new(max_bytes: u64) -> Arc<Self> {
        Arc::new(Self { max: max_bytes.into(), used: Mutex::new(0), freed: Notify::new() })
    }

    /// Reserves `n_bytes` if they are left.
    pub fn try_reserve(self: &Arc<Self>, n_bytes: u64, used_for: MemoryUse) -> Result<Reserved, BudgetExceeded> {
        let mut reserved = Reserved { budget: Arc::clone(self), n_bytes: 0, used_for };
        reserved.resize(n_bytes).map(|()| reserved)
    }

    /// Waits until `n_bytes` are left, and reserves them.
    pub async fn reserve(self: &Arc<Self>, n_bytes: u64, used_for: MemoryUse) -> Reserved {
        loop {
            let freed = self.freed.notified();
            if let Ok(reserved) = self.try_reserve(n_bytes, used_for) {
                return reserved;
            }
            freed.await;
        }
    }

    /// Bytes that may be reserved.
    pub fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// Changes the budget. What is reserved already stays.
    pub fn set_max(&self, max_bytes: u64) {
        self.max.store(max_bytes, Ordering::Relaxed);
        self.freed.notify_waiters();
    }

    /// Bytes that are reserved now.
    pub fn n_used(&self) -> u64 {
        *self.lock()
    }

    /// How much of the budget may be used after a reservation of `n_bytes`.
    fn limit(&self, n_bytes: u64, used_for: MemoryUse) -> u64 {
        match used_for {
            _ if n_bytes <= SMALL_BYTES => self.max(),
            MemoryUse::Body => self.max() / 2,
            MemoryUse::Document => self.max() / 8 * 7,
        }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reserved {
    /// Makes the reservation `n_bytes` large. One for which the part of its use is too small in any case counts as that part:
    /// it waits until it is the only one.
    pub fn resize(&mut self, n_bytes: u64) -> Result<(), BudgetExceeded> {
        let largest = match self.used_for {
            MemoryUse::Body => self.budget.max() / 2,
            MemoryUse::Document => self.budget.max() / 8 * 3,
        };
        let n_bytes = n_bytes.min(largest);
        let mut used = self.budget.lock();
        let others = *used - self.n_bytes;
        if n_bytes > self.n_bytes && others + n_bytes > self.budget.limit(n_bytes, self.used_for) {
            return Err(BudgetExceeded { max: self.budget.max() });
        }
        let is_less = n_bytes < self.n_bytes;
        (*used, self.n_bytes) = (others + n_bytes, n_bytes);
        drop(used);
        if is_less {
            self.budget.freed.notify_waiters();
        }
        Ok(())
    }
}

impl Reserved {
    /// Makes the reservation `n_bytes` large as soon as they are left.
    pub async fn resize_when_free(&mut self, n_bytes: u64) {
        let budget = Arc::clone(&self.budget);
        loop {
            let freed = budget.freed.notified();
            if self.resize(n_bytes).is_ok() {
                return;
            }
            freed.await;
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // One that was refused frees nothing, and must not wake those that wait, itself among them.
        if self.n_bytes > 0 {
            *self.budget.lock() -= self.n_bytes;
            self.budget.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const MB: u64 = 1_000_000;

    #[test]
    fn large_requests_leave_memory_to_documents_and_small_requests() {
        let budget = MemoryBudget::new(80 * MB);
        let bodies: Vec<_> = (0..9).map_while(|_| budget.try_reserve(10 * MB, MemoryUse::Body).ok()).collect();
        assert_eq!(bodies.len(), 4);
        let documents: Vec<_> = (0..9).map_while(|_| budget.try_reserve(10 * MB, MemoryUse::Document).ok()).collect();
        assert_eq!(documents.len(), 3);
        let refusal = budget.try_reserve(MB, MemoryUse::Document).unwrap_err().to_string();
        assert!(refusal.contains("the 80 MB that --request-memory-mb allows"), "{refusal}");
        assert!(budget.try_reserve(SMALL_BYTES, MemoryUse::Body).is_ok());
        drop((bodies, documents));
        assert_eq!(budget.n_used(), 0);
    }

    #[tokio::test]
    async fn what_does_not_fit_waits_until_another_request_ends() {
        let budget = MemoryBudget::new(80 * MB);
        let body = budget.try_reserve(40 * MB, MemoryUse::Body).unwrap();
        // Larger than all that a document may have, so that it would never fit.
        let first = budget.reserve(1000 * MB, MemoryUse::Document).await;
        let mut second = Box::pin(budget.reserve(1000 * MB, MemoryUse::Document));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        drop(second.await);
        drop(body);
        assert_eq!(budget.n_used(), 0);
    }

    #[test]
    fn a_body_that_grows_is_held_to_its_whole_size() {
        let budget = MemoryBudget::new(80 * MB);
        let mut body = budget.try_reserve(0, MemoryUse::Body).unwrap();
        let _other = budget.try_reserve(30 * MB, MemoryUse::Body).unwrap();
        assert!(body.resize(10 * MB).is_ok());
        assert!(body.resize(10 * MB + 1).is_err());
        body.resize(MB).unwrap();
        assert_eq!(budget.n_used(), 31 * MB);
    }
}
