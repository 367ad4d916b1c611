//! Reads CSV with topics: a header, then one document a row. Columns are `text`, `topics` (or `topic`, `label`, `labels`)
//! and optionally `id`; several topics in one field are separated by `|`. The header tells whether commas, semicolons or
//! tabs separate columns.

use super::error::ContentError;
use crate::evaluate::document::GoldDocument;
use crate::text::files::{delimiter_of, sep_line};

const TOPIC_COLUMNS: &[&str] = &["topics", "topic", "labels", "label"];

/// Reads all documents, with topics from the column `topics_field`, else from a column with a usual name.
pub(super) fn read(text: &str, topics_field: Option<&str>) -> Result<Vec<GoldDocument>, ContentError> {
    let (sep, n_skipped) = sep_line(text.as_bytes()).unzip();
    let table = text.as_bytes().get(n_skipped.unwrap_or(0)..).unwrap_or_default();
    let delimiter = sep.unwrap_or_else(|| delimiter_of(table));
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(table);
    let header = reader.headers().map_err(|error| ContentError::File(error.to_string()))?.clone();
    let column = |names: &[&str]| header.iter().position(|name| names.contains(&name.trim()));
    let missing = |names: &[&str]| {
        ContentError::File(format!(
            "no column is called {}; there are {:?}",
            names.join(" or "),
            header.iter().collect::<Vec<_>>()
        ))
    };
    let text_column = column(&["text"]).ok_or_else(|| missing(&["text"]))?;
    let names = topics_field.as_ref().map_or(TOPIC_COLUMNS, std::slice::from_ref);
    let topics_column = column(names).ok_or_else(|| missing(names))?;
    let id_column = column(&["id"]);
    let mut documents = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| match error.position() {
            Some(position) => ContentError::Line(position.line() as usize, error.to_string()),
            None => ContentError::File(error.to_string()),
        })?;
        let field = |column: usize| record.get(column).unwrap_or_default();
        let topics = field(topics_column).split('|').map(str::trim).filter(|label| !label.is_empty());
        documents.push(GoldDocument {
            id: id_column.map_or_else(|| (documents.len() + 1).to_string(), |column| field(column).to_owned()),
            text: field(text_column).into(),
            topics: Some(topics.map(str::to_owned).collect()),
            entities: None,
        });
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(matches!(read("text,topic\na\n", None).unwrap_err(), ContentError::Line(2, _)));
    }
}
