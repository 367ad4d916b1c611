//! `POST /v1/classify`: reads the request, lets [`Classifier`] answer, and writes the answers in the order of the documents.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;

use super::app::App;
use super::body::{ReadBody, parse, read_body};
use super::error::{Code, Problem};
use super::schema::{ClassifyRequest, DocumentBodyOut, FailureBody, Input, InputDocument};
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

const JSON_LINES: &str = "application/x-ndjson";

pub async fn classify(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let deadline = Instant::now() + app.limits.timeout;
    let (layout, content_type) = match accepts_lines(request.headers()) {
        true => (Layout::Lines, JSON_LINES),
        false => (Layout::Array, "application/json"),
    };
    let work = async {
        let context = RequestContext::new(Admission::Try, deadline);
        let ReadBody { bytes, memory } = read_body(request, &app, context).await?;
        let trim = TrimAfterLarge::new(bytes.len());
        let limits = app.limits;
        let request = parse(bytes, context, move |body| ClassifyRequest::parse(body, &limits)).await?;
        let models = app.registry.assign(request.tasks, &request.models).map_err(ClassifyError::from)?;
        let classifier = Arc::new(Classifier {
            options: request.options.for_models(&models)?,
            models,
            cache: app.cache.clone(),
            memory: Some(Arc::clone(&app.memory)),
            shadow: app.shadow.load_full(),
        });
        let context = RequestContext { priority: request.priority, ..context };
        match request.input {
            Input::One(text) => {
                // The text is not in the body any more, which is gone.
                drop(memory);
                let answer = classifier.classify(text, context).await?;
                Ok(Json(answer).into_response())
            }
            Input::Many(documents) => {
                let held = Held { documents, _memory: memory, _trim: trim };
                let body = answer_documents(&app, classifier, held, context, layout).await?;
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
            app.limits.timeout.as_secs_f32()
        );
        Err(Problem::new(Code::DeadlineExceeded, detail))
    })
}

/// Whether the client names JSON lines, and does not prefer JSON.
fn accepts_lines(headers: &HeaderMap) -> bool {
    let ranges =
        || headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    let quality = |media_type: &str| {
        let named = ranges()
            .find(|range| range.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(media_type)));
        named.map_or(0.0, quality_of)
    };
    let lines = quality(JSON_LINES);
    lines > 0.0 && lines >= quality("application/json")
}

/// The `q` of a range in `accept`; 1 where there is none.
fn quality_of(range: &str) -> f32 {
    let parameters = range.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut qualities = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    qualities.next().and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(1.0)
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
enum Layout {
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
    layout: Layout,
) -> Result<Body, Problem> {
    let models = AnswerModels::of(&classifier.models);
    let mut answers = Box::pin(answers(app, classifier, held, context).enumerate());
    let mut first = match layout {
        Layout::Array => b"{\"results\":[".to_vec(),
        Layout::Lines => Vec::new(),
    };
    let end = match layout {
        Layout::Array => format!("],\"models\":{}}}", json(&models)),
        Layout::Lines => String::new(),
    };
    let mut had_text = false;
    while let Some((number, answer)) = answers.next().await {
        if let Some(problem) = request_problem(&answer) {
            return Err(problem);
        }
        had_text |= !matches!(answer, Err((_, _, DocumentError::Input(_))));
        first.extend_from_slice(piece(number, answer, layout).as_bytes());
        if had_text && (layout == Layout::Lines || first.len() >= HELD_BYTES) {
            let rest = answers.map(move |(number, answer)| piece(number, answer, layout));
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
    let (held, limits) = (Arc::new(held), app.limits);
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
    DocumentBodyOut::Failure(FailureBody { index, id, error: problem.body() })
}

/// What a document adds to the body.
fn piece(number: usize, answer: DocumentAnswer, layout: Layout) -> String {
    let body = json(&into_body(answer));
    match layout {
        Layout::Lines => body + "\n",
        Layout::Array if number == 0 => body,
        Layout::Array => format!(",{body}"),
    }
}

fn json(value: &impl Serialize) -> String {
    // Plain structs of strings and numbers: there is nothing that cannot be written.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sent_to_clients_that_name_them_and_do_not_prefer_json() {
        for (accept, is_lines) in [
            ("application/x-ndjson", true),
            ("APPLICATION/X-NDJSON; charset=utf-8", true),
            ("application/json, application/x-ndjson", true),
            ("application/json;q=0.1, application/x-ndjson", true),
            ("application/x-ndjson;q=0.5, application/json", false),
            ("application/x-ndjson; Q=0", false),
            ("application/x-ndjson;q=0.0, */*", false),
            ("*/*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, axum::http::HeaderValue::from_static(accept))]);
            assert_eq!(accepts_lines(&headers), is_lines, "{accept}");
        }
    }
}
