//! The problems that each kind of route answers with, by status.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::http::error::{Code, ProblemBody};

/// Declares sets of codes as responses of an operation.
macro_rules! problem_sets {
    ($($(#[$doc:meta])* $name:ident = [$($code:ident),+];)+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                responses(&[$(Code::$code),+])
            }
        }
    )+};
}

problem_sets! {
    /// Of pages without a body and without a key.
    PageProblems = [Internal, Unavailable];
    /// Of pages that require the API key.
    KeyProblems = [Unauthorized, Forbidden, RateLimited, QuotaExceeded, Internal, Unavailable];
    /// Of requests with texts.
    ClassifyProblems = [
        InvalidJson, Unauthorized, Forbidden, RateLimited, QuotaExceeded, UnknownModel, RequestTimeout, BodyTooLarge, TooManyDocuments, TextTooLong,
        UnsupportedMediaType, InvalidRequest, InvalidText, WindowExceeded, TokenizerFailed, TaskNotServed, Internal, Overloaded, Unavailable, DeadlineExceeded
    ];
    /// Of requests with texts that become jobs, and of their results.
    NewJobProblems = [
        InvalidJson, Unauthorized, Forbidden, RateLimited, QuotaExceeded, UnknownModel, UnknownJob, NotFound, RequestTimeout, JobState, TooManyJobs, InsufficientStorage, BodyTooLarge,
        TooManyDocuments, TextTooLong, UnsupportedMediaType, InvalidRequest, InvalidText, WindowExceeded, TokenizerFailed,
        TaskNotServed, Internal, Overloaded, Unavailable, DeadlineExceeded
    ];
    /// Of jobs that are there.
    JobProblems = [
        Unauthorized, Forbidden, RateLimited, QuotaExceeded, UnknownJob, NotFound, JobState, InvalidRequest, Internal, Unavailable
    ];
    /// Of changes of models.
    AdminProblems = [
        InvalidJson, Unauthorized, RateLimited, QuotaExceeded, Forbidden, UnknownModel, RequestTimeout, Conflict, BodyTooLarge, UnsupportedMediaType,
        InvalidRequest, ModelRefused, TaskNotServed, Internal, Overloaded, Unavailable, InsufficientMemory
    ];
    /// Of removing a model.
    RemovalProblems = [Unauthorized, RateLimited, QuotaExceeded, Forbidden, UnknownModel, Conflict, InvalidRequest, Internal, Unavailable];
    /// Of the shadow model, read or ended.
    ShadowProblems = [Unauthorized, RateLimited, QuotaExceeded, Forbidden, NotFound, Internal, Unavailable];
}

/// Of the head of any request.
const OF_HEADS: &[Code] = &[Code::InvalidHead, Code::InvalidHost, Code::UnknownParameter, Code::HeadTooLarge];

fn responses(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let problem = ("application/problem+json", Ref::from_schema_name(ProblemBody::name()));
    responses_in(codes, Code::status, problem)
}

/// One response for each status, which names its codes, with a body of this media type and schema.
pub fn responses_in(
    codes: &[Code],
    status: impl Fn(Code) -> StatusCode,
    (media_type, schema): (&str, Ref),
) -> BTreeMap<String, RefOr<Response>> {
    let mut descriptions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for code in codes.iter().chain(OF_HEADS) {
        let description = format!("`{}`: {}", code.as_str(), code.title());
        descriptions.entry(status(*code).as_u16().to_string()).or_default().push(description);
    }
    let response = |(status, descriptions): (String, Vec<String>)| {
        let content = ContentBuilder::new().schema(Some(schema.clone())).build();
        let response = ResponseBuilder::new().description(descriptions.join("; ")).content(media_type, content);
        (status, response.build().into())
    };
    descriptions.into_iter().map(response).collect()
}
