//! `POST /v1/classify` with JSON lines: each line is a document with its options, and each is answered by a line, in their order.
//!
//! No more lines are read than are under way at a time, so a client that does not read its answers cannot send. The deadline is
//! that of a line, not of the body.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};

use super::accept::JSON_LINES;
use super::answers::{DocumentBodyOut, FailureBody, json};
use super::app::App;
use super::auth::Caller;
use super::body::parse;
use super::error::{Code, Problem};
use super::line_reader::{Line, LineReader};
use super::media_type::essence;
use super::schema::LineRequest;
use crate::classify::answer::{Answer, DocumentId};
use crate::classify::classifier::DocumentTask;
use crate::inference::scheduler::{Admission, RequestContext};

/// Lines of one body under way at the same time.
const MAX_LINES_AT_ONCE: usize = 32;

/// A line that is read, and the task that answers it.
struct Started {
    number: u64,
    id: Option<DocumentId>,
    task: Result<DocumentTask, Problem>,
}

/// Whether the body is JSON lines.
pub fn has_lines(request: &Request) -> bool {
    essence(request.headers()) == JSON_LINES
}

/// Answers the lines while they come. The status says nothing about them: every line that cannot be answered has an error.
pub fn answer_lines(app: Arc<App>, request: Request) -> Result<Response, Problem> {
    let caller = Caller::of(&request);
    let reader = LineReader::new(Arc::clone(&app), request)?;
    let lines = stream::unfold(reader, |mut reader| async { Some((reader.next().await?, reader)) });
    // One request for the fair shares, however many lines it has.
    let context = RequestContext::new(Admission::Wait, Instant::now());
    let starting = Arc::clone(&app);
    let started = lines.then(move |line| start(Arc::clone(&starting), line, context, caller.clone()));
    let answers = started.map(move |line| finish(Arc::clone(&app), line)).buffered(MAX_LINES_AT_ONCE);
    let body = Body::from_stream(answers.map(|answer| Ok::<_, Infallible>(Bytes::from(answer + "\n"))));
    Ok(([(CONTENT_TYPE, JSON_LINES)], body).into_response())
}

async fn start(app: Arc<App>, line: Line, context: RequestContext, caller: Caller) -> Started {
    let context = RequestContext { deadline: Instant::now() + app.limits.get().timeout, ..context };
    let number = line.number;
    let content = match line.content {
        Ok(content) => content,
        Err(problem) => return Started { number, id: None, task: Err(problem) },
    };
    let limits = app.limits.get();
    let read = move |line: &Bytes| Ok((LineRequest::id(line), LineRequest::parse(line, &limits)));
    let (id, request) = match parse(content, context, read).await {
        Ok(read) => read,
        Err(problem) => (None, Err(problem)),
    };
    let starting = async {
        let LineRequest { text, settings } = request?;
        let context = RequestContext { priority: settings.priority, ..context };
        let classifier = Arc::new(app.classifier(settings.tasks, &settings.models, settings.options)?);
        caller.take_documents(1)?;
        Ok(classifier.start(text, context).await)
    };
    let task = tokio::select! {
        biased;
        () = app.cutoff() => Err(stopping()),
        task = starting => task,
    };
    Started { number, id, task }
}

async fn finish(app: Arc<App>, started: Started) -> String {
    let Started { number, id, task } = started;
    let answer = async { Ok(task?.await?) };
    let answer: Result<Answer, Problem> = tokio::select! {
        biased;
        () = app.cutoff() => Err(stopping()),
        answer = answer => answer,
    };
    json(&match answer {
        Ok(answer) => DocumentBodyOut::Result(Box::new(Answer { id, ..answer })),
        Err(problem) => DocumentBodyOut::Failure(FailureBody::of_line(number, id, &problem)),
    })
}

fn stopping() -> Problem {
    Problem::new(Code::Unavailable, "the server stops before it can answer this line; send it again")
}
