//! One document of a request, or the text of a request that is one.

use std::borrow::Cow;
use std::ops::Range;

use axum::body::Bytes;
use serde_json::value::RawValue;

use crate::classify::answer::DocumentId;
use crate::classify::fields::FIELD_NAMES;
use crate::classify::request::{CheckedText, RequestLimits};
use crate::http::error::Problem;
use crate::http::json::{Expected, Field, Object};

/// A document as it is in the body, so that its text is read when its turn comes.
#[derive(Debug)]
pub struct InputDocument {
    json: Bytes,
    index: usize,
}

pub const DOCUMENT_FIELDS: &[&str] = &["id", "title", "lead", "text"];

const TITLE: Expected = Expected { what: "a string", example: r#""title": "Merkel reist nach Paris""# };
const LEAD: Expected = Expected { what: "a string", example: r#""lead": "Die Kanzlerin trifft den Präsidenten.""# };
const TEXT: Expected = Expected { what: "a string", example: r#""text": "Angela Merkel in Berlin""# };
pub const DOCUMENT: Expected = Expected { what: "an object", example: r#"{"id": "a", "text": "Berlin"}"# };
const ID: Expected = Expected { what: "a string or a number", example: r#""id": "a""# };

impl InputDocument {
    /// A document that was at `index` of a body.
    pub fn new(json: Bytes, index: usize) -> Self {
        Self { json, index }
    }

    /// Where it is in the body from which it was read.
    pub fn range_in(&self, body: &Bytes) -> Range<usize> {
        let start = (self.json.as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
        start..start + self.json.len()
    }

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
pub fn checked_text(document: &Object<'_>, limits: &RequestLimits) -> Result<CheckedText, Problem> {
    let [title, lead, text] = FIELD_NAMES;
    if document.get(title).is_none() && document.get(lead).is_none() {
        return Ok(CheckedText::new(document.require("text", TEXT)?.text(TEXT)?, limits.max_characters)?);
    }
    let read = |name: &str, expected| document.read(name, |field| field.string(expected).map(Cow::into_owned));
    let values = [read(title, TITLE)?, read(lead, LEAD)?, read(text, TEXT)?];
    // An empty `text` is a text, which has no topics and no names. Without one, the client forgot it or named it wrongly.
    if values[2].is_none() && values.iter().flatten().all(|value| value.trim().is_empty()) {
        let detail =
            "the document is empty: `title` and `lead` are blank, and there is no `text`; send one of them with a text";
        return Err(document.problem(detail));
    }
    Ok(CheckedText::of_fields(values.each_ref().map(Option::as_deref), limits.max_characters)?)
}

pub fn document_id(field: &Field<'_>) -> Result<DocumentId, Problem> {
    if field.starts_with('"') {
        return Ok(DocumentId::Text(field.string(ID)?.into()));
    }
    if field.raw().starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        // The number as sent: 1e3, 17.0 and integers of any size come back unchanged.
        return RawValue::from_string(field.raw().to_owned()).map(DocumentId::Number).map_err(|_| field.refuse(ID));
    }
    Err(field.refuse(ID))
}
