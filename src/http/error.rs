//! Errors as clients see them: RFC 9457 problem details, each with a stable `code`. The only table from code to status.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::classify::error::ClassifyError;
use crate::models::fit::FitError;
use crate::models::load::LoadError;
use crate::models::registry::{AssignError, RegistryError};

/// An error of a request or of one of its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: Code,
    /// What went wrong, in a few words.
    pub title: &'static str,
    pub detail: String,
    /// Whole seconds after which the request may succeed, where that is known.
    pub retry_after_s: Option<u64>,
}

/// Declares the codes as one table of variant, code, status and title.
macro_rules! codes {
    ($($variant:ident = $code:literal, $status:ident, $title:literal;)+) => {
        /// What went wrong; `docs/api.md` lists them all.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($variant),+ }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code that is spelled like this.
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == word)
            }

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }

            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }
        }
    };
}

codes! {
    InvalidJson = "invalid_json", BAD_REQUEST, "The body is not JSON";
    InvalidHead = "invalid_head", BAD_REQUEST, "The head of the request is not HTTP/1.1";
    InvalidHost = "invalid_host", BAD_REQUEST, "The header `Host` is missing or wrong";
    UnknownParameter = "unknown_parameter", BAD_REQUEST, "The address does not take this query parameter";
    Forbidden = "forbidden", FORBIDDEN, "The request is not allowed here";
    Unauthorized = "unauthorized", UNAUTHORIZED, "The API key is missing or wrong";
    UnknownModel = "unknown_model", NOT_FOUND, "No model has this name";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The body did not arrive in time";
    Conflict = "conflict", CONFLICT, "The request conflicts with the models in use";
    ModelRefused = "model_refused", UNPROCESSABLE_ENTITY, "The model cannot be served";
    InsufficientMemory = "insufficient_memory", INSUFFICIENT_STORAGE, "The model does not fit into memory";
    UnknownJob = "unknown_job", NOT_FOUND, "No job has this id";
    JobState = "job_state", CONFLICT, "The state of the job does not allow it";
    TooManyJobs = "too_many_jobs", TOO_MANY_REQUESTS, "The server keeps no more jobs";
    InsufficientStorage = "insufficient_storage", INSUFFICIENT_STORAGE, "The disk has no space for the job";
    NotFound = "not_found", NOT_FOUND, "The address does not exist";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The address does not accept this method";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    TooManyDocuments = "too_many_documents", PAYLOAD_TOO_LARGE, "The request has too many documents";
    TextTooLong = "text_too_long", PAYLOAD_TOO_LARGE, "The text is too long";
    HeadTooLarge = "head_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The head of the request is too large";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body is of a kind that is not read";
    InvalidRequest = "invalid_request", UNPROCESSABLE_ENTITY, "A field is unknown, missing or has a wrong value";
    InvalidText = "invalid_text", UNPROCESSABLE_ENTITY, "The text contains a character that is not allowed";
    WindowExceeded = "window_exceeded", UNPROCESSABLE_ENTITY, "The text is longer than one window";
    TokenizerFailed = "tokenizer_failed", UNPROCESSABLE_ENTITY, "The model's tokenizer fails on the text";
    TaskNotServed = "task_not_served", UNPROCESSABLE_ENTITY, "The model does not serve this task";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "The rate of the key is used up";
    QuotaExceeded = "quota_exceeded", TOO_MANY_REQUESTS, "The quota of the key is used up";
    Internal = "internal", INTERNAL_SERVER_ERROR, "The service failed";
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "The service is overloaded";
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The service cannot answer";
    DeadlineExceeded = "deadline_exceeded", GATEWAY_TIMEOUT, "The answer took too long";
}

/// A problem on the wire (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    r#type: String,
    title: &'static str,
    status: u16,
    #[schema(schema_with = codes)]
    code: &'static str,
    detail: String,
}

fn codes() -> Object {
    let codes = Code::ALL.iter().map(|code| code.as_str());
    let codes = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes));
    codes.description(Some("Stable; docs/api.md explains each")).build()
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after_s = (code.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        Self { code, title: code.title(), detail: detail.into(), retry_after_s }
    }

    pub fn body(&self) -> ProblemBody {
        ProblemBody {
            r#type: format!("urn:ressort:problem:{}", self.code.as_str()),
            title: self.title,
            status: self.code.status().as_u16(),
            code: self.code.as_str(),
            detail: self.detail.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        const PROBLEM_JSON: &str = "application/problem+json";
        const BODY_ENCODINGS: &str = "gzip, zstd, br, identity";
        let mut response = (self.code.status(), axum::Json(self.body())).into_response();
        // For routes that write it in the shape of another service (`compat::problems`).
        response.extensions_mut().insert(self.clone());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if matches!(self.code, Code::BodyTooLarge | Code::RequestTimeout) {
            // The client may send the rest, which nobody reads as a request.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.code == Code::UnsupportedMediaType {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(BODY_ENCODINGS));
        }
        if self.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<ClassifyError> for Problem {
    fn from(error: ClassifyError) -> Self {
        // A test holds that every code of the core is in the table.
        let problem = Self::new(Code::of(error.code()).unwrap_or(Code::Internal), error.to_string());
        match error {
            ClassifyError::QueueFull(_) => Self { title: "The queue is full", ..problem },
            ClassifyError::QueueTooLong(_) => Self { title: "The queue is too long for the deadline", ..problem },
            ClassifyError::MemoryFull(_) => Self { title: "The memory for requests is full", ..problem },
            _ => problem,
        }
    }
}

impl From<AssignError> for Problem {
    fn from(error: AssignError) -> Self {
        ClassifyError::from(error).into()
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let code = match &error {
            RegistryError::Assign(error) => return error.clone().into(),
            RegistryError::Load { source, .. }
                if matches!(**source, LoadError::Fit(FitError::InsufficientMemory { .. })) =>
            {
                Code::InsufficientMemory
            }
            RegistryError::Load { .. } | RegistryError::Unreadable { .. } => Code::ModelRefused,
            RegistryError::Duplicate(_)
            | RegistryError::InUse { .. }
            | RegistryError::NeededByRollback { .. }
            | RegistryError::NothingBefore
            | RegistryError::PreviousReplaced { .. } => Code::Conflict,
            RegistryError::Background(_) => Code::Internal,
        };
        Self::new(code, chain(&error))
    }
}

/// An error's message with those of its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::pipeline::PredictError;
    use crate::inference::scheduler::ScheduleError;
    use crate::system::budget::{MemoryBudget, MemoryUse};

    #[test]
    fn the_manual_lists_every_code_with_its_status() {
        let manual = include_str!("../../docs/api.md");
        for code in Code::ALL {
            let row = format!("| `{}` | {} |", code.as_str(), code.status().as_u16());
            assert!(manual.contains(&row), "docs/api.md lacks the row {row}");
        }
    }

    #[test]
    fn the_table_has_every_code_of_the_classify_core() {
        let source = include_str!("../classify/error.rs");
        let (_, codes) = source.split_once("pub fn code(").unwrap();
        let (codes, _) = codes.split_once("pub fn scope(").unwrap();
        let codes: Vec<&str> = codes.split('"').skip(1).step_by(2).collect();
        assert!(codes.len() > 8, "{codes:?}");
        for code in codes {
            assert!(Code::of(code).is_some(), "{code} has no status");
        }
    }

    #[test]
    fn an_overload_names_its_cause_and_what_helps() {
        let full = ScheduleError::Busy { max_queued_windows: 8 };
        let queue: ClassifyError = PredictError::Schedule(full).into();
        let budget = MemoryBudget::new(80_000_000);
        let _held = budget.try_reserve(40_000_000, MemoryUse::Body).unwrap();
        let memory: ClassifyError = budget.try_reserve(1_000_000, MemoryUse::Body).unwrap_err().into();
        for (error, title, parts) in [
            (queue, "The queue is full", ["8 windows", "--max-queued-windows"]),
            (memory, "The memory for requests is full", ["80 MB", "--request-memory-mb"]),
        ] {
            let problem = Problem::from(error);
            assert_eq!((problem.code, problem.title), (Code::Overloaded, title));
            assert!(parts.iter().all(|part| problem.detail.contains(part)), "{}", problem.detail);
        }
    }

    #[test]
    fn a_busy_service_says_when_to_retry() {
        let response = Problem::new(Code::Overloaded, "full").into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
