//! The threads that prepare texts and decode answers. Their work comes in pieces and follows the rules of the queue of windows:
//! normal requests before bulk ones, new requests before those that had a share already, a fair share for each request.
//!
//! Work whose caller has gone, or whose deadline has passed, is dropped before its next piece.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::inference::scheduler::{Admission, MAX_NEW_IN_A_ROW, Priority, RequestContext, RequestId, ScheduleError};
use crate::inference::settings::usable_cores;

/// Threads and the work that waits for them.
pub struct Workers {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    n_threads: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    normal: Lane,
    bulk: Lane,
    closed: bool,
}

/// Work of one priority; no request is without work.
#[derive(Default)]
struct Lane {
    /// Requests that had no piece yet.
    new: VecDeque<Waiting>,
    /// The others, by turns.
    served: VecDeque<Waiting>,
    n_new_in_a_row: usize,
}

struct Waiting {
    request: RequestId,
    work: VecDeque<Box<dyn Work>>,
}

/// Work that waits, whatever it computes.
trait Work: Send {
    fn context(&self) -> RequestContext;
    /// Whether somebody still waits for it.
    fn is_wanted(&self) -> bool;
    /// Does one piece; returns whether it was the last.
    fn step(&mut self) -> bool;
}

/// Work that computes a `T`.
struct Computation<T, F> {
    context: RequestContext,
    piece: F,
    reply: Option<oneshot::Sender<T>>,
}

/// The threads of this process, one for each core.
pub fn workers() -> &'static Workers {
    static WORKERS: OnceLock<Workers> = OnceLock::new();
    WORKERS.get_or_init(|| Workers::start(usable_cores()))
}

impl Workers {
    fn start(n_threads: usize) -> Self {
        let shared = Arc::<Shared>::default();
        for number in 0..n_threads {
            let worker = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("prepare-{number}"));
            match thread.spawn(move || worker.work()) {
                Ok(_) => shared.n_threads.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    tracing::error!(%error, "a thread that prepares texts cannot be started");
                    break;
                }
            };
        }
        Self { shared }
    }

    /// Calls `piece` until it gives a value. Dropping the future ends the work before its next piece.
    pub async fn run<T: Send + 'static>(
        &self,
        context: RequestContext,
        piece: impl FnMut() -> Option<T> + Send + 'static,
    ) -> Result<T, ScheduleError> {
        if self.shared.n_threads.load(Ordering::Relaxed) == 0 {
            return Err(ScheduleError::NoWorker);
        }
        let (reply, answer) = oneshot::channel();
        self.shared
            .push(Box::new(Computation { context, piece, reply: Some(reply) }), context.admission == Admission::Try);
        match tokio::time::timeout_at(context.deadline.into(), answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) if Instant::now() < context.deadline => Err(ScheduleError::Broken),
            _ => Err(ScheduleError::DeadlineExceeded),
        }
    }

    /// Calls `work`, which is a single piece.
    pub async fn run_once<T: Send + 'static>(
        &self,
        context: RequestContext,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ScheduleError> {
        let mut work = Some(work);
        self.run(context, move || work.take().map(|work| work())).await
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl<T: Send, F: FnMut() -> Option<T> + Send> Work for Computation<T, F> {
    fn context(&self) -> RequestContext {
        self.context
    }

    fn is_wanted(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    fn step(&mut self) -> bool {
        let Some(value) = (self.piece)() else { return false };
        if let Some(reply) = self.reply.take() {
            // A caller that has gone needs no value.
            let _ = reply.send(value);
        }
        true
    }
}

impl Shared {
    fn push(&self, work: Box<dyn Work>, is_new: bool) {
        self.lock().push(work, is_new);
        self.wake.notify_one();
    }

    /// A thread's life: take, do a piece, put back what is left.
    fn work(&self) {
        while let Some(mut work) = self.take() {
            match catch_unwind(AssertUnwindSafe(|| work.step())) {
                Ok(true) => {}
                Ok(false) => self.push(work, false),
                // The caller learns it from the reply that is dropped. The panic's message may quote the text.
                Err(_) => tracing::error!("preparing a text panicked"),
            }
        }
    }

    /// The next work; `None` when there will be no more.
    fn take(&self) -> Option<Box<dyn Work>> {
        let mut queue = self.lock();
        loop {
            if let Some(work) = queue.take(Instant::now()) {
                return Some(work);
            }
            if queue.closed {
                return None;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, work: Box<dyn Work>, is_new: bool) {
        match work.context().priority {
            Priority::Normal => self.normal.push(work, is_new),
            Priority::Bulk => self.bulk.push(work, is_new),
        }
    }

    fn take(&mut self, now: Instant) -> Option<Box<dyn Work>> {
        self.normal.drop_lost(now);
        self.bulk.drop_lost(now);
        self.normal.take().or_else(|| self.bulk.take())
    }
}

impl Lane {
    fn push(&mut self, work: Box<dyn Work>, is_new: bool) {
        let request = work.context().request;
        let known = self.new.iter_mut().chain(&mut self.served).find(|waiting| waiting.request == request);
        match known {
            Some(waiting) => waiting.work.push_back(work),
            None => {
                let requests = if is_new { &mut self.new } else { &mut self.served };
                requests.push_back(Waiting { request, work: [work].into() });
            }
        }
    }

    fn drop_lost(&mut self, now: Instant) {
        for requests in [&mut self.new, &mut self.served] {
            for waiting in requests.iter_mut() {
                waiting.work.retain(|work| work.is_wanted() && work.context().deadline > now);
            }
            requests.retain(|waiting| !waiting.work.is_empty());
        }
    }

    /// Work of the request that is next, which then goes to the end.
    fn take(&mut self) -> Option<Box<dyn Work>> {
        let is_new = !self.new.is_empty() && (self.n_new_in_a_row < MAX_NEW_IN_A_ROW || self.served.is_empty());
        self.n_new_in_a_row = if is_new { self.n_new_in_a_row + 1 } else { 0 };
        let mut waiting = if is_new { self.new.pop_front() } else { self.served.pop_front() }?;
        let work = waiting.work.pop_front();
        if !waiting.work.is_empty() {
            self.served.push_back(waiting);
        }
        work
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    fn context(priority: Priority) -> RequestContext {
        let deadline = Instant::now() + Duration::from_secs(60);
        RequestContext { request: RequestId::next(), priority, admission: Admission::Try, deadline }
    }

    /// One thread that is held until the sender is dropped.
    fn held() -> (Workers, std::sync::mpsc::Sender<()>) {
        let workers = Workers::start(1);
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let (reply, answer) = oneshot::channel();
        let (context, piece) = (context(Priority::Normal), move || wait.recv().err());
        workers.shared.push(Box::new(Computation { context, piece, reply: Some(reply) }), true);
        // The caller stays.
        std::mem::forget(answer);
        while !workers.shared.lock().normal.new.is_empty() {
            std::thread::yield_now();
        }
        (workers, release)
    }

    /// The order in which pieces are done of requests that are all queued, each with a name and a number of pieces.
    async fn order(requests: &[(&'static str, Priority, Admission, usize)]) -> Vec<&'static str> {
        let ((workers, release), done) = (held(), Arc::new(Mutex::new(Vec::new())));
        let work = requests.iter().map(|&(name, priority, admission, n_pieces)| {
            let (done, mut n_left) = (Arc::clone(&done), n_pieces);
            let piece = move || {
                done.lock().unwrap().push(name);
                n_left -= 1;
                (n_left == 0).then_some(())
            };
            workers.run(RequestContext { admission, ..context(priority) }, piece)
        });
        let all = futures_util::future::join_all(work);
        let mut all = std::pin::pin!(all);
        assert!(all.as_mut().now_or_never().is_none());
        drop(release);
        assert!(all.await.into_iter().all(|result| result.is_ok()));
        let order = done.lock().unwrap();
        order.clone()
    }

    #[tokio::test]
    async fn pieces_of_requests_take_turns_and_new_requests_come_first() {
        use Admission::{Try, Wait};
        use Priority::{Bulk, Normal};
        let order = order(&[
            ("bulk", Bulk, Try, 1),
            ("long", Normal, Wait, 3),
            ("other", Normal, Wait, 2),
            ("new", Normal, Try, 1),
        ]);
        assert_eq!(order.await, ["new", "long", "other", "long", "other", "long", "bulk"]);
    }

    #[tokio::test]
    async fn many_new_requests_do_not_stop_one_that_had_a_share() {
        let mut requests = vec![("new", Priority::Normal, Admission::Try, 1); 3 * MAX_NEW_IN_A_ROW];
        requests.push(("long", Priority::Normal, Admission::Wait, 1));
        let order = order(&requests).await;
        assert!(order.iter().position(|name| *name == "long").unwrap() <= MAX_NEW_IN_A_ROW);
    }

    #[tokio::test]
    async fn work_for_nobody_is_not_begun_and_stops_at_the_next_piece() {
        let (workers, release) = held();
        let n_pieces = Arc::new(AtomicUsize::new(0));
        let endless = |n_pieces: &Arc<AtomicUsize>| {
            let n_pieces = Arc::clone(n_pieces);
            move || {
                n_pieces.fetch_add(1, Ordering::SeqCst);
                None::<()>
            }
        };
        let mut gone = Box::pin(workers.run(context(Priority::Normal), endless(&n_pieces)));
        assert!(gone.as_mut().now_or_never().is_none());
        let late = RequestContext { deadline: Instant::now(), ..context(Priority::Normal) };
        assert!(matches!(workers.run(late, endless(&n_pieces)).await, Err(ScheduleError::DeadlineExceeded)));
        drop(gone);
        drop(release);
        workers.run_once(context(Priority::Normal), || ()).await.unwrap();
        assert_eq!(n_pieces.load(Ordering::SeqCst), 0);
        let mut leaving = Box::pin(workers.run(context(Priority::Normal), endless(&n_pieces)));
        while n_pieces.load(Ordering::SeqCst) == 0 {
            assert!(leaving.as_mut().now_or_never().is_none());
        }
        drop(leaving);
        workers.run_once(context(Priority::Bulk), || ()).await.unwrap();
        let n = n_pieces.load(Ordering::SeqCst);
        workers.run_once(context(Priority::Bulk), || ()).await.unwrap();
        assert_eq!(n_pieces.load(Ordering::SeqCst), n);
    }

    #[tokio::test]
    async fn a_panic_ends_the_work_and_not_the_thread() {
        let workers = Workers::start(1);
        let broken = workers.run_once(context(Priority::Normal), || panic!("as the test wants it")).await;
        assert!(matches!(broken, Err::<(), _>(ScheduleError::Broken)), "{broken:?}");
        assert_eq!(workers.run_once(context(Priority::Normal), || 7).await.unwrap(), 7);
    }

    #[test]
    fn the_threads_end_with_the_workers() {
        let workers = Workers::start(2);
        let shared = Arc::downgrade(&workers.shared);
        drop(workers);
        let started = Instant::now();
        while shared.strong_count() > 0 {
            assert!(started.elapsed() < Duration::from_secs(60), "{} threads are left", shared.strong_count());
            std::thread::yield_now();
        }
    }
}
