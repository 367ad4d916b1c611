//! Errors in the shapes of the protocols that clients speak. The path of a request says which one it is.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{Ref, RefOr, Response as ResponseSchema};
use utoipa::{IntoResponses, ToSchema};

use super::super::description::problems::responses_in;
use super::super::error::{Code, Problem};

/// A protocol with error bodies of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    HuggingFace,
    TextEmbeddings,
    OpenInference,
    Vllm,
}

/// `{"error": …}`, with a word for the kind of error.
#[derive(Serialize, ToSchema)]
#[schema(as = ClientError)]
pub struct ErrorBody<'p> {
    error: &'p str,
    error_type: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = InferenceError)]
pub struct InferenceError<'p> {
    error: &'p str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = VllmProblem)]
pub struct VllmBody<'p> {
    error: VllmError<'p>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = VllmError)]
pub struct VllmError<'p> {
    message: &'p str,
    r#type: &'static str,
    /// vLLM names a parameter for few errors; here the message names it.
    param: Option<&'static str>,
    code: u16,
}

/// Writes a problem as the clients of the route expect it. Its headers stay.
pub async fn translate(request: Request, next: Next) -> Response {
    let dialect = Dialect::of(request.method(), request.uri().path());
    let mut response = next.run(request).await;
    let (Some(dialect), Some(problem)) = (dialect, response.extensions_mut().remove::<Problem>()) else {
        return response;
    };
    let (status, body) = dialect.write(&problem);
    let (mut head, _) = response.into_parts();
    head.status = status;
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(head, body)
}

impl Dialect {
    fn of(method: &Method, path: &str) -> Option<Self> {
        match path {
            "/" if method == Method::POST => Some(Self::HuggingFace),
            "/predict" | "/info" | "/health" => Some(Self::TextEmbeddings),
            "/classify" => Some(Self::Vllm),
            "/v2" => Some(Self::OpenInference),
            path if path.starts_with("/v2/") => Some(Self::OpenInference),
            path if path.starts_with("/models/") || path.starts_with("/pipeline/") => Some(Self::HuggingFace),
            _ => None,
        }
    }

    fn status(self, code: Code) -> StatusCode {
        match self {
            // `@huggingface/inference` repeats a request at once on 503, for as long as the answer is 503.
            Self::HuggingFace if code == Code::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Self::HuggingFace | Self::OpenInference => code.status(),
            Self::TextEmbeddings => text_embeddings_error(code).0,
            Self::Vllm => vllm_error(code).0,
        }
    }

    /// The schema of its error bodies.
    fn schema(self) -> Ref {
        Ref::from_schema_name(match self {
            Self::HuggingFace | Self::TextEmbeddings => ErrorBody::name(),
            Self::OpenInference => InferenceError::name(),
            Self::Vllm => VllmBody::name(),
        })
    }

    fn write(self, problem: &Problem) -> (StatusCode, Body) {
        let (error, status) = (problem.detail.as_str(), self.status(problem.code));
        let body = match self {
            Self::HuggingFace => body(ErrorBody { error, error_type: problem.code.as_str() }),
            Self::TextEmbeddings => body(ErrorBody { error, error_type: text_embeddings_error(problem.code).1 }),
            Self::OpenInference => body(InferenceError { error }),
            Self::Vllm => {
                let (status, r#type) = vllm_error(problem.code);
                let error = VllmError { message: error, r#type, param: None, code: status.as_u16() };
                body(VllmBody { error })
            }
        };
        (status, body)
    }
}

/// Codes of requests with texts.
const CALL: &[Code] = &[
    Code::InvalidJson,
    Code::Unauthorized,
    Code::RateLimited,
    Code::QuotaExceeded,
    Code::Forbidden,
    Code::UnknownModel,
    Code::RequestTimeout,
    Code::BodyTooLarge,
    Code::TooManyDocuments,
    Code::TextTooLong,
    Code::UnsupportedMediaType,
    Code::InvalidRequest,
    Code::InvalidText,
    Code::WindowExceeded,
    Code::TokenizerFailed,
    Code::TaskNotServed,
    Code::Internal,
    Code::Overloaded,
    Code::Unavailable,
    Code::DeadlineExceeded,
];
/// Codes of questions about models.
const LOOKUP: &[Code] = &[
    Code::InvalidJson,
    Code::Unauthorized,
    Code::RateLimited,
    Code::QuotaExceeded,
    Code::Forbidden,
    Code::UnknownModel,
    Code::RequestTimeout,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::InvalidRequest,
    Code::TaskNotServed,
    Code::Internal,
    Code::Overloaded,
    Code::Unavailable,
];
/// Codes of changes of models.
const CHANGE: &[Code] = &[
    Code::InvalidJson,
    Code::Unauthorized,
    Code::RateLimited,
    Code::QuotaExceeded,
    Code::Forbidden,
    Code::UnknownModel,
    Code::RequestTimeout,
    Code::Conflict,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::InvalidRequest,
    Code::ModelRefused,
    Code::Internal,
    Code::Overloaded,
    Code::Unavailable,
    Code::InsufficientMemory,
];
/// Codes of pages without a body and without a key.
const OPEN: &[Code] = &[Code::Internal, Code::Unavailable];

/// Declares sets of codes as responses of an operation.
macro_rules! problem_sets {
    ($($name:ident = $dialect:ident of $codes:ident;)+) => {$(
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<ResponseSchema>> {
                let dialect = Dialect::$dialect;
                responses_in($codes, |code| dialect.status(code), ("application/json", dialect.schema()))
            }
        }
    )+};
}

problem_sets! {
    HuggingFaceProblems = HuggingFace of CALL;
    TextEmbeddingsProblems = TextEmbeddings of CALL;
    InfoProblems = TextEmbeddings of LOOKUP;
    TextEmbeddingsHealthProblems = TextEmbeddings of OPEN;
    InferProblems = OpenInference of CALL;
    LookupProblems = OpenInference of LOOKUP;
    ChangeProblems = OpenInference of CHANGE;
    InferenceHealthProblems = OpenInference of OPEN;
    VllmProblems = Vllm of CALL;
}

fn body(value: impl Serialize) -> Body {
    Json(value).into_response().into_body()
}

/// Status and `ErrorType` of text-embeddings-inference.
fn text_embeddings_error(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::Overloaded | Code::RateLimited | Code::QuotaExceeded => (StatusCode::TOO_MANY_REQUESTS, "Overloaded"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Unhealthy"),
        Code::TokenizerFailed => (StatusCode::UNPROCESSABLE_ENTITY, "Tokenizer"),
        Code::Internal | Code::DeadlineExceeded | Code::TaskNotServed => (StatusCode::FAILED_DEPENDENCY, "Backend"),
        code => (code.status(), "Validation"),
    }
}

/// Status and `type` of vLLM's server, which answers what it cannot accept with 400.
fn vllm_error(code: Code) -> (StatusCode, &'static str) {
    let status = match (code, code.status()) {
        (_, StatusCode::UNPROCESSABLE_ENTITY) | (Code::TextTooLong | Code::TooManyDocuments, _) => {
            StatusCode::BAD_REQUEST
        }
        (_, status) => status,
    };
    let r#type = match status {
        StatusCode::BAD_REQUEST => "BadRequestError",
        StatusCode::NOT_FOUND => "NotFoundError",
        StatusCode::INTERNAL_SERVER_ERROR => "InternalServerError",
        status => status.canonical_reason().unwrap_or("Error"),
    };
    (status, r#type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_which_protocol_an_error_is_written_in() {
        for (method, path, dialect) in [
            (Method::POST, "/", Some(Dialect::HuggingFace)),
            (Method::GET, "/", None),
            (Method::POST, "/models/ressort", Some(Dialect::HuggingFace)),
            (Method::POST, "/models/ressort/pipeline/ner", Some(Dialect::HuggingFace)),
            (Method::POST, "/predict", Some(Dialect::TextEmbeddings)),
            (Method::POST, "/classify", Some(Dialect::Vllm)),
            (Method::GET, "/v2", Some(Dialect::OpenInference)),
            (Method::POST, "/v2/models/ressort/infer", Some(Dialect::OpenInference)),
            (Method::POST, "/v1/classify", None),
            (Method::GET, "/health/live", None),
        ] {
            assert_eq!(Dialect::of(&method, path), dialect, "{method} {path}");
        }
    }
}
