//! `/v1/jobs`: requests that are answered later. A job takes what `/v1/classify` takes, and its result is what that would answer.

mod documents;
pub mod job;
mod receive;
mod result;
mod run;
pub mod store;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::auth::Caller;
use super::description::problems::{JobProblems, NewJobProblems};
use super::description::requests::{ClassifyAnswer, ClassifyBody, LineAnswer, LineBody};
use super::error::{Code, Problem, ProblemBody};
use super::in_path::InPath;
use job::{Job, JobState, JobStatus};
use receive::{on_disk, receive};
use result::result_of;
pub use run::run_jobs;
use store::StoreError;
pub use store::{JobLimits, JobStore};

/// A job, as its client sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobBody {
    id: String,
    status: JobStatus,
    /// Seconds since 1970.
    created_at: u64,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    finished_at: Option<u64>,
    /// When the job and its result are removed, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<u64>,
    documents: u64,
    /// Documents with an answer or an error.
    answered: u64,
    /// Documents with an error.
    failed: u64,
    /// The address of the result, once it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    result: Option<String>,
    /// Why the whole job failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<ProblemBody>,
}

#[derive(Serialize, ToSchema)]
pub struct JobList {
    /// The newest first.
    jobs: Vec<JobBody>,
}

impl JobBody {
    fn of(job: &Job, store: &JobStore) -> Self {
        let state = job.state();
        let error = state.problem().map(|problem| problem.body());
        let JobState { status, created_at, finished_at, documents, answered, failed, .. } = state;
        Self {
            id: job.id.clone(),
            status,
            created_at,
            finished_at,
            expires_at: finished_at.map(|at| store.expires_at(at)),
            documents,
            answered,
            failed,
            result: (status == JobStatus::Done).then(|| format!("/v1/jobs/{}/result", job.id)),
            error,
        }
    }
}

/// The routes, which require the API key where one is set.
pub fn api() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/jobs", post(create).get(list))
        .route("/v1/jobs/{id}", get(status).delete(remove))
        .route("/v1/jobs/{id}/cancel", post(cancel))
        .route("/v1/jobs/{id}/result", get(result))
}

/// The job with this id, if the caller may see it.
fn job_of(store: &JobStore, caller: &Caller, id: &str) -> Result<Arc<Job>, StoreError> {
    let job = store.get(id)?;
    match caller.may_see(job.read(|state| state.owner.clone()).as_deref()) {
        true => Ok(job),
        // The same answer as for an id that is not known, so that nobody learns which ids are.
        false => Err(StoreError::unknown(id)),
    }
}

fn store_of(app: &App) -> Result<&Arc<JobStore>, Problem> {
    let none = || Problem::new(Code::NotFound, "this server keeps no jobs; start it with --max-jobs above 0");
    app.jobs.as_ref().ok_or_else(none)
}

#[utoipa::path(
    post, path = "/v1/jobs", operation_id = "create_job", tag = "jobs",
    summary = "Accepts a request that is answered later",
    description = "Takes what `/v1/classify` takes, with more documents. The job is kept on the disk of the server, and runs with the \
        priority `bulk`, one job after the other.",
    request_body(content(
        (
            ClassifyBody = "application/json",
            example = json!({"documents": [{"id": "a", "text": "Angela Merkel sprach in Berlin."}], "tasks": ["entities"]})
        ),
        (LineBody = "application/x-ndjson", example = json!({"id": 1, "text": "Angela Merkel sprach in Berlin.", "top_k": 1})),
        (String = "text/plain", example = json!("Angela Merkel sprach in Berlin.")),
    )),
    responses(
        (
            status = 202, description = "The job is kept", body = JobBody,
            headers(("location" = String, description = "The address of the job"))
        ),
        NewJobProblems,
    )
)]
pub async fn create(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let store = store_of(&app)?;
    let job = receive(&app, store, request).await.inspect_err(|problem| {
        // Not the caller's fault. A job that fails later is logged where it runs.
        if matches!(problem.code, Code::InsufficientStorage | Code::Internal | Code::Unavailable) {
            tracing::error!(code = problem.code.as_str(), detail = problem.detail, "a job cannot be kept");
        }
    })?;
    let body = JobBody::of(&job, store);
    let location = [(LOCATION, format!("/v1/jobs/{}", body.id))];
    Ok((StatusCode::ACCEPTED, location, Json(body)).into_response())
}

#[utoipa::path(
    get, path = "/v1/jobs", operation_id = "list_jobs", tag = "jobs", summary = "All jobs, the newest first",
    responses((status = 200, description = "All jobs that are kept", body = JobList), JobProblems)
)]
pub async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<JobList>, Problem> {
    let store = store_of(&app)?;
    // An empty list would say that there are no jobs.
    store.open_existing()?;
    let all = store.all();
    let jobs = all.iter().rev().filter(|job| caller.may_see(job.read(|state| state.owner.clone()).as_deref()));
    Ok(Json(JobList { jobs: jobs.map(|job| JobBody::of(job, store)).collect() }))
}

#[utoipa::path(
    get, path = "/v1/jobs/{id}", operation_id = "get_job", tag = "jobs", summary = "How far a job is",
    params(("id" = String, Path, description = "The id of the job")),
    responses((status = 200, description = "The job", body = JobBody), JobProblems)
)]
pub async fn status(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
    caller: Caller,
) -> Result<Json<JobBody>, Problem> {
    let store = store_of(&app)?;
    Ok(Json(JobBody::of(&*job_of(store, &caller, &id)?, store)))
}

#[utoipa::path(
    post, path = "/v1/jobs/{id}/cancel", operation_id = "cancel_job", tag = "jobs",
    summary = "Ends a job that is not finished; its documents and answers are removed",
    params(("id" = String, Path, description = "The id of the job")),
    responses((status = 200, description = "The job, which is cancelled", body = JobBody), JobProblems)
)]
pub async fn cancel(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
    caller: Caller,
) -> Result<Json<JobBody>, Problem> {
    let store = store_of(&app)?;
    let job = job_of(store, &caller, &id)?;
    let cancelled = Arc::clone(&job);
    on_disk(move || {
        cancelled.cancel().map_err(|status| {
            let detail = format!("the job is `{status}` already; DELETE removes it with its result");
            Problem::new(Code::JobState, detail)
        })
    })
    .await?;
    Ok(Json(JobBody::of(&job, store)))
}

#[utoipa::path(
    get, path = "/v1/jobs/{id}/result", operation_id = "get_job_result", tag = "jobs",
    summary = "The result of a job: what `/v1/classify` would have answered",
    description = "The answer of a job that failed is its error. `documents` are answered by lines where `accept` names \
        `application/x-ndjson`.",
    params(("id" = String, Path, description = "The id of the job")),
    responses(
        (
            status = 200,
            description = "An answer, answers in the order of the documents, or a line for each of them",
            content((ClassifyAnswer = "application/json"), (LineAnswer = "application/x-ndjson"))
        ),
        NewJobProblems,
    )
)]
pub async fn result(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    result_of(job_of(store_of(&app)?, &caller, &id)?, &headers).await
}

#[utoipa::path(
    delete, path = "/v1/jobs/{id}", operation_id = "remove_job", tag = "jobs",
    summary = "Removes a job with its result; one that runs is stopped",
    params(("id" = String, Path, description = "The id of the job")),
    responses((status = 204, description = "It is removed"), JobProblems)
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    let store = Arc::clone(store_of(&app)?);
    job_of(&store, &caller, &id)?;
    on_disk(move || store.remove(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
