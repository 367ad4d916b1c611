//! The columns that hold the document of a row: its text, and its title and lead where these are separate.

use super::error::{RowError, ScoreError};
use crate::classify::error::ClassifyError;
use crate::classify::request::CheckedText;

/// The text column where none is named.
const TEXT: &str = "text";

/// The columns of the input that make a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentColumns {
    /// Where there is a title or a lead, the document has fields, and offsets count in them.
    pub title: Option<String>,
    pub lead: Option<String>,
    /// Joined by an empty line; none: `text`.
    pub text: Vec<String>,
}

/// A document as it was read: one text, or the fields title, lead and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowDocument {
    Text(String),
    Fields([Option<String>; 3]),
}

impl DocumentColumns {
    /// The same with the default text column. Fails where one column is named twice.
    pub fn checked(&self) -> Result<Self, ScoreError> {
        let text = if self.text.is_empty() { vec![TEXT.to_owned()] } else { self.text.clone() };
        let columns = Self { text, ..self.clone() };
        let named: Vec<(&str, &str)> = columns.named().collect();
        let twice = named.iter().enumerate().find_map(|(at, (column, flag))| {
            let (_, other) = named.iter().take(at).find(|(other, _)| other == column)?;
            (other != flag).then_some((*column, *other, *flag))
        });
        match twice {
            None => Ok(columns),
            Some((column, first, second)) => Err(ScoreError::usage(format!(
                "{first} and {second} both name the column `{column}`; name the column of the text alone with --text-column"
            ))),
        }
    }

    /// Title, lead and text columns, each with the flag that names it.
    pub fn named(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let title = self.title.iter().map(|column| (column.as_str(), "--title-column"));
        let lead = self.lead.iter().map(|column| (column.as_str(), "--lead-column"));
        title.chain(lead).chain(self.text.iter().map(|column| (column.as_str(), "--text-column")))
    }

    /// Title, lead and text columns; [`Self::document`] takes their values in this order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named().map(|(column, _)| column)
    }

    pub fn has_fields(&self) -> bool {
        self.title.is_some() || self.lead.is_some()
    }

    /// The document of a row with these values; texts that are not blank are joined.
    pub fn document(&self, values: Vec<Option<String>>) -> Result<RowDocument, RowError> {
        let is_full = |value: &Option<String>| value.as_ref().is_some_and(|value| !value.trim().is_empty());
        if !values.iter().any(is_full) {
            let columns = self.names().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
            return Err(RowError::NoText(format!("{columns} missing or empty")));
        }
        let mut values = values.into_iter();
        let title = self.title.as_ref().and_then(|_| values.next().flatten());
        let lead = self.lead.as_ref().and_then(|_| values.next().flatten());
        let mut texts: Vec<String> = values.filter(is_full).flatten().collect();
        // A single text, the usual case, is not copied.
        let text = if texts.len() < 2 { texts.pop() } else { Some(texts.join("\n\n")) };
        Ok(match self.has_fields() {
            true => RowDocument::Fields([title, lead, text]),
            false => RowDocument::Text(text.unwrap_or_default()),
        })
    }

    /// The document of a file that is one text.
    pub fn document_of_file(&self, text: String) -> RowDocument {
        if self.has_fields() { RowDocument::Fields([None, None, Some(text)]) } else { RowDocument::Text(text) }
    }
}

impl RowDocument {
    pub fn checked(self, max_characters: usize) -> Result<CheckedText, ClassifyError> {
        match self {
            Self::Text(text) => CheckedText::new(text.into(), max_characters),
            Self::Fields(fields) => CheckedText::of_fields(fields.each_ref().map(Option::as_deref), max_characters),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(title: Option<&str>, text: &[&str]) -> DocumentColumns {
        let text = text.iter().map(|&column| column.to_owned()).collect();
        DocumentColumns { title: title.map(str::to_owned), lead: None, text }
    }

    #[test]
    fn a_title_column_makes_fields_and_text_columns_are_joined() {
        let some = |text: &str| Some(text.to_owned());
        let whole = columns(None, &["kicker", "body"]);
        let with_title = columns(Some("title"), &["kicker", "body"]);
        let text = |text: &str| Ok(RowDocument::Text(text.to_owned()));
        for (columns, values, expected) in [
            (&whole, vec![some("A"), some("B")], text("A\n\nB")),
            (&whole, vec![None, some("B")], text("B")),
            (&whole, vec![some(" "), None], Err(RowError::NoText("`kicker`, `body` missing or empty".to_owned()))),
            (&with_title, vec![some("T"), some(""), some("B")], Ok(RowDocument::Fields([some("T"), None, some("B")]))),
            (&with_title, vec![some("T"), None, None], Ok(RowDocument::Fields([some("T"), None, None]))),
            (
                &with_title,
                vec![None, None, some("\n")],
                Err(RowError::NoText("`title`, `kicker`, `body` missing or empty".to_owned())),
            ),
        ] {
            assert_eq!(columns.document(values.clone()), expected, "{values:?}");
        }
    }

    #[test]
    fn a_column_cannot_be_title_and_text() {
        assert_eq!(columns(None, &[]).checked().unwrap().text, ["text"]);
        assert!(columns(None, &["a", "a"]).checked().is_ok());
        let message = columns(Some("text"), &[]).checked().unwrap_err().to_string();
        assert!(message.starts_with("--title-column and --text-column both name the column `text`"), "{message}");
    }
}
