//! The JSON of answers: what becomes of each document.

use serde::Serialize;
use utoipa::ToSchema;

use super::error::{Problem, ProblemBody};
use crate::classify::answer::{Answer, DocumentId};

/// The entry of a document that failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failure)]
pub struct FailureBody {
    /// Of the document in the request, from 0; a line has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub index: Option<usize>,
    /// The number of the line in the body, from 1; a document of a list has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub id: Option<DocumentId>,
    pub error: ProblemBody,
}

impl FailureBody {
    pub fn of_document(index: usize, id: Option<DocumentId>, problem: &Problem) -> Self {
        Self { index: Some(index), line: None, id, error: problem.body() }
    }

    pub fn of_line(number: u64, id: Option<DocumentId>, problem: &Problem) -> Self {
        Self { index: None, line: Some(number), id, error: problem.body() }
    }
}

/// The JSON of an answer.
pub fn json(value: &impl Serialize) -> String {
    // Plain structs of strings and numbers: there is nothing that cannot be written.
    serde_json::to_string(value).unwrap_or_default()
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DocumentAnswer)]
#[serde(untagged)]
pub enum DocumentBodyOut {
    Result(Box<Answer>),
    Failure(FailureBody),
}
