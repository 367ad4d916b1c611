//! The tags that a listed name raises, by its label: those of its first word, of its others, and of a compound with it.

use crate::inference::decode::names::is_no_name;
use crate::manifest::tags::{Position, Tag};

/// What the label of a compound's name ends in: `SPD-Chefin` is `ORGpart`.
const PART: &str = "part";

/// The tags of one label.
#[derive(Default)]
pub struct LabelTags {
    /// Of a name's first word.
    pub first: Vec<usize>,
    /// Of the first word, where others follow.
    pub first_of_several: Vec<usize>,
    /// Of its other words.
    pub other: Vec<usize>,
    /// Of the other words, where others follow.
    pub middle: Vec<usize>,
    /// Of a compound with the name.
    pub part: Vec<usize>,
}

/// The tag of this label with this position.
pub fn position_of(tags: &[Tag], label: &str, position: Position) -> Option<usize> {
    tags.iter().position(|tag| tag.label == label && tag.position == position)
}

impl LabelTags {
    pub fn of(label: &str, tags: &[Tag]) -> Self {
        if is_no_name(label) {
            return Self::outside(tags);
        }
        let with = |label: &str, positions: &[Position]| -> Vec<usize> {
            let is_one = |tag: &Tag| tag.label == label && positions.contains(&tag.position);
            tags.iter().enumerate().filter(|(_, tag)| is_one(tag)).map(|(index, _)| index).collect()
        };
        let starts = |label: &str| match with(label, &[Position::Begin, Position::Single]) {
            // A scheme without beginnings.
            none if none.is_empty() => with(label, &[Position::Inside, Position::End]),
            starts => starts,
        };
        let first = starts(label);
        let other = match with(label, &[Position::Inside, Position::End]) {
            none if none.is_empty() => first.clone(),
            other => other,
        };
        let open = |all: &[usize]| match all.iter().copied().filter(|&tag| !tags[tag].closes()).collect::<Vec<_>>() {
            // A scheme without tags for names that continue.
            none if none.is_empty() => all.to_vec(),
            open => open,
        };
        Self {
            part: starts(&format!("{label}{PART}")),
            first_of_several: open(&first),
            middle: open(&other),
            first,
            other,
        }
    }

    /// The tags of words that belong to no name. A compound with one of them may be a name, so it gets no weight.
    fn outside(tags: &[Tag]) -> Self {
        let is_outside = |tag: &Tag| tag.position == Position::Outside;
        let outside: Vec<usize> = (0..tags.len()).filter(|&tag| is_outside(&tags[tag])).collect();
        Self {
            first: outside.clone(),
            first_of_several: outside.clone(),
            other: outside.clone(),
            middle: outside,
            part: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tags::parse_tags;

    #[test]
    fn the_tags_of_a_label_are_those_of_its_positions() {
        let tags = |raw: &[&str]| parse_tags(&raw.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>());
        let of = |raw: &[&str]| {
            let LabelTags { first, other, part, .. } = LabelTags::of("ORG", &tags(raw));
            (first, other, part)
        };
        assert_eq!(of(&["O", "B-ORG", "I-ORG", "B-ORGpart", "I-ORGpart"]), (vec![1], vec![2], vec![3]));
        assert_eq!(of(&["O", "B-ORG", "I-ORG", "E-ORG", "S-ORG"]), (vec![1, 4], vec![2, 3], vec![]));
        assert_eq!(of(&["O", "I-ORG", "I-PER"]), (vec![1], vec![1], vec![]));
        assert_eq!(of(&["O", "B-ORG", "B-PER"]), (vec![1], vec![1], vec![]));
        let LabelTags { first, other, part, .. } = LabelTags::of("O", &tags(&["B-ORG", "O", "I-ORG", "[PAD]"]));
        assert_eq!((first, other, part), (vec![1, 3], vec![1, 3], vec![]));
    }
}
