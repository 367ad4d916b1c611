//! Names as plain text for separated values: those of persons, places and organisations, each once.

use crate::classify::answer::AnswerEntity;
use crate::classify::kinds::{Kind, Kinds};
use crate::text::view::as_read;

/// Between the names of one value.
pub const SEPARATOR: char = '|';

/// The names of persons, of places and of organisations.
pub fn of_entities(kinds: &Kinds, entities: &[AnswerEntity]) -> [String; 3] {
    [Kind::Person, Kind::Place, Kind::Organisation].map(|kind| {
        let of_kind = entities.iter().filter(|entity| kinds.of_label(&entity.label) == Some(kind));
        listed(of_kind.map(|entity| as_read(&entity.text)))
    })
}

/// `names` in their order, each once, joined by [`SEPARATOR`]. A separator or white space within a name becomes one space.
pub fn listed(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    unique(names, |char| char.is_whitespace() || char == SEPARATOR).join(&SEPARATOR.to_string())
}

/// `names` in their order, each once. What `is_gap` becomes one space.
pub fn unique(names: impl Iterator<Item = impl AsRef<str>>, is_gap: impl Fn(char) -> bool) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for name in names {
        let words = name.as_ref().split(&is_gap).filter(|word| !word.is_empty());
        let name = words.collect::<Vec<_>>().join(" ");
        if !name.is_empty() && !known.contains(&name) {
            known.push(name);
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_listed_as_it_is_read_whatever_markup_it_has() {
        let entity = |text: &str| AnswerEntity {
            label: "PER".to_owned(),
            score: 1.0,
            text: text.to_owned(),
            field: None,
            start: 0,
            end: 0,
        };
        let forms = [
            "Angela Merkel",
            "Angela <b>Merkel",
            "Angela&nbsp;Merkel",
            "Ange\u{ad}la Mer-<br>kel",
            "Angela\u{200b} Merkel",
        ];
        let entities: Vec<AnswerEntity> = forms.iter().map(|text| entity(text)).collect();
        assert_eq!(of_entities(&Kinds::default(), &entities)[0], "Angela Merkel");
    }

    #[test]
    fn names_are_listed_once_and_on_one_line() {
        for (names, expected) in [
            (&["Köln", "Bonn", "Köln"][..], "Köln|Bonn"),
            (&["Angela\r\n Merkel", "a|b"], "Angela Merkel|a b"),
            (&[], ""),
        ] {
            assert_eq!(listed(names.iter().copied()), expected);
        }
    }
}
