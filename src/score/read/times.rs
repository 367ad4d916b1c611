//! Times that an output cannot hold. The libraries would write null for them, or an error in place of the value.

use arrow_array::{Array, ArrayRef};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::ArrowError;
use arrow_schema::DataType;

use crate::score::error::{ReadError, RowError};
use crate::score::layout::Layout;

/// The row error of each row of `column`, called `name` in the output, whose time is lost.
pub fn lost_times(column: &ArrayRef, name: &str, layout: &Layout) -> Result<Vec<(usize, RowError)>, ReadError> {
    if !has_times(column.data_type()) {
        return Ok(Vec::new());
    }
    let typed = layout.passthrough.as_ref().filter(|_| layout.keep_typed);
    let lost = match typed.and_then(|schema| schema.field_with_name(name).ok()) {
        Some(field) => lost_by_cast(column, field.data_type()),
        None => lost_as_text(column)?,
    };
    let row_error = |(row, error)| {
        let message =
            format!("`{name}` is a time that the output cannot hold ({error}); correct it, or remove the column");
        (row, RowError::InvalidRow(message))
    };
    Ok(lost.into_iter().map(row_error).collect())
}

fn has_times(kind: &DataType) -> bool {
    use DataType::{Dictionary, FixedSizeList, LargeList, List, Map, RunEndEncoded, Struct};
    match kind {
        List(field) | LargeList(field) | FixedSizeList(field, _) | Map(field, _) => has_times(field.data_type()),
        Struct(fields) => fields.iter().any(|field| has_times(field.data_type())),
        Dictionary(_, value) => has_times(value),
        RunEndEncoded(_, values) => has_times(values.data_type()),
        kind => kind.is_temporal(),
    }
}

fn lost_by_cast(column: &ArrayRef, kind: &DataType) -> Vec<(usize, ArrowError)> {
    let strictly = CastOptions { safe: false, ..CastOptions::default() };
    if column.data_type() == kind || cast_with_options(column, kind, &strictly).is_ok() {
        return Vec::new();
    }
    let of_row = |row| Some((row, cast_with_options(&column.slice(row, 1), kind, &strictly).err()?));
    (0..column.len()).filter_map(of_row).collect()
}

fn lost_as_text(column: &ArrayRef) -> Result<Vec<(usize, ArrowError)>, ReadError> {
    let options = FormatOptions::new().with_display_error(false);
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
    let of_row = |row| Some((row, formatter.value(row).try_to_string().err()?));
    Ok((0..column.len()).filter(|&row| column.is_valid(row)).filter_map(of_row).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{Date32Array, ListArray, TimestampSecondArray};
    use arrow_schema::Field;

    use super::*;
    use crate::score::format::Format;
    use crate::score::layout::{ColumnChoice, Columns, SourceColumns};

    fn lost(column: &ArrayRef, format: Format) -> Vec<usize> {
        let fields = vec![Field::new("text", DataType::Utf8, true), Field::new("x", column.data_type().clone(), true)];
        let source = SourceColumns { name: "a".into(), columns: Columns::Fixed(fields) };
        let layout = Layout::new(&[source], &ColumnChoice::default(), format).unwrap();
        let lost = lost_times(column, "x", &layout).unwrap();
        assert!(lost.iter().all(|(_, error)| error.to_string().contains("`x`")));
        lost.into_iter().map(|(row, _)| row).collect()
    }

    #[test]
    fn a_time_that_the_output_cannot_hold_is_a_row_error_at_any_depth() {
        let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![Some(1), None, Some(1 << 55), Some(-1)]));
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), None, Some(i32::MAX)]));
        let lists =
            ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(0)]), None, Some(vec![Some(i32::MAX)])]);
        let kind = DataType::List(Field::new("item", DataType::Date32, true).into());
        let lists = arrow_cast::cast(&lists, &kind).unwrap();
        for (column, format, rows) in [
            (&seconds, Format::Jsonl, vec![2]),
            (&seconds, Format::Csv, vec![2]),
            (&seconds, Format::Parquet, vec![2]),
            (&seconds, Format::Arrow, vec![]),
            (&days, Format::Jsonl, vec![2]),
            (&days, Format::Parquet, vec![]),
            (&lists, Format::Csv, vec![2]),
        ] {
            assert_eq!(lost(column, format), rows, "{format} {}", column.data_type());
        }
    }
}
