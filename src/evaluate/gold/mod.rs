//! Reads labelled data in its usual formats: JSON lines, CoNLL columns, CSV.

mod columns;
mod error;
mod jsonl;
mod spans;
mod table;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::evaluate::document::GoldDocument;
use crate::system::choice::UnknownWord;
use crate::system::file_start::refuse_pointer;
use crate::text::encoding::{TextEncoding, in_utf8};

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GoldSource {
    pub path: PathBuf,
    /// `None`: from the ending of the file name.
    pub format: Option<GoldFormat>,
    pub columns: GoldColumns,
    /// Encoding of a file without a byte order mark; `None`: UTF-8.
    pub encoding: Option<TextEncoding>,
    /// Between the values of a CSV; `None`: what the first line tells.
    pub delimiter: Option<u8>,
}

/// The fields (JSON) or columns (CSV) that are read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct GoldColumns {
    /// With the text; values that are not empty are joined by an empty line. Empty: `text`.
    pub text: Vec<String>,
    /// With the topics; `None`: one of the usual names.
    pub topics: Option<String>,
}

/// Checked labelled data: at least one document, all offsets within the text, distinct ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gold {
    pub documents: Vec<GoldDocument>,
    /// The first 16 hexadecimal digits of a SHA-256 over the file and how it was read.
    pub version: String,
    /// Documents that have the id of an earlier one in the file; each is evaluated.
    pub n_repeated_ids: usize,
    /// Entities that had white space at an end. They are evaluated without it.
    pub n_trimmed_entities: usize,
}

/// How packed files begin.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

impl Gold {
    /// Reads and checks a file.
    pub fn read(source: &GoldSource) -> Result<Self, GoldError> {
        let path = &source.path;
        let bytes = std::fs::read(path).map_err(|cause| GoldError::Io { path: path.clone(), source: cause })?;
        Self::parse(source, &bytes).map_err(|error| GoldError::Content { path: path.clone(), error })
    }

    fn parse(source: &GoldSource, bytes: &[u8]) -> Result<Self, ContentError> {
        refuse_pointer(bytes).map_err(|error| ContentError::File(error.to_string()))?;
        if [&GZIP[..], &ZSTD].iter().any(|signature| bytes.starts_with(signature)) {
            return Err(ContentError::File(
                "packed; unpack it with `gunzip` or `unzstd`, and give that file".to_owned(),
            ));
        }
        let in_utf8 = in_utf8(bytes, source.encoding);
        let text = std::str::from_utf8(&in_utf8).map_err(|error| {
            let line = 1 + in_utf8.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count();
            ContentError::Line(
                line,
                "not UTF-8; name the encoding, for instance --encoding windows-1252 (as Excel and old programs write)"
                    .to_owned(),
            )
        })?;
        let format = match source.format {
            Some(format) => format,
            None => GoldFormat::of(&source.path)?,
        };
        let columns = &source.columns;
        let mut n_trimmed_entities = 0;
        let mut documents = match format {
            GoldFormat::JsonLines => {
                let content = jsonl::read(text, columns)?;
                n_trimmed_entities = content.n_trimmed_entities;
                content.documents
            }
            GoldFormat::Columns if *columns != GoldColumns::default() || source.delimiter.is_some() => {
                return Err(ContentError::File(
                    "CoNLL columns have no names; leave out --text-column, --topics-column and --delimiter, or give --format jsonl or csv"
                        .to_owned(),
                ));
            }
            GoldFormat::Columns => columns::read(text)?,
            GoldFormat::Table => table::read(text, columns, source.delimiter)?,
        };
        check(&documents)?;
        let n_repeated_ids = make_ids_distinct(&mut documents);
        let hash = Sha256::new().chain_update(source.reading()).chain_update(bytes).finalize();
        let version = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { documents, version, n_repeated_ids, n_trimmed_entities })
    }
}

impl GoldSource {
    /// What of the settings decides how the file is read; empty where they say nothing.
    fn reading(&self) -> String {
        let Self { columns, encoding, delimiter, .. } = self;
        let topics = columns.topics.as_deref().unwrap_or_default();
        let others = (&columns.text, encoding.map(TextEncoding::name), delimiter);
        if others == (&Vec::new(), None, &None) { topics.to_owned() } else { format!("{topics}{others:?}") }
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
            "no document has topics or entities to compare with; name the field with --topics-column".to_owned(),
        ));
    }
    Ok(())
}

/// The names of the columns with the text.
fn text_names(columns: &GoldColumns) -> Vec<&str> {
    match columns.text.as_slice() {
        [] => vec!["text"],
        names => names.iter().map(String::as_str).collect(),
    }
}

/// The values that are not empty, with an empty line between them, as `ressort score` joins them.
fn joined(parts: &[impl AsRef<str>]) -> String {
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

/// Makes ids distinct, since answers are found by id: the second `x` becomes `x (2)`. Returns how many were not.
fn make_ids_distinct(documents: &mut [GoldDocument]) -> usize {
    let mut ids: HashSet<String> = HashSet::new();
    let mut n_repeated = 0;
    for document in documents {
        n_repeated += usize::from(ids.contains(&document.id));
        let mut number = 2;
        let id = document.id.clone();
        while !ids.insert(document.id.clone()) {
            document.id = format!("{id} ({number})");
            number += 1;
        }
    }
    n_repeated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(path: &str, text: &str) -> String {
        let source = GoldSource { path: path.into(), ..GoldSource::default() };
        format!("{:?}", Gold::parse(&source, text.as_bytes()).unwrap_err())
    }

    #[test]
    fn a_file_without_labelled_documents_is_refused() {
        assert!(error_of("a.jsonl", "\n\n").contains("contains no document"));
        assert!(error_of("a.jsonl", r#"{"text": "a"}"#).contains("--topics-column"));
        assert!(error_of("a.xml", "").contains("--format"));
        assert!(
            error_of("a.jsonl", r#"{"text": "a", "text": "b", "topics": []}"#).contains("two fields are called `text`")
        );
        let source = GoldSource { path: "a.jsonl.gz".into(), ..GoldSource::default() };
        assert!(format!("{:?}", Gold::parse(&source, &GZIP).unwrap_err()).contains("gunzip"));
    }

    #[test]
    fn repeated_ids_are_made_distinct() {
        let source = GoldSource { path: "a.csv".into(), ..GoldSource::default() };
        let gold = Gold::parse(&source, b"id,text,topic\nx,a,A\nx,b,A\nx (2),c,A\nx,d,A\n").unwrap();
        let ids: Vec<&str> = gold.documents.iter().map(|document| document.id.as_str()).collect();
        assert_eq!((ids, gold.n_repeated_ids), (vec!["x", "x (2)", "x (2) (2)", "x (3)"], 3));
    }

    #[test]
    fn text_and_topics_may_have_other_names_and_another_encoding() {
        let columns = GoldColumns { text: vec!["titel".into(), "inhalt".into()], topics: Some("ressort".into()) };
        let encoding = Some("windows-1252".parse().unwrap());
        for (path, bytes) in [
            ("a.jsonl", &b"{\"titel\": \"K\xf6ln\", \"inhalt\": \"x\", \"ressort\": \"Sport\"}"[..]),
            ("a.csv", b"titel;ressort;inhalt\nK\xf6ln;Sport;x\n"),
            ("a.csv", b"\xef\xbb\xbftitel,ressort,inhalt\nK\xc3\xb6ln,Sport,x\n"),
        ] {
            let source = GoldSource { path: path.into(), columns: columns.clone(), encoding, ..GoldSource::default() };
            let document = Gold::parse(&source, bytes).unwrap().documents.remove(0);
            assert_eq!((&*document.text, document.topics), ("Köln\n\nx", Some(["Sport".to_owned()].into())), "{path}");
        }
        let source = GoldSource { path: "a.conll".into(), columns, encoding, delimiter: None, format: None };
        assert!(format!("{:?}", Gold::parse(&source, b"a O").unwrap_err()).contains("--text-column"));
        let source = GoldSource { path: "a.csv".into(), ..GoldSource::default() };
        let error = Gold::parse(&source, b"text,topic\nK\xf6ln,a\n").unwrap_err();
        assert!(
            matches!(&error, ContentError::Line(2, message) if message.contains("--encoding windows-1252")),
            "{error:?}"
        );
    }

    #[test]
    fn the_version_depends_on_the_content_and_the_field() {
        let version = |text: &str, field: Option<&str>| {
            let columns = GoldColumns { topics: field.map(str::to_owned), ..GoldColumns::default() };
            let source = GoldSource { path: "a.jsonl".into(), columns, ..GoldSource::default() };
            Gold::parse(&source, text.as_bytes()).unwrap().version
        };
        let (a, b) = (r#"{"text": "a", "topics": []}"#, r#"{"text": "b", "topics": []}"#);
        assert_eq!(version(a, None), version(a, None));
        assert_ne!(version(a, None), version(b, None));
        let both = r#"{"text": "a", "topics": [], "iptc": []}"#;
        assert_ne!(version(both, None), version(both, Some("iptc")));
    }
}
