//! From tags to entities: neighbours of one type are one.

use crate::inference::decode::entity::Entity;
use crate::manifest::tags::{Position, Tag};
use crate::text::span::ByteSpan;

/// A token or a word with the tag that it was given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tagged<'m> {
    pub tag: &'m Tag,
    pub score: f32,
    pub span: ByteSpan,
}

impl Tagged<'_> {
    pub fn is_entity(&self) -> bool {
        self.tag.position != Position::Outside
    }
}

/// An entity under construction.
struct Open<'m> {
    label: &'m str,
    scores: Vec<f32>,
    span: ByteSpan,
    /// An `E-` or `S-` tag ended it: what follows starts again.
    closed: bool,
}

/// Joins neighbours of one type. Broken sequences are repaired: an `I-` or `E-` without a beginning begins an entity, and a
/// punctuation token inside an abbreviated name that got `O` (`St. Pauli`) is bridged when the name continues after it.
pub(super) fn join<'m>(text: &str, items: impl IntoIterator<Item = Tagged<'m>>) -> Vec<Entity> {
    let mut entities: Vec<Entity> = Vec::new();
    let mut open: Option<Open<'m>> = None;
    let mut bridged = false;
    for item in items {
        if !item.is_entity() {
            let bridges = open.as_ref().is_some_and(|open| !bridged && open.span.end == item.span.start)
                && is_name_mark(item.span, text);
            if !bridges {
                entities.extend(open.take().map(Open::finish));
            }
            bridged = bridges;
            continue;
        }
        match open.as_mut().filter(|open| item.tag.continues() && !open.closed && open.label == item.tag.label) {
            Some(open) => open.extend(item),
            None => entities.extend(open.replace(Open::new(item)).map(Open::finish)),
        }
        bridged = false;
    }
    entities.extend(open.map(Open::finish));
    entities
}

/// Punctuation inside names, attached to the word before.
fn is_name_mark(span: ByteSpan, text: &str) -> bool {
    matches!(span.slice(text), Some("." | "/" | "-" | "'" | "’"))
}

impl<'m> Open<'m> {
    fn new(item: Tagged<'m>) -> Self {
        let closed = item.tag.position == Position::Single;
        Self { label: &item.tag.label, scores: vec![item.score], span: item.span, closed }
    }

    fn extend(&mut self, item: Tagged<'m>) {
        self.scores.push(item.score);
        self.span.end = self.span.end.max(item.span.end);
        self.closed = item.tag.position == Position::End;
    }

    fn finish(self) -> Entity {
        let score = self.scores.iter().sum::<f32>() / self.scores.len() as f32;
        Entity { label: self.label.to_owned(), score, span: self.span }
    }
}
