//! One bounded queue of windows for each model, and the threads that run them.
//!
//! A worker thread owns its session. It takes the next window and those that may share its run, and answers each.
//! A window whose caller has gone or whose deadline has passed costs no run. A session that panics is replaced. Dropping
//! the scheduler lets the workers finish what is queued and stop.
//!
//! # A single run
//!
//! A run is computed on one thread, since several such runs do more than one run on several threads. If nothing else runs
//! or waits, the other cores would be idle. Then a session that computes on all cores takes the run. It gives the same bits
//! (`tests/it/parity.rs`) and shares the weights. Only large models have one (`uses_all_cores`, where a model is loaded).

mod context;
mod cores;
mod error;
mod pace;
mod progress;
mod queue;
mod worker;

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, oneshot};
use tracing::Instrument;

use crate::inference::batch::{BatchLimits, Padding, Run, RunError, WindowLogits};
use crate::inference::stats::{RunStats, Stage, stage_span};
use crate::inference::tokenize::Window;
use crate::system::memory::TrimOnDrop;
pub use context::{Admission, Priority, RequestContext, RequestId};
pub use cores::SharedCores;
pub use error::ScheduleError;
use pace::Load;
pub use progress::{Health, StuckRun};
pub use queue::MAX_NEW_IN_A_ROW;
use queue::{JobSpans, QUANTUM, Queue, QueuedWindow};
use worker::{LateStream, Shared, Slot};

/// Makes a session.
pub type MakeRun = Arc<dyn Fn() -> Result<Box<dyn Run>, RunError> + Send + Sync>;

/// The sessions of one model that are open when its scheduler starts: at least one. [`Scheduler::add_stream`] takes others.
pub struct Sessions {
    /// Each computes on one thread, and gets a worker.
    pub streams: Vec<Box<dyn Run>>,
    /// Computes on all cores, for runs that are alone.
    pub all_cores: Option<Box<dyn Run>>,
    /// Makes one for a worker whose session panicked.
    pub make_stream: MakeRun,
}

pub struct Scheduler {
    shared: Arc<Shared>,
    /// Where the first worker finds its stream, if it started without one.
    late_stream: Mutex<Option<Slot>>,
    normal_permits: LanePermits,
    /// Separate, so that bulk work does not keep other work out.
    bulk_permits: LanePermits,
    n_permits: usize,
}

/// A document's permits before it runs.
pub struct Admitted<'s> {
    permit: Arc<OwnedSemaphorePermit>,
    _follow_up: Option<SemaphorePermit<'s>>,
}

/// The permits of a lane. A document takes one for each window of its first quantum; its other windows need none.
struct LanePermits {
    all: Arc<Semaphore>,
    /// The part of them that follow-up documents may take, so that they cannot fill the lane and keep new requests out.
    follow_up: Semaphore,
}

/// What is fixed for a scheduler's life.
#[derive(Debug, Clone, Copy)]
pub struct SchedulerSettings {
    /// Permits of each of the two lanes. A document takes one for each of its windows, at most one quantum.
    pub max_queued_windows: usize,
    pub limits: BatchLimits,
    pub padding: Padding,
    /// Shared with other models; `None` where a GPU computes.
    pub cores: Option<&'static SharedCores>,
}

impl Scheduler {
    /// Starts a worker for each stream. Without a stream, one worker uses the session that computes on all cores.
    pub fn start(settings: SchedulerSettings, sessions: Sessions) -> std::io::Result<Self> {
        let n_permits = settings.max_queued_windows.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let Sessions { streams, all_cores, make_stream } = sessions;
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::new(settings.limits)),
            wake: Condvar::new(),
            padding: settings.padding,
            cores: settings.cores,
            make_stream,
            all_cores: all_cores.map(|session| Arc::new(Mutex::new(session))),
            n_alive: AtomicUsize::new(0),
            n_panics: AtomicUsize::new(0),
            n_failed_batches: AtomicUsize::new(0),
            stats: RunStats::default(),
            _trim_on_drop: TrimOnDrop,
        });
        let late_stream = match &shared.all_cores {
            Some(all_cores) if streams.is_empty() => {
                let opened = Arc::default();
                let (all_cores, make_stream) = (Arc::clone(all_cores), Arc::clone(&shared.make_stream));
                let late = LateStream { all_cores, opened: Arc::clone(&opened), stream: None, make_stream };
                shared.start_worker(Box::new(late))?;
                Some(opened)
            }
            _ => None,
        };
        streams.into_iter().try_for_each(|stream| shared.start_worker(stream))?;
        let permits = || LanePermits {
            all: Arc::new(Semaphore::new(n_permits)),
            follow_up: Semaphore::new(n_follow_up_permits(n_permits)),
        };
        let late_stream = Mutex::new(late_stream);
        Ok(Self { shared, late_stream, normal_permits: permits(), bulk_permits: permits(), n_permits })
    }

    /// Adds a stream that was opened after the scheduler started.
    pub fn add_stream(&self, stream: Box<dyn Run>) -> std::io::Result<()> {
        let late = self.late_stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        match late {
            Some(late) => {
                *late.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
                Ok(())
            }
            None => self.shared.start_worker(stream),
        }
    }

    /// Changes which windows share a run, from the next run on.
    pub fn set_limits(&self, limits: BatchLimits) {
        self.shared.lock().limits = limits;
    }

    /// Admits a document of about `n_windows`, before any work is done on it.
    ///
    /// One free permit admits a whole document, so that a full queue does not refuse long documents sooner than short ones.
    pub async fn admit(&self, n_windows: usize, context: RequestContext) -> Result<Admitted<'_>, ScheduleError> {
        self.permitted(n_windows, context).instrument(stage_span(Stage::Admit)).await
    }

    async fn permitted(&self, n_windows: usize, context: RequestContext) -> Result<Admitted<'_>, ScheduleError> {
        let started = Instant::now();
        // Halved, since the estimate is rather high: a text is refused only if it is certain to be late.
        self.check_deadline(Load::of_windows(n_windows / 2), context)?;
        let follow_up = self.wait_among_follow_ups(n_windows.clamp(1, QUANTUM), context).await?;
        let permit = Arc::new(self.first_permit(context).await?);
        self.stats().observe(Stage::Admit, started);
        Ok(Admitted { permit, _follow_up: follow_up })
    }

    /// Runs `windows` and gives their logits in the same order.
    pub async fn run(&self, windows: Vec<Window>, context: RequestContext) -> Result<Vec<WindowLogits>, ScheduleError> {
        let admitted = self.admit(windows.len(), context).await?;
        self.run_admitted(windows, admitted, context).await
    }

    /// Runs the windows of a document that is admitted already.
    ///
    /// Its other permits are outstanding: it gets them before any other document is admitted.
    pub async fn run_admitted(
        &self,
        windows: Vec<Window>,
        admitted: Admitted<'_>,
        context: RequestContext,
    ) -> Result<Vec<WindowLogits>, ScheduleError> {
        if windows.is_empty() {
            return Ok(Vec::new());
        }
        self.check_deadline(windows.iter().map(Window::len).sum(), context)?;
        let Admitted { permit, _follow_up } = admitted;
        let n_taken = windows.len().min(QUANTUM);
        let n_outstanding = n_taken.min(self.n_permits) as u32 - 1;
        let outstanding = self.permits(context.priority).all.acquire_many(n_outstanding);
        let queued = Instant::now();
        let entry = |window| {
            let (reply, receive) = oneshot::channel();
            let (permit, spans) = (Arc::clone(&permit), JobSpans::queued());
            (QueuedWindow { window, deadline: context.deadline, queued, spans, reply, permit }, receive)
        };
        let (entries, replies): (Vec<_>, Vec<_>) = windows.into_iter().map(entry).unzip();
        drop(permit);
        self.shared.enqueue(context, entries);
        let answer = async {
            let mut logits = Vec::with_capacity(replies.len());
            for reply in replies {
                logits.push(reply.await.map_err(|_| self.why_unanswered(context.deadline))??);
            }
            Ok(logits)
        };
        let mut answer = pin!(answer);
        tokio::select! {
            biased;
            _all_taken = outstanding => answer.await,
            logits = &mut answer => logits,
        }
    }

    /// About the time until everything that waits has run; `None` where too little ran to say.
    pub fn expected_wait(&self) -> Option<Duration> {
        let queue = self.shared.lock();
        let (speed, load) = (queue.progress.pace.speed(Instant::now())?, queue.load());
        drop(queue);
        Some(speed.about(load, self.n_streams()))
    }

    /// Refuses a document that cannot be answered before its deadline, whatever happens.
    fn check_deadline(&self, document: Load, context: RequestContext) -> Result<(), ScheduleError> {
        let now = Instant::now();
        let left = context.deadline.saturating_duration_since(now);
        let queue = self.shared.lock();
        let Some(speed) = queue.progress.pace.speed(now) else { return Ok(()) };
        // The queue does not show when a follow-up document runs, which depends on its own request.
        let ahead = match context.admission {
            Admission::Try => queue.ahead(context.priority),
            Admission::Wait => Load::default(),
        };
        drop(queue);
        // Apart, since the lengths of one of them may be unknown.
        let [of_document, of_queue] = [document, ahead].map(|load| speed.at_least(load, self.n_streams()));
        match (of_document, of_queue.saturating_add(of_document)) {
            (expected, _) if expected > left => Err(ScheduleError::TextTakesTooLong { expected, left }),
            (_, expected) if expected > left => Err(ScheduleError::QueueTooLong { expected, left }),
            _ => Ok(()),
        }
    }

    /// Threads that run windows.
    pub fn n_streams(&self) -> usize {
        self.shared.n_alive.load(Ordering::Acquire)
    }

    /// The cores that it shares with the schedulers of other models; `None` where a GPU computes.
    pub fn cores(&self) -> Option<&'static SharedCores> {
        self.shared.cores
    }

    /// Documents that may wait for their first windows at the same time.
    pub fn n_permits(&self) -> usize {
        self.n_permits
    }

    /// Windows that wait for a run.
    pub fn n_waiting(&self) -> usize {
        self.shared.lock().n_waiting()
    }

    /// Whether the model makes progress. Runs of more than `stuck_after` are stuck.
    pub fn health(&self, stuck_after: Duration) -> Health {
        let (queue, n_workers) = (self.shared.lock(), self.shared.n_alive.load(Ordering::Acquire));
        queue.progress.health(n_workers, !queue.is_empty(), stuck_after, Instant::now())
    }

    /// Batches that are being run.
    pub fn n_running(&self) -> usize {
        self.shared.lock().progress.n_running()
    }

    pub fn stats(&self) -> &RunStats {
        &self.shared.stats
    }

    /// Sessions that panicked and were replaced.
    pub fn n_panics(&self) -> usize {
        self.shared.n_panics.load(Ordering::Relaxed)
    }

    /// Runs of several windows that failed, after which each window was run alone.
    pub fn n_failed_batches(&self) -> usize {
        self.shared.n_failed_batches.load(Ordering::Relaxed)
    }

    pub fn is_alive(&self) -> bool {
        self.shared.n_alive.load(Ordering::Acquire) > 0
    }

    /// Why a window was dropped without an answer.
    fn why_unanswered(&self, deadline: Instant) -> ScheduleError {
        match self.is_alive() {
            _ if Instant::now() >= deadline => ScheduleError::DeadlineExceeded,
            true => ScheduleError::Panicked,
            false => ScheduleError::NoWorker,
        }
    }

    /// The document's first permit.
    async fn first_permit(&self, context: RequestContext) -> Result<OwnedSemaphorePermit, ScheduleError> {
        if !self.is_alive() {
            return Err(ScheduleError::NoWorker);
        }
        let permits = Arc::clone(&self.permits(context.priority).all);
        match context.admission {
            Admission::Try => permits.try_acquire_owned().map_err(|_| self.busy()),
            Admission::Wait => in_time(context, permits.acquire_owned()).await?.map_err(|_| self.busy()),
        }
    }

    /// Permits among those of follow-up documents, if the document is one.
    async fn wait_among_follow_ups(
        &self,
        n: usize,
        context: RequestContext,
    ) -> Result<Option<SemaphorePermit<'_>>, ScheduleError> {
        if context.admission == Admission::Try {
            return Ok(None);
        }
        let n = n.min(n_follow_up_permits(self.n_permits)) as u32;
        let permits = in_time(context, self.permits(context.priority).follow_up.acquire_many(n)).await?;
        permits.map(Some).map_err(|_| self.busy())
    }

    fn permits(&self, priority: Priority) -> &LanePermits {
        match priority {
            Priority::Normal => &self.normal_permits,
            Priority::Bulk => &self.bulk_permits,
        }
    }

    fn busy(&self) -> ScheduleError {
        ScheduleError::Busy { max_queued_windows: self.n_permits }
    }
}

/// How many of a lane's permits follow-up documents may take.
fn n_follow_up_permits(n_permits: usize) -> usize {
    n_permits.div_ceil(2)
}

/// What `wait` gives, unless the deadline passes before.
async fn in_time<T>(context: RequestContext, wait: impl Future<Output = T>) -> Result<T, ScheduleError> {
    tokio::time::timeout_at(context.deadline.into(), wait).await.map_err(|_| ScheduleError::DeadlineExceeded)
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

#[cfg(test)]
mod tests;
