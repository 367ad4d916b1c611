//! The types of columns: what the output holds of them, and which of them are text.

use std::sync::Arc;

use arrow_cast::can_cast_types;
use arrow_schema::{DataType, FieldRef, TimeUnit};

use super::format::Format;
use super::trial::can_encode;

/// A type without dictionary, which the parts of an Arrow file could not share.
pub fn plain_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::RunEndEncoded(_, value) => plain_type(value.data_type()),
        other => other.clone(),
    }
}

/// The type under which the output holds a column of type `kind` without loss: without dictionaries, at any depth. Parquet
/// has no times in seconds, and would take them for integers.
pub fn output_type(kind: &DataType, output: Format) -> DataType {
    use DataType::{Date64, FixedSizeList, LargeList, List, Map, Struct, Time32, Timestamp};
    let inner = |field: &FieldRef| {
        let kind = output_type(field.data_type(), output);
        Arc::new(field.as_ref().clone().with_data_type(kind))
    };
    match plain_type(kind) {
        List(field) => List(inner(&field)),
        LargeList(field) => LargeList(inner(&field)),
        FixedSizeList(field, n) => FixedSizeList(inner(&field), n),
        Map(field, is_sorted) => Map(inner(&field), is_sorted),
        Struct(fields) => Struct(fields.iter().map(inner).collect()),
        Time32(TimeUnit::Second) if output == Format::Parquet => Time32(TimeUnit::Millisecond),
        Timestamp(TimeUnit::Second, zone) if output == Format::Parquet => Timestamp(TimeUnit::Millisecond, zone),
        Date64 if output == Format::Parquet => Timestamp(TimeUnit::Millisecond, None),
        other => other,
    }
}

/// Whether columns of type `kind` can be written, by rule where a library would lose something, else by trial.
pub fn can_be_written(kind: &DataType, output: Format) -> bool {
    fn has_no_form(kind: &DataType) -> bool {
        use DataType::{FixedSizeList, Interval, LargeList, LargeListView, List, ListView, Map, Struct, Union};
        match kind {
            // An interval of Parquet loses its months when it is read.
            Union(..) | Interval(_) | ListView(_) | LargeListView(_) => true,
            List(field) | LargeList(field) | FixedSizeList(field, _) | Map(field, _) => has_no_form(field.data_type()),
            Struct(fields) => fields.is_empty() || fields.iter().any(|field| has_no_form(field.data_type())),
            _ => false,
        }
    }
    let written = output_type(kind, output);
    !has_no_form(&written) && can_cast_types(kind, &written) && can_encode(&written, output)
}

/// Whether a column of type `kind` may be the text.
pub fn is_text(kind: &DataType) -> bool {
    is_string(&plain_type(kind)) || is_binary(kind) || plain_type(kind) == DataType::Null
}

/// Whether a column of type `kind` holds strings.
pub fn is_string(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether a column of type `kind` holds bytes, dictionary or not.
pub fn is_binary(kind: &DataType) -> bool {
    matches!(plain_type(kind), DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

#[cfg(test)]
mod tests {
    use arrow_schema::{Field, Fields, IntervalUnit, UnionFields, UnionMode};

    use super::*;

    #[test]
    fn what_a_format_would_lose_cannot_be_written() {
        let item = |kind| Arc::new(Field::new("item", kind, true));
        let interval = DataType::Interval(IntervalUnit::MonthDayNano);
        let union = DataType::Union(UnionFields::empty(), UnionMode::Sparse);
        for lost in [
            interval.clone(),
            union,
            DataType::Struct(Fields::empty()),
            DataType::List(item(interval.clone())),
            DataType::FixedSizeList(item(interval.clone()), 2),
            DataType::Struct(vec![item(DataType::Int8), item(interval)].into()),
        ] {
            assert!(!can_be_written(&lost, Format::Parquet), "{lost}");
        }
        for kept in [DataType::Utf8, DataType::List(item(DataType::Int8)), DataType::Timestamp(TimeUnit::Second, None)]
        {
            assert!(can_be_written(&kept, Format::Parquet) && can_be_written(&kept, Format::Arrow), "{kept}");
        }
    }
}
