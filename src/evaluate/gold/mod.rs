//! Reads labelled data in its usual formats: JSON lines, CoNLL columns, CSV.

mod columns;
mod error;
mod jsonl;
mod table;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::evaluate::document::GoldDocument;
use crate::system::choice::UnknownWord;
use crate::system::file_start::refuse_pointer;
use crate::text::encoding::in_utf8;

pub use error::{ContentError, GoldError};

/// The format of a file of labelled data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames)]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<GoldFormat>)]
pub enum GoldFormat {
    /// One object a line: `text`, and `topics`, `entities` or both.
    #[strum(serialize = "jsonl")]
    JsonLines,
    /// A token a line with its tag, an empty line after each sentence: CoNLL-2003, GermEval 2014.
    #[strum(serialize = "conll")]
    Columns,
    /// A header and a document a row: `text`, and `topics` (or `topic`, `label`).
    #[strum(serialize = "csv")]
    Table,
}

/// A file of labelled data, and how it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoldSource {
    pub path: PathBuf,
    /// `None`: from the ending of the file name.
    pub format: Option<GoldFormat>,
    /// The field (JSON) or column (CSV) with the topics, where it is not called `topics`.
    pub topics_field: Option<String>,
}

/// Checked labelled data: at least one document, all offsets within the text, distinct ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gold {
    pub documents: Vec<GoldDocument>,
    /// The first 16 hexadecimal digits of a SHA-256 over the file and the field that was read.
    pub version: String,
}

impl Gold {
    /// Reads and checks a file.
    pub fn read(source: &GoldSource) -> Result<Self, GoldError> {
        let path = &source.path;
        let bytes = std::fs::read(path).map_err(|cause| GoldError::Io { path: path.clone(), source: cause })?;
        Self::parse(source, &bytes).map_err(|error| GoldError::Content { path: path.clone(), error })
    }

    fn parse(source: &GoldSource, bytes: &[u8]) -> Result<Self, ContentError> {
        refuse_pointer(bytes).map_err(|error| ContentError::File(error.to_string()))?;
        let in_utf8 = in_utf8(bytes, None);
        let text = std::str::from_utf8(&in_utf8).map_err(|error| {
            let n_valid = error.valid_up_to();
            ContentError::File(format!(
                "is not UTF-8 from byte {n_valid} on; convert it, for instance with `iconv -f WINDOWS-1252 -t UTF-8`"
            ))
        })?;
        let format = match source.format {
            Some(format) => format,
            None => GoldFormat::of(&source.path)?,
        };
        let topics_field = source.topics_field.as_deref();
        let mut documents = match format {
            GoldFormat::JsonLines => jsonl::read(text, topics_field)?,
            GoldFormat::Columns => columns::read(text)?,
            GoldFormat::Table => table::read(text, topics_field)?,
        };
        check(&documents)?;
        make_ids_distinct(&mut documents);
        let hash = Sha256::new().chain_update(topics_field.unwrap_or_default()).chain_update(bytes).finalize();
        Ok(Self { documents, version: hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect() })
    }
}

impl GoldFormat {
    fn of(path: &Path) -> Result<Self, ContentError> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        match ending.as_str() {
            "jsonl" | "ndjson" | "json" => Ok(Self::JsonLines),
            "conll" | "iob" | "iob2" | "bio" | "tsv" | "txt" => Ok(Self::Columns),
            "csv" => Ok(Self::Table),
            _ => Err(ContentError::File(format!(
                "the ending `{ending}` does not tell the format of the file; give --format jsonl, conll or csv"
            ))),
        }
    }
}

fn check(documents: &[GoldDocument]) -> Result<(), ContentError> {
    if documents.is_empty() {
        return Err(ContentError::File("contains no document; give labelled ones".to_owned()));
    }
    if documents.iter().all(|document| document.topics.is_none() && document.entities.is_none()) {
        return Err(ContentError::File(
            "no document has topics or entities to compare with; name the field with --topics-field".to_owned(),
        ));
    }
    Ok(())
}

/// Makes ids distinct, since answers are found by id: the second `x` becomes `x (2)`.
fn make_ids_distinct(documents: &mut [GoldDocument]) {
    let mut ids: HashSet<String> = HashSet::new();
    for document in documents {
        let mut number = 2;
        let id = document.id.clone();
        while !ids.insert(document.id.clone()) {
            document.id = format!("{id} ({number})");
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(path: &str, text: &str) -> String {
        let source = GoldSource { path: path.into(), format: None, topics_field: None };
        format!("{:?}", Gold::parse(&source, text.as_bytes()).unwrap_err())
    }

    #[test]
    fn a_file_without_labelled_documents_is_refused() {
        assert!(error_of("a.jsonl", "\n\n").contains("contains no document"));
        assert!(error_of("a.jsonl", r#"{"text": "a"}"#).contains("--topics-field"));
        assert!(error_of("a.xml", "").contains("--format"));
    }

    #[test]
    fn repeated_ids_are_made_distinct() {
        let source = GoldSource { path: "a.csv".into(), format: None, topics_field: None };
        let gold = Gold::parse(&source, b"id,text,topic\nx,a,A\nx,b,A\nx (2),c,A\nx,d,A\n").unwrap();
        let ids: Vec<&str> = gold.documents.iter().map(|document| document.id.as_str()).collect();
        assert_eq!(ids, ["x", "x (2)", "x (2) (2)", "x (3)"]);
    }

    #[test]
    fn the_version_depends_on_the_content_and_the_field() {
        let version = |text: &str, field: Option<&str>| {
            let source = GoldSource { path: "a.jsonl".into(), format: None, topics_field: field.map(str::to_owned) };
            Gold::parse(&source, text.as_bytes()).unwrap().version
        };
        let (a, b) = (r#"{"text": "a", "topics": []}"#, r#"{"text": "b", "topics": []}"#);
        assert_eq!(version(a, None), version(a, None));
        assert_ne!(version(a, None), version(b, None));
        let both = r#"{"text": "a", "topics": [], "iptc": []}"#;
        assert_ne!(version(both, None), version(both, Some("iptc")));
    }
}
