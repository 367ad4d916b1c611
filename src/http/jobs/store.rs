//! All jobs of a server, each in a folder of one folder. It is opened with the first job, and at the start where it exists.
//!
//! A folder without `job.json` is what a process left that was killed while it received a job. The next one removes it.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::job::{
    Job, JobState, JobStatus, RequestKind, folder_bytes, read_state, remove_folder, request_path, seconds_now,
};
use crate::http::error::{Code, Problem};
use crate::system::atomic_file::sync_folder;
use crate::system::counted::counted;

/// How many jobs are kept, how large they are, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct JobLimits {
    /// Jobs that are kept; 0: none is accepted.
    pub max_jobs: usize,
    /// Bytes of the files of all jobs.
    pub max_bytes: u64,
    /// From the end of a job to its removal.
    pub keep: Duration,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self { max_jobs: 100, max_bytes: 4_000_000_000, keep: Duration::from_secs(72 * 60 * 60) }
    }
}

/// The file in the folder that the process locks which uses it.
const LOCK: &str = "lock";

/// All jobs of a server.
pub struct JobStore {
    dir: PathBuf,
    pub limits: JobLimits,
    opened: Mutex<Option<Opened>>,
    /// Told when a job is new.
    pub added: Notify,
    /// Bytes of the jobs that are being received.
    n_incoming: AtomicU64,
}

struct Opened {
    jobs: BTreeMap<String, Arc<Job>>,
    /// Released by the system when the process ends, however it ends.
    _lock: File,
}

/// A job that is being received. Its folder goes when it is dropped.
pub struct NewJob {
    store: Arc<JobStore>,
    id: String,
    dir: PathBuf,
    file: File,
    n_bytes: u64,
    is_kept: bool,
}

/// Why a job is not found, accepted or continued.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("no job has the id `{0}`; finished jobs are removed after --keep-jobs-h")]
    Unknown(String),
    #[error(
        "the server keeps {} and no more; remove one with DELETE, or start the server with a higher --max-jobs",
        counted(*.0, "job")
    )]
    TooMany(usize),
    #[error(
        "the jobs take the {} MB that --max-jobs-mb allows; remove some with DELETE, or start the server with more",
        .0 / 1_000_000
    )]
    Full(u64),
    #[error("the disk of the jobs is full ({0}); free space there, and send the job again")]
    DiskFull(io::Error),
    #[error("the files of the job cannot be written or read ({0}); the operator finds more in the log of the server")]
    Disk(io::Error),
    #[error("jobs cannot be kept, since their folder cannot be used ({0}); start the server with another --jobs-dir")]
    Folder(io::Error),
    #[error("jobs cannot be kept, since another server uses their folder; start this one with another --jobs-dir")]
    Locked,
}

impl StoreError {
    pub fn unknown(id: &str) -> Self {
        Self::Unknown(crate::system::choice::shortened(id))
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull(error)
            }
            _ => Self::Disk(error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Unknown(_) => Code::UnknownJob,
            StoreError::TooMany(_) => Code::TooManyJobs,
            StoreError::Full(_) | StoreError::DiskFull(_) => Code::InsufficientStorage,
            StoreError::Disk(_) => Code::Internal,
            StoreError::Folder(_) | StoreError::Locked => Code::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl JobStore {
    pub fn new(dir: PathBuf, limits: JobLimits) -> Arc<Self> {
        Arc::new(Self { dir, limits, opened: Mutex::new(None), added: Notify::new(), n_incoming: AtomicU64::new(0) })
    }

    /// Finds the jobs of earlier processes, where there is a folder.
    pub fn open_existing(&self) -> Result<(), StoreError> {
        if self.dir.exists() { self.with(|_| ()) } else { Ok(()) }
    }

    /// Whether another process uses the folder now.
    pub fn is_in_use(&self) -> bool {
        let lock = File::options().write(true).open(self.dir.join(LOCK));
        self.lock().is_none() && lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// A new job, for which there must be capacity now and when it is whole.
    pub fn begin(self: &Arc<Self>) -> Result<NewJob, StoreError> {
        self.remove_expired();
        self.check_capacity(self.with(|jobs| jobs.len())?)?;
        let id = uuid::Uuid::new_v4().simple().to_string();
        let dir = self.dir.join(&id);
        create_private_dir(&dir)?;
        let file = File::create(request_path(&dir)).inspect_err(|_| remove_folder(&dir))?;
        Ok(NewJob { store: Arc::clone(self), id, dir, file, n_bytes: 0, is_kept: false })
    }

    fn check_capacity(&self, n_jobs: usize) -> Result<(), StoreError> {
        let max = self.limits.max_jobs;
        if n_jobs >= max { Err(StoreError::TooMany(max)) } else { Ok(()) }
    }

    /// All jobs, the oldest first; none where the folder cannot be used.
    pub fn all(&self) -> Vec<Arc<Job>> {
        // Right after a start they may not have been found yet; why the folder cannot be used is logged at the start.
        let _ = self.open_existing();
        let opened = self.lock();
        let mut jobs: Vec<_> = opened.iter().flat_map(|opened| opened.jobs.values().cloned()).collect();
        drop(opened);
        jobs.sort_by_cached_key(|job| (job.read(|state| state.created_at), job.id.clone()));
        jobs
    }

    pub fn get(&self, id: &str) -> Result<Arc<Job>, StoreError> {
        // A server that has had no job needs no folder to know that.
        self.open_existing()?;
        let found = self.lock().as_ref().and_then(|opened| opened.jobs.get(id).cloned());
        found.ok_or_else(|| StoreError::unknown(id))
    }

    /// The oldest job that waits.
    pub fn next(&self) -> Option<Arc<Job>> {
        self.all().into_iter().find(|job| job.read(|state| state.status) == JobStatus::Queued)
    }

    /// Stops the job and removes it with its files.
    pub fn remove(&self, id: &str) -> Result<(), StoreError> {
        let job = self.get(id)?;
        job.remove();
        if let Some(opened) = self.lock().as_mut() {
            opened.jobs.remove(id);
        }
        Ok(())
    }

    /// Removes the jobs that ended long enough ago.
    pub fn remove_expired(&self) {
        let now = seconds_now();
        for job in self.all() {
            let finished_at = job.read(|state| state.finished_at);
            if finished_at.is_some_and(|at| self.expires_at(at) <= now) && self.remove(&job.id).is_ok() {
                tracing::info!(job = job.id, "a job is removed, since it ended long ago");
            }
        }
    }

    /// When a job that ended at `finished_at` is removed.
    pub fn expires_at(&self, finished_at: u64) -> u64 {
        finished_at.saturating_add(self.limits.keep.as_secs())
    }

    /// Bytes of all files.
    pub fn n_bytes(&self) -> u64 {
        let opened = self.lock();
        let jobs = opened.iter().flat_map(|opened| opened.jobs.values());
        let kept: u64 = jobs.map(|job| job.n_bytes.load(Ordering::Relaxed)).sum();
        drop(opened);
        kept + self.n_incoming.load(Ordering::Relaxed)
    }

    /// Fails where `n_bytes` more are too many.
    pub fn check_bytes(&self, n_bytes: u64) -> Result<(), StoreError> {
        let max = self.limits.max_bytes;
        if self.n_bytes().saturating_add(n_bytes) > max { Err(StoreError::Full(max)) } else { Ok(()) }
    }

    /// Calls `read` with the jobs, and opens the folder before where that is still to do.
    fn with<T>(&self, read: impl FnOnce(&mut BTreeMap<String, Arc<Job>>) -> T) -> Result<T, StoreError> {
        let mut opened = self.lock();
        let opened = match &mut *opened {
            Some(opened) => opened,
            closed => closed.insert(Opened::open(&self.dir)?),
        };
        Ok(read(&mut opened.jobs))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Opened>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    fn open(dir: &Path) -> Result<Self, StoreError> {
        create_private_dir(dir).map_err(StoreError::Folder)?;
        let lock = File::options().create(true).truncate(false).write(true).open(dir.join(LOCK));
        let lock = lock.map_err(StoreError::Folder)?;
        lock.try_lock().map_err(|_| StoreError::Locked)?;
        let mut jobs = BTreeMap::new();
        for entry in std::fs::read_dir(dir).map_err(StoreError::Folder)? {
            let path = entry.map_err(StoreError::Folder)?.path();
            let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Other files are not of jobs, and stay.
            if path.is_symlink() || !path.is_dir() || uuid::Uuid::try_parse(&id).is_err() {
                continue;
            }
            let n_bytes = folder_bytes(&path);
            let job = match read_state(&path) {
                Ok(state) => Job::found(id.clone(), path, state, n_bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    remove_folder(&path);
                    continue;
                }
                Err(error) => {
                    tracing::error!(job = id, %error, "the files of a job are damaged; remove it with DELETE /v1/jobs/{id}");
                    Job::damaged(id.clone(), path, n_bytes, &error)
                }
            };
            jobs.insert(id, Arc::new(job));
        }
        Ok(Self { jobs, _lock: lock })
    }
}

impl NewJob {
    /// Adds to the request.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.check_bytes(bytes.len() as u64)?;
        self.n_bytes += bytes.len() as u64;
        self.store.n_incoming.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(self.file.write_all(bytes)?)
    }

    /// Puts the job on the disk, and into the queue.
    pub fn finish(
        mut self,
        kind: RequestKind,
        n_documents: u64,
        owner: Option<String>,
    ) -> Result<Arc<Job>, StoreError> {
        self.file.sync_all()?;
        let state = JobState { owner, ..JobState::new(JobStatus::Queued, kind, n_documents, seconds_now()) };
        let job = Arc::new(Job::new(self.id.clone(), self.dir.clone(), state, self.n_bytes));
        job.save()?;
        sync_folder(&self.store.dir)?;
        let store = Arc::clone(&self.store);
        store.with(|jobs| {
            store.check_capacity(jobs.len())?;
            jobs.insert(self.id.clone(), Arc::clone(&job));
            Ok::<_, StoreError>(())
        })??;
        self.is_kept = true;
        store.added.notify_one();
        Ok(job)
    }
}

impl Drop for NewJob {
    fn drop(&mut self) {
        self.store.n_incoming.fetch_sub(self.n_bytes, Ordering::Relaxed);
        if !self.is_kept {
            remove_folder(&self.dir);
        }
    }
}

/// Only this user may read the texts.
fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::http::jobs::job::JobCounts;
    use crate::parts::{Parts, Position, SavedRows};

    #[test]
    fn a_job_that_waits_to_continue_counts_what_an_earlier_process_has_saved() {
        let folder = tempfile::tempdir().unwrap();
        let store = JobStore::new(folder.path().to_owned(), JobLimits::default());
        let mut new = store.begin().unwrap();
        new.write(b"{}\n{}\n{}\n").unwrap();
        let job = new.finish(RequestKind::Lines, 3, None).unwrap();
        let mut parts = Parts::open(&job.result_path(), &Value::Null, SavedRows::Resume).unwrap();
        parts.append(b"{}\n{}\n", b"", Position { source: 0, record: 2 }, &JobCounts { failed: 1 }).unwrap();
        drop((parts, store));
        let state = JobStore::new(folder.path().to_owned(), JobLimits::default()).get(&job.id).unwrap().state();
        assert_eq!((state.status, state.documents, state.answered, state.failed), (JobStatus::Queued, 3, 2, 1));
    }

    #[test]
    fn a_job_of_an_earlier_process_is_known_from_the_first_request_on() {
        const ID: &str = "0123456789abcdef0123456789abcdef";
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(ID)).unwrap();
        std::fs::write(folder.path().join(ID).join("job.json"), "not whole").unwrap();
        let after_a_start = || JobStore::new(folder.path().to_owned(), JobLimits::default());
        assert_eq!(after_a_start().get(ID).unwrap().id, ID);
        assert_eq!(after_a_start().all().len(), 1);
        let none = JobStore::new(folder.path().join("none"), JobLimits::default());
        assert!(matches!(none.get(ID), Err(StoreError::Unknown(_))));
        assert!(!folder.path().join("none").exists());
    }
}
