//! Spans that are single tokens with tags (`B-PER`, `I-PER`), as some programs write them, made into entities.

use super::document::{LabelledSpan, characters, in_order};
use crate::manifest::tags::{Position, Tag, TagReader};

/// A text, and its spans in the order of the text.
pub struct Spans<'d> {
    pub text: &'d str,
    pub spans: &'d mut Vec<LabelledSpan>,
}

/// Joins the tagged tokens of `documents`. Spans whose labels are no tags stay as they are.
pub fn join_tagged(documents: &mut [Spans<'_>]) {
    let spans = || documents.iter().flat_map(|document| document.spans.iter());
    let reader = TagReader::of(spans().map(|span| span.label.as_str()));
    let has = |is: fn(&Tag) -> bool| spans().any(|span| is(&reader.read(&span.label)));
    let has_tags = has(|tag| tag.position != Position::Outside && !tag.is_plain());
    // Next to plain types, `B-Movie` alone is one of them.
    let has_pairs = || has(|tag| tag.position == Position::Begin) && has(|tag| tag.continues() && !tag.is_plain());
    if !has_tags || (has(Tag::is_plain) && !has_pairs()) {
        return;
    }
    for Spans { text, spans } in documents {
        let mut joined: Vec<LabelledSpan> = Vec::new();
        let mut is_open = false;
        for span in spans.drain(..) {
            let tag = reader.read(&span.label);
            let continues = |last: &LabelledSpan| {
                let between = || characters(text, last.end, span.start);
                is_open && tag.continues() && last.label == tag.label && between().trim().is_empty()
            };
            match joined.pop_if(|last| continues(last)) {
                _ if tag.position == Position::Outside => {}
                Some(last) => joined.push(LabelledSpan::new(last.start, span.end, last.label)),
                None => joined.push(LabelledSpan::new(span.start, span.end, &*tag.label)),
            }
            is_open = tag.position != Position::Outside && !tag.closes() && !tag.is_plain();
        }
        **spans = in_order(joined);
    }
}
