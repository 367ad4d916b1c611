//! Words that the model reads in one name with what is listed as no name before them (`KHK Lorenz`, an organisation). The label of that
//! name rests on what is no name, so they lose it.

use std::collections::HashMap;

use crate::inference::decode::label_tags::position_of;
use crate::inference::decode::word_tokens::Word;
use crate::inference::decode::words::is_alphanumeric;
use crate::manifest::tags::{Position, Tag};

/// The logit of a tag that a word cannot have.
const NEVER: f32 = -1e4;

/// The tags of a model as they are needed to free words.
pub struct Freeing {
    by_label: HashMap<String, Vec<usize>>,
    /// For each label, the tag that continues a name.
    inside: HashMap<String, usize>,
    /// For each label that has both, the tag that continues a name and the one that begins it.
    beginnings: Vec<(usize, usize)>,
}

/// What changes the logits of a freed word.
pub struct FreedWord<'w> {
    /// The tags that it cannot have.
    without: &'w [usize],
    /// For the first freed word, each tag that continues a name, with the one that begins it.
    beginnings: &'w [(usize, usize)],
    /// For a later word after a title: the tag that continues its name, and that of the label that it gets instead.
    moved: Option<(usize, usize)>,
}

impl Freeing {
    pub fn of(tags: &[Tag]) -> Self {
        let mut by_label: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, tag) in tags.iter().enumerate().filter(|(_, tag)| tag.position != Position::Outside) {
            by_label.entry(tag.label.clone()).or_default().push(index);
        }
        let begins = |(index, tag): (usize, &Tag)| match tag.position {
            Position::Inside => Some((index, position_of(tags, &tag.label, Position::Begin)?)),
            Position::End => Some((index, position_of(tags, &tag.label, Position::Single)?)),
            _ => None,
        };
        let inside =
            by_label.keys().filter_map(|label| Some((label.clone(), position_of(tags, label, Position::Inside)?)));
        Self { inside: inside.collect(), by_label, beginnings: tags.iter().enumerate().filter_map(begins).collect() }
    }

    /// Adds to `freed`, by their first tokens, the words that the model reads in one name with the first of `words`, which is no name.
    /// After a title they may have the label `kept`, and the later ones continue a name with it.
    pub fn free<'w, 't>(
        &'w self,
        text: &str,
        words: &[Word],
        kept: Option<&str>,
        read: impl Fn(&Word) -> &'t Tag,
        freed: &mut HashMap<usize, FreedWord<'w>>,
    ) {
        let mut before = read(&words[0]);
        for (index, word) in words[1..].iter().enumerate() {
            let tag = read(word);
            let Some(of_label) = self.by_label.get(&tag.label).filter(|_| tag.extends(before)) else { break };
            let without = if kept == Some(tag.label.as_str()) { &[] } else { of_label.as_slice() };
            let beginnings = if index == 0 { &*self.beginnings } else { &[] };
            let of = |label: &str| self.inside.get(label).copied();
            // A full stop may end the sentence.
            let may_move = index > 0 && word.span.slice(text).is_some_and(is_alphanumeric);
            let moved = kept.filter(|label| may_move && *label != tag.label);
            let moved = moved.and_then(|label| of(&tag.label).zip(of(label)));
            freed.insert(word.first_token(), FreedWord { without, beginnings, moved });
            before = tag;
        }
    }
}

impl FreedWord<'_> {
    pub fn change(&self, logits: &mut [f32]) {
        for &(inside, begin) in self.beginnings {
            logits[begin] = logits[begin].max(logits[inside]);
        }
        if let Some((from, to)) = self.moved {
            logits[to] = logits[to].max(logits[from]);
        }
        self.without.iter().for_each(|&tag| logits[tag] = NEVER);
    }
}
