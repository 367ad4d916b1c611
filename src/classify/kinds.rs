//! What kind of thing a label stands for: a person, a place or an organisation.

use std::collections::BTreeMap;

use crate::models::registry::Assignment;

/// What a name names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Person,
    Place,
    Organisation,
}

/// The labels of each kind as models spell them, in capitals.
const LABELS: [(Kind, &[&str]); 3] = [
    (Kind::Person, &["PER", "PERS", "PERSON"]),
    (Kind::Place, &["LOC", "LOCATION", "GPE", "PLACE"]),
    (Kind::Organisation, &["ORG", "ORGANIZATION", "ORGANISATION"]),
];

/// Maps the labels of a model to kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds {
    /// The labels that `ressort.toml` gives, by those of the model.
    rename: BTreeMap<String, String>,
}

impl Kinds {
    /// The kinds of the model that answers entities.
    pub fn of(models: &Assignment) -> Self {
        let head = models.entities.as_ref().and_then(|model| model.manifest.entities.as_ref());
        Self { rename: head.map(|head| head.rename.clone()).unwrap_or_default() }
    }

    /// The kind of a label, by the model's own tag where `ressort.toml` renames it; `None` for other names.
    pub fn of_label(&self, label: &str) -> Option<Kind> {
        let tags = self.rename.iter().filter(|(_, name)| *name == label).map(|(tag, _)| tag.as_str());
        tags.chain([label]).find_map(|label| {
            let label = label.to_uppercase();
            LABELS.iter().find(|(_, labels)| labels.contains(&label.as_str())).map(|(kind, _)| *kind)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_of_the_kind_of_its_tag_whatever_it_is_renamed_to() {
        let rename = [("PER", "Menschen"), ("OTH", "ORG"), ("LOC", "Orte")];
        let rename = rename.iter().map(|(tag, name)| ((*tag).to_owned(), (*name).to_owned())).collect();
        let kinds = Kinds { rename };
        for (label, kind) in [
            ("Menschen", Some(Kind::Person)),
            ("Orte", Some(Kind::Place)),
            ("ORG", Some(Kind::Organisation)),
            ("Person", Some(Kind::Person)),
            ("ORGpart", None),
            ("MISC", None),
        ] {
            assert_eq!(kinds.of_label(label), kind, "{label}");
        }
    }
}
