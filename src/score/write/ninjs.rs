//! News items in IPTC's ninjs 3.0 (<https://iptc.org/standards/ninjs/>), which has no form for offsets and other columns.

use std::borrow::Cow;

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::names::unique;
use super::scored::Scored;
use crate::classify::answer::AnswerTopic;
use crate::classify::kinds::{Kind, Kinds};
use crate::text::view::as_read;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewsItem<'r> {
    uri: String,
    #[serde(rename = "type")]
    kind: &'static str,
    standard: Standard,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alt_ids: Vec<AltId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headlines: Vec<Content<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    descriptions: Vec<Content<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bodies: Vec<Content<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subjects: Vec<Subject<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    people: Vec<Named>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    organisations: Vec<Named>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    places: Vec<Named>,
}

#[derive(Serialize)]
struct Standard {
    name: &'static str,
    version: &'static str,
    schema: &'static str,
}

const STANDARD: Standard =
    Standard { name: "ninjs", version: "3.0", schema: "http://www.iptc.org/std/ninjs/ninjs-schema_3.0.json#" };

#[derive(Serialize)]
struct AltId {
    role: &'static str,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'r> {
    role: &'static str,
    content_type: &'static str,
    value: &'r str,
}

/// An accepted topic.
#[derive(Serialize)]
struct Subject<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    literal: Option<&'r str>,
    creator: String,
    /// Of 100.
    confidence: u8,
}

#[derive(Serialize)]
struct Named {
    name: String,
}

impl<'r> NewsItem<'r> {
    pub fn new(row: Scored<'r>, kinds: &Kinds) -> Self {
        let id = row.id();
        let is_uri = id.as_deref().is_some_and(is_uri);
        let body = if row.document.fields().is_some() { row.field("text") } else { Some(row.text()) };
        Self {
            uri: id.clone().filter(|_| is_uri).unwrap_or_else(|| urn(id.as_deref(), row.text())),
            kind: "text",
            standard: STANDARD,
            alt_ids: id.filter(|_| !is_uri).map(|value| AltId { role: "id", value }).into_iter().collect(),
            headlines: content("headline", row.field("title")),
            descriptions: content("lead", row.field("lead")),
            bodies: content("main", body),
            subjects: row.answer.topics.iter().flatten().filter_map(|topic| Subject::new(topic, row)).collect(),
            people: named(row, kinds, Kind::Person),
            organisations: named(row, kinds, Kind::Organisation),
            places: named(row, kinds, Kind::Place),
        }
    }
}

impl<'r> Subject<'r> {
    /// `None` for a topic that is not accepted.
    fn new(topic: &'r AnswerTopic, row: Scored<'_>) -> Option<Self> {
        topic.accepted.then(|| Self {
            name: &topic.label,
            uri: topic.code.as_deref().and_then(concept_uri),
            literal: topic.code.as_deref(),
            creator: row.answer.models.topics.as_ref().map(|model| model.versioned()).unwrap_or_default(),
            confidence: (topic.score * 100.0).round() as u8,
        })
    }
}

fn content<'r>(role: &'static str, value: Option<&'r str>) -> Vec<Content<'r>> {
    value.map(|value| Content { role, content_type: "text/plain", value }).into_iter().collect()
}

/// The names of one kind, each once: those of groups, the most salient first, or of entities in the order of the text.
fn named(row: Scored<'_>, kinds: &Kinds, kind: Kind) -> Vec<Named> {
    let is_meant = |label: &str| kinds.of_label(label) == Some(kind);
    let names: Vec<Cow<'_, str>> = match &row.answer.groups {
        Some(groups) => {
            let groups = groups.iter().filter(|group| is_meant(&group.label));
            groups.map(|group| Cow::Borrowed(group.name.as_str())).collect()
        }
        None => row.mentions().filter(|it| is_meant(&it.entity.label)).map(|it| as_read(&it.entity.text)).collect(),
    };
    unique(names.into_iter(), char::is_whitespace).into_iter().map(|name| Named { name }).collect()
}

/// The URI of a code of the IPTC's media topics, such as `medtop:15000000`; `None` for another code.
fn concept_uri(code: &str) -> Option<String> {
    let number = code.strip_prefix("medtop:")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("http://cv.iptc.org/newscodes/mediatopic/{number}"))
}

/// A name for an item without a URI, made of its id and text: the same item always has the same.
fn urn(id: Option<&str>, text: &str) -> String {
    let digest = Sha256::new().chain_update(id.unwrap_or_default()).chain_update([0]).chain_update(text).finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, hashed)| *byte = hashed);
    Uuid::new_v8(bytes).urn().to_string()
}

/// Whether `id` is a URI (RFC 3986) of a scheme that identifies documents.
fn is_uri(id: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let Some((scheme, rest)) = id.split_once(':') else { return false };
    let has_name = match scheme {
        "urn" | "tag" => !rest.is_empty() && !rest.starts_with('/'),
        "http" | "https" => rest.strip_prefix("//").is_some_and(|rest| {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            !host.is_empty() && host.bytes().all(is_word) && port.bytes().all(|byte| byte.is_ascii_digit())
        }),
        _ => false,
    };
    let is_hex = |pair: Option<&[u8]>| pair.is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit));
    let bytes = rest.as_bytes();
    let is_allowed = |(at, byte): (usize, &u8)| match byte {
        b'%' => is_hex(bytes.get(at + 1..at + 3)),
        byte => is_word(*byte) || b":/?#@!$&'()*+,;=".contains(byte),
    };
    has_name && rest.matches('#').count() <= 1 && bytes.iter().enumerate().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_uri_where_it_is_one() {
        for (id, expected) in [
            ("urn:newsml:dpa.com:20090101:190510-99-167362", true),
            ("https://zeitung.de/a/1?x=%C3%A4&y=1#top", true),
            ("http://localhost:8080", true),
            ("tag:zeitung.de,2026:1", true),
            ("https://zeitung.de/ä", false),
            ("https://zeitung.de/a b", false),
            ("https://zeitung.de/50%", false),
            ("https://zeitung.de/a#b#c", false),
            ("https://a:b/", false),
            ("https:///a", false),
            ("urn:", false),
            ("C:\\texte\\1.txt", false),
            ("dpa:1", false),
            ("1", false),
            ("", false),
        ] {
            assert_eq!(is_uri(id), expected, "{id}");
        }
    }

    #[test]
    fn a_name_depends_on_the_id_and_the_text_and_nothing_else() {
        let name = urn(Some("1"), "Köln");
        assert!(name.starts_with("urn:uuid:") && name.chars().nth(23) == Some('8'), "{name}");
        assert_eq!(name, urn(Some("1"), "Köln"));
        let others = [urn(None, "Köln"), urn(Some("1"), "Bonn"), urn(Some("1Köln"), "")];
        assert!(!others.contains(&name) && others[0] != others[2], "{others:?}");
    }

    #[test]
    fn a_code_of_media_topics_is_a_concept() {
        let concept = "http://cv.iptc.org/newscodes/mediatopic/15000000";
        for (code, expected) in
            [("medtop:15000000", Some(concept)), ("medtop:", None), ("medtop:x", None), ("15", None)]
        {
            assert_eq!(concept_uri(code).as_deref(), expected, "{code}");
        }
    }
}
