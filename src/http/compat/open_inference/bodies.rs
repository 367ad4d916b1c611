//! The JSON of inference: its answer, and its request as the description shows it.

use serde::Serialize;
use strum::VariantNames;
use utoipa::openapi::schema::{AnyOfBuilder, Type};
use utoipa::openapi::{ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::super::super::description::parts::{
    any_or_null, described, object, optional, or_null, reference, switch, text,
};
use super::super::super::description::requests::options;
use super::tensors::{DataType, Output, TEXT_INPUT, TensorData};

/// The options of `/v1/classify` that inference has too.
pub const OPTIONS: &[&str] = &[
    "top_k",
    "threshold",
    "aggregation",
    "offset_unit",
    "overflow",
    "text_rules",
    "label_language",
    "labels",
    "derived",
];

#[derive(Serialize, ToSchema)]
#[schema(as = InferAnswer)]
pub struct InferBody {
    pub model_name: String,
    pub model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub id: Option<String>,
    pub outputs: Vec<OutputBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = InferOutput)]
pub struct OutputBody {
    pub name: &'static str,
    pub datatype: DataType,
    pub shape: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parameters: Option<OutputParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    #[schema(schema_with = elements)]
    pub data: Option<TensorData>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = InferOutputParameters)]
pub struct OutputParameters {
    pub binary_data_size: usize,
}

/// The elements of a tensor in row-major order.
fn elements() -> Schema {
    let element = [Type::String, Type::Number, Type::Boolean].into_iter().map(Object::with_type);
    let element = element.fold(AnyOfBuilder::new(), AnyOfBuilder::item);
    ArrayBuilder::new().items(element).into()
}

fn word(word: &str) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([word])).into()
}

fn size(description: &str) -> Schema {
    let size = ObjectBuilder::new().schema_type(or_null(Type::Integer)).minimum(Some(0));
    size.description(Some(description)).into()
}

fn parameters() -> Schema {
    let shared = options().into_iter().filter(|(name, _)| OPTIONS.contains(name));
    let own = [
        ("priority", size("0 and 1 are usual, 2 and more yield to all other requests")),
        ("timeout", size("How long the client waits, in microseconds; 0: as long as the server allows")),
        ("binary_data_output", switch("Whether outputs are binary that do not say; default: false").into()),
    ];
    object(shared.chain(own).collect(), &[]).into()
}

fn shape() -> ArrayBuilder {
    let axis = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    let shape = ArrayBuilder::new().items(axis).min_items(Some(1)).max_items(Some(2));
    shape.description(Some("The number of texts, and 1"))
}

fn data() -> ArrayBuilder {
    ArrayBuilder::new().items(OneOfBuilder::new().item(text()).item(ArrayBuilder::new().items(text())))
}

fn outputs() -> Schema {
    let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Output::VARIANTS.iter().copied()));
    let binary = optional(vec![("binary_data", switch("Whether the output is binary").into())]);
    let output = object(vec![("name", name.into()), ("parameters", binary)], &["name"]);
    let outputs = ArrayBuilder::new().schema_type(or_null(Type::Array)).items(output);
    outputs.min_items(Some(1)).max_items(Some(100)).description(Some("Default: all that the model gives")).into()
}

described! {
    /// Texts as a tensor of BYTES. Binary data may follow the JSON in its place; `inference-header-content-length` then has the
    /// length of the JSON.
    InferRequest: object(
        vec![
            ("id", ObjectBuilder::new().schema_type(or_null(Type::String)).description(Some("Comes back")).into()),
            ("parameters", any_or_null(vec![parameters().into()]).into()),
            (
                "inputs",
                ArrayBuilder::new().items(reference::<InferInput>()).min_items(Some(1)).max_items(Some(1)).into(),
            ),
            ("outputs", outputs()),
        ],
        &["inputs"],
    ), with [InferInput];
    InferInput: object(
        vec![
            ("name", word(TEXT_INPUT)),
            ("shape", shape().into()),
            ("datatype", word("BYTES")),
            ("parameters", optional(vec![("binary_data_size", size("Bytes after the JSON, in place of `data`"))])),
            ("data", data().into()),
        ],
        &["name", "shape", "datatype"],
    ), with [];
}
