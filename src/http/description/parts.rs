//! Schemas that several requests share. Whatever may be left out may be `null` too.

use serde_json::Value;
use strum::VariantNames;
use utoipa::openapi::schema::{AdditionalProperties, SchemaType, Type};
use utoipa::openapi::{Array, ArrayBuilder, Object, ObjectBuilder, Schema};

/// A text without NUL, which no text may hold.
const WITHOUT_NUL: &str = r"^[^\u0000]*$";

/// An object with these properties and no others.
pub fn object(properties: Vec<(&'static str, Schema)>, required: &[&str]) -> ObjectBuilder {
    let object = ObjectBuilder::new().schema_type(SchemaType::new(Type::Object));
    let object = properties.into_iter().fold(object, |object, (name, schema)| object.property(name, schema));
    let object = required.iter().fold(object, |object, name| object.required(*name));
    object.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}

pub fn or_null(of: Type) -> SchemaType {
    SchemaType::from_iter([of, Type::Null])
}

/// A text that is classified.
pub fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(WITHOUT_NUL))
}

/// An id: it comes back as it was sent.
pub fn id() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Number, Type::Null]))
        .description(Some("Comes back as sent"))
}

/// The name of a model.
pub fn model_name() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(or_null(Type::String))
}

/// A score from 0 to 1.
pub fn score() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(or_null(Type::Number)).minimum(Some(0.0)).maximum(Some(1.0))
}

pub fn switch(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(or_null(Type::Boolean)).description(Some(description))
}

/// One of the words of `T`.
pub fn word<T: VariantNames>(description: &str) -> ObjectBuilder {
    let words = T::VARIANTS.iter().map(|word| Value::from(*word)).chain([Value::Null]);
    ObjectBuilder::new().schema_type(or_null(Type::String)).enum_values(Some(words)).description(Some(description))
}

/// A list of the words of `T`.
pub fn words<T: VariantNames>(max: usize, description: &str) -> Array {
    let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(T::VARIANTS.iter().copied()));
    list(word.build(), max).description(Some(description)).build()
}

/// A list of strings.
pub fn strings(max: usize, description: &str) -> Array {
    list(Object::with_type(Type::String), max).description(Some(description)).build()
}

fn list(items: Object, max: usize) -> ArrayBuilder {
    ArrayBuilder::new().schema_type(or_null(Type::Array)).items(items).min_items(Some(1)).max_items(Some(max))
}
