//! Files of typed columns: Parquet, and Arrow IPC as a file or a stream.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_cast::cast;
use arrow_schema::{DataType, FieldRef, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;

use super::bytes::ByteCount;
use super::column_kinds::check_kinds;
use super::ipc_batches::{ArrowFile, ArrowStream};
use super::numbers::check_value;
use super::parquet_file::ParquetFile;
use super::reader::{Reader, utf8};
use super::slices::{Slice, Slices};
use super::times::lost_times;
use crate::score::column_types::is_binary;
use crate::score::document_columns::RowDocument;
use crate::score::error::{ReadError, RowError, ScoreError};
use crate::score::json_rows::json_lines;
use crate::score::layout::{Columns, Layout};
use crate::score::row::{Fields, ID, Origin, Passthrough, Record, RowPosition};
use crate::system::panics::caught;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ReadError>> + Send>;

pub struct ColumnarReader {
    batches: Batches,
    schema: SchemaRef,
    name: Arc<str>,
    /// Rows of `current` and of batches before it that were read.
    n_read: u64,
    /// Rows that are still to be skipped.
    n_to_skip: u64,
    /// What is left of the batch that was read last.
    slices: Option<Slices>,
    current: Option<Batch>,
    max_row_bytes: usize,
    is_piped: bool,
}

/// A slice of a batch, split into texts and passthrough columns.
struct Batch {
    /// Why its only row is not scored.
    too_long: Option<RowError>,
    /// Rows whose passthrough columns would lose something: the column, as the output names it, and the row error.
    lossy: BTreeMap<usize, (String, RowError)>,
    texts: Vec<ArrayRef>,
    passthrough: PassthroughBatch,
    n_rows: usize,
    next: usize,
}

enum PassthroughBatch {
    Fields(Vec<Fields>),
    Rows(Arc<RecordBatch>),
}

impl ColumnarReader {
    pub fn of_parquet(file: File, name: &str, count: ByteCount, max_row_bytes: usize) -> Result<Self, ReadError> {
        let n_bytes = file.metadata()?.len();
        let file = ParquetFile(file);
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
        let batch_size = batch_size(metadata.metadata(), max_row_bytes)?;
        let n_rows = u64::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or(0);
        let schema = Arc::clone(metadata.schema());
        let views = ArrowReaderOptions::new().with_schema(with_views(&schema));
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), views).unwrap_or(metadata);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata).with_batch_size(batch_size);
        let batches = builder.build()?.map(|batch| batch.map_err(ReadError::from));
        let batches = Box::new(counted(batches, n_bytes, n_rows, count));
        Self::new(batches, schema, name, max_row_bytes)
    }

    pub fn of_arrow_file(file: File, name: &str, count: ByteCount, max_row_bytes: usize) -> Result<Self, ReadError> {
        let n_bytes = file.metadata()?.len();
        let reader = ArrowFile::open(file)?;
        let (schema, n_batches) = (reader.schema(), reader.len() as u64);
        let batches = reader.inspect(move |_| count.add(n_bytes / n_batches.max(1)));
        Self::new(Box::new(batches), schema, name, max_row_bytes)
    }

    /// `is_piped`: the sender may wait for answers before it sends more.
    pub fn of_arrow_stream(
        reader: ArrowStream,
        name: &str,
        is_piped: bool,
        max_row_bytes: usize,
    ) -> Result<Self, ReadError> {
        let schema = reader.schema();
        Ok(Self { is_piped, ..Self::new(Box::new(reader), schema, name, max_row_bytes)? })
    }

    fn new(batches: Batches, schema: SchemaRef, name: &str, max_row_bytes: usize) -> Result<Self, ReadError> {
        check_kinds(&schema, max_row_bytes)?;
        Ok(Self {
            batches,
            schema,
            name: name.into(),
            n_read: 0,
            n_to_skip: 0,
            slices: None,
            current: None,
            max_row_bytes,
            is_piped: false,
        })
    }

    /// Makes `current` a slice with rows left, where there is one.
    fn fill(&mut self, layout: &Layout) -> Result<(), ReadError> {
        while self.current.as_ref().is_none_or(|batch| batch.next >= batch.n_rows) {
            self.current = None;
            match &mut self.slices {
                Some(slices) if !slices.is_empty() => {
                    let slice = slices.next(self.max_row_bytes)?;
                    self.current = Some(Batch::new(slice, &self.schema, layout)?);
                }
                _ => {
                    self.slices = self.next_batch()?;
                    if self.slices.is_none() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// The next batch with rows that are not to be skipped.
    fn next_batch(&mut self) -> Result<Option<Slices>, ReadError> {
        for batch in self.batches.by_ref() {
            let batch = batch?;
            let n_rows = batch.num_rows() as u64;
            if self.n_to_skip < n_rows {
                return Ok(Some(Slices::new(batch, std::mem::take(&mut self.n_to_skip) as usize)));
            }
            self.n_to_skip -= n_rows;
        }
        if self.n_to_skip == 0 { Ok(None) } else { Err(ReadError::TooFewRows(self.n_to_skip)) }
    }
}

impl Reader for ColumnarReader {
    fn columns(&self) -> Columns {
        Columns::Fixed(self.schema.fields().iter().map(|field| field.as_ref().clone()).collect())
    }

    fn skip(&mut self, n: u64) -> Result<(), ScoreError> {
        self.n_to_skip += n;
        self.n_read += n;
        Ok(())
    }

    fn next(&mut self, layout: &Layout) -> Result<Option<Record>, ScoreError> {
        let taken = caught(|| {
            self.fill(layout)?;
            Ok(self.current.as_mut().map(|batch| batch.take(layout)))
        });
        let taken = taken.unwrap_or_else(|message| Err(ReadError::Damaged(message)));
        let failed = |source| ScoreError::Read { name: self.name.to_string(), source };
        let Some((document, passthrough)) = taken.map_err(failed)? else { return Ok(None) };
        self.n_read += 1;
        let origin = Origin { file: Arc::clone(&self.name), position: RowPosition::Row(self.n_read) };
        Ok(Some(Record { origin, document, passthrough }))
    }

    fn n_read(&self) -> u64 {
        self.n_read
    }

    fn is_awaited(&self) -> bool {
        let is_over = |batch: &Batch| batch.next >= batch.n_rows;
        self.is_piped && self.current.as_ref().is_some_and(is_over) && self.slices.as_ref().is_none_or(Slices::is_empty)
    }
}

impl Batch {
    /// Splits `slice`, whose columns have the names and types of `schema`.
    fn new(slice: Slice, schema: &SchemaRef, layout: &Layout) -> Result<Self, ReadError> {
        let batch = &restored(&slice.rows, schema)?;
        let texts = layout.document.names().filter_map(|column| batch.column_by_name(column));
        let texts = texts.map(readable).collect::<Result<_, _>>()?;
        let passthrough = match (&layout.passthrough, layout.keep_typed) {
            (Some(schema), true) => PassthroughBatch::Rows(Arc::new(passthrough_columns(batch, layout, schema)?)),
            _ => PassthroughBatch::Fields(passthrough_fields(batch, layout)?),
        };
        let lossy = lossy_rows(batch, layout)?;
        Ok(Self { too_long: slice.too_long, lossy, texts, passthrough, n_rows: batch.num_rows(), next: 0 })
    }

    fn take(&mut self, layout: &Layout) -> (Result<RowDocument, RowError>, Passthrough) {
        let row = self.next;
        self.next += 1;
        let parts = self.texts.iter().map(|column| text_at(column, row)).collect::<Result<Vec<_>, _>>();
        let passthrough = match &mut self.passthrough {
            PassthroughBatch::Rows(batch) => Passthrough::Row { batch: Arc::clone(batch), row },
            PassthroughBatch::Fields(fields) => {
                Passthrough::Fields(fields.get_mut(row).map(std::mem::take).unwrap_or_default())
            }
        };
        let (lost, lossy) = self.lossy.remove(&row).unzip();
        let passthrough = match passthrough {
            Passthrough::Fields(mut fields) => {
                fields.retain(|(name, _)| Some(name) != lost.as_ref());
                Passthrough::Fields(fields)
            }
            row => row,
        };
        let document = match self.too_long.take().or(lossy) {
            Some(error) => Err(error),
            None => parts.and_then(|parts| layout.document.document(parts)),
        };
        (document, passthrough)
    }
}

/// Rows to read at once, so that they take bounded memory. Fails where values are so large that one of them would not.
fn batch_size(metadata: &ParquetMetaData, max_row_bytes: usize) -> Result<usize, ReadError> {
    const MAX_ROWS: usize = 1024;
    const MAX_BATCH_BYTES: usize = 64 * 1024 * 1024;
    /// A few larger values become row errors.
    const MAX_VALUE: usize = 8;
    let mut size = MAX_ROWS;
    for group in metadata.row_groups() {
        let per_row = |n_bytes: i64| usize::try_from(n_bytes / group.num_rows().max(1)).unwrap_or(0);
        let large = group
            .columns()
            .iter()
            .find(|column| per_row(column.uncompressed_size()) > max_row_bytes.saturating_mul(MAX_VALUE));
        if let Some(column) = large {
            return Err(ReadError::LargeValues {
                column: column.column_path().string(),
                n_bytes: per_row(column.uncompressed_size()),
                max_row_bytes,
            });
        }
        size = size.min(MAX_BATCH_BYTES / per_row(group.total_byte_size()).max(1));
    }
    Ok(size.max(1))
}

/// `schema` with views in place of texts and bytes, which do not repeat a value of a dictionary in each row.
fn with_views(schema: &SchemaRef) -> SchemaRef {
    use DataType::{Binary, BinaryView, LargeBinary, LargeUtf8, Utf8, Utf8View};
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        Utf8 | LargeUtf8 => field.as_ref().clone().with_data_type(Utf8View),
        Binary | LargeBinary => field.as_ref().clone().with_data_type(BinaryView),
        _ => field.as_ref().clone(),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// `batch` with the types of `schema`.
fn restored(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ReadError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| match column.data_type() {
        kind if kind == field.data_type() => Ok(Arc::clone(column)),
        _ => cast(column, field.data_type()),
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    // A value that is too large has become null.
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}

/// The rows with a number or a time that its column in the output cannot hold.
fn lossy_rows(batch: &RecordBatch, layout: &Layout) -> Result<BTreeMap<usize, (String, RowError)>, ReadError> {
    let mut found = BTreeMap::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let Some(name) = layout.output_name(field.name()) else { continue };
        for (row, error) in lost_times(column, &name, layout)? {
            found.insert(row, (name.clone(), error));
        }
        if !layout.keep_typed || !layout.mixed_numbers.contains(&name) {
            continue;
        }
        for row in 0..batch.num_rows() {
            if let Err(error) = check_value(&name, column.as_ref(), row, layout) {
                found.insert(row, (name.clone(), error));
            }
        }
    }
    Ok(found)
}

/// Counts the bytes of a file as its rows come.
fn counted<E>(
    batches: impl Iterator<Item = Result<RecordBatch, E>>,
    n_bytes: u64,
    n_rows: u64,
    count: ByteCount,
) -> impl Iterator<Item = Result<RecordBatch, E>> {
    batches.inspect(move |batch| {
        let n = batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        count.add((u128::from(n_bytes) * u128::from(n) / u128::from(n_rows.max(1))) as u64);
    })
}

/// A column of text in one of two types: `LargeUtf8`, or `LargeBinary` where it may not be UTF-8.
fn readable(column: &ArrayRef) -> Result<ArrayRef, ReadError> {
    let kind = if is_binary(column.data_type()) { DataType::LargeBinary } else { DataType::LargeUtf8 };
    Ok(cast(column, &kind)?)
}

fn text_at(column: &ArrayRef, row: usize) -> Result<Option<String>, RowError> {
    if column.is_null(row) {
        return Ok(None);
    }
    match column.data_type() {
        DataType::LargeBinary => utf8(column.as_binary::<i64>().value(row)).map(|text| Some(text.to_owned())),
        _ => Ok(Some(column.as_string::<i64>().value(row).to_owned())),
    }
}

/// The columns of `schema`, null where the batch lacks one.
fn passthrough_columns(batch: &RecordBatch, layout: &Layout, schema: &SchemaRef) -> Result<RecordBatch, ReadError> {
    let names: Vec<_> = batch.schema().fields().iter().map(|field| layout.output_name(field.name())).collect();
    let columns =
        schema.fields().iter().map(|field| match names.iter().position(|name| name.as_ref() == Some(field.name())) {
            Some(at) => cast(batch.column(at), field.data_type()),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// The passthrough columns of each row as JSON.
fn passthrough_fields(batch: &RecordBatch, layout: &Layout) -> Result<Vec<Fields>, ReadError> {
    let schema = batch.schema();
    let mut named: Vec<(String, &FieldRef, ArrayRef)> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter_map(|(field, column)| Some((layout.output_name(field.name())?, field, column)))
        .map(|(name, field, column)| {
            // A text is a text, whatever type it is stored in.
            let is_bytes = layout.is_text_column(field.name()) && is_binary(field.data_type());
            let column = if is_bytes { cast(column, &DataType::LargeUtf8)? } else { Arc::clone(column) };
            Ok((name, field, column))
        })
        .collect::<Result<_, ReadError>>()?;
    named.sort_by_key(|(name, _, _)| name != ID);
    if named.is_empty() {
        return Ok(vec![Fields::new(); batch.num_rows()]);
    }
    let renamed = named.iter().map(|(name, field, column)| {
        let field = field.as_ref().clone().with_name(name).with_data_type(column.data_type().clone());
        (field, Arc::clone(column))
    });
    let (fields, columns): (Vec<_>, Vec<_>) = renamed.unzip();
    let renamed = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    let lines = json_lines(&renamed)?;
    let object = |line: &[u8]| super::jsonl::object_fields(line).map_err(ReadError::from);
    lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(object).collect()
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;
    use parquet::arrow::ArrowWriter;

    use super::*;

    #[test]
    fn rows_are_read_in_batches_of_bounded_memory() {
        let size = |n_rows: usize, n_bytes: usize, max_row_bytes: usize| {
            let values = (0..n_rows).map(|row| format!("{row}{}", "x".repeat(n_bytes)));
            let texts: ArrayRef = Arc::new(values.map(Some).collect::<StringArray>());
            let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
            let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            batch_size(&writer.close().unwrap(), max_row_bytes)
        };
        assert_eq!(size(3, 10, 1000).unwrap(), 1024);
        let n_rows = size(5, 1 << 20, 1 << 20).unwrap();
        assert!((60..=64).contains(&n_rows), "{n_rows} rows of 1 MiB in 64 MiB");
        assert!(matches!(size(2, 9000, 1000), Err(ReadError::LargeValues { max_row_bytes: 1000, .. })));
    }
}
