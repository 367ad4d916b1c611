//! The JSON of requests.
//!
//! A request is parsed in two steps: first the body, with its documents still raw, then each document alone. So a bad document
//! does not fail the others.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::body::Bytes;
use serde_json::value::RawValue;

use super::body::utf8;
use super::error::{Code, Problem};
use super::json::{Expected, Field, FromJson, Object};
use crate::classify::answer::DocumentId;
use crate::classify::fields::FIELD_NAMES;
use crate::classify::request::{CheckedText, ClassifyOptions, RequestLimits};
use crate::inference::scheduler::Priority;
use crate::manifest::task::{Task, Tasks};
use crate::manifest::text_rules::{ALL_RULES, RULE_NAMES, TextRule, TextRules, TextSwitch};
use crate::models::registry::ByTask;

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

/// A document as it is in the body, so that its text is read when its turn comes.
#[derive(Debug)]
pub struct InputDocument {
    json: Bytes,
    index: usize,
}

/// Names of models by task.
pub struct ModelNames(ByTask<String>);

/// Every field of a request.
const FIELDS: &[&str] = &[
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
const DOCUMENT_FIELDS: &[&str] = &["id", "title", "lead", "text"];
/// Of a line: those of a document, and the settings.
static LINE_FIELDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let settings = FIELDS.iter().filter(|field| !FIELD_NAMES.contains(field) && **field != "documents");
    DOCUMENT_FIELDS.iter().chain(settings).copied().collect()
});
const TASK_FIELDS: &[&str] = &["topics", "entities"];

const BODY: Expected = Expected { what: "an object", example: r#"{"text": "Angela Merkel in Berlin"}"# };
const TEXT: Expected = Expected { what: "a string", example: r#""text": "Angela Merkel in Berlin""# };
const DOCUMENTS: Expected =
    Expected { what: "a list of objects", example: r#""documents": [{"id": "a", "text": "Berlin"}]"# };
const DOCUMENT: Expected = Expected { what: "an object", example: r#"{"id": "a", "text": "Berlin"}"# };
const ID: Expected = Expected { what: "a string or a number", example: r#""id": "a""# };
const TASKS: Expected = Expected { what: "a list of `topics`, `entities`", example: r#""tasks": ["topics"]"# };
const TOP_K: Expected = Expected { what: "a whole number from 1 on", example: r#""top_k": 5"# };
const THRESHOLD: Expected = Expected {
    what: "a number from 0 to 1, or an object of numbers by task",
    example: r#""threshold": 0.5 or "threshold": {"topics": 0.5}"#,
};
const TASK_THRESHOLD: Expected =
    Expected { what: "a number from 0 to 1", example: r#"{"topics": 0.5, "entities": 0.9}"# };
const MODELS: Expected = Expected { what: "an object of names by task", example: r#"{"topics": "ressort"}"# };
const MODEL: Expected = Expected { what: "the name of a model", example: r#"{"topics": "ressort"}"# };
const TEXT_RULES: Expected =
    Expected { what: "an object of true or false by rule", example: r#""text_rules": {"html": false}"# };
const SWITCH: Expected = Expected { what: "true or false", example: r#""text_rules": {"html": false}"# };
const LABELS: Expected = Expected { what: "a list of entity labels", example: r#""labels": ["PER", "LOC", "ORG"]"# };
const GROUP: Expected = Expected { what: "true or false", example: r#""group": true"# };
const EVIDENCE: Expected = Expected { what: "true or false", example: r#""evidence": true"# };
const LANGUAGE: Expected = Expected { what: "a language tag", example: r#""label_language": "en""# };

impl ClassifyRequest {
    /// Parses a body and checks it against the limits.
    pub fn parse(bytes: &Bytes, limits: &RequestLimits) -> Result<Self, Problem> {
        let body = Field::body(utf8(bytes)?).object(FIELDS, BODY)?;
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
        Field::line(utf8(line)?).object(&LINE_FIELDS, DOCUMENT)
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

/// Reads the options of an object that knows them.
pub fn options(body: &Object<'_>) -> Result<ClassifyOptions, Problem> {
    let default = ClassifyOptions::default();
    let options = ClassifyOptions {
        top_k: body.read("top_k", |field| field.count(TOP_K))?.unwrap_or(default.top_k),
        threshold: body.read("threshold", thresholds)?.unwrap_or(default.threshold),
        aggregation: body.read("aggregation", Field::word)?,
        overflow: body.read("overflow", Field::word)?.unwrap_or_default(),
        text_rules: body.read("text_rules", text_rules)?.unwrap_or_default(),
        offset_unit: body.read("offset_unit", Field::word)?.unwrap_or_default(),
        label_language: body.read("label_language", |field| field.string(LANGUAGE).map(Into::into))?,
        labels: body.read("labels", labels)?,
        derived: body.read("derived", Field::word)?.unwrap_or_default(),
        group: body.read("group", |field| field.boolean(GROUP))?.unwrap_or_default(),
        evidence: body.read("evidence", |field| field.boolean(EVIDENCE))?.unwrap_or_default(),
    };
    options.check()?;
    Ok(options)
}

/// One threshold for both tasks, or one per task.
fn thresholds(field: &Field<'_>) -> Result<ByTask<f32>, Problem> {
    let score = |field: &Field<'_>, expected| Ok(field.number(expected, |n| (0.0..=1.0).contains(&n))? as f32);
    if !field.starts_with('{') {
        let both = score(field, THRESHOLD)?;
        return Ok(ByTask { topics: Some(both), entities: Some(both) });
    }
    by_task(field, THRESHOLD, |field| score(field, TASK_THRESHOLD))
}

/// An object with a value for each task.
fn by_task<'b, T>(
    field: &Field<'b>,
    expected: Expected,
    read: impl Fn(&Field<'b>) -> Result<T, Problem>,
) -> Result<ByTask<T>, Problem> {
    let object = field.object(TASK_FIELDS, expected)?;
    object.check()?;
    Ok(ByTask { topics: object.read("topics", &read)?, entities: object.read("entities", &read)? })
}

/// An object with a switch for each rule.
fn text_rules(field: &Field<'_>) -> Result<TextRules, Problem> {
    let object = field.object(RULE_NAMES, TEXT_RULES)?;
    object.check()?;
    let switch = |&rule: &TextRule| {
        let is_on = object.read(rule.into_str(), |field| field.boolean(SWITCH));
        is_on.map(|is_on| is_on.map(|is_on| TextSwitch { rule, is_on })).transpose()
    };
    ALL_RULES.iter().filter_map(switch).collect()
}

fn tasks(field: &Field<'_>) -> Result<Tasks, Problem> {
    const MAX_ENTRIES: usize = 100;
    let list = field.list(MAX_ENTRIES, TASKS)?;
    if !(1..=MAX_ENTRIES).contains(&list.n_entries) {
        let why = if list.n_entries == 0 { "no task is named" } else { "too many tasks are named" };
        return Err(field.problem(format!("{why}; name `topics`, `entities` or both")));
    }
    let tasks: Vec<Task> = list.entries.iter().map(Field::word).collect::<Result<_, _>>()?;
    Ok(Tasks { topics: tasks.contains(&Task::Topics), entities: tasks.contains(&Task::Entities) })
}

fn labels(field: &Field<'_>) -> Result<Vec<String>, Problem> {
    const MAX_ENTRIES: usize = 1000;
    let list = field.list(MAX_ENTRIES, LABELS)?;
    if !(1..=MAX_ENTRIES).contains(&list.n_entries) {
        let why = if list.n_entries == 0 { "no label is named" } else { "too many labels are named" };
        return Err(field.problem(format!("{why}; name those to answer, or leave it out to get all")));
    }
    list.entries.iter().map(|entry| entry.string(LABELS).map(Into::into)).collect()
}

fn parse_documents(field: &Field<'_>, body: &Bytes, limits: &RequestLimits) -> Result<Vec<InputDocument>, Problem> {
    let list = field.list(limits.max_documents, DOCUMENTS)?;
    if list.n_entries > limits.max_documents {
        let detail = format!(
            "{} documents are more than the {} of one request; send them in several requests",
            list.n_entries, limits.max_documents
        );
        return Err(Problem::new(Code::TooManyDocuments, detail));
    }
    let document =
        |(index, field): (usize, &Field<'_>)| InputDocument { json: body.slice_ref(field.raw().as_bytes()), index };
    Ok(list.entries.iter().enumerate().map(document).collect())
}

impl InputDocument {
    /// Bytes of its JSON.
    pub fn n_bytes(&self) -> usize {
        self.json.len()
    }

    /// Its id, also where the rest of it is not valid: its client finds the problem by it.
    pub fn id(&self) -> Option<DocumentId> {
        self.fields().ok()?.read("id", document_id).ok()?
    }

    pub fn text(&self, limits: &RequestLimits) -> Result<CheckedText, Problem> {
        let fields = self.fields()?;
        fields.read("id", document_id)?;
        fields.check()?;
        checked_text(&fields, limits)
    }

    fn fields(&self) -> Result<Object<'_>, Problem> {
        // The body was UTF-8 when it was parsed.
        let json = std::str::from_utf8(&self.json).unwrap_or_default();
        Field::at(format!("documents[{}]", self.index), json).object(DOCUMENT_FIELDS, DOCUMENT)
    }
}

/// The text of a document, or its title, lead and text.
fn checked_text(document: &Object<'_>, limits: &RequestLimits) -> Result<CheckedText, Problem> {
    let [title, lead, _] = FIELD_NAMES;
    if document.get(title).is_none() && document.get(lead).is_none() {
        return Ok(CheckedText::new(document.require("text", TEXT)?.text(TEXT)?, limits.max_characters)?);
    }
    let read = |name: &str| document.read(name, |field| field.string(TEXT).map(Cow::into_owned));
    let values = [read(FIELD_NAMES[0])?, read(FIELD_NAMES[1])?, read(FIELD_NAMES[2])?];
    Ok(CheckedText::of_fields(values.each_ref().map(Option::as_deref), limits.max_characters)?)
}

fn document_id(field: &Field<'_>) -> Result<DocumentId, Problem> {
    if field.starts_with('"') {
        return Ok(DocumentId::Text(field.string(ID)?.into()));
    }
    if field.raw().starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        // The number as sent: 1e3, 17.0 and integers of any size come back unchanged.
        return RawValue::from_string(field.raw().to_owned()).map(DocumentId::Number).map_err(|_| field.refuse(ID));
    }
    Err(field.refuse(ID))
}

impl FromJson for ModelNames {
    fn from_json(body: &Field<'_>) -> Result<Self, Problem> {
        by_task(body, MODELS, |field| field.string(MODEL).map(Into::into)).map(Self)
    }
}

impl From<ModelNames> for ByTask<String> {
    fn from(names: ModelNames) -> Self {
        names.0
    }
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
            ("", Code::InvalidJson, "the body is empty"),
            (r#"{"text": "\ud83d"}"#, Code::InvalidJson, "surrogate"),
            (r#"{"text": "\ud83dx"}"#, Code::InvalidJson, "surrogate"),
            (r#"{"text": "a"} x"#, Code::InvalidJson, "text after the end at `x`"),
            (r#"[]"#, Code::InvalidRequest, "the body is `[]`, and an object is expected"),
            (r#"{"text": 5}"#, Code::InvalidRequest, "`text` is `5`, and a string is expected"),
            (r#"{"txt": "a"}"#, Code::InvalidRequest, "unknown field `txt`"),
            (r#"{}"#, Code::InvalidRequest, "neither"),
            (r#"{"text": "a", "documents": []}"#, Code::InvalidRequest, "both"),
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
            (r#"{"documents": [1, 2, 3]}"#, Code::TooManyDocuments, "3 documents are more than the 2"),
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
