//! The JSON of requests.
//!
//! A request is parsed in two steps: first the body, with its documents still raw, then each document alone. So a bad document
//! does not fail the others.

mod document;
mod options;

use std::sync::LazyLock;

use axum::body::Bytes;

use super::body::{utf8, utf8_of};
use super::error::{Code, Problem};
use super::json::{Expected, Field, FromJson, Object};
use crate::classify::answer::DocumentId;
use crate::classify::fields::FIELD_NAMES;
use crate::classify::request::{CheckedText, ClassifyOptions, RequestLimits};
use crate::inference::scheduler::Priority;
use crate::manifest::task::Tasks;
use crate::models::registry::ByTask;
pub use document::InputDocument;
use document::{DOCUMENT, DOCUMENT_FIELDS, checked_text, document_id};
use options::tasks;
pub use options::{ModelNames, options};

/// A checked request. Documents that are not valid keep their problem.
#[derive(Debug)]
pub struct ClassifyRequest {
    pub input: Input,
    pub settings: Settings,
}

/// How a text or documents are classified.
#[derive(Debug, Default)]
pub struct Settings {
    /// `None`: every task that is served.
    pub tasks: Option<Tasks>,
    pub models: ByTask<String>,
    pub priority: Priority,
    pub options: ClassifyOptions,
}

/// A line of a body: a document and its settings.
#[derive(Debug)]
pub struct LineRequest {
    pub text: CheckedText,
    pub settings: Settings,
}

#[derive(Debug)]
pub enum Input {
    One(CheckedText),
    Many(Vec<InputDocument>),
}

/// Every field of a request.
pub const REQUEST_FIELDS: &[&str] = &[
    "title",
    "lead",
    "text",
    "documents",
    "tasks",
    "top_k",
    "threshold",
    "aggregation",
    "offset_unit",
    "overflow",
    "text_rules",
    "priority",
    "models",
    "label_language",
    "labels",
    "derived",
    "group",
    "evidence",
];
/// Of a line: those of a document, and the settings.
static LINE_FIELDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let settings = REQUEST_FIELDS.iter().filter(|field| !FIELD_NAMES.contains(field) && **field != "documents");
    DOCUMENT_FIELDS.iter().chain(settings).copied().collect()
});

const BODY: Expected = Expected { what: "an object", example: r#"{"text": "Angela Merkel in Berlin"}"# };
const DOCUMENTS: Expected =
    Expected { what: "a list of objects", example: r#""documents": [{"id": "a", "text": "Berlin"}]"# };

impl ClassifyRequest {
    /// Parses a body and checks it against the limits.
    pub fn parse(bytes: &Bytes, limits: &RequestLimits) -> Result<Self, Problem> {
        let body = Field::body(utf8(bytes)?).object(REQUEST_FIELDS, BODY)?;
        body.check()?;
        let settings = Settings::of(&body)?;
        let has_text = FIELD_NAMES.iter().any(|name| body.get(name).is_some());
        let input = match (has_text, body.get("documents")) {
            (true, None) => Input::One(checked_text(&body, limits)?),
            (false, Some(documents)) => Input::Many(parse_documents(&documents, bytes, limits)?),
            (true, Some(_)) => return Err(invalid("both `text` and `documents` are given; give one of them")),
            (false, None) => {
                return Err(invalid(
                    "neither `text` nor `documents` is given; send {\"text\": \"…\"} or {\"documents\": [{\"id\": \"a\", \"text\": \"…\"}]}",
                ));
            }
        };
        Ok(Self { input, settings })
    }

    /// A body that is one text, with the default options.
    pub fn of_text(bytes: &Bytes, limits: &RequestLimits) -> Result<Self, Problem> {
        let text = utf8(bytes).map_err(|problem| Problem::new(Code::InvalidText, problem.detail))?;
        let text = CheckedText::new(text.into(), limits.max_characters)?;
        Ok(Self { input: Input::One(text), settings: Settings::default() })
    }
}

impl LineRequest {
    pub fn parse(line: &[u8], limits: &RequestLimits) -> Result<Self, Problem> {
        let fields = Self::fields(line)?;
        fields.read("id", document_id)?;
        fields.check()?;
        Ok(Self { text: checked_text(&fields, limits)?, settings: Settings::of(&fields)? })
    }

    /// Its id, also where the rest of it is not valid: its client finds the problem by it.
    pub fn id(line: &[u8]) -> Option<DocumentId> {
        Self::fields(line).ok()?.read("id", document_id).ok()?
    }

    fn fields(line: &[u8]) -> Result<Object<'_>, Problem> {
        Field::line(utf8_of(line, "the line")?).object(&LINE_FIELDS, DOCUMENT)
    }
}

impl Settings {
    fn of(body: &Object<'_>) -> Result<Self, Problem> {
        let models = body.read("models", ModelNames::from_json)?;
        Ok(Self {
            options: options(body)?,
            tasks: body.read("tasks", tasks)?,
            models: models.map(Into::into).unwrap_or_default(),
            priority: body.read("priority", Field::word)?.unwrap_or_default(),
        })
    }
}

fn parse_documents(field: &Field<'_>, body: &Bytes, limits: &RequestLimits) -> Result<Vec<InputDocument>, Problem> {
    let list = field.list(limits.max_documents, DOCUMENTS)?;
    if list.n_entries > limits.max_documents {
        let detail = format!(
            "{} documents are more than the {} of one request; send them in several requests, or raise --max-documents",
            list.n_entries, limits.max_documents
        );
        return Err(Problem::new(Code::TooManyDocuments, detail));
    }
    let document =
        |(index, field): (usize, &Field<'_>)| InputDocument::new(body.slice_ref(field.raw().as_bytes()), index);
    Ok(list.entries.iter().enumerate().map(document).collect())
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(body: &[u8]) -> (Code, String) {
        let limits = RequestLimits { max_characters: 5, max_documents: 2, ..RequestLimits::default() };
        let problem = ClassifyRequest::parse(&Bytes::copy_from_slice(body), &limits).expect_err("the body is bad");
        (problem.code, problem.detail)
    }

    #[test]
    fn a_bad_body_names_the_field_and_what_is_expected() {
        for (body, code, part) in [
            (r#"{"text": "a""#, Code::InvalidJson, "too early, at line 1 column 12"),
            ("{\"text\": \"ab\tc\"}", Code::InvalidJson, "at line 1 column 13: unexpected control character"),
            ("{\n\"text\": \"ü\nb\"}", Code::InvalidJson, "at line 2 column 12: unexpected control character"),
            ("{\"te\nxt\": \"a\"}", Code::InvalidJson, "at line 1 column 5: unexpected control character"),
            ("", Code::InvalidJson, "the body is empty"),
            (r#"{"text": "\ud83d"}"#, Code::InvalidJson, "surrogate"),
            (r#"{"text": "\ud83dx"}"#, Code::InvalidJson, "surrogate"),
            (r#"{"text": "a"} x"#, Code::InvalidJson, "text after the end at `x`"),
            (r#"[]"#, Code::InvalidRequest, "the body is `[]`, and an object is expected"),
            (r#"{"text": 5}"#, Code::InvalidRequest, "`text` is `5`, and a string is expected"),
            (r#"{"txt": "a"}"#, Code::InvalidRequest, "unknown field `txt`"),
            (r#"{}"#, Code::InvalidRequest, "neither"),
            (
                r#"{"title": " ", "lead": ""}"#,
                Code::InvalidRequest,
                "the document is empty: `title` and `lead` are blank",
            ),
            (r#"{"text": "a", "documents": []}"#, Code::InvalidRequest, "both"),
            (r#"{"title": 5}"#, Code::InvalidRequest, "send for example \"title\": "),
            (r#"{"text": "a", "lead": []}"#, Code::InvalidRequest, "send for example \"lead\": "),
            (r#"{"text": "a", "top_k": 0}"#, Code::InvalidRequest, "top_k 0"),
            (r#"{"text": "a", "top_k": -1}"#, Code::InvalidRequest, "`top_k` is `-1`"),
            (r#"{"text": "a", "threshold": 1.5}"#, Code::InvalidRequest, "`threshold` is `1.5`"),
            (r#"{"text": "a", "threshold": {"topics": -0.1}}"#, Code::InvalidRequest, "`threshold.topics` is `-0.1`"),
            (r#"{"text": "a", "threshold": "high"}"#, Code::InvalidRequest, "a number from 0 to 1"),
            (r#"{"text": "a", "aggregation": "best"}"#, Code::InvalidRequest, "`best` is not one of `none`"),
            (r#"{"text": "a", "offset_unit": "utf8"}"#, Code::InvalidRequest, "`codepoint`, `utf16`, `byte`"),
            (
                r#"{"text": "a", "text_rules": {"hyphens": "no"}}"#,
                Code::InvalidRequest,
                "`text_rules.hyphens` is `\"no\"`",
            ),
            (r#"{"text": "a", "text_rules": {"hyphen": true}}"#, Code::InvalidRequest, "did you mean `hyphens`"),
            (r#"{"text": "a", "text_rules": true}"#, Code::InvalidRequest, "an object of true or false by rule"),
            (r#"{"text": "a", "labels": []}"#, Code::InvalidRequest, "no label is named"),
            (r#"{"text": "a", "labels": "PER"}"#, Code::InvalidRequest, "a list of entity labels"),
            (r#"{"text": "a", "labels": [1]}"#, Code::InvalidRequest, "`labels[0]` is `1`"),
            (r#"{"text": "a", "derived": "fould"}"#, Code::InvalidRequest, "did you mean `fold`"),
            (r#"{"text": "a", "tasks": []}"#, Code::InvalidRequest, "no task"),
            (r#"{"text": "a", "tasks": ["mood"]}"#, Code::InvalidRequest, "`topics`, `entities`"),
            (r#"{"text": "a", "models": {"sport": "x"}}"#, Code::InvalidRequest, "unknown field `sport` of `models`"),
            (r#"{"text": "a", "models": ["x", "y"]}"#, Code::InvalidRequest, "`models` is `[\"x\", \"y\"]`"),
            (r#"{"text": "äöüßäö"}"#, Code::TextTooLong, "6 characters, and the limit is 5"),
            (r#"{"text": "a\u0000"}"#, Code::InvalidText, "at character 1"),
            (
                r#"{"documents": [1, 2, 3]}"#,
                Code::TooManyDocuments,
                "3 documents are more than the 2 of one request; send them in several requests, or raise --max-documents",
            ),
        ] {
            let (found, detail) = problem(body.as_bytes());
            assert_eq!(found, code, "{body}: {detail}");
            assert!(detail.contains(part), "{body}: {detail}");
        }
        assert_eq!(problem(b"{\"text\": \"\xff\"}").0, Code::InvalidJson);
    }

    #[test]
    fn a_document_that_is_not_valid_keeps_its_id_and_fails_alone() {
        let body = r#"{"documents": [{"id": "a", "text": 5}, {"id": "b", "text": "gut"}]}"#;
        let limits = RequestLimits::default();
        let documents = |body: &'static str| {
            let Input::Many(documents) = ClassifyRequest::parse(&body.into(), &limits).unwrap().input else {
                panic!("documents were sent")
            };
            documents
        };
        let sent = documents(body);
        assert_eq!(serde_json::to_value(sent[0].id()).unwrap(), "a");
        let problem = sent[0].text(&limits).unwrap_err();
        assert_eq!(problem.code, Code::InvalidRequest);
        assert!(problem.detail.contains("`documents[0].text` is `5`"), "{}", problem.detail);
        assert_eq!(sent[1].text(&limits).as_ref().map(CheckedText::as_str), Ok("gut"));
        let sent = documents(r#"{"documents": [{"text": "\ud83d"}, {"text": "gut"}]}"#);
        assert_eq!(sent[0].text(&limits).unwrap_err().code, Code::InvalidJson);
        assert!(sent[1].text(&limits).is_ok());
    }
}
