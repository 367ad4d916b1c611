//! Types of columns, checked before a row is read: the schema of a damaged or hostile file can hold any.

use arrow_array::new_empty_array;
use arrow_schema::{DataType, Schema};

use crate::score::error::ReadError;
use crate::system::panics::caught;

/// Checks that arrays of all types of `schema` can be made, and that a value of none takes more than `max_row_bytes`,
/// whatever is in it.
pub fn check_kinds(schema: &Schema, max_row_bytes: usize) -> Result<(), ReadError> {
    for field in schema.fields() {
        let invalid = |message: String| {
            ReadError::Damaged(format!("the type of column `{}` is not valid: {message}", field.name()))
        };
        let n_bytes = fixed_bytes(field.data_type()).ok_or_else(|| invalid("a negative size".to_owned()))?;
        if n_bytes > max_row_bytes {
            return Err(ReadError::LargeValues { column: field.name().clone(), n_bytes, max_row_bytes });
        }
        // The library checks a type when it makes an array, and panics.
        caught(|| drop(new_empty_array(field.data_type()))).map_err(invalid)?;
    }
    Ok(())
}

/// Bytes that each value of a type takes, also one that is null. `None` where a size is negative.
fn fixed_bytes(kind: &DataType) -> Option<usize> {
    let size = |n: &i32| usize::try_from(*n).ok();
    match kind {
        DataType::FixedSizeBinary(n) => size(n),
        DataType::FixedSizeList(item, n) => Some(size(n)?.saturating_mul(fixed_bytes(item.data_type())?)),
        DataType::Struct(fields) => {
            fields.iter().try_fold(0, |sum: usize, field| Some(sum.saturating_add(fixed_bytes(field.data_type())?)))
        }
        DataType::Union(fields, _) => fields
            .iter()
            .try_fold(0, |sum: usize, (_, field)| Some(sum.saturating_add(fixed_bytes(field.data_type())?))),
        // Their values lie in another array, which may have none; its type must be valid.
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::Map(item, _) => fixed_bytes(item.data_type()).map(|_| 0),
        DataType::Dictionary(_, value) => fixed_bytes(value).map(|_| 0),
        DataType::RunEndEncoded(_, value) => fixed_bytes(value.data_type()),
        other => Some(other.primitive_width().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::Field;

    use super::*;

    #[test]
    fn types_that_no_array_can_have_and_values_of_any_size_are_refused() {
        let field = |kind| Arc::new(Field::new("x", kind, true));
        let map = |columns: Vec<Field>| DataType::Map(field(DataType::Struct(columns.into())), false);
        let list = |n| DataType::FixedSizeList(field(DataType::Int64), n);
        let text = |name: &str| Field::new(name, DataType::Utf8, false);
        for (kind, expected) in [
            (DataType::Utf8, None),
            (map(vec![text("key"), text("value")]), None),
            (map(vec![text("key")]), Some("column `x` is not valid")),
            (DataType::Map(field(DataType::Utf8), false), Some("column `x` is not valid")),
            (DataType::Dictionary(Box::new(DataType::Utf8), Box::new(DataType::Utf8)), Some("column `x` is not valid")),
            (DataType::FixedSizeBinary(16), None),
            (DataType::FixedSizeBinary(1001), Some("1001 bytes")),
            (DataType::FixedSizeBinary(-1), Some("negative size")),
            (DataType::List(field(DataType::FixedSizeBinary(-1))), Some("negative size")),
            (list(125), None),
            (list(126), Some("1008 bytes")),
            (list(-1), Some("negative size")),
            (DataType::Struct(vec![field(list(100)), field(list(100))].into()), Some("1600 bytes")),
            (DataType::FixedSizeList(field(list(i32::MAX)), i32::MAX), Some("bytes")),
        ] {
            let schema = Schema::new(vec![Field::new("x", kind.clone(), true)]);
            let found = check_kinds(&schema, 1000).map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(found, Ok(()), "{kind}"),
                Some(part) => assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{kind}: {found:?}"),
            }
        }
    }
}
