//! A document of several fields: joined into one text for the model, with offsets that lead back to the field.

use std::sync::Arc;

use crate::text::span::{ByteSpan, OffsetConverter, OffsetUnit};

/// The fields of a document, in the order in which they are joined.
pub const FIELD_NAMES: [&str; 3] = ["title", "lead", "text"];

/// What stands between two fields of the joined text. No name crosses an empty line.
const SEPARATOR: &str = "\n\n";

/// The fields that make a joined text, with their spans in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Vec<(&'static str, ByteSpan)>);

/// A span of a document as an answer gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<'t> {
    /// `None`: the document has no fields.
    pub field: Option<&'static str>,
    pub start: usize,
    pub end: usize,
    pub text: &'t str,
}

impl Fields {
    /// Joins the values of [`FIELD_NAMES`] that are not blank by an empty line.
    pub fn join(values: [Option<&str>; 3]) -> (Arc<str>, Self) {
        let (mut text, mut fields) = (String::new(), Vec::new());
        for (name, value) in FIELD_NAMES.into_iter().zip(values) {
            let Some(value) = value.filter(|value| !value.trim().is_empty()) else { continue };
            if !fields.is_empty() {
                text.push_str(SEPARATOR);
            }
            fields.push((name, ByteSpan::new(text.len(), text.len() + value.len())));
            text.push_str(value);
        }
        (text.into(), Self(fields))
    }

    /// The characters of all fields of `text`.
    pub fn n_characters(&self, text: &str) -> usize {
        self.0.iter().map(|(_, span)| span.slice(text).unwrap_or_default().chars().count()).sum()
    }

    /// Each field with its offset in the joined `text`.
    pub fn starts(&self, text: &str, unit: OffsetUnit) -> Vec<(&'static str, usize)> {
        let mut offsets = OffsetConverter::new(text, unit);
        self.0.iter().map(|(name, span)| (*name, offsets.convert(span.start))).collect()
    }

    /// The value of a field of the joined `text`; `None` where it was blank.
    pub fn value<'t>(&self, name: &str, text: &'t str) -> Option<&'t str> {
        self.0.iter().find(|(field, _)| *field == name).and_then(|(_, span)| span.slice(text))
    }

    pub fn title(&self) -> Option<ByteSpan> {
        self.0.iter().find(|(name, _)| *name == FIELD_NAMES[0]).map(|(_, span)| *span)
    }
}

/// Turns spans of a text into those of its fields; spans that rise are converted in one pass.
pub struct Locator<'t> {
    text: &'t str,
    parts: Vec<(Option<&'static str>, ByteSpan, OffsetConverter<'t>)>,
}

impl<'t> Locator<'t> {
    pub fn new(text: &'t str, fields: Option<&Fields>, unit: OffsetUnit) -> Self {
        let part =
            |name, span: ByteSpan| (name, span, OffsetConverter::new(span.slice(text).unwrap_or_default(), unit));
        let parts = match fields {
            None => vec![part(None, ByteSpan::new(0, text.len()))],
            Some(Fields(fields)) => fields.iter().map(|(name, span)| part(Some(*name), *span)).collect(),
        };
        Self { text, parts }
    }

    /// `span` in the field in which it begins; it ends there too.
    pub fn locate(&mut self, span: ByteSpan) -> Located<'t> {
        let last = self.parts.partition_point(|(_, part, _)| part.start <= span.start).saturating_sub(1);
        let Some((field, part, offsets)) = self.parts.get_mut(last) else {
            return Located { field: None, start: 0, end: 0, text: "" };
        };
        let inside = |offset: usize| offset.clamp(part.start, part.end);
        let span = ByteSpan::new(inside(span.start), inside(span.end));
        Located {
            field: *field,
            start: offsets.convert(span.start - part.start),
            end: offsets.convert(span.end - part.start),
            text: span.slice(self.text).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_the_joined_text_leads_back_to_its_field() {
        let (text, fields) = Fields::join([Some("Zoë 😀 reist"), Some(" "), Some("Zoë kam nach Köln.")]);
        assert_eq!(&*text, "Zoë 😀 reist\n\nZoë kam nach Köln.");
        assert_eq!((fields.n_characters(&text), fields.title().unwrap().slice(&text)), (29, Some("Zoë 😀 reist")));
        assert_eq!(fields.starts(&text, OffsetUnit::Codepoint), [("title", 0), ("text", 13)]);
        assert_eq!((fields.value("text", &text), fields.value("lead", &text)), (Some("Zoë kam nach Köln."), None));
        let mut locator = Locator::new(&text, Some(&fields), OffsetUnit::Codepoint);
        let mut check = |start: usize, end: usize, field: &'static str, expected: (usize, usize, &str)| {
            let found = locator.locate(ByteSpan::new(start, end));
            assert_eq!((found.field, (found.start, found.end, found.text)), (Some(field), expected));
        };
        let at = text.find("reist").unwrap();
        check(0, 4, "title", (0, 3, "Zoë"));
        check(at, at + 5, "title", (6, 11, "reist"));
        // A span that reaches into the next field ends with its own.
        check(at, text.len(), "title", (6, 11, "reist"));
        let at = text.find("Köln").unwrap();
        check(at, at + 5, "text", (13, 17, "Köln"));
    }

    #[test]
    fn a_text_without_fields_keeps_its_offsets() {
        let found = Locator::new("in Köln", None, OffsetUnit::Byte).locate(ByteSpan::new(3, 8));
        assert_eq!(found, Located { field: None, start: 3, end: 8, text: "Köln" });
        let (text, fields) = Fields::join([None, Some(""), Some("")]);
        assert_eq!(Locator::new(&text, Some(&fields), OffsetUnit::Byte).locate(ByteSpan::new(0, 0)).text, "");
    }
}
