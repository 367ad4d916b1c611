//! Runs jobs one after the other. Answers are saved in parts, as `ressort score` does it, so that a restart repeats no document.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::documents::{Documents, JobDocument};
use super::job::{Finished, Job, JobCounts, RequestKind};
use super::receive::{job_limits, on_disk};
use super::store::{JobStore, StoreError};
use crate::classify::answer::{Answer, AnswerModels, DocumentId};
use crate::classify::classifier::{Classifier, DocumentTask};
use crate::classify::error::{ClassifyError, Scope};
use crate::classify::request::batch_context;
use crate::http::answers::{DocumentBodyOut, FailureBody, json};
use crate::http::app::App;
use crate::http::classify::n_at_once;
use crate::http::error::{Code, Problem};
use crate::http::schema::Settings;
use crate::inference::scheduler::RequestContext;
use crate::models::load::Model;
use crate::models::registry::Assignment;
use crate::parts::{Parts, PartsError, Position, SavedRows, parts_dir};
use crate::system::budget::MemoryUse;
use crate::system::metric_names::JOBS;

/// Answers that are saved together, and the longest that one waits for it.
const SAVED_ANSWERS: usize = 128;
const SAVED_BYTES: usize = 4 * 1024 * 1024;
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

type JobParts = Parts<JobCounts>;

/// Why a run ends before the job is done.
enum Ended {
    /// The server stops; the next start continues.
    Stopped,
    Failed(Problem),
}

impl<P: Into<Problem>> From<P> for Ended {
    fn from(problem: P) -> Self {
        Self::Failed(problem.into())
    }
}

/// Runs the jobs of `app` until the server stops. A job that is not done by then continues after the next start.
pub async fn run_jobs(app: Arc<App>) {
    /// Between two looks for jobs that ended long ago.
    const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
    let Some(store) = app.jobs.clone() else { return };
    let mut was_opened = true;
    loop {
        let keeping = Arc::clone(&store);
        // A folder that cannot be used stops no server: each new job is answered with the error. Another process may release it later.
        let opened = tokio::task::spawn_blocking(move || {
            let opened = keeping.open_existing();
            keeping.remove_expired();
            opened
        });
        match opened.await {
            Ok(Ok(())) => was_opened = true,
            Ok(Err(error)) if was_opened => {
                tracing::error!(%error, "earlier jobs wait");
                was_opened = false;
            }
            _ => {}
        }
        while !app.is_draining()
            && let Some(job) = store.next()
        {
            run_job(&app, &store, job).await;
        }
        tokio::select! {
            biased;
            () = app.draining() => return,
            () = store.added.notified() => {}
            () = tokio::time::sleep(EXPIRY_INTERVAL) => {}
        }
    }
}

async fn run_job(app: &Arc<App>, store: &Arc<JobStore>, job: Arc<Job>) {
    if !job.start() {
        return;
    }
    let ended = tokio::select! {
        biased;
        () = job.cancelled() => {
            let cancelled = Arc::clone(&job);
            clean_up(move || cancelled.remove_content(false)).await;
            count("cancelled");
            return;
        }
        ended = answer(app, store, &job) => ended,
    };
    let ended = match ended {
        Ok(finished) => Ok(finished),
        Err(Ended::Stopped) => return clean_up(move || job.stop()).await,
        Err(Ended::Failed(problem)) => {
            tracing::error!(job = job.id, code = problem.code.as_str(), detail = problem.detail, "a job failed");
            Err(problem)
        }
    };
    clean_up(move || count(&job.end(ended).to_string())).await;
}

/// Runs work that waits for the disk, and that no client waits for.
async fn clean_up(work: impl FnOnce() + Send + 'static) {
    if tokio::task::spawn_blocking(work).await.is_err() {
        tracing::error!("the files of a job could not be handled");
    }
}

fn count(outcome: &str) {
    metrics::counter!(JOBS.name, "outcome" => outcome.to_owned()).increment(1);
}

/// Answers all documents that are not answered yet.
async fn answer(app: &Arc<App>, store: &Arc<JobStore>, job: &Arc<Job>) -> Result<Finished, Ended> {
    let limits = job_limits(app);
    let (path, kind) = (job.request_path(), job.read(|state| state.kind));
    let held = match kind {
        RequestKind::Lines => None,
        // All of it is read once, to find its documents.
        _ => Some(app.memory.reserve(std::fs::metadata(&path).map_or(0, |file| file.len()), MemoryUse::Body).await),
    };
    let (documents, settings) =
        on_disk(move || Documents::open(&path, kind, &limits).map_err(|error| damaged(&error))).await?;
    drop(held);
    let classifier = settings.map(|settings| classifier_of(app, settings)).transpose()?;
    let models = classifier.as_ref().map_or_else(|| app.registry.active(), |classifier| classifier.models.clone());
    let parts = open_parts(job, plan_of(&models, limits.max_characters)).await?;
    let saved = match parts.checkpoint.whole {
        Some(_) => parts,
        None => {
            let run = Run { app, store, job, context: batch_context(), classifier: classifier.clone() };
            run.answer_rest(Arc::new(documents), parts).await?
        }
    };
    Ok(Finished {
        failed: saved.checkpoint.counts.failed,
        models: classifier
            .and_then(|classifier| serde_json::value::to_raw_value(&AnswerModels::of(&classifier.models)).ok()),
        result_bytes: saved.checkpoint.rows_bytes,
    })
}

/// Other models than before a restart would give answers that do not belong together.
fn plan_of(models: &Assignment, max_characters: usize) -> Value {
    let model = |model: &Arc<Model>| model.fingerprint();
    json!({
        "ressort": crate::system::build_info::VERSION,
        "models": {"topics": models.topics.as_ref().map(model), "entities": models.entities.as_ref().map(model)},
        "max-characters": max_characters,
    })
}

/// The answers that are saved; none where they cannot be continued.
async fn open_parts(job: &Arc<Job>, plan: Value) -> Result<JobParts, Problem> {
    let (path, id) = (job.result_path(), job.id.clone());
    let opened = on_disk(move || match JobParts::open(&path, &plan, SavedRows::Resume) {
        Err(error @ (PartsError::Changed { .. } | PartsError::Damaged { .. } | PartsError::Foreign { .. })) => {
            tracing::warn!(job = id, %error, "a job starts again");
            std::fs::remove_dir_all(parts_dir(&path)).map_err(StoreError::from)?;
            JobParts::open(&path, &plan, SavedRows::Resume).map_err(stored)
        }
        opened => opened.map_err(stored),
    });
    opened.await
}

/// The error of files that cannot be written.
fn stored(error: PartsError) -> StoreError {
    match error {
        PartsError::Read { source, .. } | PartsError::Write { source, .. } => source.into(),
        error => StoreError::Disk(std::io::Error::other(error)),
    }
}

fn damaged(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "the request of a job cannot be read");
    Problem::new(
        Code::Internal,
        format!("the request of the job cannot be read from the disk ({error}); send it again"),
    )
}

fn classifier_of(app: &App, settings: Settings) -> Result<Arc<Classifier>, ClassifyError> {
    let classifier = app.classifier(settings.tasks, &settings.models, settings.options)?;
    // The same answers whatever was asked before; and a job would push the texts of others out of the cache.
    Ok(Arc::new(Classifier { cache: None, shadow: None, ..classifier }))
}

/// A run of one job.
struct Run<'r> {
    app: &'r Arc<App>,
    store: &'r Arc<JobStore>,
    job: &'r Arc<Job>,
    context: RequestContext,
    /// `None`: every line has its own.
    classifier: Option<Arc<Classifier>>,
}

/// Answers that are not saved yet.
#[derive(Default)]
struct Unsaved {
    lines: Vec<u8>,
    n_answers: u64,
    n_failed: u64,
    since: Option<Instant>,
}

/// A document that is read, and the task that answers it.
struct Started {
    index: usize,
    id: Option<DocumentId>,
    task: Result<DocumentTask, Problem>,
}

impl Run<'_> {
    async fn answer_rest(&self, documents: Arc<Documents>, mut parts: JobParts) -> Result<JobParts, Ended> {
        let first = parts.checkpoint.position.record as usize;
        self.job.set_answered(first as u64, parts.checkpoint.counts.failed);
        let mut answers = Box::pin(self.answers(Arc::clone(&documents), first));
        let mut unsaved = Unsaved::default();
        loop {
            let save_at = unsaved.since.map(|since| since + SAVE_INTERVAL);
            let answer = tokio::select! {
                biased;
                () = self.app.draining() => {
                    self.save(parts, unsaved).await?;
                    return Err(Ended::Stopped);
                }
                answer = answers.next() => answer,
                () = tokio::time::sleep_until(save_at.unwrap_or_else(Instant::now)), if save_at.is_some() => {
                    parts = self.save(parts, std::mem::take(&mut unsaved)).await?;
                    continue;
                }
            };
            match answer {
                None => break,
                Some(answer) => unsaved.add(answer?),
            }
            if unsaved.is_large() {
                parts = self.save(parts, std::mem::take(&mut unsaved)).await?;
            }
        }
        parts = self.save(parts, unsaved).await?;
        let completed = on_disk(move || {
            parts.complete(b"", None::<fn(&_, &_) -> Result<(), PartsError>>).map_err(stored)?;
            Ok::<_, StoreError>(parts)
        });
        Ok(completed.await?)
    }

    async fn save(&self, mut parts: JobParts, unsaved: Unsaved) -> Result<JobParts, Problem> {
        if unsaved.n_answers == 0 {
            return Ok(parts);
        }
        let n_bytes = unsaved.lines.len() as u64;
        self.store.check_bytes(n_bytes)?;
        let parts = on_disk(move || {
            let before = &parts.checkpoint;
            let position = Position { source: 0, record: before.position.record + unsaved.n_answers };
            let counts = JobCounts { failed: before.counts.failed + unsaved.n_failed };
            parts.append(&unsaved.lines, &[], position, &counts).map_err(stored)?;
            Ok::<_, StoreError>(parts)
        })
        .await?;
        self.job.n_bytes.fetch_add(n_bytes, std::sync::atomic::Ordering::Relaxed);
        self.job.set_answered(parts.checkpoint.position.record, parts.checkpoint.counts.failed);
        Ok(parts)
    }

    /// The JSON of each answer in order, and whether it is an error.
    fn answers(&self, documents: Arc<Documents>, first: usize) -> impl Stream<Item = Result<(String, bool), Problem>> {
        let n_at_once = n_at_once(documents.longest());
        let starting = Arc::clone(&documents);
        let started = stream::iter(first..documents.len()).then(move |index| self.start(Arc::clone(&starting), index));
        started.map(move |started| finish(Arc::clone(&documents), started)).buffered(n_at_once)
    }

    async fn start(&self, documents: Arc<Documents>, index: usize) -> Result<Started, Problem> {
        let limits = job_limits(self.app);
        let read = on_disk(move || documents.read(index, &limits).map_err(|error| damaged(&error)));
        let JobDocument { id, text, settings } = read.await?;
        let starting = async {
            let text = text?;
            let classifier = match (settings, &self.classifier) {
                (Some(settings), _) => classifier_of(self.app, settings)?,
                (None, Some(classifier)) => Arc::clone(classifier),
                (None, None) => return Err(Problem::new(Code::Internal, "the request of the job is damaged")),
            };
            Ok(classifier.start(text, self.context).await)
        };
        Ok(Started { index, id, task: starting.await })
    }
}

/// The answer of a document. An error that others of one request would meet too, and that of a single text, ends the job.
async fn finish(documents: Arc<Documents>, started: Result<Started, Problem>) -> Result<(String, bool), Problem> {
    let Started { index, id, task } = started?;
    let problem = match task {
        Ok(task) => match task.await {
            Ok(answer) => {
                let answer = Answer { id, ..answer };
                return Ok((json(&DocumentBodyOut::Result(Box::new(answer))), false));
            }
            Err(error) if documents.kind == RequestKind::Documents && error.scope() == Scope::Request => {
                return Err(error.into());
            }
            Err(error) => error.into(),
        },
        Err(problem) => problem,
    };
    let failure = match documents.kind {
        RequestKind::Text | RequestKind::PlainText => return Err(problem),
        RequestKind::Documents => FailureBody::of_document(index, id, &problem),
        RequestKind::Lines => FailureBody::of_line(documents.line(index), id, &problem),
    };
    Ok((json(&DocumentBodyOut::Failure(failure)), true))
}

impl Unsaved {
    fn add(&mut self, (line, is_failure): (String, bool)) {
        self.since.get_or_insert_with(Instant::now);
        self.lines.extend_from_slice(line.as_bytes());
        self.lines.push(b'\n');
        self.n_answers += 1;
        self.n_failed += u64::from(is_failure);
    }

    fn is_large(&self) -> bool {
        self.n_answers >= SAVED_ANSWERS as u64 || self.lines.len() >= SAVED_BYTES
    }
}
