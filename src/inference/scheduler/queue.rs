//! The waiting windows, in two lanes. In each lane requests get fair shares, so that a request of a thousand documents does
//! not delay a request of one. A request that had no quantum yet comes before the others, so that it waits for one run and not
//! for one quantum of each of them.
//!
//! A quantum is one document, or [`QUANTUM`] windows of it. With a quantum of one window, a long article would wait for one
//! round of all requests for each of its windows. Nobody can use its first windows before the last one is done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::Span;

use super::cores::RunOrder;
use super::pace::Load;
use super::progress::RunMonitor;
use super::{Admission, Priority, RequestContext, RequestId, ScheduleError};
use crate::inference::batch::{BatchLimits, WindowLogits, select};
use crate::inference::stats::{Stage, stage_span};
use crate::inference::tokenize::Window;

/// The windows that a document may run before the next request gets its share: an article of some 780 tokens in windows of 128.
pub const QUANTUM: usize = 8;

/// New requests that are served in a row while one that had a share waits.
pub const MAX_NEW_IN_A_ROW: usize = 8;

#[derive(Default)]
pub struct Queue {
    normal: Lane,
    /// Served while the other lane is empty.
    bulk: Lane,
    pub progress: RunMonitor,
    /// Which windows share a run.
    pub limits: BatchLimits,
    /// Set when the scheduler is dropped: workers finish what waits, and stop.
    pub closed: bool,
}

/// A window that waits for its run.
pub struct QueuedWindow {
    pub window: Window,
    pub deadline: Instant,
    /// When it came to the queue.
    pub queued: Instant,
    pub spans: JobSpans,
    /// Closed by a caller that has gone.
    pub reply: oneshot::Sender<Result<WindowLogits, ScheduleError>>,
    /// The document's first permit, shared by its windows and released when the last of them is answered.
    pub permit: Arc<OwnedSemaphorePermit>,
}

/// Windows that were taken to run together.
pub struct Taken {
    pub entries: Vec<QueuedWindow>,
    /// Among the runs of all models.
    pub order: RunOrder,
}

/// What the trace of a window is made of.
pub struct JobSpans {
    /// Its document, of which its run is a part.
    pub document: Span,
    /// Ends when it is dropped.
    pub queue: Option<Span>,
}

impl JobSpans {
    /// A window of the current document comes to the queue.
    pub fn queued() -> Self {
        Self { document: Span::current(), queue: Some(stage_span(Stage::Queue)) }
    }
}

impl QueuedWindow {
    /// Whether its caller still waits for it.
    pub fn is_wanted(&self, now: Instant) -> bool {
        !self.reply.is_closed() && self.deadline > now
    }
}

/// Requests in the order in which they run, the new ones first; none is without entries.
#[derive(Default)]
struct Lane {
    requests: VecDeque<Waiting>,
    n_new_in_a_row: usize,
}

/// The windows of a request, in order.
struct Waiting {
    request: RequestId,
    /// Whether it had no quantum yet.
    is_new: bool,
    entries: VecDeque<QueuedWindow>,
    /// Windows of the current quantum that were taken.
    n_taken: usize,
}

impl Queue {
    pub fn new(limits: BatchLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Adds the windows of a document. That of a follow-up document had a share before.
    pub fn push(&mut self, context: RequestContext, entries: Vec<QueuedWindow>) {
        if self.is_empty() {
            self.progress.work_came(Instant::now());
        }
        self.lane(context.priority).push(context.request, context.admission == Admission::Try, entries);
    }

    pub fn n_waiting(&self) -> usize {
        self.normal.n_waiting() + self.bulk.n_waiting()
    }

    /// All windows that wait.
    pub fn load(&self) -> Load {
        self.normal.load().and(self.bulk.load())
    }

    /// The windows that run before those of a new request, as far as that is certain.
    pub fn ahead(&self, priority: Priority) -> Load {
        match priority {
            Priority::Normal => self.normal.ahead(),
            Priority::Bulk => self.normal.load().and(self.bulk.ahead()),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.normal.requests.is_empty() && self.bulk.requests.is_empty()
    }

    pub fn clear(&mut self) {
        (self.normal, self.bulk) = (Lane::default(), Lane::default());
    }

    /// Drops windows whose caller has gone or whose deadline has passed.
    pub fn drop_lost(&mut self, now: Instant) {
        self.normal.drop_lost(now);
        self.bulk.drop_lost(now);
    }

    /// The windows that run next, together; `None` when none wait.
    pub fn take(&mut self) -> Option<Taken> {
        let is_bulk = self.normal.requests.is_empty();
        let lane = if is_bulk { &mut self.bulk } else { &mut self.normal };
        let mut taken = lane.take(self.limits)?;
        taken.order.is_bulk = is_bulk;
        Some(taken)
    }

    fn lane(&mut self, priority: Priority) -> &mut Lane {
        match priority {
            Priority::Normal => &mut self.normal,
            Priority::Bulk => &mut self.bulk,
        }
    }
}

impl Lane {
    fn push(&mut self, request: RequestId, is_new: bool, entries: Vec<QueuedWindow>) {
        if entries.is_empty() {
            return;
        }
        match self.requests.iter_mut().find(|waiting| waiting.request == request) {
            Some(waiting) => waiting.entries.extend(entries),
            None => {
                let at = if is_new { self.n_new() } else { self.requests.len() };
                self.requests.insert(at, Waiting { request, is_new, entries: entries.into(), n_taken: 0 });
            }
        }
    }

    /// How many requests had no quantum yet; they are the first.
    fn n_new(&self) -> usize {
        self.requests.iter().take_while(|waiting| waiting.is_new).count()
    }

    /// The request that is next.
    fn pop(&mut self) -> Option<Waiting> {
        let n_new = self.n_new();
        let at = if self.n_new_in_a_row >= MAX_NEW_IN_A_ROW && n_new < self.requests.len() { n_new } else { 0 };
        let waiting = self.requests.remove(at)?;
        if !waiting.is_new {
            self.n_new_in_a_row = 0;
        } else if waiting.n_taken == 0 {
            self.n_new_in_a_row += 1;
        }
        Some(waiting)
    }

    /// The first quanta of the requests that had none.
    fn ahead(&self) -> Load {
        let new = self.requests.iter().filter(|waiting| waiting.is_new);
        let entries = new.flat_map(|waiting| waiting.entries.iter().take(QUANTUM.saturating_sub(waiting.n_taken)));
        entries.map(|entry| entry.window.len()).sum()
    }

    fn load(&self) -> Load {
        self.requests.iter().flat_map(|waiting| &waiting.entries).map(|entry| entry.window.len()).sum()
    }

    fn n_waiting(&self) -> usize {
        self.requests.iter().map(|waiting| waiting.entries.len()).sum()
    }

    fn drop_lost(&mut self, now: Instant) {
        for waiting in &mut self.requests {
            waiting.entries.retain(|entry| entry.is_wanted(now));
        }
        self.requests.retain(|waiting| !waiting.entries.is_empty());
    }

    /// The first window of the first request, and those that fit to it. A request whose quantum is used up goes to the end.
    fn take(&mut self, limits: BatchLimits) -> Option<Taken> {
        let mut waiting = self.pop()?;
        let first = waiting.entries.pop_front()?;
        let order = RunOrder { is_bulk: false, is_follow_up: !waiting.is_new, queued: first.queued };
        waiting.n_taken += 1;
        if let Some(next) = waiting.entries.front() {
            if Arc::ptr_eq(&next.permit, &first.permit) && waiting.n_taken < QUANTUM {
                let at = if waiting.is_new { 0 } else { self.n_new() };
                self.requests.insert(at, waiting);
            } else {
                self.requests.push_back(Waiting { n_taken: 0, is_new: false, ..waiting });
            }
        }
        let mut taken = vec![first];
        if limits.max_windows > 1 {
            self.take_companions(&mut taken, limits);
        }
        Some(Taken { entries: taken, order })
    }

    fn take_companions(&mut self, taken: &mut Vec<QueuedWindow>, limits: BatchLimits) {
        /// How many waiting windows are looked at.
        const LOOK_AHEAD: usize = 256;
        let waiting = self.requests.iter().enumerate();
        let candidates = waiting.flat_map(|(at, waiting)| (0..waiting.entries.len()).map(move |entry| (at, entry)));
        let candidates: Vec<(usize, usize)> = candidates.take(LOOK_AHEAD).collect();
        let lengths = candidates.iter().map(|&(request, entry)| self.requests[request].entries[entry].window.len());
        let chosen = select(taken.iter().map(|entry| entry.window.len()).chain(lengths), limits);
        // From the back, so that removing one does not move those before it.
        for &index in chosen.iter().skip(taken.len()).rev() {
            let (request, entry) = candidates[index - 1];
            taken.extend(self.requests[request].entries.remove(entry));
        }
        self.requests.retain(|waiting| !waiting.entries.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::Semaphore;

    /// A queue with a window of each priority and admission, and the ends of their replies, which keep them wanted.
    fn queue_of(works: &[(Priority, Admission)], now: Instant) -> (Queue, Vec<Reply>) {
        let permits = Arc::new(Semaphore::new(1));
        let permit = Arc::new(permits.try_acquire_owned().unwrap());
        let (mut queue, mut replies) = (Queue::default(), Vec::new());
        for (seconds, &(priority, admission)) in (0..).zip(works) {
            let (reply, receive) = oneshot::channel();
            replies.push(receive);
            let window = Window { tokens: 0..1, input_ids: vec![0], n_prefix: 0 };
            let (queued, deadline) = (now + Duration::from_secs(seconds), now + Duration::from_secs(60));
            let (permit, spans) = (Arc::clone(&permit), JobSpans::queued());
            let entry = QueuedWindow { window, deadline, queued, spans, reply, permit };
            queue.push(RequestContext { request: RequestId::next(), priority, admission, deadline }, vec![entry]);
        }
        (queue, replies)
    }

    type Reply = oneshot::Receiver<Result<WindowLogits, ScheduleError>>;

    #[test]
    fn taken_windows_know_their_place_among_those_of_other_models() {
        use Admission::{Try, Wait};
        let now = Instant::now();
        let works = [(Priority::Bulk, Try), (Priority::Normal, Wait), (Priority::Normal, Try)];
        let (mut queue, _replies) = queue_of(&works, now);
        let orders: Vec<RunOrder> = std::iter::from_fn(|| Some(queue.take()?.order)).collect();
        let queued = |seconds| now + Duration::from_secs(seconds);
        let expected = [
            RunOrder { is_bulk: false, is_follow_up: false, queued: queued(2) },
            RunOrder { is_bulk: false, is_follow_up: true, queued: queued(1) },
            RunOrder { is_bulk: true, is_follow_up: false, queued: queued(0) },
        ];
        assert_eq!(orders, expected);
        assert!(orders.is_sorted());
    }

    #[test]
    fn a_window_whose_deadline_passes_in_the_queue_is_dropped() {
        let now = Instant::now();
        let permits = Arc::new(Semaphore::new(1));
        let permit = Arc::new(permits.try_acquire_owned().unwrap());
        for priority in [Priority::Normal, Priority::Bulk] {
            let mut queue = Queue::default();
            let mut receivers = Vec::new();
            let entries = [1, 3].map(|seconds| {
                let (reply, receive) = oneshot::channel();
                receivers.push(receive);
                let window = Window { tokens: 0..1, input_ids: vec![seconds], n_prefix: 0 };
                let deadline = now + Duration::from_secs(seconds.into());
                QueuedWindow {
                    window,
                    deadline,
                    queued: now,
                    spans: JobSpans::queued(),
                    reply,
                    permit: Arc::clone(&permit),
                }
            });
            let (request, admission, deadline) = (RequestId::next(), Admission::Try, now + Duration::from_secs(60));
            queue.push(RequestContext { request, priority, admission, deadline }, entries.into());
            for (seconds, n_left) in [(0, 2), (2, 1), (4, 0)] {
                queue.drop_lost(now + Duration::from_secs(seconds));
                assert_eq!(queue.n_waiting(), n_left, "{priority} after {seconds} s");
            }
        }
    }
}
