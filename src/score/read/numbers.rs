//! Numbers that a floating-point number holds with all their digits.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_schema::DataType;

use crate::score::error::RowError;
use crate::score::layout::Layout;
use crate::score::row::{Fields, digits_lost};

/// Fails where a number would lose digits in a column of both integers and fractions.
pub fn check_fields(fields: &Fields, layout: &Layout) -> Result<(), RowError> {
    let mixed = fields.iter().filter(|(name, _)| layout.mixed_numbers.contains(name));
    for (name, value) in mixed {
        let number = value.get();
        if number.starts_with(|char: char| char.is_ascii_digit() || char == '-') && !is_float(number) {
            return Err(digits_lost(name, number));
        }
    }
    Ok(())
}

/// The same for one row of a typed column, `name` in the output.
pub fn check_value(name: &str, column: &dyn Array, row: usize, layout: &Layout) -> Result<(), RowError> {
    if *column.data_type() != DataType::Int64
        || column.is_null(row)
        || !layout.mixed_numbers.iter().any(|mixed| mixed == name)
    {
        return Ok(());
    }
    let value = column.as_primitive::<Int64Type>().value(row);
    let is_exact = (value as f64) as i128 == i128::from(value);
    if is_exact { Ok(()) } else { Err(digits_lost(name, value)) }
}

/// Whether a number, as it is spelled, is a finite floating-point number with all its digits.
pub fn is_float(text: &str) -> bool {
    let Ok(float) = text.parse::<f64>() else { return false };
    float.is_finite() && digits(text) == digits(&format!("{float:e}"))
}

/// The digits that count, and the power of ten of the first.
fn digits(number: &str) -> (String, i64) {
    let number = number.trim_start_matches('-');
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let counting = all.trim_start_matches('0');
    if counting.is_empty() {
        return (String::new(), 0);
    }
    let n_leading = (all.len() - counting.len()) as i64;
    let exponent = exponent.parse::<i64>().unwrap_or(i64::MAX / 2);
    (counting.trim_end_matches('0').to_owned(), exponent + whole.len() as i64 - n_leading)
}
