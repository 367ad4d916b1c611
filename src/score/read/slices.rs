//! Slices of a batch whose rows take bounded memory. In a dictionary or a view, every row may refer to one large value.

use arrow_array::array::AnyDictionaryArray;
use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, new_null_array};
use arrow_schema::{DataType, Schema};

use crate::score::error::{ReadError, RowError};

/// Rows of one slice have at most this many bytes, unless it is a single row.
const MAX_SLICE_BYTES: usize = 16 * 1024 * 1024;

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
            if self.next > start && (n_bytes > MAX_SLICE_BYTES || n > max_row_bytes) {
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

/// Bytes of one value; `None` where its type does not tell.
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
            let key = *dictionary.normalized_keys().get(row)?;
            return value_bytes(dictionary.values().as_ref(), key);
        }
        kind => kind.primitive_width()?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, DictionaryArray, Int64Array, StringArray};

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
