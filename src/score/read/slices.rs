//! Slices of a batch whose rows take bounded memory. In a dictionary or a view, every row may refer to one large value.

use arrow_array::array::AnyDictionaryArray;
use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, downcast_integer_array, downcast_run_array, new_null_array};
use arrow_buffer::ArrowNativeType;
use arrow_schema::{DataType, Schema};

use crate::score::error::{ReadError, RowError};

/// Rows of one slice have at most this many bytes, unless it is a single row.
const MAX_SLICE_BYTES: usize = 16 * 1024 * 1024;

/// Rows of one slice at most: a file can count any number of rows whose values take no bytes.
const MAX_SLICE_ROWS: usize = 16 * 1024;

/// A batch, cut from its start to its end.
pub struct Slices {
    batch: RecordBatch,
    /// Rows that were cut off already.
    next: usize,
    /// Bytes of a value of each column, where they are not known by value.
    averages: Vec<usize>,
}

/// Some rows of a batch; `too_long` is the error of its only row.
pub struct Slice {
    pub rows: RecordBatch,
    pub too_long: Option<RowError>,
}

impl Slices {
    /// Starts at the row `next`.
    pub fn new(batch: RecordBatch, next: usize) -> Self {
        let average = |column: &dyn Array| column.get_array_memory_size() / column.len().max(1);
        let averages = batch.columns().iter().map(|column| average(column.as_ref())).collect();
        Self { batch, next, averages }
    }

    pub fn is_empty(&self) -> bool {
        self.next >= self.batch.num_rows()
    }

    /// Cuts off the next rows. A row of more than `max_row_bytes` comes alone, without its large values.
    pub fn next(&mut self, max_row_bytes: usize) -> Result<Slice, ReadError> {
        let (start, n_first) = (self.next, self.row_bytes(self.next));
        if n_first > max_row_bytes {
            self.next += 1;
            let message = format!(
                "the row has {n_first} bytes, and the limit is {max_row_bytes}; split it, or raise --max-row-bytes"
            );
            let rows = self.without_large_values(start, max_row_bytes)?;
            return Ok(Slice { rows, too_long: Some(RowError::InvalidRow(message)) });
        }
        let mut n_bytes = 0;
        while !self.is_empty() {
            let n = self.row_bytes(self.next);
            n_bytes += n;
            let is_full = n_bytes > MAX_SLICE_BYTES || n > max_row_bytes || self.next - start >= MAX_SLICE_ROWS;
            if self.next > start && is_full {
                break;
            }
            self.next += 1;
        }
        Ok(Slice { rows: self.batch.slice(start, self.next - start), too_long: None })
    }

    fn row_bytes(&self, row: usize) -> usize {
        let columns = self.batch.columns().iter().zip(&self.averages);
        columns.map(|(column, average)| value_bytes(column.as_ref(), row).unwrap_or(*average)).sum()
    }

    /// One row with nulls for values that have more than their share of `max_row_bytes`.
    fn without_large_values(&self, row: usize, max_row_bytes: usize) -> Result<RecordBatch, ReadError> {
        let max_bytes = max_row_bytes / self.batch.num_columns().max(1);
        let columns = self.batch.columns().iter().map(|column| match value_bytes(column.as_ref(), row) {
            Some(n) if n <= max_bytes => column.slice(row, 1),
            _ => new_null_array(column.data_type(), 1),
        });
        let fields = self
            .batch
            .schema()
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect::<Vec<_>>();
        Ok(RecordBatch::try_new(Schema::new(fields).into(), columns.collect())?)
    }
}

/// Bytes of one value, with those of the values in it; `None` where its type does not tell.
fn value_bytes(column: &dyn Array, row: usize) -> Option<usize> {
    if column.is_null(row) {
        return Some(0);
    }
    Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).len(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).len(),
        DataType::Utf8View => column.as_string_view().value(row).len(),
        DataType::Binary => column.as_binary::<i32>().value(row).len(),
        DataType::LargeBinary => column.as_binary::<i64>().value(row).len(),
        DataType::BinaryView => column.as_binary_view().value(row).len(),
        DataType::Dictionary(..) => {
            let dictionary: &dyn AnyDictionaryArray = column.as_any_dictionary();
            return value_bytes(dictionary.values().as_ref(), key_at(dictionary.keys(), row)?);
        }
        DataType::RunEndEncoded(..) => downcast_run_array! {
            column => return value_bytes(column.values().as_ref(), column.get_physical_index(row)),
            _ => return None
        },
        DataType::Struct(_) => {
            return column.as_struct().columns().iter().map(|field| value_bytes(field.as_ref(), row)).sum();
        }
        DataType::List(_) => return all_bytes(column.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => return all_bytes(column.as_list::<i64>().value(row).as_ref()),
        DataType::FixedSizeList(..) => return all_bytes(column.as_fixed_size_list().value(row).as_ref()),
        DataType::Map(..) => return all_bytes(&column.as_map().value(row)),
        kind => kind.primitive_width()?,
    })
}

fn all_bytes(values: &dyn Array) -> Option<usize> {
    match values.data_type().primitive_width() {
        Some(width) => Some(width * values.len()),
        None => (0..values.len()).map(|row| value_bytes(values, row)).sum(),
    }
}

/// The index that a key of a dictionary stands for.
fn key_at(keys: &dyn Array, row: usize) -> Option<usize> {
    downcast_integer_array! {
        keys => keys.value(row).to_usize(),
        _ => None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{
        ArrayRef, DictionaryArray, Int32Array, Int64Array, ListArray, NullArray, RunArray, StringArray, StructArray,
    };
    use arrow_buffer::OffsetBuffer;
    use arrow_schema::Field;

    use super::*;

    fn cut(batch: RecordBatch, max_row_bytes: usize) -> Vec<(usize, bool)> {
        let mut slices = Slices::new(batch, 0);
        let mut found = Vec::new();
        while !slices.is_empty() {
            let slice = slices.next(max_row_bytes).unwrap();
            found.push((slice.rows.num_rows(), slice.too_long.is_some()));
        }
        found
    }

    #[test]
    fn a_large_value_that_every_row_names_comes_in_slices() {
        let large = "x".repeat(MAX_SLICE_BYTES / 4);
        let texts: DictionaryArray<Int32Type> = std::iter::repeat_n(large.as_str(), 10).collect();
        let batch = RecordBatch::try_from_iter([("text", Arc::new(texts) as ArrayRef)]).unwrap();
        assert_eq!(cut(batch, MAX_SLICE_BYTES), [(4, false), (4, false), (2, false)]);
    }

    #[test]
    fn values_within_others_count() {
        let large = "x".repeat(1000);
        let texts: ArrayRef = Arc::new([large.as_str(); 4].into_iter().collect::<DictionaryArray<Int32Type>>());
        let item = Arc::new(Field::new("item", texts.data_type().clone(), true));
        let lists = ListArray::new(item.clone(), OffsetBuffer::new(vec![0, 1, 4].into()), texts.clone(), None);
        let fields = StructArray::new(vec![item].into(), vec![texts.slice(0, 2)], None);
        let ends = Int32Array::from(vec![1, 3]);
        let runs = RunArray::try_new(&ends, &StringArray::from(vec!["ab", &large])).unwrap();
        for (column, expected) in [
            (Arc::new(lists) as ArrayRef, &[1000, 3000][..]),
            (Arc::new(fields), &[1000, 1000]),
            (Arc::new(runs), &[2, 1000, 1000]),
        ] {
            let found: Vec<_> = (0..column.len()).map(|row| value_bytes(column.as_ref(), row).unwrap()).collect();
            assert_eq!(found, expected, "{}", column.data_type());
        }
    }

    #[test]
    fn rows_that_take_no_bytes_come_in_slices_too() {
        let texts: ArrayRef = Arc::new(NullArray::new(2 * MAX_SLICE_ROWS + 1));
        let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        assert_eq!(cut(batch, 40).iter().map(|(n_rows, _)| *n_rows).max(), Some(MAX_SLICE_ROWS));
    }

    #[test]
    fn a_row_over_the_limit_comes_alone_and_keeps_its_small_values() {
        let texts =
            StringArray::from(vec![Some("a"), Some("0123456789012345678901234567890123456789"), None, Some("b")]);
        let ids = Int64Array::from(vec![1, 2, 3, 4]);
        let batch = RecordBatch::try_from_iter([("id", Arc::new(ids) as ArrayRef), ("text", Arc::new(texts))]).unwrap();
        assert_eq!(cut(batch.clone(), 40), [(1, false), (1, true), (2, false)]);
        let mut slices = Slices::new(batch, 1);
        let row = slices.next(40).unwrap().rows;
        assert!(row.column(0).is_valid(0) && row.column(1).is_null(0));
    }
}
