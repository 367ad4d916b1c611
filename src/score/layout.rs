//! Maps input columns to output columns: which are the text, which is the id, and which pass through under which name and
//! type.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::answer_columns::{ERROR, EVIDENCE_METHOD, FLAT_NAMES, GROUPS, NESTED_NAMES, TASK_NAMES};
use super::column_types::{can_be_written, is_binary, is_string, is_text, output_type};
use super::document_columns::DocumentColumns;
use super::error::ScoreError;
use super::format::Format;
use super::row::ID;
use crate::system::choice::suggestion;

/// Which columns are what, as said on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnChoice {
    pub document: DocumentColumns,
    /// None: `id`, where there is one.
    pub id: Option<String>,
    /// Whether the output repeats the text columns.
    pub keep_text: bool,
    /// Whether the output has rows that failed too, with the reason in the column `error`.
    pub keep_errors: bool,
    /// Whether the output has the column `groups`.
    pub has_groups: bool,
    /// Whether topics have evidence, and the output the column `evidence_method`.
    pub has_evidence: bool,
}

/// The columns of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceColumns {
    pub name: String,
    pub columns: Columns,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Columns {
    /// Every row has its own.
    Free,
    /// Every row has these.
    Fixed(Vec<Field>),
    /// A row may lack some of these, and has no others.
    Optional(Vec<Field>),
    /// The text is a whole file, which has these columns.
    OfTextFile(Vec<Field>),
}

impl ColumnChoice {
    /// The same with the default text column, where it makes sense.
    pub fn checked(&self) -> Result<Self, ScoreError> {
        Ok(Self { document: self.document.checked()?, ..self.clone() })
    }

    /// The columns that the input must have, each with the flag that names it.
    pub fn wanted(&self) -> Vec<(&str, &'static str)> {
        self.document.named().chain(self.id.iter().map(|id| (id.as_str(), "--id-column"))).collect()
    }
}

/// How a row is split into its text and its passthrough columns.
#[derive(Debug, Clone)]
pub struct Layout {
    pub document: DocumentColumns,
    /// The id column as the input calls it.
    pub id: String,
    /// The passthrough columns, as the output names them; `None` where each row has its own.
    pub passthrough: Option<SchemaRef>,
    /// Whether rows of typed batches stay such, because the output has typed columns too.
    pub keep_typed: bool,
    pub keep_text: bool,
    pub keep_errors: bool,
    pub has_groups: bool,
    pub has_evidence: bool,
    /// Columns of the output that hold integers of one input and fractions of another.
    pub mixed_numbers: Vec<String>,
    /// Names that the output gives to parts of the answer.
    taken: &'static [&'static str],
}

impl Layout {
    /// Checks `choice` against the columns that there are.
    pub fn new(sources: &[SourceColumns], choice: &ColumnChoice, output: Format) -> Result<Self, ScoreError> {
        let choice = &choice.checked()?;
        let id = choice.id.clone().unwrap_or_else(|| ID.to_owned());
        let taken = match output {
            Format::Csv | Format::Tsv => &FLAT_NAMES[..],
            Format::LabelStudio => &TASK_NAMES,
            Format::Ninjs | Format::Spacy => &[],
            Format::Jsonl | Format::Parquet | Format::Arrow | Format::ArrowStream | Format::Text => &NESTED_NAMES,
        };
        let ColumnChoice { keep_text, keep_errors, has_groups, has_evidence, .. } = *choice;
        let keep_typed = output.is_columnar();
        let mut layout = Self {
            document: choice.document.clone(),
            id,
            passthrough: None,
            keep_typed,
            keep_text,
            keep_errors,
            has_groups,
            has_evidence,
            mixed_numbers: Vec::new(),
            taken,
        };
        layout.check_kept_text()?;
        layout.check_fields(sources)?;
        for source in sources {
            layout.check(source, choice, output)?;
        }
        if !output.takes_any_columns() {
            let schema = layout.passthrough_schema(sources, output)?;
            let is_mixed = |field: &&FieldRef| {
                *field.data_type() == DataType::Float64
                    && sources.iter().any(|source| {
                        let fields = layout.output_fields(source).unwrap_or_default();
                        fields.iter().any(|other| other.name() == field.name() && *other.data_type() == DataType::Int64)
                    })
            };
            layout.mixed_numbers = schema.fields().iter().filter(is_mixed).map(|field| field.name().clone()).collect();
            layout.passthrough = Some(Arc::new(schema));
        }
        Ok(layout)
    }

    /// What the output calls a column of the input; `None` for one that it does not repeat.
    pub fn output_name(&self, column: &str) -> Option<String> {
        if column == self.id {
            return Some(ID.to_owned());
        }
        if self.is_text_column(column) {
            return self.keep_text.then(|| column.to_owned());
        }
        Some(if self.is_taken(column) { format!("input_{column}") } else { column.to_owned() })
    }

    pub fn is_text_column(&self, column: &str) -> bool {
        self.document.names().any(|name| name == column)
    }

    /// The column of the output that repeats the text of a plain text file; `None` where it is not kept.
    pub fn kept_text(&self) -> Option<&str> {
        self.document.text.first().filter(|_| self.keep_text).map(String::as_str)
    }

    fn is_taken(&self, column: &str) -> bool {
        column == ID
            || self.taken.contains(&column)
            || (self.keep_errors && column == ERROR)
            || (self.has_groups && column == GROUPS)
            || (self.has_evidence && column == EVIDENCE_METHOD)
    }

    /// Fails where the output needs the name of a text column that it is to repeat.
    fn check_kept_text(&self) -> Result<(), ScoreError> {
        let clash = self.document.names().find(|text| self.is_taken(text) || *text == self.id);
        match clash.filter(|_| self.keep_text) {
            None => Ok(()),
            Some(column) => Err(ScoreError::usage(format!(
                "--keep-text: the output has a column `{column}` already, so that the text column `{column}` cannot be kept; rename it in the input, or remove --keep-text"
            ))),
        }
    }

    /// Fails where no source has a column for the title or the lead.
    fn check_fields(&self, sources: &[SourceColumns]) -> Result<(), ScoreError> {
        let has_columns = |source: &SourceColumns| !matches!(source.columns, Columns::OfTextFile(_));
        let flag = self.document.named().map(|(_, flag)| flag).next().unwrap_or_default();
        match self.document.has_fields() && !sources.is_empty() && !sources.iter().any(has_columns) {
            false => Ok(()),
            true => Err(ScoreError::usage(format!("{flag}: plain texts have no columns; remove the option"))),
        }
    }

    fn check(&self, source: &SourceColumns, choice: &ColumnChoice, output: Format) -> Result<(), ScoreError> {
        let Columns::Fixed(fields) = &source.columns else { return Ok(()) };
        let names = || fields.iter().map(|field| field.name().as_str());
        if let Some((column, flag)) = choice.wanted().iter().find(|(column, _)| !names().any(|name| name == *column)) {
            return Err(no_column(&source.name, column, names(), flag));
        }
        let failed = |message: String| ScoreError::usage(format!("{}: {message}", source.name));
        if let Some(name) = names().enumerate().find(|(at, name)| names().take(*at).any(|other| other == *name)) {
            return Err(failed(format!("two columns are called `{}`; rename one", name.1)));
        }
        self.output_fields(source)?;
        for field in fields {
            let (name, kind) = (field.name(), field.data_type());
            if let Some((_, flag)) = self.document.named().find(|(column, _)| column == name) {
                if !is_text(kind) {
                    let message = format!("column `{name}` holds {kind}, and not text; name another with {flag}");
                    return Err(failed(message));
                }
            } else if !can_be_written(kind, output) {
                return Err(failed(format!(
                    "column `{name}` holds {kind}, which {output} cannot hold; remove the column, or convert it"
                )));
            }
        }
        Ok(())
    }

    /// The passthrough columns of all sources: the id first, then in the order in which they occur.
    fn passthrough_schema(&self, sources: &[SourceColumns], output: Format) -> Result<Schema, ScoreError> {
        let mut fields: Vec<Field> = Vec::new();
        for source in sources {
            for column in self.output_fields(source)? {
                let kind = output_type(column.data_type(), output);
                match fields.iter_mut().find(|field| field.name() == column.name()) {
                    None => fields.push(Field::new(column.name(), kind, true).with_metadata(column.metadata().clone())),
                    // Separated values have no types.
                    Some(field) if output.is_separated() => *field = Field::new(field.name(), DataType::Utf8, true),
                    Some(field) => *field = merge(field, &kind, &source.name)?,
                }
            }
        }
        fields.sort_by_key(|field| field.name() != ID);
        Ok(Schema::new(fields))
    }

    /// The columns of one source that the output repeats, as the output names them.
    fn output_fields(&self, source: &SourceColumns) -> Result<Vec<Field>, ScoreError> {
        let named = |column: &Field| {
            let field = column.clone().with_name(self.output_name(column.name())?);
            let is_binary = self.is_text_column(column.name()) && is_binary(column.data_type());
            Some(if is_binary { field.with_data_type(DataType::LargeUtf8) } else { field })
        };
        let fields: Vec<Field> = match &source.columns {
            Columns::Free => Vec::new(),
            Columns::Fixed(columns) | Columns::Optional(columns) => columns.iter().filter_map(named).collect(),
            // The columns of text files are named as in the output already.
            Columns::OfTextFile(columns) => {
                let text = self.kept_text().map(|name| Field::new(name, DataType::Utf8, true));
                columns.iter().cloned().chain(text).collect()
            }
        };
        let twice = fields
            .iter()
            .enumerate()
            .find(|(at, field)| fields.iter().take(*at).any(|other| other.name() == field.name()));
        match twice {
            None => Ok(fields),
            Some((_, field)) => Err(ScoreError::usage(format!(
                "{}: the output has two columns called `{}`; rename one",
                source.name,
                field.name()
            ))),
        }
    }
}

/// A column that has `kind` in another source too.
fn merge(field: &Field, kind: &DataType, source: &str) -> Result<Field, ScoreError> {
    let merged = match (field.data_type(), kind) {
        (a, b) if a == b => a.clone(),
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (a, b) if is_string(a) && is_string(b) => DataType::LargeUtf8,
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        (known, other) => {
            return Err(ScoreError::usage(format!(
                "column `{}` holds {known} in one input and {other} in {source}; convert them to one type, or score the inputs separately",
                field.name()
            )));
        }
    };
    Ok(Field::new(field.name(), merged, true).with_metadata(field.metadata().clone()))
}

/// A column that is not there, with those that are.
pub fn no_column<'n>(source: &str, column: &str, known: impl Iterator<Item = &'n str>, flag: &str) -> ScoreError {
    let known: Vec<&str> = known.collect();
    if known.iter().all(|name| name.is_empty()) {
        return ScoreError::usage(format!(
            "{source}: no column `{column}`, since no line names the columns; is the file empty? If so, remove it from the input"
        ));
    }
    let nearest = suggestion(column, known.iter().copied());
    let remedy = match known.as_slice() {
        [only] if only.contains([';', ',', '\t', '|']) => {
            ". If these are several, name what separates them with --delimiter".to_owned()
        }
        _ if nearest.is_empty() => format!(". Name one with {flag}"),
        _ => format!("{nearest} Name it with {flag}"),
    };
    ScoreError::usage(format!("{source}: no column `{column}`; it has: {}{remedy}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(name: &str, columns: &[(&str, DataType)]) -> SourceColumns {
        let fields = columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect();
        SourceColumns { name: name.to_owned(), columns: Columns::Fixed(fields) }
    }

    fn names(layout: &Layout) -> Vec<String> {
        layout.passthrough.as_ref().unwrap().fields().iter().map(|field| field.name().clone()).collect()
    }

    #[test]
    fn carried_columns_are_those_of_all_inputs_with_the_id_first() {
        let a = fixed("a", &[("title", DataType::Utf8), ("text", DataType::Utf8), ("id", DataType::Int64)]);
        let b = fixed("b", &[("text", DataType::Utf8), ("topics", DataType::Utf8), ("title", DataType::Utf8)]);
        let layout = Layout::new(&[a, b], &ColumnChoice::default(), Format::Parquet).unwrap();
        assert_eq!(names(&layout), ["id", "title", "input_topics"]);
    }

    #[test]
    fn another_id_column_takes_the_name_and_an_old_id_gives_way() {
        let a = fixed("a", &[("id", DataType::Utf8), ("nr", DataType::Int64), ("text", DataType::Utf8)]);
        let choice = ColumnChoice { id: Some("nr".into()), ..ColumnChoice::default() };
        let layout = Layout::new(&[a], &choice, Format::Csv).unwrap();
        assert_eq!(names(&layout), ["id", "input_id"]);
        assert_eq!(layout.passthrough.unwrap().field(0).data_type(), &DataType::Int64);
    }

    #[test]
    fn a_column_that_is_not_there_or_not_text_is_bad_usage() {
        let with = |columns: &[(&str, DataType)], text: &str, id: Option<&str>| {
            let document = DocumentColumns { text: vec![text.into()], ..DocumentColumns::default() };
            let choice = ColumnChoice { document, id: id.map(Into::into), ..ColumnChoice::default() };
            Layout::new(&[fixed("a", columns)], &choice, Format::Csv).unwrap_err().to_string()
        };
        let columns = [("body", DataType::Utf8), ("n", DataType::Int64)];
        for (text, id, part) in [
            ("text", None, "a: no column `text`; it has: body, n. Name one with --text-column"),
            ("body", Some("nr"), "a: no column `nr`; it has: body, n; did you mean `n`? Name it with --id-column"),
            ("n", None, "a: column `n` holds Int64, and not text"),
        ] {
            let message = with(&columns, text, id);
            assert!(message.contains(part), "{message}");
        }
        let twice = [("text", DataType::Utf8), ("topics", DataType::Utf8), ("input_topics", DataType::Utf8)];
        assert!(with(&twice, "text", None).contains("two columns called `input_topics`"));
    }

    #[test]
    fn a_column_of_two_types_is_bad_usage_unless_both_are_numbers() {
        let of = |kind: DataType| fixed("a", &[("text", DataType::Utf8), ("x", kind)]);
        let both = |a, b| Layout::new(&[of(a), of(b)], &ColumnChoice::default(), Format::Parquet);
        let numbers = both(DataType::Int64, DataType::Float64).unwrap().passthrough.unwrap();
        assert_eq!(numbers.field(0).data_type(), &DataType::Float64);
        let [a, b] = [DataType::Int64, DataType::Utf8].map(of);
        assert!(Layout::new(&[a, b], &ColumnChoice::default(), Format::Csv).is_ok(), "separated values have no types");
        let error = both(DataType::Int64, DataType::Utf8).unwrap_err().to_string();
        assert!(error.contains("`x` holds Int64 in one input and Utf8 in a"), "{error}");
    }
}
