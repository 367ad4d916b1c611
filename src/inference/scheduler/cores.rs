//! Which runs go next where several models compute on the same cores.
//!
//! Each model has as many workers as there are cores. After a switch the old model still has a queue while new requests come
//! to the new one. If the system shared the cores between both, the windows that have waited longest would take twice as
//! long. So only as many runs are under way as there are cores, or workers of one model. The next is chosen among the models
//! as each of them chooses: normal work before bulk, new requests before those that had a share, then the window that came
//! first. A model that is alone never waits.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::inference::settings::usable_cores;

/// The cores that the workers of several models share.
#[derive(Debug)]
pub struct SharedCores {
    state: Mutex<State>,
    freed: Condvar,
    /// A run begins after this time, whatever else runs. So a run that hangs, or steady load on another model, stops no model.
    max_wait: Duration,
}

/// Which of several runs goes first: the smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunOrder {
    pub is_bulk: bool,
    /// Whether its request had a share before.
    pub is_follow_up: bool,
    /// When its first window came to the queue.
    pub queued: Instant,
}

/// Allows one run, for as long as it lives.
#[derive(Debug)]
pub struct RunPermit<'c>(&'c SharedCores);

#[derive(Debug, Default)]
struct State {
    n_at_once: usize,
    n_running: usize,
    /// The runs that wait, with a number that makes each distinct.
    waiting: BTreeSet<(RunOrder, u64)>,
    n_numbered: u64,
}

impl SharedCores {
    /// Those of this process, for a model with `n_streams` workers.
    pub fn of_process(n_streams: usize) -> &'static Self {
        static CORES: SharedCores = SharedCores::new(Duration::from_millis(300));
        CORES.allow(n_streams.max(usable_cores()));
        &CORES
    }

    pub(super) const fn new(max_wait: Duration) -> Self {
        let state = State { n_at_once: 0, n_running: 0, waiting: BTreeSet::new(), n_numbered: 0 };
        Self { state: Mutex::new(state), freed: Condvar::new(), max_wait }
    }

    /// Lets at least `n` runs be under way at a time.
    pub(super) fn allow(&self, n: usize) {
        let mut state = self.lock();
        state.n_at_once = state.n_at_once.max(n);
    }

    /// Waits until the run is next, or for the longest time.
    pub fn permit(&self, order: RunOrder) -> RunPermit<'_> {
        self.begin(self.lock(), order);
        RunPermit(self)
    }

    fn begin<'c>(&'c self, mut state: MutexGuard<'c, State>, order: RunOrder) {
        let is_next = state.waiting.first().is_none_or(|(first, _)| order < *first);
        if !is_next || state.n_running >= state.n_at_once {
            state = self.wait(state, order);
        }
        state.n_running += 1;
    }

    fn wait<'c>(&'c self, mut state: MutexGuard<'c, State>, order: RunOrder) -> MutexGuard<'c, State> {
        let entry = (order, state.n_numbered);
        state.n_numbered += 1;
        state.waiting.insert(entry);
        // The core of a renewed permit is free.
        self.freed.notify_all();
        let latest = Instant::now() + self.max_wait;
        loop {
            let is_next = state.n_running < state.n_at_once && state.waiting.first() == Some(&entry);
            let left = latest.saturating_duration_since(Instant::now());
            if is_next || left.is_zero() {
                state.waiting.remove(&entry);
                // Another core may be free for the one that is next now.
                self.freed.notify_all();
                return state;
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunPermit<'_> {
    /// Allows the next run of the same worker, after those of others that go before it. A permit that was returned first
    /// would go to whoever waits, even if this run has waited longer.
    pub fn renew(&self, order: RunOrder) {
        let mut state = self.0.lock();
        state.n_running -= 1;
        self.0.begin(state, order);
    }
}

impl Drop for RunPermit<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.n_running -= 1;
        if !state.waiting.is_empty() {
            self.0.freed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn order(is_bulk: bool, is_follow_up: bool, queued: Instant) -> RunOrder {
        RunOrder { is_bulk, is_follow_up, queued }
    }

    const LONG: Duration = Duration::from_secs(60);

    fn cores(n: usize, max_wait: Duration) -> Arc<SharedCores> {
        let cores = Arc::new(SharedCores::new(max_wait));
        cores.allow(n);
        cores
    }

    #[test]
    fn a_free_core_is_taken_at_once() {
        let (cores, now) = (cores(2, LONG), Instant::now());
        let permits = [true, false].map(|is_bulk| cores.permit(order(is_bulk, false, now)));
        drop(permits);
        assert!(now.elapsed() < LONG);
        assert_eq!(cores.lock().n_running, 0);
    }

    #[test]
    fn normal_work_new_requests_and_old_windows_go_first() {
        let (cores, now) = (cores(1, LONG), Instant::now());
        let held = cores.permit(order(false, false, now));
        let second = Duration::from_secs(1);
        let orders = [
            ("bulk", order(true, false, now)),
            ("follow-up", order(false, true, now)),
            ("young", order(false, false, now + second)),
            ("old", order(false, false, now)),
        ];
        let began = Arc::new(Mutex::new(Vec::new()));
        let threads = orders.map(|(name, order)| {
            let (cores, began) = (Arc::clone(&cores), Arc::clone(&began));
            std::thread::spawn(move || {
                let _permit = cores.permit(order);
                began.lock().unwrap().push(name);
            })
        });
        while cores.lock().waiting.len() < orders.len() {
            std::thread::yield_now();
        }
        drop(held);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*began.lock().unwrap(), ["old", "young", "follow-up", "bulk"]);
    }

    #[test]
    fn a_worker_goes_on_until_another_run_goes_before_its_own() {
        let (cores, now) = (cores(1, LONG), Instant::now());
        let [first, second, third] = [0, 1, 2].map(|n| order(false, false, now + Duration::from_millis(n)));
        let permit = cores.permit(first);
        let began = Arc::new(Mutex::new(Vec::new()));
        let other = std::thread::spawn({
            let (cores, began) = (Arc::clone(&cores), Arc::clone(&began));
            move || {
                let _permit = cores.permit(second);
                began.lock().unwrap().push("second");
            }
        });
        while cores.lock().waiting.is_empty() {
            std::thread::yield_now();
        }
        permit.renew(first);
        began.lock().unwrap().push("first");
        permit.renew(third);
        began.lock().unwrap().push("third");
        drop(permit);
        other.join().unwrap();
        assert_eq!(*began.lock().unwrap(), ["first", "second", "third"]);
        assert_eq!(cores.lock().n_running, 0);
    }

    #[test]
    fn a_run_that_hangs_does_not_stop_another_model() {
        let max_wait = Duration::from_millis(30);
        let (cores, now) = (cores(1, max_wait), Instant::now());
        let _hangs = cores.permit(order(false, false, now));
        let _other = cores.permit(order(true, true, now));
        assert!(now.elapsed() >= max_wait);
    }
}
