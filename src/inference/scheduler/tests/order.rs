//! In which order the windows of several requests run.

use super::*;

/// The order in which windows run whose requests, of one or more documents, were all in the queue before the second run: `first`
/// alone goes before.
async fn order_of_runs(first: u32, requests: Vec<(Priority, Vec<Vec<u32>>)>) -> Vec<u32> {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let runs = Arc::new(Mutex::new(Vec::new()));
    let (wait, seen) = (Arc::new(Mutex::new(wait)), Arc::clone(&runs));
    let limits = BatchLimits::ALONE;
    let settings = SchedulerSettings { max_queued_windows: 100, limits, padding: Padding::default(), cores: None };
    let fake = move |batch: &Batch| {
        seen.lock().unwrap().push(batch.input_ids[[0, 0]] as u32);
        let _ = wait.lock().unwrap().recv();
        Ok(())
    };
    let sessions =
        Sessions { streams: vec![Box::new(Fake(fake))], all_cores: None, make_stream: Arc::new(|| Err(failed())) };
    let scheduler = Arc::new(Scheduler::start(settings, sessions).unwrap());
    let ask = |context, ids: Vec<u32>| {
        let scheduler = Arc::clone(&scheduler);
        tokio::spawn(async move { scheduler.run(ids.into_iter().map(window).collect(), context).await })
    };
    let mut under_way = vec![ask(request_context(Admission::Try), vec![first])];
    while runs.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut n_waiting = 0;
    for (priority, documents) in requests {
        let context = RequestContext { priority, ..request_context(Admission::Try) };
        for ids in documents {
            n_waiting += ids.len();
            under_way.push(ask(context, ids));
            while scheduler.n_waiting() < n_waiting {
                tokio::task::yield_now().await;
            }
        }
    }
    drop(release);
    for request in under_way {
        request.await.unwrap().unwrap();
    }
    let order = runs.lock().unwrap();
    order[1..].to_vec()
}

#[tokio::test]
async fn requests_take_turns_by_documents() {
    let requests = vec![
        (Priority::Normal, vec![vec![10, 11, 12], vec![13], vec![14, 15]]),
        (Priority::Normal, vec![vec![20]]),
        (Priority::Normal, vec![vec![30, 31], vec![32]]),
    ];
    assert_eq!(order_of_runs(1, requests).await, [10, 11, 12, 20, 30, 31, 13, 32, 14, 15]);
}

#[tokio::test]
async fn a_long_document_takes_several_turns() {
    let requests = vec![
        (Priority::Normal, vec![(100..120).collect()]),
        (Priority::Normal, vec![vec![20]]),
        (Priority::Normal, vec![(40..50).collect()]),
    ];
    let order: Vec<u32> = (100..108).chain([20]).chain(40..48).chain(108..116).chain(48..50).chain(116..120).collect();
    assert_eq!(order_of_runs(1, requests).await, order);
}

#[tokio::test]
async fn bulk_work_yields_to_all_other() {
    let requests = vec![
        (Priority::Bulk, vec![vec![10, 11]]),
        (Priority::Normal, vec![vec![20]]),
        (Priority::Normal, vec![vec![30, 31]]),
    ];
    assert_eq!(order_of_runs(1, requests).await, [20, 30, 31, 10, 11]);
}

#[tokio::test]
async fn a_new_request_waits_for_no_quantum_of_those_that_had_one() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let runs = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&runs);
    let limits = BatchLimits::ALONE;
    let settings = SchedulerSettings { max_queued_windows: 100, limits, padding: Padding::default(), cores: None };
    let fake = move |batch: &Batch| {
        seen.lock().unwrap().push(batch.input_ids[[0, 0]] as u32);
        let _ = wait.recv();
        Ok(())
    };
    let sessions =
        Sessions { streams: vec![Box::new(Fake(fake))], all_cores: None, make_stream: Arc::new(|| Err(failed())) };
    let scheduler = Scheduler::start(settings, sessions).unwrap();
    let ask = |ids: std::ops::Range<u32>, admission| {
        Box::pin(scheduler.run(ids.map(window).collect(), request_context(admission)))
    };
    let mut first = ask(100..110, Admission::Try);
    assert!(futures_poll_once(first.as_mut()).await.is_none());
    for _ in 0..8 {
        release.send(()).unwrap();
    }
    while runs.lock().unwrap().len() < 9 {
        tokio::task::yield_now().await;
    }
    // The first has had its quantum, and the second belongs to a request that was served before.
    let (mut second, mut new) = (ask(200..201, Admission::Wait), ask(1..2, Admission::Try));
    assert!(futures_poll_once(second.as_mut()).await.is_none());
    assert!(futures_poll_once(new.as_mut()).await.is_none());
    drop(release);
    first.await.unwrap();
    second.await.unwrap();
    new.await.unwrap();
    assert_eq!(runs.lock().unwrap()[8..], [108, 1, 109, 200]);
}
