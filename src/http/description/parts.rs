//! Schemas that several requests share. Whatever may be left out may be `null` too.

use serde_json::Value;
use strum::VariantNames;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, SchemaType, Type};
use utoipa::openapi::schema::{AnyOf, AnyOfBuilder};
use utoipa::openapi::{Array, ArrayBuilder, Object, ObjectBuilder, OneOf, OneOfBuilder, Ref, RefOr, Schema};

/// A text without NUL, which no text may hold.
const WITHOUT_NUL: &str = r"^[^\u0000]*$";

/// Declares types that are described and never built.
macro_rules! described {
    ($($(#[$doc:meta])* $name:ident: $schema:expr, with [$($part:ty),*];)+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                Schema::from($schema).into()
            }
        }

        impl ToSchema for $name {
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                $(
                    schemas.push((<$part>::name().into_owned(), <$part>::schema()));
                    <$part>::schemas(schemas);
                )*
                schemas.push((Self::name().into_owned(), Self::schema()));
            }
        }
    )+};
}
pub(crate) use described;

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

/// An object with these properties, or null.
pub fn optional(properties: Vec<(&'static str, Schema)>) -> Schema {
    any_or_null(vec![Schema::from(object(properties, &[])).into()]).into()
}

/// A value of one of several schemas, or null.
pub fn any_or_null(schemas: Vec<RefOr<Schema>>) -> AnyOf {
    let any = AnyOfBuilder::new().item(Object::with_type(Type::Null));
    schemas.into_iter().fold(any, AnyOfBuilder::item).build()
}

/// One text, or a list of texts.
pub fn text_or_texts() -> OneOf {
    OneOfBuilder::new().item(text()).item(ArrayBuilder::new().items(text())).build()
}

/// A text that is classified.
pub fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(WITHOUT_NUL))
}

/// A text that may be left out.
pub fn text_or_null() -> ObjectBuilder {
    text().schema_type(or_null(Type::String))
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

/// The schema of `T`, by its name.
pub fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}
