//! The result of a job, as `/v1/classify` would have answered.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};

use super::job::{Job, JobState, JobStatus, RequestKind};
use super::receive::on_disk;
use crate::http::accept::{JSON_LINES, accepts_lines};
use crate::http::error::{Code, Problem};
use crate::parts::rows_path;
use crate::system::counted::counted;

/// The answers of a job that is done; the error of one that failed.
pub async fn result_of(job: Arc<Job>, headers: &HeaderMap) -> Result<Response, Problem> {
    let state = job.state();
    match state.status {
        JobStatus::Done => {}
        JobStatus::Failed => return Err(state.problem().unwrap_or_else(missing)),
        JobStatus::Cancelled => {
            return Err(Problem::new(Code::JobState, "the job is `cancelled` and has no result; send it again"));
        }
        status @ (JobStatus::Queued | JobStatus::Running) => {
            let JobState { answered, documents, .. } = state;
            let detail = format!(
                "the job is `{status}`, with {answered} of {} answered; ask again when it is `done`",
                counted(documents, "document")
            );
            return Err(Problem::new(Code::JobState, detail));
        }
    }
    let n_bytes = state.result_bytes;
    let file = on_disk(move || {
        let file = File::open(rows_path(&job.result_path())).map_err(|error| lost(&job, &error))?;
        let found = file.metadata().map_err(|error| lost(&job, &error))?.len();
        let is_whole = found == n_bytes;
        let differs = || io::Error::other(format!("it has {found} bytes, and {n_bytes} were written"));
        if is_whole { Ok(file) } else { Err(lost(&job, &differs())) }
    })
    .await?;
    let lines = state.kind == RequestKind::Lines || (state.kind == RequestKind::Documents && accepts_lines(headers));
    if lines {
        return Ok(([(CONTENT_TYPE, JSON_LINES)], Body::from_stream(content(file, n_bytes, None))).into_response());
    }
    let (start, end) = match (state.kind, state.models) {
        (RequestKind::Documents, models) => {
            let models = models.map_or_else(|| "{}".to_owned(), |models| models.get().to_owned());
            ("{\"results\":[", format!("],\"models\":{models}}}"))
        }
        _ => ("", String::new()),
    };
    // The last line ends with a line feed too.
    let answers = content(file, n_bytes.saturating_sub(1), Some(b','));
    let pieces = stream::iter([Ok(Bytes::from(start))]).chain(answers).chain(stream::iter([Ok(Bytes::from(end))]));
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response())
}

/// The first `n_bytes` of a file, with another byte between its lines.
fn content(file: File, n_bytes: u64, between: Option<u8>) -> impl stream::Stream<Item = io::Result<Bytes>> + Send {
    const PIECE_BYTES: u64 = 64 * 1024;
    stream::try_unfold((file, n_bytes), move |(mut file, n_left)| async move {
        if n_left == 0 {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; n_left.min(PIECE_BYTES) as usize];
            file.read_exact(&mut piece)?;
            if let Some(between) = between {
                // JSON has no line feed inside of a line.
                piece.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = between);
            }
            Ok::<_, io::Error>((Bytes::from(piece), file))
        });
        let (piece, file) = read.await.map_err(io::Error::other)??;
        let n_left = n_left - piece.len() as u64;
        Ok(Some((piece, (file, n_left))))
    })
}

fn lost(job: &Job, error: &io::Error) -> Problem {
    tracing::error!(job = job.id, %error, "the result of a job cannot be read");
    missing()
}

fn missing() -> Problem {
    let detail =
        "the result of the job is damaged or missing on the disk; remove the job with DELETE, and send it again";
    Problem::new(Code::Internal, detail)
}
