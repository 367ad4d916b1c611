//! Ends runs that take too long: a graph that loops on a token would hold its thread for ever.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ort::session::RunOptions;

/// A run that is watched until this is dropped.
pub struct Watched {
    key: (Instant, u64),
}

#[derive(Default)]
struct Watch {
    runs: Mutex<Runs>,
    wake: Condvar,
}

#[derive(Default)]
struct Runs {
    /// By the time at which each ends.
    by_end: BTreeMap<(Instant, u64), Arc<RunOptions>>,
    n_started: u64,
    has_thread: bool,
}

/// Ends the run of `options` after `timeout`.
pub fn watch(options: &Arc<RunOptions>, timeout: Duration) -> Watched {
    let (watch, mut runs) = (the_watch(), the_watch().lock());
    if !runs.has_thread {
        // Where it cannot be started, the next run tries again.
        runs.has_thread = std::thread::Builder::new().name("watch-runs".to_owned()).spawn(end_late_runs).is_ok();
    }
    runs.n_started += 1;
    let key = (Instant::now() + timeout, runs.n_started);
    runs.by_end.insert(key, Arc::clone(options));
    // The thread sleeps until the end of the first; it need not know of others.
    let is_first = runs.by_end.first_key_value().is_some_and(|(first, _)| *first == key);
    drop(runs);
    if is_first {
        watch.wake.notify_one();
    }
    Watched { key }
}

impl Drop for Watched {
    fn drop(&mut self) {
        the_watch().lock().by_end.remove(&self.key);
    }
}

fn the_watch() -> &'static Watch {
    static WATCH: OnceLock<Watch> = OnceLock::new();
    WATCH.get_or_init(Watch::default)
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end_late_runs() {
    const NOTHING_TO_WATCH: Duration = Duration::from_secs(3600);
    let watch = the_watch();
    let mut runs = watch.lock();
    loop {
        let now = Instant::now();
        while let Some(late) = runs.by_end.first_entry().filter(|run| run.key().0 <= now) {
            if let Err(error) = late.remove().terminate() {
                tracing::error!(%error, "a run that takes too long cannot be ended");
            }
        }
        let wait = runs.by_end.first_key_value().map_or(NOTHING_TO_WATCH, |((end, _), _)| end.duration_since(now));
        runs = watch.wake.wait_timeout(runs, wait).map_or_else(|error| error.into_inner().0, |(runs, _)| runs);
    }
}
