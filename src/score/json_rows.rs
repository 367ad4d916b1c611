//! Rows of typed columns as JSON lines.

use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_json::writer::{
    Encoder, EncoderFactory, EncoderOptions, LineDelimited, NullableEncoder, WriterBuilder, make_encoder,
};
use arrow_schema::ArrowError;
use arrow_schema::{DataType, FieldRef};

use super::error::ReadError;

/// The rows as JSON, a line each, with nulls. Numbers that JSON cannot hold (`NaN`, `Infinity`) are strings.
pub fn json_lines(batch: &RecordBatch) -> Result<Vec<u8>, ReadError> {
    let builder = WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(NonFiniteAsStrings));
    let mut writer = builder.build::<_, LineDelimited>(Vec::new());
    writer.write(batch)?;
    Ok(writer.into_inner())
}

/// The writer would write null for them.
#[derive(Debug)]
struct NonFiniteAsStrings;

impl EncoderFactory for NonFiniteAsStrings {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        static DEFAULT: LazyLock<EncoderOptions> = LazyLock::new(EncoderOptions::default);
        if !matches!(array.data_type(), DataType::Float16 | DataType::Float32 | DataType::Float64) {
            return Ok(None);
        }
        let values = cast(array, &DataType::Float64)?;
        if values.as_primitive::<Float64Type>().iter().flatten().all(f64::is_finite) {
            return Ok(None);
        }
        let finite = make_encoder(field, array, &DEFAULT)?;
        Ok(Some(NullableEncoder::new(Box::new(FloatEncoder { values, finite }), array.nulls().cloned())))
    }
}

struct FloatEncoder<'a> {
    values: ArrayRef,
    finite: NullableEncoder<'a>,
}

impl Encoder for FloatEncoder<'_> {
    fn encode(&mut self, index: usize, out: &mut Vec<u8>) {
        let value = self.values.as_primitive::<Float64Type>().value(index);
        let name = match value {
            _ if value.is_nan() => "\"NaN\"",
            f64::INFINITY => "\"Infinity\"",
            f64::NEG_INFINITY => "\"-Infinity\"",
            _ => return self.finite.encode(index, out),
        };
        out.extend_from_slice(name.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Float32Array, Float64Array};

    use super::*;

    #[test]
    fn numbers_that_json_cannot_hold_are_strings_and_others_as_ever() {
        let a = Float64Array::from(vec![Some(f64::NAN), None, Some(0.1), Some(f64::NEG_INFINITY)]);
        let b = Float32Array::from(vec![0.1, 1.0, 2.5, f32::INFINITY]);
        let batch = RecordBatch::try_from_iter([("a", Arc::new(a) as ArrayRef), ("b", Arc::new(b) as ArrayRef)]);
        let lines = String::from_utf8(json_lines(&batch.unwrap()).unwrap()).unwrap();
        let expected = "{\"a\":\"NaN\",\"b\":0.1}\n{\"a\":null,\"b\":1.0}\n{\"a\":0.1,\"b\":2.5}\n{\"a\":\"-Infinity\",\"b\":\"Infinity\"}\n";
        assert_eq!(lines, expected);
    }
}
