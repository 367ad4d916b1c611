//! Errors in the shapes of the protocols that clients speak. The path of a request says which one it is.

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

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
#[derive(Serialize)]
struct ErrorBody<'p> {
    error: &'p str,
    error_type: &'static str,
}

#[derive(Serialize)]
struct InferenceError<'p> {
    error: &'p str,
}

#[derive(Serialize)]
struct VllmBody<'p> {
    error: VllmError<'p>,
}

#[derive(Serialize)]
struct VllmError<'p> {
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

    fn write(self, problem: &Problem) -> (StatusCode, Body) {
        let error = problem.detail.as_str();
        match self {
            Self::HuggingFace => {
                // `@huggingface/inference` repeats a request at once on 503, for as long as the answer is 503.
                let status = match problem.code {
                    Code::Overloaded => StatusCode::TOO_MANY_REQUESTS,
                    code => code.status(),
                };
                (status, body(ErrorBody { error, error_type: problem.code.as_str() }))
            }
            Self::TextEmbeddings => {
                let (status, error_type) = text_embeddings_error(problem.code);
                (status, body(ErrorBody { error, error_type }))
            }
            Self::OpenInference => (problem.code.status(), body(InferenceError { error })),
            Self::Vllm => {
                let (status, r#type) = vllm_error(problem.code);
                let error = VllmError { message: error, r#type, param: None, code: status.as_u16() };
                (status, body(VllmBody { error }))
            }
        }
    }
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
