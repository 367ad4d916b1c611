//! The order of runs of two models that share the cores.

use super::*;

/// A scheduler whose runs are noted in `runs`, each as the id of its window; the first run of all waits for `release`.
fn model(cores: &'static SharedCores, runs: &Runs, release: &Release) -> Arc<Scheduler> {
    let settings = SchedulerSettings {
        max_queued_windows: 100,
        limits: BatchLimits::ALONE,
        padding: Padding::default(),
        cores: Some(cores),
    };
    let (runs, release) = (Arc::clone(runs), Arc::clone(release));
    let fake = move |batch: &Batch| {
        runs.lock().unwrap().push(batch.input_ids[[0, 0]] as u32);
        let _ = release.lock().unwrap().recv();
        Ok(())
    };
    let streams: Vec<Box<dyn Run>> = vec![Box::new(Fake(fake))];
    let sessions = Sessions { streams, all_cores: None, make_stream: Arc::new(|| Err(failed())) };
    Arc::new(Scheduler::start(settings, sessions).unwrap())
}

/// Two models on one core, the runs of both, and what ends the first run when it is dropped.
fn two_models() -> ([Arc<Scheduler>; 2], Runs, std::sync::mpsc::Sender<()>) {
    let cores: &SharedCores = Box::leak(Box::new(SharedCores::new(Duration::from_secs(60))));
    cores.allow(1);
    let (release, wait) = std::sync::mpsc::channel();
    let (runs, wait) = (Runs::default(), Arc::new(Mutex::new(wait)));
    ([(); 2].map(|()| model(cores, &runs, &wait)), runs, release)
}

type Answer = tokio::task::JoinHandle<Result<Vec<WindowLogits>, ScheduleError>>;

/// Sends a window to a model.
fn ask(model: &Arc<Scheduler>, id: u32) -> Answer {
    let model = Arc::clone(model);
    tokio::spawn(async move { model.run(vec![window(id)], request_context(Admission::Try)).await })
}

type Runs = Arc<Mutex<Vec<u32>>>;
type Release = Arc<Mutex<std::sync::mpsc::Receiver<()>>>;

#[tokio::test]
async fn a_window_whose_caller_goes_while_another_model_runs_costs_no_run() {
    let ([old, new], runs, release) = two_models();
    let first = ask(&old, 1);
    while runs.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let gone = ask(&new, 11);
    while new.n_running() == 0 {
        tokio::task::yield_now().await;
    }
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    drop(release);
    first.await.unwrap().unwrap();
    ask(&new, 12).await.unwrap().unwrap();
    assert_eq!(*runs.lock().unwrap(), [1, 12]);
    assert_eq!(new.n_running(), 0);
}

#[tokio::test]
async fn the_queue_of_the_old_model_goes_before_new_requests_to_the_new_one() {
    let ([old, new], runs, release) = two_models();
    let mut requests = vec![ask(&old, 1)];
    while runs.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    for id in 2..5 {
        requests.push(ask(&old, id));
        while old.n_waiting() + 1 < id as usize {
            tokio::task::yield_now().await;
        }
    }
    for id in 11..13 {
        requests.push(ask(&new, id));
        // Its first window counts as a run while it waits for the other model.
        while new.n_running() + new.n_waiting() + 10 < id as usize {
            tokio::task::yield_now().await;
        }
    }
    drop(release);
    for request in requests {
        request.await.unwrap().unwrap();
    }
    assert_eq!(*runs.lock().unwrap(), [1, 2, 3, 4, 11, 12]);
}
