//! Rules of the queue and its workers, over fake sessions.

use super::*;
use crate::inference::batch::{Batch, HeadOutput, Outputs, WindowHead};
use ndarray::Array3;
use std::time::Duration;

mod deadline;
mod late;
mod models;
mod order;

/// A session that gives each token's id as its logit, after `before` has seen the batch.
struct Fake<F>(F);

impl<F: FnMut(&Batch) -> Result<(), RunError> + Send> Run for Fake<F> {
    fn run(&mut self, batch: &Batch) -> Result<Outputs, RunError> {
        (self.0)(batch)?;
        let (n, t) = batch.shape();
        let logits = Array3::from_shape_fn((n, t, 1), |(b, t, _)| batch.input_ids[[b, t]] as f32);
        Ok(Outputs { topics: None, entities: Some(HeadOutput::Token(logits)) })
    }
}

fn scheduler<F>(max_queued_windows: usize, before: impl Fn() -> F + Send + Sync + 'static) -> Scheduler
where
    F: FnMut(&Batch) -> Result<(), RunError> + Send + 'static,
{
    let limits = BatchLimits { max_windows: 4, max_tokens: 64, max_padding: 0.5 };
    let settings = SchedulerSettings { max_queued_windows, limits, padding: Padding::default(), cores: None };
    let streams: Vec<Box<dyn Run>> = vec![Box::new(Fake(before()))];
    let make_stream: MakeRun = Arc::new(move || Ok(Box::new(Fake(before()))));
    Scheduler::start(settings, Sessions { streams, all_cores: None, make_stream }).unwrap()
}

fn window(id: u32) -> Window {
    Window { tokens: 0..1, input_ids: vec![id], n_prefix: 0 }
}

fn logits(id: u32) -> WindowLogits {
    WindowLogits { topics: None, entities: Some(WindowHead::Token(ndarray::array![[id as f32]].into())) }
}

fn request_context(admission: Admission) -> RequestContext {
    let deadline = Instant::now() + Duration::from_secs(60);
    RequestContext { request: RequestId::next(), priority: Priority::Normal, admission, deadline }
}

fn failed() -> RunError {
    RunError::Failed { shape: (1, 1), message: "poisoned".into() }
}

#[tokio::test]
async fn every_window_gets_its_own_logits_in_order() {
    let scheduler = scheduler(100, || |_: &Batch| Ok(()));
    let answer = scheduler.run((0..50).map(window).collect(), request_context(Admission::Try)).await.unwrap();
    assert_eq!(answer, (0..50).map(logits).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_poisoned_input_fails_alone() {
    let poison = |batch: &Batch| if batch.input_ids.iter().any(|&id| id == 13) { Err(failed()) } else { Ok(()) };
    let scheduler = scheduler(100, move || poison);
    let ask = |id| scheduler.run(vec![window(id)], request_context(Admission::Try));
    let (a, b, c) = tokio::join!(ask(12), ask(13), ask(14));
    assert_eq!((a.unwrap(), c.unwrap()), (vec![logits(12)], vec![logits(14)]));
    assert!(matches!(b, Err(ScheduleError::Run(_))));
}

#[tokio::test]
async fn a_batch_whose_windows_are_run_one_by_one_is_counted() {
    let poison = |batch: &Batch| if batch.input_ids.iter().any(|&id| id == 13) { Err(failed()) } else { Ok(()) };
    let scheduler = scheduler(100, move || poison);
    let ask = |ids: [u32; 2]| scheduler.run(ids.map(window).into(), request_context(Admission::Try));
    assert!(ask([12, 14]).await.is_ok());
    assert_eq!(scheduler.n_failed_batches(), 0);
    assert!(ask([12, 13]).await.is_err());
    assert_eq!(scheduler.n_failed_batches(), 1);
}

#[tokio::test]
async fn a_session_that_panics_is_replaced() {
    let panic = |batch: &Batch| if batch.input_ids[[0, 0]] == 13 { panic!("as the test wants it") } else { Ok(()) };
    let scheduler = scheduler(100, move || panic);
    assert!(matches!(
        scheduler.run(vec![window(13)], request_context(Admission::Try)).await,
        Err(ScheduleError::Panicked)
    ));
    assert_eq!(scheduler.run(vec![window(1)], request_context(Admission::Try)).await.unwrap(), vec![logits(1)]);
    assert_eq!(scheduler.n_panics(), 1);
    assert!(scheduler.is_alive());
}

#[tokio::test]
async fn a_deadline_that_has_passed_costs_no_run() {
    let scheduler = scheduler(100, || |_: &Batch| Err(failed()));
    let answer = scheduler
        .run(vec![window(1)], RequestContext { deadline: Instant::now(), ..request_context(Admission::Try) })
        .await;
    assert!(matches!(answer, Err(ScheduleError::DeadlineExceeded)), "{answer:?}");
}

/// A scheduler whose only worker is held until the sender is used or dropped.
fn held() -> (Scheduler, std::sync::mpsc::Sender<()>) {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let scheduler = scheduler(2, move || {
        let wait = Arc::clone(&wait);
        move |_: &Batch| {
            let _ = wait.lock().unwrap().recv();
            Ok(())
        }
    });
    (scheduler, release)
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_lets_those_inside_wait() {
    let (scheduler, release) = held();
    let scheduler = Arc::new(scheduler);
    let ask = |id, admission| {
        let scheduler = Arc::clone(&scheduler);
        async move { scheduler.run(vec![window(id), window(id)], request_context(admission)).await }
    };
    let first = tokio::spawn(ask(1, Admission::Try));
    tokio::task::yield_now().await;
    let next = futures_poll_once(Box::pin(ask(2, Admission::Try)).as_mut()).await;
    assert!(matches!(next, Some(Err(ScheduleError::Busy { max_queued_windows: 2 }))), "{next:?}");
    let second = tokio::spawn(ask(3, Admission::Wait));
    drop(release);
    assert_eq!(first.await.unwrap().unwrap(), vec![logits(1), logits(1)]);
    assert_eq!(second.await.unwrap().unwrap(), vec![logits(3), logits(3)]);
}

#[tokio::test]
async fn a_long_document_needs_one_free_permit_and_takes_the_others_as_they_come() {
    let (scheduler, release) = held();
    let scheduler = Arc::new(scheduler);
    let ask = |ids: std::ops::Range<u32>| {
        let scheduler = Arc::clone(&scheduler);
        async move { scheduler.run(ids.map(window).collect(), request_context(Admission::Try)).await }
    };
    let short = tokio::spawn(ask(0..1));
    let long = tokio::spawn(ask(1..6));
    tokio::task::yield_now().await;
    let refused = scheduler.admit(1, request_context(Admission::Try)).await.map(drop);
    assert!(matches!(refused, Err(ScheduleError::Busy { .. })), "{refused:?}");
    let mut waits = Box::pin(scheduler.admit(1, request_context(Admission::Wait)));
    assert!(futures_poll_once(waits.as_mut()).await.is_none());
    drop(waits);
    let next = futures_poll_once(Box::pin(ask(6..7)).as_mut()).await;
    assert!(matches!(next, Some(Err(ScheduleError::Busy { .. }))), "{next:?}");
    release.send(()).unwrap();
    assert_eq!(short.await.unwrap().unwrap(), vec![logits(0)]);
    // The permit that the short one released goes to the long one, which still needs some.
    assert!(scheduler.admit(1, request_context(Admission::Try)).await.is_err());
    drop(release);
    assert_eq!(long.await.unwrap().unwrap(), (1..6).map(logits).collect::<Vec<_>>());
    assert_eq!(ask(8..9).await.unwrap(), vec![logits(8)]);
}

#[tokio::test]
async fn neither_a_long_document_nor_many_follow_up_documents_keep_others_out() {
    let limits = BatchLimits::ALONE;
    let settings = SchedulerSettings { max_queued_windows: 20, limits, padding: Padding::default(), cores: None };
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let held = move |_: &Batch| {
        let _ = wait.recv();
        Ok(())
    };
    let sessions =
        Sessions { streams: vec![Box::new(Fake(held))], all_cores: None, make_stream: Arc::new(|| Err(failed())) };
    let scheduler = Scheduler::start(settings, sessions).unwrap();
    let n_free = || scheduler.normal_permits.all.available_permits();
    let request = request_context(Admission::Try);
    let ask = |ids: std::ops::Range<u32>, context| Box::pin(scheduler.run(ids.map(window).collect(), context));
    let mut long = ask(0..500, request);
    assert!(futures_poll_once(long.as_mut()).await.is_none());
    assert_eq!(n_free(), 12);
    let mut follow_ups: Vec<_> =
        (0..30).map(|n| ask(n..n + 1, RequestContext { admission: Admission::Wait, ..request })).collect();
    for document in &mut follow_ups {
        assert!(futures_poll_once(document.as_mut()).await.is_none());
    }
    assert_eq!(n_free(), 2);
    let mut other = ask(7..8, request_context(Admission::Try));
    assert!(futures_poll_once(other.as_mut()).await.is_none());
    drop(release);
    assert_eq!(other.await.unwrap(), vec![logits(7)]);
    assert_eq!(long.await.unwrap().len(), 500);
    for (document, n) in follow_ups.into_iter().zip(0..) {
        assert_eq!(document.await.unwrap(), vec![logits(n)]);
    }
    // A worker drops a window shortly after its answer.
    while n_free() < 20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn bulk_work_takes_no_permit_of_other_work() {
    let (scheduler, release) = held();
    let bulk = RequestContext { priority: Priority::Bulk, ..request_context(Admission::Try) };
    let mut full = Box::pin(scheduler.run(vec![window(1), window(2)], bulk));
    assert!(futures_poll_once(full.as_mut()).await.is_none());
    assert!(scheduler.admit(1, bulk).await.is_err());
    assert!(scheduler.admit(1, request_context(Admission::Try)).await.is_ok());
    let mut normal = Box::pin(scheduler.run(vec![window(3)], request_context(Admission::Try)));
    assert!(futures_poll_once(normal.as_mut()).await.is_none());
    drop(release);
    assert_eq!((full.await.unwrap(), normal.await.unwrap()), (vec![logits(1), logits(2)], vec![logits(3)]));
}

#[tokio::test]
async fn a_follow_up_document_waits_for_a_permit_until_its_deadline() {
    let (scheduler, release) = held();
    let mut full = Box::pin(scheduler.run(vec![window(1), window(2)], request_context(Admission::Try)));
    assert!(futures_poll_once(full.as_mut()).await.is_none());
    let late = RequestContext { deadline: Instant::now(), ..request_context(Admission::Wait) };
    let answer = scheduler.run(vec![window(3)], late).await;
    assert!(matches!(answer, Err(ScheduleError::DeadlineExceeded)), "{answer:?}");
    drop(release);
    full.await.unwrap();
}

#[tokio::test]
async fn a_caller_that_has_gone_costs_no_run() {
    let runs = Arc::new(AtomicUsize::new(0));
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (wait, counted) = (Arc::new(Mutex::new(wait)), Arc::clone(&runs));
    let scheduler = Arc::new(scheduler(100, move || {
        let (wait, runs) = (Arc::clone(&wait), Arc::clone(&counted));
        move |_: &Batch| {
            runs.fetch_add(1, Ordering::SeqCst);
            let _ = wait.lock().unwrap().recv();
            Ok(())
        }
    }));
    let ask = |id| {
        let scheduler = Arc::clone(&scheduler);
        tokio::spawn(async move { scheduler.run(vec![window(id)], request_context(Admission::Try)).await })
    };
    let first = ask(1);
    while runs.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let gone = ask(2);
    while scheduler.n_waiting() == 0 {
        tokio::task::yield_now().await;
    }
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    drop(release);
    first.await.unwrap().unwrap();
    scheduler.run(vec![window(3)], request_context(Admission::Try)).await.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn dropping_the_scheduler_answers_what_is_queued() {
    let (scheduler, release) = held();
    let run = scheduler.run(vec![window(1)], request_context(Admission::Try));
    let mut run = Box::pin(run);
    assert!(futures_poll_once(run.as_mut()).await.is_none());
    drop(release);
    assert_eq!(run.await.unwrap(), vec![logits(1)]);
    drop(scheduler);
}

/// Polls once, so that the future has handed its windows over.
async fn futures_poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn windows_that_wait_together_share_a_run() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (wait, sizes) = (Arc::new(Mutex::new(wait)), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&sizes);
    let scheduler = scheduler(100, move || {
        let (wait, seen) = (Arc::clone(&wait), Arc::clone(&seen));
        move |batch: &Batch| {
            seen.lock().unwrap().push(batch.shape().0);
            let _ = wait.lock().unwrap().recv();
            Ok(())
        }
    });
    let mut first = Box::pin(scheduler.run(vec![window(1)], request_context(Admission::Try)));
    assert!(futures_poll_once(first.as_mut()).await.is_none());
    while sizes.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let ask = |id| Box::pin(scheduler.run(vec![window(id)], request_context(Admission::Try)));
    let mut others = [2, 3, 4].map(ask);
    for other in &mut others {
        assert!(futures_poll_once(other.as_mut()).await.is_none());
    }
    drop(release);
    first.await.unwrap();
    for (other, id) in others.into_iter().zip(2..) {
        assert_eq!(other.await.unwrap(), vec![logits(id)]);
    }
    assert_eq!(*sizes.lock().unwrap(), [1, 3]);
}

/// A scheduler of two streams and a session for single runs, which counts its runs and panics at id 13; streams are held until
/// the sender is used or dropped.
fn with_all_cores_session() -> (Scheduler, Arc<AtomicUsize>, std::sync::mpsc::Sender<()>) {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (wait, n_single) = (Arc::new(Mutex::new(wait)), Arc::new(AtomicUsize::new(0)));
    let stream = || {
        let wait = Arc::clone(&wait);
        let held = move |_: &Batch| {
            let _ = wait.lock().unwrap().recv();
            Ok(())
        };
        Box::new(Fake(held)) as Box<dyn Run>
    };
    let counted = Arc::clone(&n_single);
    let all_cores = move |batch: &Batch| {
        assert_ne!(batch.input_ids[[0, 0]], 13, "as the test wants it");
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    };
    let (streams, all_cores) = (vec![stream(), stream()], Some(Box::new(Fake(all_cores)) as Box<dyn Run>));
    let limits = BatchLimits::ALONE;
    let settings = SchedulerSettings { max_queued_windows: 100, limits, padding: Padding::default(), cores: None };
    let sessions = Sessions { streams, all_cores, make_stream: Arc::new(|| Err(failed())) };
    (Scheduler::start(settings, sessions).unwrap(), n_single, release)
}

#[tokio::test]
async fn a_run_that_is_alone_is_computed_on_all_cores() {
    let (scheduler, n_single, release) = with_all_cores_session();
    for id in 0..3 {
        assert_eq!(scheduler.run(vec![window(id)], request_context(Admission::Try)).await.unwrap(), vec![logits(id)]);
    }
    assert_eq!(n_single.load(Ordering::SeqCst), 3);
    // The first of two has company that waits, and the second has company that runs.
    let mut two = Box::pin(scheduler.run(vec![window(4), window(5)], request_context(Admission::Try)));
    assert!(futures_poll_once(two.as_mut()).await.is_none());
    while scheduler.n_waiting() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(n_single.load(Ordering::SeqCst), 3);
    drop(release);
    assert_eq!(two.await.unwrap(), vec![logits(4), logits(5)]);
}

#[tokio::test]
async fn a_single_run_that_panics_leaves_the_streams() {
    let (scheduler, n_single, release) = with_all_cores_session();
    drop(release);
    assert!(matches!(
        scheduler.run(vec![window(13)], request_context(Admission::Try)).await,
        Err(ScheduleError::Panicked)
    ));
    assert_eq!(scheduler.run(vec![window(1)], request_context(Admission::Try)).await.unwrap(), vec![logits(1)]);
    // The worker counts what its caller has already learnt.
    while scheduler.n_panics() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((n_single.load(Ordering::SeqCst), scheduler.n_panics(), scheduler.is_alive()), (0, 1, true));
}
