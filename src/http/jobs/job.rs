//! One job: its state, and its files in a folder of the store.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::http::error::{Code, Problem};
use crate::parts::saved;
use crate::system::atomic_file;

/// A job exists once this file is there.
pub const STATE: &str = "job.json";
const REQUEST: &str = "request";
/// Its rows stay in the folder of parts, which also says whether they are whole.
const RESULT: &str = "result";

/// A job, and what the server that runs it knows beyond its files.
pub struct Job {
    pub id: String,
    pub dir: PathBuf,
    state: Mutex<JobState>,
    /// Held while the state is written to the disk, so that states arrive there in their order and are read meanwhile.
    saving: Mutex<()>,
    /// Bytes of its files.
    pub n_bytes: AtomicU64,
    cancelled: watch::Sender<bool>,
}

/// What `job.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobState {
    pub status: JobStatus,
    pub kind: RequestKind,
    /// The name of the key that it came with. Callers with other keys do not see it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Seconds since 1970.
    pub created_at: u64,
    pub finished_at: Option<u64>,
    pub documents: u64,
    /// Documents with an answer or an error.
    pub answered: u64,
    /// Documents with an error.
    pub failed: u64,
    pub error: Option<JobError>,
    /// The models of the answer; `None` where every line names its own.
    pub models: Option<Box<RawValue>>,
    /// Bytes of the answers, once they are whole.
    pub result_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum JobStatus {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

/// What a request holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestKind {
    /// A JSON object with one text.
    Text,
    /// A plain text.
    PlainText,
    /// A JSON object with a list of documents.
    Documents,
    /// JSON lines.
    Lines,
}

/// Why a job failed as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobError {
    pub code: String,
    pub detail: String,
}

/// What a checkpoint counts.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct JobCounts {
    /// Documents with an error.
    pub failed: u64,
}

/// What a run that ended leaves.
pub struct Finished {
    pub failed: u64,
    pub models: Option<Box<RawValue>>,
    pub result_bytes: u64,
}

impl Job {
    pub fn new(id: String, dir: PathBuf, mut state: JobState, n_bytes: u64) -> Self {
        // The process that ran it is gone.
        if state.status == JobStatus::Running {
            state.status = JobStatus::Queued;
        }
        let (state, saving, cancelled) = (Mutex::new(state), Mutex::new(()), watch::Sender::new(false));
        Self { id, dir, state, saving, n_bytes: n_bytes.into(), cancelled }
    }

    /// A job of an earlier process. How far it came is in its parts; its state has that only when it has ended.
    pub fn found(id: String, dir: PathBuf, state: JobState, n_bytes: u64) -> Self {
        let job = Self::new(id, dir, state, n_bytes);
        // Damaged parts are thrown away when the job runs.
        if !job.read(|state| state.status.is_finished())
            && let Ok(Some(saved)) = saved::<JobCounts>(&job.result_path())
        {
            job.set_answered(saved.position.record, saved.counts.failed);
        }
        job
    }

    /// A job whose folder cannot be read. It can be listed and removed.
    pub fn damaged(id: String, dir: PathBuf, n_bytes: u64, why: &io::Error) -> Self {
        let detail =
            format!("the files of the job are damaged ({STATE}: {why}); remove it with DELETE, and send it again");
        let now = seconds_now();
        let error = JobError { code: Code::Internal.as_str().to_owned(), detail };
        let state = JobState {
            finished_at: Some(now),
            error: Some(error),
            ..JobState::new(JobStatus::Failed, RequestKind::Documents, 0, now)
        };
        Self::new(id, dir, state, n_bytes)
    }

    pub fn state(&self) -> JobState {
        self.lock().clone()
    }

    /// A part of the state, without a copy of the whole.
    pub fn read<T>(&self, read: impl FnOnce(&JobState) -> T) -> T {
        read(&self.lock())
    }

    pub fn request_path(&self) -> PathBuf {
        request_path(&self.dir)
    }

    pub fn result_path(&self) -> PathBuf {
        self.dir.join(RESULT)
    }

    /// Whether it was queued, and runs now.
    pub fn start(&self) -> bool {
        let mut state = self.lock();
        let is_queued = state.status == JobStatus::Queued;
        if is_queued {
            state.status = JobStatus::Running;
        }
        is_queued
    }

    /// It waits for the next start of the server, unless it was cancelled meanwhile.
    pub fn stop(&self) {
        let mut state = self.lock();
        if state.status == JobStatus::Running {
            state.status = JobStatus::Queued;
        }
        let is_cancelled = state.status == JobStatus::Cancelled;
        drop(state);
        if is_cancelled {
            self.remove_content(false);
        }
    }

    pub fn set_answered(&self, answered: u64, failed: u64) {
        let mut state = self.lock();
        (state.answered, state.failed) = (answered, failed);
    }

    /// Keeps how the job ended, and removes what is not needed any more. Gives the status, which is that of a job that was cancelled
    /// meanwhile.
    pub fn end(&self, ended: Result<Finished, Problem>) -> JobStatus {
        let is_done = ended.is_ok();
        let ended = self.change(|state| {
            if state.status != JobStatus::Running {
                return Err(());
            }
            state.finished_at = Some(seconds_now());
            match ended {
                Ok(Finished { failed, models, result_bytes }) => {
                    (state.status, state.answered, state.failed) = (JobStatus::Done, state.documents, failed);
                    (state.models, state.result_bytes) = (models, result_bytes);
                }
                Err(problem) => {
                    state.status = JobStatus::Failed;
                    state.error = Some(JobError { code: problem.code.as_str().to_owned(), detail: problem.detail });
                }
            }
            Ok(())
        });
        self.remove_content(ended.is_ok() && is_done);
        self.read(|state| state.status)
    }

    /// Ends a job that is not finished. One that is stays as it is, and its status is the error.
    pub fn cancel(&self) -> Result<(), JobStatus> {
        let mut is_queued = false;
        let cancelled = self.change(|state| {
            if state.status.is_finished() {
                return Err(());
            }
            is_queued = state.status == JobStatus::Queued;
            (state.status, state.finished_at) = (JobStatus::Cancelled, Some(seconds_now()));
            Ok(())
        });
        if cancelled.is_err() {
            return Err(self.read(|state| state.status));
        }
        self.cancelled.send_replace(true);
        // The run of one that runs removes it, as soon as nothing writes to it.
        if is_queued {
            self.remove_content(false);
        }
        Ok(())
    }

    /// Resolves when the job is cancelled.
    pub async fn cancelled(&self) {
        // It fails only where the job is gone.
        let _ = self.cancelled.subscribe().wait_for(|is_cancelled| *is_cancelled).await;
    }

    /// Stops its run, if there is one, and removes its files.
    pub fn remove(&self) {
        self.cancelled.send_replace(true);
        // Without its state no later process finds it.
        let _ = std::fs::remove_file(self.dir.join(STATE));
        remove_folder(&self.dir);
        self.n_bytes.store(0, Ordering::Relaxed);
    }

    /// Removes the request, and without `keep_result` the answers too.
    pub fn remove_content(&self, keep_result: bool) {
        let _ = std::fs::remove_file(self.request_path());
        if !keep_result {
            remove_folder(&crate::parts::parts_dir(&self.result_path()));
        }
        self.n_bytes.store(folder_bytes(&self.dir), Ordering::Relaxed);
    }

    pub fn save(&self) -> io::Result<()> {
        save(&self.dir, &self.state())
    }

    /// Changes the state, here and on the disk. Where the disk is full, the state is kept here, and the next start runs the job
    /// again.
    fn change(&self, change: impl FnOnce(&mut JobState) -> Result<(), ()>) -> Result<(), ()> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        change(&mut state)?;
        let changed = state.clone();
        drop(state);
        if self.dir.join(STATE).exists()
            && let Err(error) = save(&self.dir, &changed)
        {
            tracing::error!(job = self.id, %error, "the state of a job cannot be written to the disk");
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, JobState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobState {
    pub fn new(status: JobStatus, kind: RequestKind, documents: u64, created_at: u64) -> Self {
        Self {
            status,
            kind,
            owner: None,
            created_at,
            finished_at: None,
            documents,
            answered: 0,
            failed: 0,
            error: None,
            models: None,
            result_bytes: 0,
        }
    }

    /// The error of the whole job.
    pub fn problem(&self) -> Option<Problem> {
        let error = self.error.as_ref()?;
        Some(Problem::new(Code::of(&error.code).unwrap_or(Code::Internal), error.detail.clone()))
    }
}

impl JobStatus {
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Done, Self::Failed, Self::Cancelled];

    pub fn is_finished(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

pub fn request_path(dir: &Path) -> PathBuf {
    dir.join(REQUEST)
}

pub fn read_state(dir: &Path) -> io::Result<JobState> {
    Ok(serde_json::from_slice(&std::fs::read(dir.join(STATE))?)?)
}

pub fn save(dir: &Path, state: &JobState) -> io::Result<()> {
    atomic_file::replace(&dir.join(STATE), &serde_json::to_vec_pretty(state)?)
}

/// Removes a folder. Threads of a run that was cancelled may still write to it for a moment.
pub fn remove_folder(dir: &Path) {
    const TRIES: usize = 20;
    const PAUSE: Duration = Duration::from_millis(50);
    for _ in 0..TRIES {
        match std::fs::remove_dir_all(dir) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
    tracing::error!(folder = %dir.display(), "the files of a job cannot be removed; remove the folder");
}

/// Bytes of all files in a folder and the folders in it.
pub fn folder_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let of_entry = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(of_entry).sum()
}

pub fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(end: impl Fn(&Job)) {
        let dir = tempfile::tempdir().unwrap();
        let state = JobState::new(JobStatus::Queued, RequestKind::Text, 1, 0);
        let job = Job::new("a".to_owned(), dir.path().to_owned(), state, 0);
        job.save().unwrap();
        std::fs::write(job.request_path(), "text").unwrap();
        assert!(job.start() && job.cancel().is_ok());
        end(&job);
        assert!(!job.request_path().exists());
        assert_eq!(read_state(dir.path()).unwrap().status, JobStatus::Cancelled);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_state_can_be_read_while_it_is_written_to_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let state = JobState::new(JobStatus::Queued, RequestKind::Text, 1, 0);
        let job = std::rc::Rc::new(Job::new("a".to_owned(), dir.path().to_owned(), state, 0));
        job.save().unwrap();
        let (read, observed_job) = (std::rc::Rc::new(std::cell::RefCell::new(Vec::new())), std::rc::Rc::clone(&job));
        let seen = std::rc::Rc::clone(&read);
        let observer = move |synced: Option<&Path>| {
            if synced.is_some() {
                seen.borrow_mut().push(observed_job.state.try_lock().ok().map(|state| state.status));
            }
        };
        atomic_file::observed::during(observer, || job.cancel().unwrap());
        assert!(read.borrow().len() >= 2, "the file and its name");
        assert!(read.borrow().iter().all(|status| *status == Some(JobStatus::Cancelled)), "{read:?}");
    }

    #[test]
    fn a_job_that_is_cancelled_while_it_ends_keeps_no_text() {
        check(|job| {
            let finished = Finished { failed: 0, models: None, result_bytes: 0 };
            assert_eq!(job.end(Ok(finished)), JobStatus::Cancelled);
        });
        check(Job::stop);
    }
}
