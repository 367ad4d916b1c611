//! Streams and limits that come after the scheduler started.

use super::*;

/// A session that gives its number as the logit of each token.
struct Numbered(f32);

impl Run for Numbered {
    fn run(&mut self, batch: &Batch) -> Result<Outputs, RunError> {
        assert_ne!(batch.input_ids[[0, 0]], 13, "as the test wants it");
        let (n, t) = batch.shape();
        Ok(Outputs { topics: None, entities: Some(HeadOutput::Token(Array3::from_elem((n, t, 1), self.0))) })
    }
}

/// A scheduler that starts with the session number 1 for all cores and makes streams of the number 9.
fn without_streams() -> Scheduler {
    let settings = SchedulerSettings {
        max_queued_windows: 100,
        limits: BatchLimits::ALONE,
        padding: Padding::default(),
        cores: None,
    };
    let make_stream: MakeRun = Arc::new(|| Ok(Box::new(Numbered(9.0))));
    let sessions = Sessions { streams: Vec::new(), all_cores: Some(Box::new(Numbered(1.0))), make_stream };
    Scheduler::start(settings, sessions).unwrap()
}

/// The numbers of the sessions that run `n` windows of one document.
async fn numbers(scheduler: &Scheduler, n: u32) -> Vec<f32> {
    let windows = (0..n).map(window).collect();
    let logits = scheduler.run(windows, request_context(Admission::Try)).await.unwrap();
    logits.into_iter().map(|window| window.entities.unwrap().rows()[[0, 0]]).collect()
}

#[tokio::test]
async fn the_session_for_all_cores_takes_all_runs_until_streams_are_added() {
    let scheduler = without_streams();
    assert_eq!(numbers(&scheduler, 4).await, [1.0; 4]);
    scheduler.add_stream(Box::new(Numbered(2.0))).unwrap();
    // The last window of a document is alone.
    assert_eq!(numbers(&scheduler, 4).await, [2.0, 2.0, 2.0, 1.0]);
    assert_eq!(scheduler.shared.n_alive.load(Ordering::Acquire), 1);
    scheduler.add_stream(Box::new(Numbered(3.0))).unwrap();
    assert_eq!(scheduler.shared.n_alive.load(Ordering::Acquire), 2);
}

#[tokio::test]
async fn a_worker_without_a_stream_makes_one_when_the_session_for_all_cores_is_gone() {
    let scheduler = without_streams();
    let panicked = scheduler.run(vec![window(13)], request_context(Admission::Try)).await;
    assert!(matches!(panicked, Err(ScheduleError::Panicked)), "{panicked:?}");
    assert_eq!(numbers(&scheduler, 2).await, [9.0, 9.0]);
}

#[tokio::test]
async fn without_any_worker_left_windows_are_refused() {
    let settings = SchedulerSettings {
        max_queued_windows: 100,
        limits: BatchLimits::ALONE,
        padding: Padding::default(),
        cores: None,
    };
    let streams: Vec<Box<dyn Run>> = vec![Box::new(Numbered(1.0))];
    let sessions = Sessions { streams, all_cores: None, make_stream: Arc::new(|| Err(failed())) };
    let scheduler = Scheduler::start(settings, sessions).unwrap();
    assert!(scheduler.is_alive());
    let run = |id| scheduler.run(vec![window(id)], request_context(Admission::Try));
    assert!(run(13).await.is_err());
    let gone = async {
        while scheduler.is_alive() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap();
    assert_eq!(scheduler.n_streams(), 0);
    assert!(matches!(run(1).await, Err(ScheduleError::NoWorker)));
}

#[tokio::test]
async fn windows_share_runs_from_the_moment_that_the_limits_allow_it() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let seen = Arc::clone(&sizes);
    let fake = move |batch: &Batch| {
        seen.lock().unwrap().push(batch.shape().0);
        let _ = wait.recv();
        Ok(())
    };
    let settings = SchedulerSettings {
        max_queued_windows: 100,
        limits: BatchLimits::ALONE,
        padding: Padding::default(),
        cores: None,
    };
    let sessions =
        Sessions { streams: vec![Box::new(Fake(fake))], all_cores: None, make_stream: Arc::new(|| Err(failed())) };
    let scheduler = Scheduler::start(settings, sessions).unwrap();
    let mut four = Box::pin(scheduler.run((0..4).map(window).collect(), request_context(Admission::Try)));
    assert!(futures_poll_once(four.as_mut()).await.is_none());
    while sizes.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    scheduler.set_limits(BatchLimits { max_windows: 4, max_tokens: 64, max_padding: 0.5 });
    drop(release);
    four.await.unwrap();
    assert_eq!(*sizes.lock().unwrap(), [1, 3]);
}
