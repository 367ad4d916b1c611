//! Receives the request of a job: checked as far as it can be before it runs, and written to the disk as it came.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::Request;

use super::job::{Job, RequestKind};
use super::store::{JobStore, NewJob, StoreError};
use crate::classify::request::RequestLimits;
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::body::{BodyKind, MediaTypes, ReadBody, announced, parse, read_body_of};
use crate::http::classify::within;
use crate::http::error::{Code, Problem};
use crate::http::line_reader::LineReader;
use crate::http::lines::has_lines;
use crate::http::schema::{ClassifyRequest, Input};
use crate::inference::scheduler::{Admission, RequestContext};

/// Documents of a job in one JSON value, which is read at once.
const MAX_DOCUMENTS: usize = 100_000;
/// Lines of a job.
const MAX_LINES: u64 = 1_000_000;

/// Accepts the request as a job.
pub async fn receive(app: &Arc<App>, store: &Arc<JobStore>, request: Request) -> Result<Arc<Job>, Problem> {
    if has_lines(&request) {
        return receive_lines(app, store, request).await;
    }
    let deadline = Instant::now() + app.limits.get().timeout;
    let (context, caller) = (RequestContext::new(Admission::Try, deadline), Caller::of(&request));
    let body = read_body_of(MediaTypes::JsonOrText, request, app, context).await?;
    within(app, deadline, receive_body(app, store, body, (context, caller))).await
}

/// The limits of the documents of a job.
pub fn job_limits(app: &App) -> RequestLimits {
    RequestLimits { max_documents: MAX_DOCUMENTS, ..app.limits.get() }
}

async fn receive_body(
    app: &Arc<App>,
    store: &Arc<JobStore>,
    ReadBody { bytes, kind, memory }: ReadBody,
    (context, caller): (RequestContext, Caller),
) -> Result<Arc<Job>, Problem> {
    let limits = job_limits(app);
    let read = move |body: &Bytes| match kind {
        BodyKind::Json => ClassifyRequest::parse(body, &limits),
        BodyKind::Text => ClassifyRequest::of_text(body, &limits),
    };
    let ClassifyRequest { input, settings } = parse(bytes.clone(), context, read).await?;
    // Models and options that are not valid are refused now.
    app.classifier(settings.tasks, &settings.models, settings.options)?;
    let (kind, n_documents) = match (&input, kind) {
        (Input::One(_), BodyKind::Text) => (RequestKind::PlainText, 1),
        (Input::One(_), BodyKind::Json) => (RequestKind::Text, 1),
        (Input::Many(documents), _) => (RequestKind::Documents, documents.len() as u64),
    };
    caller.take_documents(n_documents as usize)?;
    let (store, owner) = (Arc::clone(store), caller.name().map(str::to_owned));
    let received = move || {
        let mut job = store.begin()?;
        job.write(&bytes)?;
        job.finish(kind, n_documents, owner)
    };
    let job = on_disk(received).await?;
    drop(memory);
    Ok(job)
}

async fn receive_lines(app: &Arc<App>, store: &Arc<JobStore>, request: Request) -> Result<Arc<Job>, Problem> {
    /// Lines are written in pieces of about this size.
    const PIECE_BYTES: usize = 256 * 1024;
    let caller = Caller::of(&request);
    // What cannot be kept in any case is refused before it is sent.
    store.check_bytes(announced(request.headers()))?;
    let mut reader = LineReader::new(Arc::clone(app), request)?;
    let begin = {
        let store = Arc::clone(store);
        move || store.begin()
    };
    let mut job = on_disk(begin).await?;
    let (mut piece, mut n_before, mut n_documents) = (Vec::new(), 0, 0);
    let received = loop {
        let line = match reader.next().await {
            None => break Ok(()),
            Some(line) => line,
        };
        let content = match line.content {
            Ok(content) => content,
            Err(problem) => {
                let detail = format!("line {}: {}", line.number, problem.detail);
                break Err(Problem { detail, ..problem });
            }
        };
        // Blank lines count too, since they are kept.
        if line.number > MAX_LINES {
            let detail = format!("a job has at most {MAX_LINES} lines; send several jobs");
            break Err(Problem::new(Code::TooManyDocuments, detail));
        }
        n_documents += 1;
        // Blank lines keep the numbers of the others.
        piece.resize(piece.len() + (line.number - 1 - n_before) as usize, b'\n');
        n_before = line.number;
        piece.extend_from_slice(&content);
        piece.push(b'\n');
        if piece.len() >= PIECE_BYTES {
            match on_disk(append(job, std::mem::take(&mut piece))).await {
                Ok(written) => job = written,
                Err(problem) => {
                    reader.discard_rest().await;
                    return Err(problem);
                }
            }
        }
    };
    if let Err(problem) = received {
        if problem.code != Code::RequestTimeout {
            reader.discard_rest().await;
        }
        return Err(problem);
    }
    caller.take_documents(n_documents as usize)?;
    let owner = caller.name().map(str::to_owned);
    on_disk(move || append(job, piece)()?.finish(RequestKind::Lines, n_documents, owner)).await
}

fn append(mut job: NewJob, piece: Vec<u8>) -> impl FnOnce() -> Result<NewJob, StoreError> + Send + 'static {
    move || {
        job.write(&piece)?;
        Ok(job)
    }
}

/// Runs work that waits for the disk.
pub async fn on_disk<T: Send + 'static, E: Into<Problem> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    let broken = |_| Err(Problem::new(Code::Internal, "the job could not be handled; the log of the server says why"));
    done.map_or_else(broken, |done| done.map_err(Into::into))
}
