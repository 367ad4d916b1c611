//! `POST /v1/classify`: reads the request, lets [`Classifier`] answer, and writes the answers in the order of the documents.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};

use super::app::App;
use super::body::read_body;
use super::error::{Code, Problem};
use super::schema::{ClassifyRequest, DocumentBodyOut, FailureBody, Input, InputDocument, ResultsBody};
use crate::classify::answer::{Answer, AnswerModels, DocumentId};
use crate::classify::classifier::Classifier;
use crate::classify::error::{ClassifyError, Scope};
use crate::inference::scheduler::{Admission, RequestContext, RequestId};

/// Documents of one request under way at the same time: enough for every stream, few enough to leave capacity to others.
const MAX_DOCUMENTS_AT_ONCE: usize = 32;

const JSON_LINES: &str = "application/x-ndjson";

pub async fn classify(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let deadline = Instant::now() + app.limits.timeout;
    let in_lines = accepts_lines(request.headers());
    let work = async {
        let body = read_body(request, &app.limits).await?;
        let request = ClassifyRequest::parse(&body, &app.limits)?;
        // The texts are in the request now.
        drop(body);
        let models = app.registry.assign(request.tasks, &request.models).map_err(ClassifyError::from)?;
        let classifier = Arc::new(Classifier {
            options: request.options.with_known_language(&models)?,
            models,
            cache: app.cache.clone(),
            shadow: app.shadow.load_full(),
        });
        let (priority, admission) = (request.priority, Admission::Try);
        let context = RequestContext { request: RequestId::next(), priority, admission, deadline };
        match request.input {
            Input::One(text) => Ok(Json(classifier.classify(text, context).await?).into_response()),
            Input::Many(documents) if in_lines => answer_in_lines(classifier, documents, context).await,
            Input::Many(documents) => Ok(Json(answer_all(classifier, documents, context).await?).into_response()),
        }
    };
    tokio::time::timeout_at(deadline.into(), work).await.unwrap_or_else(|_| {
        let detail = format!(
            "no answer within {} s; send less text at once, or start the server with a longer --timeout-s",
            app.limits.timeout.as_secs_f32()
        );
        Err(Problem::new(Code::DeadlineExceeded, detail))
    })
}

/// Whether the client accepts JSON lines.
fn accepts_lines(headers: &HeaderMap) -> bool {
    let accepted =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    let mut media_types = accepted.filter_map(|range| range.split(';').next());
    media_types.any(|media_type| media_type.trim().eq_ignore_ascii_case(JSON_LINES))
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

/// One body with all answers.
async fn answer_all(
    classifier: Arc<Classifier>,
    documents: Vec<InputDocument>,
    context: RequestContext,
) -> Result<ResultsBody, Problem> {
    let models = AnswerModels::of(&classifier.models);
    let mut answers = pin!(answers(classifier, documents, context));
    let mut results = Vec::new();
    while let Some(answer) = answers.next().await {
        if let Some(problem) = request_problem(&answer) {
            return Err(problem);
        }
        results.push(into_body(answer));
    }
    Ok(ResultsBody { results, models })
}

/// A line for each document, as soon as it and those before it are done. The status is fixed once the first line is out, so
/// the response waits for the first text.
async fn answer_in_lines(
    classifier: Arc<Classifier>,
    documents: Vec<InputDocument>,
    context: RequestContext,
) -> Result<Response, Problem> {
    let n_before = documents.iter().take_while(|document| document.text.is_err()).count();
    let mut answers = Box::pin(answers(classifier, documents, context));
    let first: Vec<DocumentAnswer> = answers.by_ref().take(n_before + 1).collect().await;
    if let Some(problem) = first.iter().find_map(request_problem) {
        return Err(problem);
    }
    let lines = stream::iter(first).chain(answers).map(|answer| Ok::<_, Infallible>(line(answer)));
    Ok(([(CONTENT_TYPE, JSON_LINES)], Body::from_stream(lines)).into_response())
}

/// The answers in the order of the documents.
fn answers(
    classifier: Arc<Classifier>,
    documents: Vec<InputDocument>,
    context: RequestContext,
) -> impl Stream<Item = DocumentAnswer> + Send {
    let (ids, texts): (Vec<_>, Vec<_>) =
        documents.into_iter().map(|document| (document.id, document.text.map_err(DocumentError::Input))).unzip();
    let answers = classifier.classify_all(texts, context, MAX_DOCUMENTS_AT_ONCE);
    answers.zip(stream::iter(ids).enumerate()).map(|(answer, (index, id))| match answer {
        Ok(answer) => Ok(Answer { id, ..answer }),
        Err(error) => Err((index, id, error)),
    })
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

fn line(answer: DocumentAnswer) -> String {
    // Plain structs of strings and numbers: there is nothing that cannot be written.
    serde_json::to_string(&into_body(answer)).unwrap_or_default() + "\n"
}
