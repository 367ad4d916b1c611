//! The formats of files, by name and by extension.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::system::choice::UnknownWord;

/// How rows are stored in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Separated values with a header, by `,` unless another delimiter is given.
    Csv,
    /// Separated values with a header, by tabulators.
    Tsv,
    Parquet,
    /// Arrow IPC: read as a file or a stream, written as a file (Feather version 2).
    Arrow,
    /// Arrow IPC as a stream.
    ArrowStream,
    /// One plain text a file.
    Text,
    /// Tasks with predictions for Label Studio, a JSON array. Only written, as are the next two.
    LabelStudio,
    /// One news item in IPTC's ninjs 3.0 a line.
    Ninjs,
    /// Documents for spaCy and its displaCy, a JSON array.
    Spacy,
}

/// The compression of a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Zstd,
}

/// Name, variant and extensions, in one table.
const FORMATS: [(&str, Format, &[&str]); 10] = [
    ("jsonl", Format::Jsonl, &["jsonl", "ndjson"]),
    ("csv", Format::Csv, &["csv"]),
    ("tsv", Format::Tsv, &["tsv", "tab"]),
    ("parquet", Format::Parquet, &["parquet", "pq"]),
    ("arrow", Format::Arrow, &["arrow", "feather", "ipc"]),
    ("arrow-stream", Format::ArrowStream, &["arrows"]),
    ("txt", Format::Text, &["txt"]),
    // No extensions: all three end in `.json`, which does not tell them apart.
    ("label-studio", Format::LabelStudio, &[]),
    ("ninjs", Format::Ninjs, &[]),
    ("spacy", Format::Spacy, &[]),
];

impl Format {
    /// The format by the extension of `path`, without `.gz` and `.zst`.
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension =
            |path: &Path| path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        let known = match Compression::of_path(path) {
            Some(_) => extension(Path::new(path.file_stem()?))?,
            None => extension(path)?,
        };
        FORMATS.iter().find(|(_, _, extensions)| extensions.contains(&known.as_str())).map(|(_, format, _)| *format)
    }

    /// Whether rows are kept as typed columns.
    pub fn is_columnar(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow | Self::ArrowStream)
    }

    /// Whether a written row may have any columns, so that those of the input need not be known before.
    pub fn takes_any_columns(self) -> bool {
        matches!(self, Self::Jsonl) || self.is_document()
    }

    /// Whether a written row is a document for another tool: its text with the answer.
    pub fn is_document(self) -> bool {
        matches!(self, Self::LabelStudio | Self::Ninjs | Self::Spacy)
    }

    pub fn is_separated(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv)
    }

    /// The format of that name; an error names the formats that are read.
    pub fn of_input(word: &str) -> Result<Self, UnknownWord> {
        word.parse().map_err(|error| UnknownWord { expected: Self::names_of_input(), ..error })
    }

    /// The format of that name; an error names the formats that are written.
    pub fn of_output(word: &str) -> Result<Self, UnknownWord> {
        word.parse().map_err(|error| UnknownWord { expected: Self::names_of_output(), ..error })
    }

    /// The names of formats that are read, for messages.
    pub fn names_of_input() -> String {
        Self::names_of(|format| !format.is_document())
    }

    /// The names of formats that are written, for messages.
    pub fn names_of_output() -> String {
        Self::names_of(|format| format != Self::Text)
    }

    fn names_of(is_meant: impl Fn(Self) -> bool) -> String {
        let meant = FORMATS.iter().filter(|(_, format, _)| is_meant(*format));
        meant.map(|(name, _, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
}

impl Compression {
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_string_lossy().to_ascii_lowercase().as_str() {
            "gz" => Some(Self::Gzip),
            "zst" | "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The compression of a file that begins with `bytes`.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        const GZIP: &[u8] = &[0x1f, 0x8b];
        const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
        match bytes {
            _ if bytes.starts_with(GZIP) => Some(Self::Gzip),
            _ if bytes.starts_with(ZSTD) => Some(Self::Zstd),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = FORMATS.iter().find(|(_, format, _)| format == self).map_or("", |(name, _, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Format {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let known = FORMATS.iter().find(|(name, _, _)| *name == word).map(|(_, format, _)| *format);
        known.ok_or_else(|| UnknownWord { found: word.to_owned(), expected: Self::names_of(|_| true), meant: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_told_by_the_extension_under_the_compression() {
        for (path, format) in [
            ("a.jsonl", Some(Format::Jsonl)),
            ("a.b/c.NDJSON.gz", Some(Format::Jsonl)),
            ("a.csv.zst", Some(Format::Csv)),
            ("a.tsv", Some(Format::Tsv)),
            ("a.parquet", Some(Format::Parquet)),
            ("a.feather", Some(Format::Arrow)),
            ("a.arrows", Some(Format::ArrowStream)),
            ("a.txt", Some(Format::Text)),
            ("a.gz", None),
            ("jsonl", None),
            ("", None),
        ] {
            assert_eq!(Format::of_path(Path::new(path)), format, "{path}");
        }
    }

    #[test]
    fn a_format_is_called_as_it_is_read() {
        for (name, format, _) in FORMATS {
            assert_eq!((name.parse(), format.to_string().as_str()), (Ok(format), name));
        }
    }
}
