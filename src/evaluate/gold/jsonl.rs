//! Reads JSON lines: `{"id": …, "text": …, "topics": […], "entities": [{"start": …, "end": …, "label": …}, …]}`, offsets in
//! Unicode code points. Other fields are ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::ContentError;
use super::{GoldColumns, joined, spans, text_names};
use crate::evaluate::document::GoldDocument;
use crate::evaluate::tagged::{Spans, join_tagged};
use crate::manifest::labels::check_label;
use crate::system::choice::{is_near, shortened};
use crate::text::files::standard_json;

const ENTITIES: &str = "entities";

/// The fields of a line, read only where they are used: other programs write what is no JSON value into others.
type Fields<'l> = BTreeMap<String, &'l RawValue>;

/// The fields of a line. Two of one name must have the same value.
struct Line<'l>(Fields<'l>);

impl<'de: 'l, 'l> Deserialize<'de> for Line<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Line<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<'de>, A::Error> {
        let mut fields = Fields::new();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            if fields.get(&name).is_some_and(|other| other.get() != value.get()) {
                return Err(de::Error::custom(format_args!(
                    "two fields are called `{name}` and have different values"
                )));
            }
            fields.insert(name, value);
        }
        Ok(Line(fields))
    }
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Content {
    pub documents: Vec<GoldDocument>,
    /// Entities that had white space at an end.
    pub n_trimmed_entities: usize,
}

/// Reads all documents, from the fields that `columns` names.
pub(super) fn read(text: &str, columns: &GoldColumns) -> Result<Content, ContentError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let mut n_trimmed_entities = 0;
    let read = |(number, (index, line)): (usize, (usize, &str))| {
        let (mut document, n_trimmed) =
            parse(line, columns).map_err(|message| ContentError::Line(index + 1, message))?;
        n_trimmed_entities += n_trimmed;
        if document.id.is_empty() {
            document.id = (number + 1).to_string();
        }
        Ok(document)
    };
    let mut documents = lines.enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    let with_entities = documents
        .iter_mut()
        .filter_map(|document| Some(Spans { text: &document.text, spans: document.entities.as_mut()? }));
    join_tagged(&mut with_entities.collect::<Vec<_>>());
    Ok(Content { documents, n_trimmed_entities })
}

/// The document of a line, with an empty id where it has none, and how many of its entities had white space at an end.
fn parse(line: &str, columns: &GoldColumns) -> Result<(GoldDocument, usize), String> {
    let standard;
    let Line(fields) = match serde_json::from_str(line) {
        Ok(line) => line,
        Err(error) => {
            standard = standard_json(line);
            serde_json::from_str(&standard).map_err(|_| syntax_message(&error))?
        }
    };
    let text = text_of(&fields, columns)?;
    let topics_field = columns.topics.as_deref().unwrap_or("topics");
    let topics = value::<Value>(&fields, topics_field)?.map(|value| topic_set(&value, topics_field)).transpose()?;
    let entities = value::<Value>(&fields, ENTITIES)?.map(|value| spans::read(&value, &text)).transpose()?;
    let n_trimmed = entities.as_ref().map_or(0, |entities| entities.n_trimmed);
    check_spelling(&fields, columns, [topics_field, ENTITIES])?;
    let id = match fields.get("id").map(|id| id.get()) {
        None | Some("null") => String::new(),
        Some(text) if text.starts_with('"') => value(&fields, "id")?.unwrap_or_default(),
        Some(other) => other.to_owned(),
    };
    let entities = entities.map(|entities| entities.spans);
    Ok((GoldDocument { id, text: text.into(), topics, entities }, n_trimmed))
}

fn syntax_message(error: &serde_json::Error) -> String {
    // The error knows of this line alone, and calls it the first.
    let what = match error.to_string().split_once(" at line ") {
        Some((what, _)) if !error.is_eof() => format!("{what} at byte {}", error.column()),
        _ => "the JSON ends too early".to_owned(),
    };
    format!("{what}; each line must be one whole JSON object")
}

fn text_of(fields: &Fields<'_>, columns: &GoldColumns) -> Result<String, String> {
    let names = text_names(columns);
    let mut parts = Vec::new();
    for name in &names {
        parts.extend(value::<String>(fields, name)?);
    }
    if parts.is_empty() {
        let known: Vec<&str> = fields.keys().map(AsRef::as_ref).collect();
        return Err(format!(
            "missing field `{}`; there are {known:?}, name one with --text-column",
            names.join("`, `")
        ));
    }
    Ok(joined(&parts))
}

/// The value of a field; `None` where it is missing or null.
fn value<T: DeserializeOwned>(fields: &Fields<'_>, name: &str) -> Result<Option<T>, String> {
    let Some(raw) = fields.get(name).map(|raw| raw.get()) else { return Ok(None) };
    // A value of any kind is read, so only that of a string can fail.
    let value = serde_json::from_str(raw).or_else(|_| serde_json::from_str(&standard_json(raw)));
    value.map_err(|_| format!("`{name}` is `{}`; give a string", shortened(raw)))
}

/// A list of labels, or a single label.
fn topic_set(value: &Value, field: &str) -> Result<BTreeSet<String>, String> {
    let error =
        || format!("`{field}` is `{}`; give a list of labels, or a single label", shortened(&value.to_string()));
    let topic = |label: &str| match check_label(label) {
        Ok(()) => Ok(label.to_owned()),
        Err(message) => Err(format!("`{field}`: {message}")),
    };
    match value {
        Value::String(label) => Ok([topic(label)?].into()),
        Value::Array(labels) => labels.iter().map(|label| topic(label.as_str().ok_or_else(error)?)).collect(),
        _ => Err(error()),
    }
}

/// Refuses a field that nobody reads and that is spelled almost like a missing one of `labelled`. The document would not count.
fn check_spelling(fields: &Fields<'_>, columns: &GoldColumns, labelled: [&str; 2]) -> Result<(), String> {
    let is_read = |name: &str| name == "id" || labelled.contains(&name) || text_names(columns).contains(&name);
    for missing in labelled.into_iter().filter(|name| !fields.contains_key(*name)) {
        if let Some(name) = fields.keys().find(|name| !is_read(name) && is_near(name, missing)) {
            return Err(format!(
                "`{missing}` is missing; is `{name}` meant? Rename it, or name the field of the topics with --topics-column"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::document::LabelledSpan;

    #[test]
    fn a_missing_field_differs_from_an_empty_one() {
        let text = "{\"text\": \"Zoë\", \"entities\": [{\"start\": 0, \"end\": 3, \"label\": \"PER\"}]}\n\n{\"id\": 7, \"text\": \"\", \"topics\": []}\n";
        let documents = read(text, &GoldColumns::default()).unwrap().documents;
        assert_eq!((documents[0].id.as_str(), &documents[0].topics), ("1", &None));
        assert_eq!(documents[0].entities, Some(vec![LabelledSpan::new(0, 3, "PER")]));
        assert_eq!((documents[1].id.as_str(), &documents[1].entities), ("7", &None));
        assert_eq!(documents[1].topics, Some(BTreeSet::new()));
    }

    #[test]
    fn spans_of_tagged_tokens_become_entities() {
        let entity =
            |start: usize, label: &str| format!(r#"{{"start": {start}, "end": {}, "label": "{label}"}}"#, start + 1);
        let line = |labels: [&str; 4]| {
            let entities: Vec<String> =
                labels.iter().enumerate().map(|(index, label)| entity(2 * index, label)).collect();
            format!(r#"{{"text": "a b c d", "entities": [{}]}}"#, entities.join(", "))
        };
        let spans =
            |labels| read(&line(labels), &GoldColumns::default()).unwrap().documents.remove(0).entities.unwrap();
        let span = LabelledSpan::new;
        assert_eq!(spans(["B-PER", "I-PER", "O", "B-LOC"]), [span(0, 3, "PER"), span(6, 7, "LOC")]);
        assert_eq!(spans(["PER", "PER", "I-X", "LOC"]).len(), 4);
        let labels = |labels| spans(labels).into_iter().map(|span| span.label).collect::<Vec<_>>();
        assert_eq!(labels(["B-PER", "B-LOC", "B-PER", "B-PER"]), ["PER", "LOC", "PER", "PER"]);
        assert_eq!(spans(["I-PER", "I-PER", "I-LOC", "O"]), [span(0, 3, "PER"), span(4, 5, "LOC")]);
        assert_eq!(spans(["B-PER", "A-Promi", "PER", "LOC"])[0].label, "B-PER");
        assert_eq!(labels(["O", "O", "O", "O"]), ["O"; 4]);
    }

    #[test]
    fn white_space_at_the_ends_of_an_entity_is_left_out_and_counted() {
        let entity = |start: usize, end: usize| format!(r#"{{"start": {start}, "end": {end}, "label": "LOC"}}"#);
        let line = format!(
            r#"{{"text": "in\u00a0Köln  und Bad Ems", "entities": [{}, {}, {}]}}"#,
            entity(2, 9),
            entity(3, 7),
            entity(13, 20)
        );
        let content = read(&line, &GoldColumns::default()).unwrap();
        let span = |start, end| LabelledSpan::new(start, end, "LOC");
        assert_eq!(content.documents[0].entities, Some(vec![span(3, 7), span(13, 20)]));
        assert_eq!(content.n_trimmed_entities, 1);
    }

    #[test]
    fn topics_may_be_in_another_field_and_single() {
        let columns = GoldColumns { topics: Some("iptc".into()), ..GoldColumns::default() };
        let documents = read(r#"{"text": "a", "topics": ["x"], "iptc": "sport"}"#, &columns).unwrap().documents;
        assert_eq!(documents[0].topics, Some(["sport".to_owned()].into()));
    }

    #[test]
    fn what_nobody_reads_may_be_no_standard_json() {
        let lines = r#"{"text": "a", "topics": [], "w": NaN}
{"text": "b", "topics": [], "title": "x\ud83d", "n": 1e400}
{"text": "c\ude00", "topics": [], "n": [-Infinity, {"x": 1e999}]}"#;
        let texts: Vec<_> = read(lines, &GoldColumns::default())
            .unwrap()
            .documents
            .into_iter()
            .map(|document| document.text.to_string())
            .collect();
        assert_eq!(texts, ["a", "b", "c\u{fffd}"]);
    }

    #[test]
    fn an_error_has_the_number_of_the_line() {
        for (line, part) in [
            ("{", "one whole JSON object"),
            (r#"{"text": "a""#, "the JSON ends too early; each line"),
            (r#"{"text": 'a'}"#, "at byte 10; each line"),
            (r#"{"topics": []}"#, "missing field `text`"),
            (r#"{"text": 3}"#, "`text` is `3`; give a string"),
            (r#"{"text": "a", "topics": 3}"#, "`topics` is `3`"),
            (
                r#"{"text": "a", "topics": ["Sport "]}"#,
                "`topics`: the label \"Sport \" begins or ends with white space",
            ),
            (r#"{"text": "a", "topics": "  "}"#, "begins or ends with white space"),
            (r#"{"text": "a", "entites": []}"#, "`entities` is missing; is `entites` meant?"),
            (r#"{"text": "a", "topic": "Sport", "entities": []}"#, "--topics-column"),
            (r#"{"text": "a", "entities": {}}"#, "`entities` is `{}`; give a list"),
            (r#"{"text": "a", "entities": [[0, 1, "X"]]}"#, "entity 1: it is `[0,1,\"X\"]`; give an object"),
            (
                r#"{"text": "ab", "entities": [{"start": "0", "end": 1, "label": "X"}]}"#,
                "`start` is `\"0\"`; give a whole number",
            ),
            (r#"{"text": "ab", "entities": [{"start": 0.5, "end": 1, "label": "X"}]}"#, "`start` is `0.5`"),
            (r#"{"text": "ab", "entities": [{"start": 0, "end": -1, "label": "X"}]}"#, "`end` is `-1`"),
            (r#"{"text": "ab", "entities": [{"start": 0, "end": 1}]}"#, "entity 1: `label` is missing"),
            (
                r#"{"text": "ab", "entities": [{"start": 0, "end": 1, "lable": "X"}]}"#,
                "`label` is missing; rename `lable`",
            ),
            (
                r#"{"text": "ab", "entities": [{"start": 0, "end": 1, "label": " X"}]}"#,
                "the label \" X\" begins or ends",
            ),
            (r#"{"text": "ab", "entities": [{"start": 0, "end": 1, "label": ""}]}"#, "a label is empty"),
            (
                r#"{"text": "ab", "entities": [{"start": 0, "end": 1, "label": "X", "field": "title"}]}"#,
                "its `field` is `\"title\"`, and offsets count in `text`",
            ),
            (
                r#"{"text": "ö ab", "entities": [{"start": 3, "end": 4, "label": "X", "text": "a"}]}"#,
                "its text is `a`, and `b` stands from 3 to 4",
            ),
            (r#"{"text": "ab", "entities": [{"start": 0, "end": 3, "label": "X"}]}"#, "text of 2 characters"),
            (r#"{"text": "ab", "entities": [{"start": 1, "end": 1, "label": "X"}]}"#, "entity 1: X from 1 to 1"),
            (r#"{"text": "ab", "entities": [{"start": 2, "end": 1, "label": "X"}]}"#, "from 2 to 1"),
            (
                r#"{"text": "a \u00a0b", "entities": [{"start": 1, "end": 3, "label": "X"}]}"#,
                "X from 1 to 3 is white space; leave it out",
            ),
        ] {
            let error = read(&format!("\n{line}"), &GoldColumns::default()).unwrap_err();
            assert!(matches!(&error, ContentError::Line(2, message) if message.contains(part)), "{error:?}");
        }
    }
}
