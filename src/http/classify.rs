//! `POST /v1/classify`: reads the request, lets [`Classifier`] answer, and writes the answers in the order of the documents.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};

use super::accept::{JSON_LINES, accepts_lines};
use super::answers::{DocumentBodyOut, FailureBody, json};
use super::app::App;
use super::auth::Caller;
use super::body::{BodyKind, MediaTypes, ReadBody, parse, read_body_of};
use super::description::problems::ClassifyProblems;
use super::description::requests::{ClassifyAnswer, ClassifyBody, LineAnswer, LineBody};
use super::error::{Code, Problem};
use super::lines::{answer_lines, has_lines};
use super::schema::{ClassifyRequest, Input, InputDocument};
use crate::classify::answer::{Answer, AnswerModels, DocumentId};
use crate::classify::classifier::Classifier;
use crate::classify::error::{ClassifyError, Scope};
use crate::inference::scheduler::{Admission, RequestContext};
use crate::system::budget::Reserved;
use crate::system::memory::trim_memory;

/// Documents of one request under way at the same time: enough for every stream, few enough to leave capacity to others.
const MAX_DOCUMENTS_AT_ONCE: usize = 32;

/// An answer that is this short is sent whole, with its length and a status that covers all of it.
const HELD_BYTES: usize = 64 * 1024;

#[utoipa::path(
    post, path = "/v1/classify", operation_id = "classify", tag = "classify",
    summary = "Classifies a text, documents, or lines while they are sent",
    description = "A body may be packed with `content-encoding: gzip`, `zstd` or `br`. Lines in are answered by lines. `documents` are \
        answered by lines where `accept` names `application/x-ndjson`.",
    request_body(content(
        (
            ClassifyBody = "application/json",
            examples(
                ("text" = (summary = "One text", value = json!({"text": "Angela Merkel sprach in Berlin."}))),
                ("documents" = (summary = "Documents, with options", value = json!({
                    "documents": [
                        {"id": "a", "text": "Angela Merkel sprach in Berlin."},
                        {"id": 2, "text": "Der FC Bayern hat gewonnen."},
                    ],
                    "tasks": ["topics", "entities"], "top_k": 3, "threshold": {"topics": 0.5, "entities": 0.2},
                    "aggregation": "first", "offset_unit": "utf16", "overflow": "window", "text_rules": {"html": false},
                    "priority": "bulk", "models": {"entities": "ressort"},
                }))),
            )
        ),
        (LineBody = "application/x-ndjson", example = json!({"id": 1, "text": "Angela Merkel sprach in Berlin.", "top_k": 1})),
        (String = "text/plain", example = json!("Angela Merkel sprach in Berlin.")),
    )),
    responses(
        (
            status = 200,
            description = "An answer, answers in the order of the documents, or a line for each of them",
            content((ClassifyAnswer = "application/json"), (LineAnswer = "application/x-ndjson"))
        ),
        ClassifyProblems,
    )
)]
pub async fn classify(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    if has_lines(&request) {
        return answer_lines(app, request);
    }
    let deadline = Instant::now() + app.limits.get().timeout;
    let (format, content_type) = match accepts_lines(request.headers()) {
        true => (AnswerFormat::Lines, JSON_LINES),
        false => (AnswerFormat::Array, "application/json"),
    };
    let context = RequestContext::new(Admission::Try, deadline);
    let caller = Caller::of(&request);
    let ReadBody { bytes, kind, memory } = read_body_of(MediaTypes::JsonOrText, request, &app, context).await?;
    let work = async {
        let trim = TrimAfterLarge::new(bytes.len());
        let limits = app.limits.get();
        let read = move |body: &Bytes| match kind {
            BodyKind::Json => ClassifyRequest::parse(body, &limits),
            BodyKind::Text => ClassifyRequest::of_text(body, &limits),
        };
        let ClassifyRequest { input, settings } = parse(bytes, context, read).await?;
        let classifier = Arc::new(app.classifier(settings.tasks, &settings.models, settings.options)?);
        caller.take_documents(match &input {
            Input::One(_) => 1,
            Input::Many(documents) => documents.len(),
        })?;
        let context = RequestContext { priority: settings.priority, ..context };
        match input {
            Input::One(text) => {
                // The text is not in the body any more, which is gone.
                drop(memory);
                let answer = classifier.classify(text, context).await?;
                Ok(Json(answer).into_response())
            }
            Input::Many(documents) => {
                let held = Held { documents, _memory: memory, _trim: trim };
                let body = answer_documents(&app, classifier, held, context, format).await?;
                Ok(([(CONTENT_TYPE, content_type)], body).into_response())
            }
        }
    };
    within(&app, deadline, work).await
}

/// The result of `work`, unless the deadline of the request passes before.
pub async fn within<T>(
    app: &App,
    deadline: Instant,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    tokio::time::timeout_at(deadline.into(), work).await.unwrap_or_else(|_| {
        let detail = format!(
            "no answer within {} s; send less text at once, or start the server with a longer --timeout-s",
            app.limits.get().timeout.as_secs_f32()
        );
        Err(Problem::new(Code::DeadlineExceeded, detail))
    })
}

/// A document that cannot be answered.
enum DocumentError {
    Input(Problem),
    Classify(ClassifyError),
}

/// The answer for a document, or its index, id and error.
type DocumentAnswer = Result<Answer, (usize, Option<DocumentId>, DocumentError)>;

impl From<ClassifyError> for DocumentError {
    fn from(error: ClassifyError) -> Self {
        Self::Classify(error)
    }
}

/// How the answers of documents are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnswerFormat {
    /// One JSON value.
    Array,
    /// A line for each document.
    Lines,
}

/// What a request holds until its last answer is written. The memory is returned to the system last.
struct Held {
    documents: Vec<InputDocument>,
    _memory: Reserved,
    _trim: TrimAfterLarge,
}

/// Writes the answers as they come, so that few of them are in memory at once. The status is fixed with the first byte. It waits
/// for the first text, and in an array for [`HELD_BYTES`] too: a short answer is whole before its status is decided.
async fn answer_documents(
    app: &App,
    classifier: Arc<Classifier>,
    held: Held,
    context: RequestContext,
    format: AnswerFormat,
) -> Result<Body, Problem> {
    let models = AnswerModels::of(&classifier.models);
    let mut answers = Box::pin(answers(app, classifier, held, context).enumerate());
    let mut first = match format {
        AnswerFormat::Array => b"{\"results\":[".to_vec(),
        AnswerFormat::Lines => Vec::new(),
    };
    let end = match format {
        AnswerFormat::Array => format!("],\"models\":{}}}", json(&models)),
        AnswerFormat::Lines => String::new(),
    };
    let mut had_text = false;
    while let Some((number, answer)) = answers.next().await {
        if let Some(problem) = request_problem(&answer) {
            return Err(problem);
        }
        had_text |= !matches!(answer, Err((_, _, DocumentError::Input(_))));
        first.extend_from_slice(piece(number, answer, format).as_bytes());
        if had_text && (format == AnswerFormat::Lines || first.len() >= HELD_BYTES) {
            let rest = answers.map(move |(number, answer)| piece(number, answer, format));
            let pieces = stream::iter([Bytes::from(first)]).chain(rest.map(Bytes::from));
            let pieces = pieces.chain(stream::iter([Bytes::from(end)]));
            return Ok(Body::from_stream(pieces.map(Ok::<_, Infallible>)));
        }
    }
    first.extend_from_slice(end.as_bytes());
    Ok(Body::from(first))
}

/// The answers in the order of the documents. When the server stops, the documents that are left are refused.
fn answers(
    app: &App,
    classifier: Arc<Classifier>,
    held: Held,
    context: RequestContext,
) -> impl Stream<Item = DocumentAnswer> + Send + use<> {
    let (held, limits) = (Arc::new(held), app.limits.get());
    let n_at_once = n_at_once(held.documents.iter().map(InputDocument::n_bytes).max());
    let read = {
        let held = Arc::clone(&held);
        move |index: usize| held.documents[index].text(&limits).map_err(DocumentError::Input)
    };
    let texts = (0..held.documents.len()).map(read);
    let answers = Box::pin(classifier.classify_all(texts, context, n_at_once));
    let state = (Some(answers), 0, Box::pin(app.cutoff()), held);
    stream::unfold(state, |(mut answers, index, mut cutoff, held)| async move {
        let document = held.documents.get(index)?;
        let answer = match &mut answers {
            None => None,
            Some(answers) => tokio::select! {
                biased;
                () = &mut cutoff => None,
                answer = answers.next() => answer,
            },
        };
        let id = document.id();
        let answer = match answer {
            Some(Ok(answer)) => Ok(Answer { id, ..answer }),
            Some(Err(error)) => Err((index, id, error)),
            None => {
                // Aborts the documents under way.
                answers = None;
                let refusal = "the server stops before it can answer this document; try again";
                Err((index, id, ClassifyError::Unavailable(refusal.to_owned()).into()))
            }
        };
        Some((answer, (answers, index + 1, cutoff, held)))
    })
}

/// Documents under way at the same time: fewer where the longest of them has many bytes, since their answers wait in memory.
pub fn n_at_once(longest: Option<usize>) -> usize {
    const MAX_BYTES: usize = 1024 * 1024;
    const MIN_DOCUMENTS: usize = 2;
    (MAX_BYTES / longest.unwrap_or_default().max(1)).clamp(MIN_DOCUMENTS, MAX_DOCUMENTS_AT_ONCE)
}

/// Returns the memory of a large request to the system once it is answered.
pub struct TrimAfterLarge {
    is_large: bool,
}

impl TrimAfterLarge {
    pub fn new(n_bytes: usize) -> Self {
        const LARGE_BYTES: usize = 1024 * 1024;
        Self { is_large: n_bytes >= LARGE_BYTES }
    }
}

impl Drop for TrimAfterLarge {
    fn drop(&mut self) {
        if let Some(runtime) = tokio::runtime::Handle::try_current().ok().filter(|_| self.is_large) {
            // It takes milliseconds, and what the request holds is released first.
            runtime.spawn_blocking(trim_memory);
        }
    }
}

/// An error that ends the whole request.
fn request_problem(answer: &DocumentAnswer) -> Option<Problem> {
    match answer {
        Err((_, _, DocumentError::Classify(error))) if error.scope() == Scope::Request => Some(error.clone().into()),
        _ => None,
    }
}

fn into_body(answer: DocumentAnswer) -> DocumentBodyOut {
    let error = match answer {
        Ok(answer) => return DocumentBodyOut::Result(Box::new(answer)),
        Err(error) => error,
    };
    let (index, id, problem) = match error {
        (index, id, DocumentError::Input(problem)) => (index, id, problem),
        (index, id, DocumentError::Classify(error)) => (index, id, error.into()),
    };
    DocumentBodyOut::Failure(FailureBody::of_document(index, id, &problem))
}

/// What a document adds to the body.
fn piece(number: usize, answer: DocumentAnswer, format: AnswerFormat) -> String {
    let body = json(&into_body(answer));
    match format {
        AnswerFormat::Lines => body + "\n",
        AnswerFormat::Array if number == 0 => body,
        AnswerFormat::Array => format!(",{body}"),
    }
}
