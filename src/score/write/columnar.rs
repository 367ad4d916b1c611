//! Typed columns: an Arrow stream of which every chunk is one record batch.
//!
//! `topics` is a `list<struct<label, score, accepted, code>>`, `entities` a `list<struct<label, score, text, start, end>>`,
//! `groups` and the `evidence` of topics, where they are requested, are lists of structs too. `usage` and `models` are structs. `error` is a text, where failed rows are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_json::ReaderBuilder;
use arrow_schema::{DataType, Field, Fields as SchemaFields, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::interleave::interleave_record_batch;
use serde_json::Value;

use crate::classify::answer::{AnswerEntity, AnswerGroup, AnswerModels, AnswerTopic, AnswerUsage};
use crate::models::registry::Assignment;
use crate::score::answer_columns::{ERROR, EVIDENCE_METHOD, GROUPS};
use crate::score::column_types::is_string;
use crate::score::error::ReadError;
use crate::score::layout::Layout;
use crate::score::row::{Fields, FinishedRow, Passthrough, plain_text};
use crate::text::files::standard_json;

/// How an Arrow stream ends: the continuation mark and a length of zero.
pub const END_OF_STREAM: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

pub struct ColumnarEncoder {
    passthrough: SchemaRef,
    answers: SchemaRef,
    /// Both side by side.
    all: SchemaRef,
    /// The stream's first message, which says the schema.
    header: Vec<u8>,
}

/// What the columns of the answer hold for one row; all null but `error` where the row failed.
#[derive(Default, serde::Serialize)]
struct AnswerColumns<'r> {
    topics: Option<&'r [AnswerTopic]>,
    entities: Option<&'r [AnswerEntity]>,
    groups: Option<&'r [AnswerGroup]>,
    evidence_method: Option<&'static str>,
    usage: Option<&'r AnswerUsage>,
    models: Option<&'r AnswerModels>,
    error: Option<String>,
}

impl<'r> AnswerColumns<'r> {
    fn of(row: &'r FinishedRow) -> Self {
        match &row.answer {
            Ok(answer) => Self {
                topics: answer.topics.as_deref(),
                entities: answer.entities.as_deref(),
                groups: answer.groups.as_deref(),
                evidence_method: answer.evidence_method,
                usage: Some(&answer.usage),
                models: Some(&answer.models),
                error: None,
            },
            Err(error) => Self { error: Some(error.described()), ..Self::default() },
        }
    }
}

impl ColumnarEncoder {
    pub fn new(passthrough: &SchemaRef, models: &Assignment, layout: &Layout) -> Result<Self, ReadError> {
        let error = layout.keep_errors.then(|| Field::new(ERROR, DataType::Utf8, true).into());
        let answers = answer_schema(models, layout).fields().iter().cloned().chain(error).collect::<SchemaFields>();
        let answers = Arc::new(Schema::new(answers));
        let all = Arc::new(Schema::new(
            passthrough.fields().iter().chain(answers.fields()).cloned().collect::<SchemaFields>(),
        ));
        let header = StreamWriter::try_new(Vec::new(), &all)?.get_ref().clone();
        Ok(Self { passthrough: Arc::clone(passthrough), answers, all, header })
    }

    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// One record batch as a message of the stream.
    pub fn rows(&self, rows: &[&FinishedRow]) -> Result<Vec<u8>, ReadError> {
        let answers: Vec<_> = rows.iter().map(|row| AnswerColumns::of(row)).collect();
        let answers = batch_of(&answers, &self.answers)?;
        let passthrough = self.passthrough_batch(rows)?;
        let columns = passthrough.iter().flat_map(|batch| batch.columns()).chain(answers.columns()).cloned().collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.all), columns)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &self.all)?;
        writer.write(&batch)?;
        writer.flush()?;
        // The stream begins with the schema already.
        Ok(writer.get_ref()[self.header.len()..].to_vec())
    }

    /// The passthrough columns; `None` where there are none.
    fn passthrough_batch(&self, rows: &[&FinishedRow]) -> Result<Option<RecordBatch>, ReadError> {
        if self.passthrough.fields().is_empty() {
            return Ok(None);
        }
        let mut batches = Vec::new();
        for run in rows.chunk_by(|a, b| is_typed(a) == is_typed(b)) {
            batches.push(match run.first().is_some_and(|row| is_typed(row)) {
                true => gathered(run)?,
                false => self.built(run)?,
            });
        }
        Ok(Some(concat_batches(&self.passthrough, &batches)?))
    }

    /// Columns out of fields that came as JSON or text.
    fn built(&self, rows: &[&FinishedRow]) -> Result<RecordBatch, ReadError> {
        let none = Fields::new();
        let objects = rows.iter().map(|row| {
            let fields = match &row.passthrough {
                Passthrough::Fields(fields) => fields,
                Passthrough::Row { .. } => &none,
            };
            let value = |field: &Arc<Field>| {
                let raw = fields.iter().find(|(name, _)| name == field.name()).map(|(_, value)| value);
                Ok((field.name().clone(), raw.map_or(Ok(Value::Null), |raw| value_of(raw, field.data_type()))?))
            };
            self.passthrough.fields().iter().map(value).collect::<serde_json::Result<BTreeMap<String, Value>>>()
        });
        batch_of(&objects.collect::<Result<Vec<_>, _>>()?, &self.passthrough)
    }
}

fn is_typed(row: &FinishedRow) -> bool {
    matches!(row.passthrough, Passthrough::Row { .. })
}

/// Rows of the batches that were read, side by side.
fn gathered(rows: &[&FinishedRow]) -> Result<RecordBatch, ReadError> {
    let mut batches: Vec<&Arc<RecordBatch>> = Vec::new();
    let mut positions = Vec::with_capacity(rows.len());
    for row in rows {
        let Passthrough::Row { batch, row } = &row.passthrough else { continue };
        if !batches.last().is_some_and(|last| Arc::ptr_eq(last, batch)) {
            batches.push(batch);
        }
        positions.push((batches.len() - 1, *row));
    }
    let batches: Vec<&RecordBatch> = batches.into_iter().map(AsRef::as_ref).collect();
    Ok(interleave_record_batch(&batches, &positions)?)
}

/// A value for a column of `kind`: text holds strings as they are and anything else as its JSON.
fn value_of(raw: &serde_json::value::RawValue, kind: &DataType) -> serde_json::Result<Value> {
    match kind {
        kind if is_string(kind) => Ok(plain_text(raw).map_or(Value::Null, Value::String)),
        _ => serde_json::from_str(raw.get()).or_else(|_| serde_json::from_str(&standard_json(raw.get()))),
    }
}

fn batch_of<T: serde::Serialize>(rows: &[T], schema: &SchemaRef) -> Result<RecordBatch, ReadError> {
    let mut decoder = ReaderBuilder::new(Arc::clone(schema)).build_decoder()?;
    decoder.serialize(rows)?;
    Ok(decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(schema))))
}

/// The columns of an answer; a task that no model answers has none.
fn answer_schema(models: &Assignment, layout: &Layout) -> Schema {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let count = |name: &str| Field::new(name, DataType::Int64, true);
    let score = || Field::new("score", DataType::Float32, true);
    let flag = |name: &str| Field::new(name, DataType::Boolean, true);
    let group = |name: &str, fields: Vec<Field>| Field::new(name, DataType::Struct(fields.into()), true);
    let list = |name: &str, fields| Field::new(name, DataType::List(Arc::new(group("element", fields))), true);
    // A document of several fields: that in which offsets count.
    let field = || layout.document.has_fields().then(|| text("field"));
    let with_field = |fields: Vec<Field>| fields.into_iter().chain(field()).collect::<Vec<_>>();
    let passage = || {
        let contribution = Field::new("contribution", DataType::Float32, true);
        list("evidence", with_field(vec![count("start"), count("end"), text("text"), contribution]))
    };
    let topics = || {
        let fields = vec![text("label"), score(), flag("accepted"), text("code")];
        list("topics", fields.into_iter().chain(layout.has_evidence.then(passage)).collect())
    };
    let entity = || with_field(vec![text("label"), score(), text("text"), count("start"), count("end")]);
    let entities = || list("entities", entity());
    let evidence_windows = layout.has_evidence.then(|| count("evidence_windows"));
    let counts = [count("characters"), count("tokens"), count("windows")];
    let counts = counts.into_iter().chain(evidence_windows).chain([flag("truncated"), flag("cached")]);
    let usage = group("usage", counts.collect());
    let method = layout.has_evidence.then(|| text(EVIDENCE_METHOD));
    let model = |name: &str| group(name, vec![text("name"), text("version")]);
    let named = [models.topics.as_ref().map(|_| model("topics")), models.entities.as_ref().map(|_| model("entities"))];
    let values = |name: &str, kind| Field::new(name, DataType::List(Arc::new(Field::new("element", kind, true))), true);
    let groups = || {
        let salience = Field::new("salience", DataType::Float32, true);
        let (mentions, may_be) = (values("mentions", DataType::Int64), values("may_be", DataType::Utf8));
        let of_group = vec![text("name"), text("label"), mentions, count("count"), count("start"), salience, may_be];
        list(GROUPS, with_field(of_group))
    };
    let lists = [
        models.topics.as_ref().map(|_| topics()),
        models.entities.as_ref().map(|_| entities()),
        layout.has_groups.then(groups),
        method,
    ];
    let models = group("models", named.into_iter().flatten().collect());
    Schema::new(lists.into_iter().flatten().chain([usage, models]).collect::<Vec<_>>())
}
