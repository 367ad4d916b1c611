//! A request of another protocol in the terms of the classify core, from its body to its answers.
//!
//! These protocols have one status for all inputs, so the first input that fails ends the request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::Request;
use axum::response::Response;
use futures_util::StreamExt;

use super::super::app::App;
use super::super::auth::Caller;
use super::super::body::{MediaTypes, ReadBody, overloaded, parse, read_body_of};
use super::super::classify::{TrimAfterLarge, n_at_once, within};
use super::super::error::{Code, Problem};
use super::super::json::{Expected, Field};
use crate::classify::answer::Answer;
use crate::classify::classifier::Classifier;
use crate::classify::error::{ClassifyError, Scope};
use crate::classify::request::{CheckedText, ClassifyOptions, RequestLimits};
use crate::inference::scheduler::{Admission, Priority, RequestContext};
use crate::manifest::task::{Task, Tasks};
use crate::models::registry::{AssignError, Assignment, ByTask};
use crate::system::budget::Reserved;

/// What a client of another protocol wants.
pub struct Call {
    pub texts: Vec<CheckedText>,
    /// `None`: the active models.
    pub model: Option<String>,
    pub tasks: Tasks,
    pub options: ClassifyOptions,
    pub priority: Priority,
    /// Whether an answer may come from the cache.
    pub use_cache: bool,
    /// How long the client waits, if that is less than the server allows.
    pub timeout: Option<Duration>,
}

/// Whether a client sent one text or a list of texts.
pub struct Texts {
    pub texts: Vec<CheckedText>,
    pub is_list: bool,
}

impl Call {
    /// Texts for one task, with all that the model says about them.
    pub fn new(texts: Vec<CheckedText>, task: Task) -> Self {
        Self {
            texts,
            model: None,
            tasks: Tasks { topics: task == Task::Topics, entities: task == Task::Entities },
            options: ClassifyOptions { top_k: usize::MAX, ..ClassifyOptions::default() },
            priority: Priority::Normal,
            use_cache: true,
            timeout: None,
        }
    }
}

/// Answers a request: `read` makes a call and the shape of its answer of the body, `write` the response.
pub async fn answer<S: Send + 'static>(
    app: &Arc<App>,
    (accepted, request): (MediaTypes, Request),
    read: impl FnOnce(&App, &Bytes) -> Result<(Call, S), Problem> + Send + 'static,
    write: impl FnOnce(Vec<Answer>, S) -> Response,
) -> Result<Response, Problem> {
    let deadline = Instant::now() + app.limits.get().timeout;
    let context = RequestContext::new(Admission::Try, deadline);
    let caller = Caller::of(&request);
    let ReadBody { bytes, memory, .. } = read_body_of(accepted, request, app, context).await?;
    let work = async {
        let _trim = TrimAfterLarge::new(bytes.len());
        let held = Held { n_bytes: bytes.len() as u64, memory };
        let reader = Arc::clone(app);
        let (call, shape) = parse(bytes, context, move |body| read(&reader, body)).await?;
        caller.take_documents(call.texts.len())?;
        let answers = match call.timeout {
            None => answers(app, call, held, context).await?,
            Some(timeout) => {
                let allowed = Instant::now().checked_add(timeout);
                let context = RequestContext { deadline: allowed.map_or(deadline, |end| end.min(deadline)), ..context };
                let answers = answers(app, call, held, context);
                let answers = tokio::time::timeout_at(context.deadline.into(), answers).await;
                answers.unwrap_or_else(|_| Err(too_late(timeout))).map_err(|problem| match problem.code {
                    Code::DeadlineExceeded => too_late(timeout),
                    _ => problem,
                })?
            }
        };
        Ok(write(answers, shape))
    };
    within(app, deadline, work).await
}

fn too_late(timeout: Duration) -> Problem {
    let detail =
        format!("no answer within the {timeout:?} that the request allows; send less text at once, or allow more");
    Problem::new(Code::DeadlineExceeded, detail)
}

/// What a request takes of the budget: its body, then the answers that wait for the last one.
struct Held {
    n_bytes: u64,
    memory: Reserved,
}

async fn answers(app: &App, call: Call, mut held: Held, context: RequestContext) -> Result<Vec<Answer>, Problem> {
    let models = by_task(call.tasks, call.model.as_deref());
    let classifier = app.classifier(Some(call.tasks), &models, call.options)?;
    let cache = classifier.cache.clone().filter(|_| call.use_cache);
    let classifier = Arc::new(Classifier { cache, ..classifier });
    let n_texts = call.texts.len();
    let n_at_once = n_at_once(call.texts.iter().map(|text| text.as_str().len()).max());
    let texts = call.texts.into_iter().map(Ok::<_, ClassifyError>);
    let context = RequestContext { priority: call.priority, ..context };
    let mut stream = Box::pin(classifier.classify_all(texts, context, n_at_once));
    let mut answers = Vec::with_capacity(n_texts);
    while let Some(answer) = stream.next().await {
        let mut answer = answer.map_err(|error| located(error, answers.len(), n_texts))?;
        // Refused rather than waited for: requests that wait for each other's answers would all miss their deadline.
        held.n_bytes += answer.n_bytes_about();
        held.memory.resize(held.n_bytes).map_err(overloaded)?;
        answer.memory = None;
        answers.push(answer);
    }
    Ok(answers)
}

/// The models that answer.
pub fn assign(app: &App, tasks: Tasks, model: Option<&str>) -> Result<Assignment, AssignError> {
    app.registry.assign(Some(tasks), &by_task(tasks, model))
}

/// The one model that a client names, for each task that it wants.
fn by_task(tasks: Tasks, model: Option<&str>) -> ByTask<String> {
    let named = |task| model.filter(|_| tasks.contains(task)).map(str::to_owned);
    ByTask { topics: named(Task::Topics), entities: named(Task::Entities) }
}

/// The problem of a document, with the input that it is about where there are several.
fn located(error: ClassifyError, index: usize, n_texts: usize) -> Problem {
    let is_about_one = error.scope() == Scope::Document && n_texts > 1;
    let problem = Problem::from(error);
    match is_about_one {
        true => Problem { detail: format!("input {index}: {}", problem.detail), ..problem },
        false => problem,
    }
}

/// Reads one text.
pub fn text(field: &Field<'_>, expected: Expected, limits: RequestLimits) -> Result<CheckedText, Problem> {
    let text = field.text(expected)?;
    CheckedText::new(text, limits.max_characters).map_err(|error| field.located(error.into()))
}

/// Reads one text, or a list of texts.
pub fn texts(field: &Field<'_>, expected: Expected, limits: RequestLimits) -> Result<Texts, Problem> {
    if !field.starts_with('[') {
        return Ok(Texts { texts: vec![text(field, expected, limits)?], is_list: false });
    }
    let entries = entries(field, expected, limits)?;
    let texts = entries.iter().map(|entry| text(entry, expected, limits)).collect::<Result<_, _>>()?;
    Ok(Texts { texts, is_list: true })
}

/// The entries of a list, at most as many as a request may have documents.
pub fn entries<'b>(field: &Field<'b>, expected: Expected, limits: RequestLimits) -> Result<Vec<Field<'b>>, Problem> {
    let list = field.list(limits.max_documents, expected)?;
    check_number(list.n_entries, limits)?;
    Ok(list.entries)
}

/// Refuses more texts than a request may have.
pub fn check_number(n_texts: usize, limits: RequestLimits) -> Result<(), Problem> {
    if n_texts <= limits.max_documents {
        return Ok(());
    }
    let detail = format!(
        "{n_texts} inputs are more than the {} of one request; send them in several requests, or raise --max-documents",
        limits.max_documents
    );
    Err(Problem::new(Code::TooManyDocuments, detail))
}
