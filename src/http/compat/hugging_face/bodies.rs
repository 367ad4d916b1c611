//! The JSON of Hugging Face's inference API: its words, its answers, and its requests as the description shows them.

use serde::Serialize;
use utoipa::openapi::schema::{AnyOfBuilder, Type};
use utoipa::openapi::{ArrayBuilder, Object, ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::super::super::description::parts::{
    any_or_null, described, object, or_null, reference, switch, text_or_texts, word,
};
use crate::classify::answer::AnswerEntity;
use crate::manifest::task::AggregationStrategy;
use crate::system::choice::UnknownWord;

/// A task under the name that Hugging Face gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<PipelineTask>)]
pub enum PipelineTask {
    #[strum(to_string = "text-classification", serialize = "sentiment-analysis")]
    TextClassification,
    #[strum(to_string = "token-classification", serialize = "ner")]
    TokenClassification,
}

/// How logits become scores; without it, as the model says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<OutputFunction>)]
pub enum OutputFunction {
    Sigmoid,
    Softmax,
    None,
}

#[derive(Serialize, ToSchema)]
pub struct LabelScore {
    pub label: String,
    pub score: f32,
}

#[derive(Serialize, ToSchema)]
pub struct EntityGroup {
    pub entity_group: String,
    /// The tag of a token, with `aggregation_strategy` `none`. Hugging Face then leaves `entity_group` out, but
    /// `@huggingface/inference` requires it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub entity: Option<String>,
    pub score: f32,
    pub word: String,
    pub start: usize,
    pub end: usize,
}

impl EntityGroup {
    pub fn new(entity: AnswerEntity, is_raw: bool) -> Self {
        Self {
            entity: is_raw.then(|| entity.label.clone()),
            entity_group: entity.label,
            score: entity.score,
            word: entity.text,
            start: entity.start,
            end: entity.end,
        }
    }
}

fn options() -> Schema {
    let switches = ["use_cache", "wait_for_model"].map(|name| (name, Schema::from(switch("Default: true"))));
    object(switches.into(), &[]).into()
}

fn top_k() -> ObjectBuilder {
    let top_k = ObjectBuilder::new().schema_type(or_null(Type::Integer)).minimum(Some(1));
    top_k.description(Some("How many labels are listed; default: all"))
}

described! {
    /// One text, or several, for either task.
    HuggingFaceBody: object(
        vec![
            ("inputs", text_or_texts().into()),
            ("parameters", any_or_null(vec![reference::<TextParameters>().into(), reference::<TokenParameters>().into()]).into()),
            ("options", any_or_null(vec![options().into()]).into()),
        ],
        &["inputs"],
    ), with [TextParameters, TokenParameters];
    /// Parameters of text-classification.
    TextParameters: object(
        vec![
            ("top_k", top_k().into()),
            ("function_to_apply", word::<OutputFunction>("How logits become scores; default: as the model says").into()),
        ],
        &[],
    ), with [];
    /// Parameters of token-classification.
    TokenParameters: object(
        vec![
            ("aggregation_strategy", word::<AggregationStrategy>("How tokens become entities; default: the model's").into()),
            ("ignore_labels", any_or_null(vec![Schema::from(ArrayBuilder::new().items(Object::with_type(Type::String)).max_items(Some(1000))).into()]).into()),
        ],
        &[],
    ), with [];
    /// Labels of each text, or the entities of one text, or of each.
    HuggingFaceAnswer: AnyOfBuilder::new()
        .item(ArrayBuilder::new().items(ArrayBuilder::new().items(reference::<LabelScore>())))
        .item(ArrayBuilder::new().items(reference::<EntityGroup>()))
        .item(ArrayBuilder::new().items(ArrayBuilder::new().items(reference::<EntityGroup>())))
        .build(), with [LabelScore, EntityGroup];
    /// A task under the name that Hugging Face gives it.
    PipelineTaskName: ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["text-classification", "sentiment-analysis", "token-classification", "ner"])), with [];
}
