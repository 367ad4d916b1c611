//! Reads JSON lines: `{"id": …, "text": …, "topics": […], "entities": [{"start": …, "end": …, "label": …}, …]}`, offsets in
//! Unicode code points. Other fields are ignored.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::ContentError;
use crate::evaluate::document::{GoldDocument, LabelledSpan, characters, in_order};
use crate::manifest::tags::{Position, Tag, TagReader};
use crate::text::files::standard_json;

#[derive(Deserialize)]
struct Record {
    id: Option<Value>,
    text: String,
    entities: Option<Vec<LabelledSpan>>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Reads all documents, with topics from `topics_field`, else from `topics`.
pub(super) fn read(text: &str, topics_field: Option<&str>) -> Result<Vec<GoldDocument>, ContentError> {
    let topics_field = topics_field.unwrap_or("topics");
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(number, (index, line)): (usize, (usize, &str))| {
        parse(line, number + 1, topics_field).map_err(|message| ContentError::Line(index + 1, message))
    };
    let mut documents = lines.enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    join_tagged(&mut documents);
    Ok(documents)
}

/// Makes entities of spans that are single tokens with tags (`B-PER`, `I-PER`), as some programs write them.
fn join_tagged(documents: &mut [GoldDocument]) {
    let spans = || documents.iter().filter_map(|document| document.entities.as_ref()).flatten();
    let reader = TagReader::of(spans().map(|span| span.label.as_str()));
    let has = |is: fn(&Tag) -> bool| spans().any(|span| is(&reader.read(&span.label)));
    if !has(|tag| tag.position == Position::Begin) || !has(|tag| tag.continues() && !tag.is_plain()) {
        return;
    }
    for document in documents {
        let Some(spans) = document.entities.take() else { continue };
        let mut joined: Vec<LabelledSpan> = Vec::new();
        let mut is_open = false;
        for span in spans {
            let tag = reader.read(&span.label);
            let continues = |last: &LabelledSpan| {
                let between = || characters(&document.text, last.end, span.start);
                is_open && tag.continues() && last.label == tag.label && between().trim().is_empty()
            };
            match joined.pop_if(|last| continues(last)) {
                _ if tag.position == Position::Outside => {}
                Some(last) => joined.push(LabelledSpan::new(last.start, span.end, last.label)),
                None => joined.push(LabelledSpan::new(span.start, span.end, &*tag.label)),
            }
            is_open = tag.position != Position::Outside && !tag.closes() && !tag.is_plain();
        }
        document.entities = Some(in_order(joined));
    }
}

fn parse(line: &str, number: usize, topics_field: &str) -> Result<GoldDocument, String> {
    // Other programs write numbers and characters that are none, mostly in fields that nobody reads.
    let record: Record = serde_json::from_str(line)
        .or_else(|error| serde_json::from_str(&standard_json(line)).map_err(|_| error))
        .map_err(|error| format!("{error}; each line must be one JSON object"))?;
    let topics = record.others.get(topics_field).filter(|value| !value.is_null());
    let topics = topics.map(|value| topic_set(value, topics_field)).transpose()?;
    let n_characters = record.text.chars().count();
    let entities = record.entities.map(|entities| check_offsets(entities, n_characters)).transpose()?;
    let id = match record.id {
        None | Some(Value::Null) => number.to_string(),
        Some(Value::String(id)) => id,
        Some(other) => other.to_string(),
    };
    Ok(GoldDocument { id, text: record.text.into(), topics, entities })
}

/// A list of labels, or a single label.
fn topic_set(value: &Value, field: &str) -> Result<BTreeSet<String>, String> {
    let error = || format!("`{field}` is {value}; give a list of labels, or a single label");
    match value {
        Value::String(label) => Ok([label.clone()].into()),
        Value::Array(labels) => {
            labels.iter().map(|label| label.as_str().map(str::to_owned).ok_or_else(error)).collect()
        }
        _ => Err(error()),
    }
}

fn check_offsets(entities: Vec<LabelledSpan>, n_characters: usize) -> Result<Vec<LabelledSpan>, String> {
    match entities.iter().find(|span| span.start >= span.end || span.end > n_characters) {
        Some(LabelledSpan { start, end, label }) => Err(format!(
            "entity {label} from {start} to {end} is not within the text of {n_characters} characters; offsets are half-open, in Unicode code points"
        )),
        None => Ok(in_order(entities)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_field_differs_from_an_empty_one() {
        let text = "{\"text\": \"Zoë\", \"entities\": [{\"start\": 0, \"end\": 3, \"label\": \"PER\"}]}\n\n{\"id\": 7, \"text\": \"\", \"topics\": []}\n";
        let documents = read(text, None).unwrap();
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
        let spans = |labels| read(&line(labels), None).unwrap().remove(0).entities.unwrap();
        let span = LabelledSpan::new;
        assert_eq!(spans(["B-PER", "I-PER", "O", "B-LOC"]), [span(0, 3, "PER"), span(6, 7, "LOC")]);
        assert_eq!(spans(["PER", "PER", "I-X", "LOC"]).len(), 4);
    }

    #[test]
    fn topics_may_be_in_another_field_and_single() {
        let documents = read(r#"{"text": "a", "topics": ["x"], "iptc": "sport"}"#, Some("iptc")).unwrap();
        assert_eq!(documents[0].topics, Some(["sport".to_owned()].into()));
    }

    #[test]
    fn what_nobody_reads_may_be_no_standard_json() {
        let lines = r#"{"text": "a", "topics": [], "w": NaN}
{"text": "b", "topics": [], "title": "x\ud83d"}"#;
        let texts: Vec<_> = read(lines, None).unwrap().into_iter().map(|document| document.text.to_string()).collect();
        assert_eq!(texts, ["a", "b"]);
    }

    #[test]
    fn an_error_has_the_number_of_the_line() {
        for (line, part) in [
            ("{", "one JSON object"),
            (r#"{"topics": []}"#, "missing field `text`"),
            (r#"{"text": "a", "topics": 3}"#, "`topics` is 3"),
            (r#"{"text": "ab", "entities": [{"start": 0, "end": 3, "label": "X"}]}"#, "text of 2 characters"),
            (r#"{"text": "ab", "entities": [{"start": 1, "end": 1, "label": "X"}]}"#, "from 1 to 1"),
        ] {
            let error = read(&format!("\n{line}"), None).unwrap_err();
            assert!(matches!(&error, ContentError::Line(2, message) if message.contains(part)), "{error:?}");
        }
    }
}
