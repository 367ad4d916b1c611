//! Documents for spaCy: as displaCy renders them (`manual=True`), with what a `Doc` needs.
//!
//! Offsets are characters of Python, which are Unicode code points. Entities are in order and do not overlap.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::scored::{Mention, Scored, storable};
use crate::classify::answer::AnswerTopic;
use crate::score::row::Fields;

#[derive(Serialize)]
pub struct SpacyDocument<'r> {
    text: &'r str,
    ents: Vec<Span<'r>>,
    /// The title of the document, else its id. displaCy writes it as HTML.
    title: Option<String>,
    /// Topics with scores, as spaCy calls them.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "categories")]
    cats: Option<&'r [AnswerTopic]>,
    /// The columns of the input.
    #[serde(serialize_with = "columns")]
    meta: &'r Fields,
}

#[derive(Serialize)]
struct Span<'r> {
    start: usize,
    end: usize,
    label: &'r str,
    score: f32,
}

impl<'r> SpacyDocument<'r> {
    pub fn new(row: Scored<'r>) -> Self {
        let span = |mention: Mention<'r>| {
            let (label, score) = (mention.entity.label.as_str(), mention.entity.score);
            Span { start: mention.start, end: mention.end, label, score }
        };
        Self {
            text: row.text(),
            ents: row.mentions().map(span).collect(),
            title: row.field("title").map(str::to_owned).or_else(|| row.id()).map(|title| escaped(&title)),
            cats: row.answer.topics.as_deref(),
            meta: row.passthrough(),
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn categories<S: Serializer>(topics: &Option<&[AnswerTopic]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(topics.iter().copied().flatten().map(|topic| (&topic.label, topic.score)))
}

fn columns<S: Serializer>(fields: &Fields, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(fields.len()))?;
    for (name, value) in fields {
        map.serialize_entry(name, &*storable(value))?;
    }
    map.end()
}
