//! Documents that cannot be answered before their deadline.

use super::*;
use crate::inference::scheduler::pace::Load;

/// That of [`window`].
const A_WINDOW: Load = Load { n_windows: 1, n_tokens: 1 };

/// A scheduler whose only worker is held from its first run on, and whose last runs took a second each.
async fn held() -> (Scheduler, std::sync::mpsc::Sender<()>) {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let scheduler = scheduler(100, move || {
        let wait = Arc::clone(&wait);
        move |_: &Batch| {
            // The sender is gone once the test is over.
            let _ = wait.lock().unwrap().recv();
            Ok(())
        }
    });
    let now = Instant::now();
    (0..4).for_each(|_| scheduler.shared.lock().progress.pace.ran(A_WINDOW, Duration::from_secs(1), now));
    (scheduler, release)
}

fn context(admission: Admission, seconds: u64) -> RequestContext {
    RequestContext { deadline: Instant::now() + Duration::from_secs(seconds), ..request_context(admission) }
}

/// Why a document of `n` windows is refused at once; `None` where it is not.
async fn refusal(scheduler: &Scheduler, n: u32, context: RequestContext) -> Option<ScheduleError> {
    let mut run = Box::pin(scheduler.run((0..n).map(window).collect(), context));
    futures_poll_once(run.as_mut()).await.map(|answer| answer.unwrap_err())
}

#[tokio::test]
async fn a_text_that_takes_longer_than_its_deadline_is_refused_at_once() {
    let (scheduler, _release) = held().await;
    for admission in [Admission::Try, Admission::Wait] {
        let refused = refusal(&scheduler, 20, context(admission, 10)).await;
        assert!(matches!(refused, Some(ScheduleError::TextTakesTooLong { .. })), "{refused:?}");
        assert!(refusal(&scheduler, 20, context(admission, 30)).await.is_none());
    }
}

#[tokio::test]
async fn the_queue_before_a_new_text_counts_and_not_before_a_follow_up() {
    let (scheduler, _release) = held().await;
    let documents: Vec<_> = (0..4)
        .map(|_| {
            let mut run = Box::pin(scheduler.run((0..30).map(window).collect(), context(Admission::Try, 600)));
            assert!(futures_util::FutureExt::now_or_never(run.as_mut()).is_none());
            run
        })
        .collect();
    // Each of the four has its first eight windows before a new request; some run already.
    let refused = refusal(&scheduler, 1, context(Admission::Try, 10)).await;
    let Some(ScheduleError::QueueTooLong { expected, .. }) = refused else { panic!("{refused:?}") };
    assert!(expected <= Duration::from_secs(4 * 8 + 1), "{expected:?}");
    assert!(refusal(&scheduler, 1, context(Admission::Wait, 10)).await.is_none());
    let bulk = RequestContext { priority: Priority::Bulk, ..context(Admission::Try, 60) };
    assert!(matches!(refusal(&scheduler, 1, bulk).await, Some(ScheduleError::QueueTooLong { .. })));
    assert!(refusal(&scheduler, 1, context(Admission::Try, 60)).await.is_none());
    assert!(scheduler.expected_wait().unwrap() > Duration::from_secs(60));
    drop(documents);
}

#[tokio::test]
async fn short_windows_are_not_refused_after_long_ones() {
    let (scheduler, _release) = held().await;
    let now = Instant::now();
    scheduler.shared.lock().progress.pace = crate::inference::scheduler::pace::Pace::default();
    let long = Load { n_windows: 1, n_tokens: 500 };
    (0..4).for_each(|_| scheduler.shared.lock().progress.pace.ran(long, Duration::from_secs(1), now));
    let waits = |n_tokens: usize| {
        let window = Window { input_ids: vec![1; n_tokens], ..window(1) };
        let mut run = Box::pin(scheduler.run(vec![window], context(Admission::Try, 600)));
        assert!(futures_util::FutureExt::now_or_never(run.as_mut()).is_none());
        run
    };
    let _short: Vec<_> = (0..50).map(|_| waits(1)).collect();
    assert!(refusal(&scheduler, 1, context(Admission::Try, 10)).await.is_none());
    let _long: Vec<_> = (0..40).map(|_| waits(500)).collect();
    let refused = refusal(&scheduler, 1, context(Admission::Try, 10)).await;
    assert!(matches!(refused, Some(ScheduleError::QueueTooLong { .. })), "{refused:?}");
}

#[tokio::test]
async fn without_recent_runs_nothing_is_refused() {
    let scheduler = scheduler(100, || |_: &Batch| Ok(()));
    let answer = scheduler.run((0..50).map(window).collect(), context(Admission::Try, 30)).await;
    assert!(answer.is_ok());
    let long_ago = Instant::now() - Duration::from_secs(61);
    scheduler.shared.lock().progress.pace = super::super::pace::Pace::default();
    (0..9).for_each(|_| scheduler.shared.lock().progress.pace.ran(A_WINDOW, Duration::from_secs(9), long_ago));
    assert!(scheduler.run(vec![window(1)], context(Admission::Try, 5)).await.is_ok());
}
