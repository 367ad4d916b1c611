//! The worker threads: each takes the windows that are next, runs them on its session, and answers each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::Span;

use super::cores::RunPermit;
use super::pace::Load;
use super::queue::{Queue, QueuedWindow, Taken};
use super::{MakeRun, RequestContext, SharedCores};
use crate::inference::batch::{Batch, Outputs, Padding, Run, RunError};
use crate::inference::stats::{RunStats, Stage};
use crate::inference::tokenize::Window;
use crate::system::memory::TrimOnDrop;
use crate::system::spans::SPANS;

/// What a scheduler and its workers share.
pub struct Shared {
    pub queue: Mutex<Queue>,
    pub wake: Condvar,
    pub padding: Padding,
    pub cores: Option<&'static SharedCores>,
    pub make_stream: MakeRun,
    /// The session that computes on all cores. Poisoned, and then left alone, when a run of it panics.
    pub all_cores: Option<AllCores>,
    pub n_alive: AtomicUsize,
    pub n_panics: AtomicUsize,
    pub n_failed_batches: AtomicUsize,
    pub stats: RunStats,
    /// Last, so that it is dropped after the sessions' weights.
    pub _trim_on_drop: TrimOnDrop,
}

pub type AllCores = Arc<Mutex<Box<dyn Run>>>;

/// Where a worker finds a stream once it is open.
pub type Slot = Arc<Mutex<Option<Box<dyn Run>>>>;

/// The stream of the first worker of a model whose streams are opened after the session that computes on all cores.
pub struct LateStream {
    /// Takes the runs until then.
    pub all_cores: AllCores,
    pub opened: Slot,
    pub stream: Option<Box<dyn Run>>,
    pub make_stream: MakeRun,
}

impl Shared {
    pub fn enqueue(&self, context: RequestContext, entries: Vec<QueuedWindow>) {
        let mut queue = self.lock();
        // The last worker may have gone since the caller was admitted; then the entries are dropped, which answers them.
        if self.n_alive.load(Ordering::Acquire) > 0 {
            queue.push(context, entries);
        }
        drop(queue);
        self.wake.notify_all();
    }

    /// Starts a worker, which owns `stream`.
    pub fn start_worker(self: &Arc<Self>, stream: Box<dyn Run>) -> std::io::Result<()> {
        let number = self.n_alive.fetch_add(1, Ordering::AcqRel);
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name(format!("run-{number}"));
        let started = thread.spawn(move || shared.work(stream)).map(drop);
        if started.is_err() {
            self.n_alive.fetch_sub(1, Ordering::AcqRel);
        }
        started
    }

    /// A worker's life: take, run, answer, until the queue is closed and empty.
    fn work(&self, mut stream: Box<dyn Run>) {
        let mut permit = None;
        while let Some((taken, running)) = self.take(&mut permit) {
            let entries = self.wait_for_cores(taken, &mut permit);
            if entries.is_empty() {
                running.give_up();
                continue;
            }
            let on_all_cores = running.all_cores.is_some();
            let run = catch_unwind(AssertUnwindSafe(|| self.run_entries(stream.as_mut(), entries, running)));
            if run.is_ok() {
                continue;
            }
            self.n_panics.fetch_add(1, Ordering::Relaxed);
            if on_all_cores {
                tracing::error!("the session for single runs panicked; they are computed on one thread from now on");
                continue;
            }
            tracing::error!("a session panicked; it is replaced");
            permit = None;
            match (self.make_stream)() {
                Ok(fresh) => stream = fresh,
                Err(error) => {
                    tracing::error!(%error, "a session cannot be replaced; its worker stops");
                    break;
                }
            }
        }
        if self.n_alive.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.lock().clear();
        }
    }

    /// The next windows to run together; `None` when there will be no more. The permit is returned where there are none yet.
    fn take(&self, permit: &mut Option<RunPermit<'_>>) -> Option<(Taken, Running<'_>)> {
        let mut queue = self.lock();
        loop {
            queue.drop_lost(Instant::now());
            if let Some(taken) = queue.take() {
                let running = self.start_running(&mut queue, load_of(&taken.entries));
                return Some((taken, running));
            }
            if queue.closed {
                return None;
            }
            *permit = None;
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for the runs of other models that go first. The run counts as under way meanwhile, so that the pace is that
    /// of a model that shares the cores. Returns the windows that are still wanted then.
    fn wait_for_cores(
        &self,
        Taken { mut entries, order }: Taken,
        permit: &mut Option<RunPermit<'static>>,
    ) -> Vec<QueuedWindow> {
        match (&*permit, self.cores) {
            (Some(permit), _) => permit.renew(order),
            (None, Some(cores)) => *permit = Some(cores.permit(order)),
            (None, None) => {}
        }
        let now = Instant::now();
        entries.retain(|entry| entry.is_wanted(now));
        for entry in &mut entries {
            self.stats.observe(Stage::Queue, entry.queued);
            entry.spans.queue = None;
        }
        entries
    }

    /// Counts a run that is about to begin; a single run gets the all-cores session.
    fn start_running(&self, queue: &mut Queue, load: Load) -> Running<'_> {
        let alone = queue.progress.is_idle() && queue.is_empty();
        let number = queue.progress.start(load, Instant::now());
        let all_cores = self.all_cores.as_ref().filter(|_| alone).and_then(|session| session.try_lock().ok());
        Running { shared: self, number, all_cores }
    }

    fn run_entries(&self, stream: &mut dyn Run, entries: Vec<QueuedWindow>, mut running: Running<'_>) {
        let windows: Vec<&Window> = entries.iter().map(|entry| &entry.window).collect();
        let batch = Batch::new(&windows, self.padding);
        self.stats.count_batch(&batch, &windows);
        let spans: Vec<Span> = entries.iter().map(|entry| run_span(entry, &batch)).collect();
        let started = Instant::now();
        let result = match &mut running.all_cores {
            Some(session) => session.run(&batch),
            None => stream.run(&batch),
        };
        self.stats.observe(Stage::Run, started);
        drop(spans);
        if let Some(error) = result.as_ref().err().filter(|_| entries.len() > 1) {
            self.n_failed_batches.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(n_windows = entries.len(), %error, "a batch failed; its windows run one by one");
            // One bad input fails alone: each window gets a separate run.
            drop(running);
            for entry in entries.into_iter().filter(|entry| entry.is_wanted(Instant::now())) {
                self.stats.n_rerun_windows.fetch_add(1, Ordering::Relaxed);
                let entries = vec![entry];
                let running = self.start_running(&mut self.lock(), load_of(&entries));
                self.run_entries(stream, entries, running);
            }
            return;
        }
        // Before the callers are answered, who may send their next window at once.
        drop(running);
        let logits = result.map(|outputs| outputs.into_windows(entries.iter().map(|entry| &entry.window)));
        // A caller that has gone needs no answer.
        match logits {
            Ok(logits) => {
                entries.into_iter().zip(logits).for_each(|(entry, logits)| drop(entry.reply.send(Ok(logits))))
            }
            Err(error) => entries.into_iter().for_each(|entry| drop(entry.reply.send(Err(error.clone().into())))),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load_of(entries: &[QueuedWindow]) -> Load {
    Load::padded(entries.iter().map(|entry| entry.window.len()))
}

/// The run of a window, with the shape of the batch that it shares.
fn run_span(entry: &QueuedWindow, batch: &Batch) -> Span {
    let (windows, length) = batch.shape();
    tracing::info_span!(target: SPANS, parent: &entry.spans.document, "run", tokens = entry.window.len(), windows, length)
}

/// A run under way, counted in the queue for as long as this lives.
struct Running<'s> {
    shared: &'s Shared,
    number: u64,
    /// The session that computes on all cores, where this run is alone.
    all_cores: Option<MutexGuard<'s, Box<dyn Run>>>,
}

impl Running<'_> {
    /// Ends what did not run, and says nothing about the pace.
    fn give_up(self) {
        self.shared.lock().progress.give_up(self.number);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // First, so that the next run that is alone finds it free.
        self.all_cores = None;
        self.shared.lock().progress.end(self.number, Instant::now());
    }
}

impl Run for LateStream {
    fn run(&mut self, batch: &Batch) -> Result<Outputs, RunError> {
        if self.stream.is_none() {
            self.stream = self.opened.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        if self.stream.is_none()
            && let Ok(mut all_cores) = self.all_cores.lock()
        {
            return all_cores.run(batch);
        }
        match &mut self.stream {
            Some(stream) => stream.run(batch),
            None => self.stream.insert((self.make_stream)()?).run(batch),
        }
    }
}
