//! Reads CSV with topics: a header, then one document a row. Columns are `text`, `topics` (or `topic`, `label`, `labels`)
//! and optionally `id`; several topics in one field are separated by `|`. The header tells whether commas, semicolons or
//! tabs separate columns.

use super::error::ContentError;
use super::{GoldColumns, joined, text_names};
use crate::evaluate::document::GoldDocument;
use crate::system::counted::counted;
use crate::text::files::{delimiter_of, sep_line};

const TOPIC_COLUMNS: &[&str] = &["topics", "topic", "labels", "label"];

/// Reads all documents, from the columns that `columns` names, else from those with usual names.
pub(super) fn read(
    text: &str,
    columns: &GoldColumns,
    delimiter: Option<u8>,
) -> Result<Vec<GoldDocument>, ContentError> {
    let (sep, n_skipped) = sep_line(text.as_bytes()).unzip();
    let table = text.as_bytes().get(n_skipped.unwrap_or(0)..).unwrap_or_default();
    let delimiter = delimiter.or(sep).unwrap_or_else(|| delimiter_of(table));
    if let Some(line) = unclosed_quote(table, delimiter) {
        let line = line + usize::from(sep.is_some());
        return Err(ContentError::Line(
            line,
            "a quote is opened and never closed; close it, or double it within a value".to_owned(),
        ));
    }
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(table);
    let header = reader.headers().map_err(|error| ContentError::File(error.to_string()))?.clone();
    let column = |names: &[&str]| header.iter().position(|name| names.contains(&name.trim()));
    let missing = |names: &[&str]| {
        ContentError::File(format!(
            "no column is called {}; there are {:?}, name one with --text-column or --topics-column",
            names.join(" or "),
            header.iter().collect::<Vec<_>>()
        ))
    };
    let text_columns = text_names(columns).into_iter().map(|name| column(&[name]).ok_or_else(|| missing(&[name])));
    let text_columns = text_columns.collect::<Result<Vec<usize>, _>>()?;
    let topics_name = columns.topics.as_deref();
    let names = topics_name.as_ref().map_or(TOPIC_COLUMNS, std::slice::from_ref);
    let topics_column = column(names).ok_or_else(|| missing(names))?;
    let id_column = column(&["id"]);
    let used = text_columns.iter().copied().chain([topics_column]).chain(id_column);
    for name in used.filter_map(|column| header.get(column)) {
        if header.iter().filter(|other| other.trim() == name.trim()).count() > 1 {
            return Err(ContentError::File(format!("two columns are called `{name}`; rename one of them")));
        }
    }
    let mut documents = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| unreadable(&error))?;
        let field = |column: usize| record.get(column).unwrap_or_default();
        let topics = field(topics_column).split('|').map(str::trim).filter(|label| !label.is_empty());
        documents.push(GoldDocument {
            id: id_column.map_or_else(|| (documents.len() + 1).to_string(), |column| field(column).to_owned()),
            text: joined(&text_columns.iter().map(|column| field(*column)).collect::<Vec<_>>()).into(),
            topics: Some(topics.map(str::to_owned).collect()),
            entities: None,
        });
    }
    Ok(documents)
}

/// An error of the reader, with the number of the line and what to do.
fn unreadable(error: &csv::Error) -> ContentError {
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!(
            "the row has {}, and the header has {expected_len}; add what is missing, or quote a value with a separator in it",
            counted(*len as usize, "value")
        ),
        _ => error.to_string(),
    };
    match error.position() {
        Some(position) => ContentError::Line(position.line() as usize, message),
        None => ContentError::File(message),
    }
}

/// The line of a quote that opens a value and is still open at the end, which would make one value of all rows after it.
fn unclosed_quote(table: &[u8], delimiter: u8) -> Option<usize> {
    let (mut line, mut opened, mut at_start) = (1, None, true);
    for &byte in table {
        match (byte, opened) {
            // A doubled quote closes and opens again at once.
            (b'"', Some(_)) => opened = None,
            (b'"', None) if at_start => opened = Some(line),
            _ => {}
        }
        at_start = (byte == delimiter || matches!(byte, b'\n' | b'\r') || byte == b'"') && opened.is_none();
        line += usize::from(byte == b'\n');
    }
    opened
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, topics: Option<&str>) -> Result<Vec<GoldDocument>, ContentError> {
        let columns = GoldColumns { topics: topics.map(str::to_owned), ..GoldColumns::default() };
        super::read(text, &columns, None)
    }

    #[test]
    fn a_quote_that_never_closes_and_a_name_given_twice_are_refused() {
        let quote = "text,topic\n\"a \"\"b\"\"\nc\",Sport\nd,\"Kultur\ne,Sport\n";
        assert!(matches!(read(quote, None).unwrap_err(), ContentError::Line(4, message) if message.contains("quote")));
        assert_eq!(read(&quote.replace("\"K", "K"), None).unwrap().len(), 3);
        let twice = read("text,topic,text\na,Sport,b\n", None).unwrap_err();
        assert!(
            matches!(&twice, ContentError::File(message) if message.contains("two columns are called `text`")),
            "{twice:?}"
        );
    }

    #[test]
    fn the_header_names_the_columns() {
        for file in [
            "text,topic\n\"Tore, Tore\nTore\",Sport | Kultur\n,\n",
            "id;label;text\n1;Sport|Kultur;\"Tore, Tore\nTore\"\n2;;\n",
            "sep=;\r\nid;label;text\r\n1;Sport|Kultur;\"Tore, Tore\nTore\"\r\n2;;\r\n",
            "topics\ttext\nSport|Kultur\t\"Tore, Tore\nTore\"\n\t\n",
        ] {
            let documents = read(file, None).unwrap();
            assert_eq!(documents.len(), 2, "{file}");
            assert_eq!((&*documents[0].text, documents[0].id.as_str()), ("Tore, Tore\nTore", "1"));
            assert_eq!(documents[0].topics, Some(["Kultur".to_owned(), "Sport".to_owned()].into()));
            assert_eq!(documents[1].topics, Some([].into()));
        }
        assert_eq!(read("text,desk\na,Sport\n", Some("desk")).unwrap()[0].topics, Some(["Sport".to_owned()].into()));
    }

    #[test]
    fn a_missing_column_is_named() {
        assert!(
            matches!(read("text,x\n", None).unwrap_err(), ContentError::File(message) if message.contains("topics or topic"))
        );
        let short = read("text,topic\na\n", None).unwrap_err();
        let ContentError::Line(2, message) = short else { panic!("{short:?}") };
        assert!(message.contains("the row has 1 value, and the header has 2"), "{message}");
    }
}
