//! Plain texts, one article a file: its path is its id, and its last line may be the section that it was filed under.

use std::io::Read;
use std::path::{Path, PathBuf};

use arrow_schema::{DataType, Field};
use serde_json::value::RawValue;

use super::bytes::{ByteCount, decoded};
use super::reader::{Reader, utf8};
use super::settings::ReadSettings;
use crate::score::error::{RowError, ScoreError};
use crate::score::layout::{Columns, Layout};
use crate::score::row::{Fields, ID, Origin, Passthrough, Record, RowPosition, json_string};

/// The passthrough column for the section.
const SECTION: &str = "section";

pub struct TextsReader {
    paths: Vec<PathBuf>,
    n_read: usize,
    settings: ReadSettings,
    count: ByteCount,
}

impl TextsReader {
    pub fn new(paths: Vec<PathBuf>, settings: ReadSettings, count: ByteCount) -> Self {
        Self { paths, n_read: 0, settings, count }
    }
}

impl Reader for TextsReader {
    fn columns(&self) -> Columns {
        let names: &[&str] = if self.settings.section { &[ID, SECTION] } else { &[ID] };
        Columns::OfTextFile(names.iter().map(|&name| Field::new(name, DataType::Utf8, true)).collect())
    }

    fn skip(&mut self, n: u64) -> Result<(), ScoreError> {
        self.n_read = usize::try_from(n).unwrap_or(usize::MAX).min(self.paths.len());
        Ok(())
    }

    fn next(&mut self, layout: &Layout) -> Result<Option<Record>, ScoreError> {
        let Some(path) = self.paths.get(self.n_read) else { return Ok(None) };
        self.n_read += 1;
        let name = path.to_string_lossy();
        let mut passthrough: Fields = vec![(ID.to_owned(), json_string(&name))];
        let mut text = read_text(path, self.settings, &self.count)?;
        if self.settings.section {
            let section = text.as_mut().ok().and_then(take_section);
            passthrough.push((
                SECTION.to_owned(),
                section.map_or_else(|| RawValue::NULL.to_owned(), |slug| json_string(&slug)),
            ));
        }
        if let Some(column) = layout.kept_text() {
            let kept = text.as_ref().map_or_else(|_| RawValue::NULL.to_owned(), |text| json_string(text));
            passthrough.push((column.to_owned(), kept));
        }
        let document = text.and_then(|text| match text.trim().is_empty() {
            true => Err(RowError::NoText("the file is empty".to_owned())),
            false => Ok(layout.document.document_of_file(text)),
        });
        let origin = Origin { file: name.into(), position: RowPosition::Whole };
        Ok(Some(Record { origin, document, passthrough: Passthrough::Fields(passthrough) }))
    }

    fn n_read(&self) -> u64 {
        self.n_read as u64
    }
}

fn read_text(path: &Path, settings: ReadSettings, count: &ByteCount) -> Result<Result<String, RowError>, ScoreError> {
    let max_bytes = settings.max_row_bytes;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).and_then(|file| decoded(file, count, settings.encoding));
    file.and_then(|file| file.take(max_bytes as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| ScoreError::read(&path.to_string_lossy(), error))?;
    if bytes.len() > max_bytes {
        let error = format!("the file has more than {max_bytes} bytes; split it, or raise --max-row-bytes");
        return Ok(Err(RowError::InvalidRow(error)));
    }
    Ok(utf8(&bytes).map(str::to_owned))
}

/// Takes the section off the end of an article: its last line that is not blank, where that is a single word in small
/// letters such as `toi-allgemeines`.
fn take_section(text: &mut String) -> Option<String> {
    let end = text.trim_end();
    let start = end.rfind('\n').map_or(0, |at| at + 1);
    let last = end.get(start..).unwrap_or_default().trim();
    let is_slug = last.starts_with(char::is_alphanumeric)
        && last.chars().all(|c| c.is_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '/'));
    if !is_slug {
        return None;
    }
    let section = last.to_owned();
    text.truncate(text.get(..start).unwrap_or_default().trim_end().len());
    Some(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_line_that_is_a_slug_is_the_section() {
        for (text, article, section) in [
            ("Ein Text.\n\ntoi-allgemeines\n", "Ein Text.", Some("toi-allgemeines")),
            ("Ein Text.\r\nöl_2/ost", "Ein Text.", Some("öl_2/ost")),
            ("sport", "", Some("sport")),
            ("Ein Text.\nDas Ende", "Ein Text.\nDas Ende", None),
            ("Ein Text.\n- dpa", "Ein Text.\n- dpa", None),
            ("Ein Text.\n---", "Ein Text.\n---", None),
            ("Ein Text.\nEnde", "Ein Text.\nEnde", None),
            ("", "", None),
        ] {
            let mut rest = text.to_owned();
            let found = take_section(&mut rest);
            assert_eq!((rest.as_str(), found.as_deref()), (article, section), "{text:?}");
        }
    }
}
