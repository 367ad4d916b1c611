//! Names as plain text for separated values: those of persons, places and organisations, each once.

use std::collections::BTreeMap;

use crate::classify::answer::AnswerEntity;
use crate::models::registry::Assignment;

/// Between the names of one value.
pub const SEPARATOR: char = '|';

/// The labels of persons, places and organisations as models spell them, in capitals.
const LABELS: [&[&str]; 3] =
    [&["PER", "PERS", "PERSON"], &["LOC", "LOCATION", "GPE", "PLACE"], &["ORG", "ORGANIZATION", "ORGANISATION"]];

/// Maps the labels of a model to persons, places and organisations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    /// The labels that `ressort.toml` gives, by those of the model.
    rename: BTreeMap<String, String>,
}

impl Groups {
    /// The groups of the model that answers entities.
    pub fn of(models: &Assignment) -> Self {
        let head = models.entities.as_ref().and_then(|model| model.manifest.entities.as_ref());
        Self { rename: head.map(|head| head.rename.clone()).unwrap_or_default() }
    }

    /// The names of persons, of places and of organisations.
    pub fn of_entities(&self, entities: &[AnswerEntity]) -> [String; LABELS.len()] {
        std::array::from_fn(|group| {
            let of_group = entities.iter().filter(|entity| self.group_of(&entity.label) == Some(group));
            listed(of_group.map(|entity| entity.text.as_str()))
        })
    }

    /// The group of a label, by the model's own tag where `ressort.toml` renames it.
    fn group_of(&self, label: &str) -> Option<usize> {
        let tags = self.rename.iter().filter(|(_, name)| *name == label).map(|(tag, _)| tag.as_str());
        tags.chain([label]).find_map(|label| {
            let label = label.to_uppercase();
            LABELS.iter().position(|labels| labels.contains(&label.as_str()))
        })
    }
}

/// `names` in their order, each once, joined by [`SEPARATOR`]. A separator or white space within a name becomes one space.
pub fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut known: Vec<String> = Vec::new();
    for name in names {
        let words = name.split(|char: char| char.is_whitespace() || char == SEPARATOR).filter(|word| !word.is_empty());
        let name = words.collect::<Vec<_>>().join(" ");
        if !known.contains(&name) {
            known.push(name);
        }
    }
    known.join(&SEPARATOR.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_label_belongs_to_the_group_of_its_tag_whatever_it_is_renamed_to() {
        let rename = [("PER", "Menschen"), ("OTH", "ORG"), ("LOC", "Orte")];
        let groups = Groups { rename: rename.map(|(tag, name)| (tag.to_owned(), name.to_owned())).into() };
        for (label, group) in [
            ("Menschen", Some(0)),
            ("Orte", Some(1)),
            ("ORG", Some(2)),
            ("person", Some(0)),
            ("LOCderiv", None),
            ("ORGpart", None),
            ("MISC", None),
        ] {
            assert_eq!(groups.group_of(label), group, "{label}");
        }
    }
}
