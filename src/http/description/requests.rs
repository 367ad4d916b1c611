//! The JSON of requests, as the description shows it; `schema` and `admin` read it. A test compares the names of the fields.

use utoipa::openapi::schema::Type;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::parts::{
    described, id, model_name, object, or_null, reference, score, strings, switch, text_or_null, word, words,
};
use crate::classify::answer::{Answer, AnswerModels};
use crate::classify::derived::Derived;
use crate::http::answers::{DocumentBodyOut, FailureBody};
use crate::inference::pipeline::Overflow;
use crate::inference::scheduler::Priority;
use crate::manifest::task::{AggregationStrategy, Task};
use crate::manifest::text_rules::RULE_NAMES;
use crate::text::span::OffsetUnit;

/// Every option of a request, with its schema.
pub fn options() -> Vec<(&'static str, Schema)> {
    let top_k = ObjectBuilder::new().schema_type(or_null(Type::Integer)).minimum(Some(1)).default(Some(5.into()));
    let by_task = object(vec![("topics", score().into()), ("entities", score().into())], &[]);
    let threshold = OneOfBuilder::new().item(score()).item(by_task);
    let language = ObjectBuilder::new().schema_type(or_null(Type::String));
    vec![
        ("tasks", Schema::from(words::<Task>(100, "The tasks to answer; default: all that are served"))),
        ("top_k", top_k.description(Some("How many topics are listed")).into()),
        (
            "threshold",
            threshold
                .description(Some(
                    "Topics are accepted, and entities kept, from this score on; one number, or one for each task; default: the model's",
                ))
                .into(),
        ),
        ("aggregation", word::<AggregationStrategy>("How tokens become entities; default: the model's").into()),
        ("offset_unit", word::<OffsetUnit>("The unit of `start` and `end`; default: `codepoint`").into()),
        (
            "overflow",
            word::<Overflow>("Whether a text longer than one window is read whole, cut, or refused; default: `window`")
                .into(),
        ),
        ("text_rules", text_rules()),
        ("priority", word::<Priority>("`bulk` yields to all other requests; default: `normal`").into()),
        (
            "models",
            model_names()
                .schema_type(or_null(Type::Object))
                .description(Some("The models that answer; default: the active ones"))
                .into(),
        ),
        ("labels", strings(1000, "Entities with these labels only; default: all").into()),
        ("derived", word::<Derived>("What becomes of words derived from names; default: `keep`").into()),
        ("group", switch("Whether the answer says which entities are one; default: false").into()),
        ("evidence", switch("Whether accepted topics come with the passages that carry them; default: false").into()),
        ("label_language", language.description(Some("The language of topic labels, where the model has it")).into()),
    ]
}

fn text_rules() -> Schema {
    let rule = |name: &&'static str| (*name, Schema::from(switch("Whether the rule is on")));
    object(RULE_NAMES.iter().map(rule).collect(), &[])
        .schema_type(or_null(Type::Object))
        .description(Some("How a text is prepared for the model; default: as the model's folder says, else all on"))
        .into()
}

fn model_names() -> ObjectBuilder {
    object(vec![("topics", model_name().into()), ("entities", model_name().into())], &[])
}

/// What is read of a document: a text, or several fields.
fn texts() -> Vec<(&'static str, Schema)> {
    vec![
        ("title", text_or_null().description(Some("Offsets then name the field")).into()),
        ("lead", text_or_null().description(Some("Offsets then name the field")).into()),
        ("text", text_or_null().description(Some("May be left out where there is a title or a lead")).into()),
    ]
}

fn document() -> Vec<(&'static str, Schema)> {
    [vec![("id", id().into())], texts()].concat()
}

described! {
    /// One text, or documents.
    ClassifyBody: OneOfBuilder::new().item(reference::<OneText>()).item(reference::<DocumentList>()), with [OneText, DocumentList];
    /// A text, or the fields of one document; at least one of them.
    OneText: object([texts(), options()].concat(), &[]), with [];
    /// A text, or several fields; at least one of them.
    Document: object(document(), &[]), with [];
    DocumentList: object(
        [vec![("documents", ArrayBuilder::new().items(reference::<Document>()).into())], options()].concat(),
        &["documents"],
    ), with [Document];
    /// A line of a body of lines: a document and its options.
    LineBody: object([document(), options()].concat(), &[]), with [];
    /// A line of an answer in lines.
    LineAnswer: OneOfBuilder::new().item(reference::<Answer>()).item(reference::<FailureBody>()), with [Answer, FailureBody];
    Answers: ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("results", ArrayBuilder::new().items(reference::<DocumentBodyOut>()))
        .property("models", reference::<AnswerModels>())
        .required("results")
        .required("models"), with [DocumentBodyOut, AnswerModels];
    /// An answer for `text`, or answers for `documents`.
    ClassifyAnswer: OneOfBuilder::new().item(reference::<Answer>()).item(reference::<Answers>()), with [Answer, Answers];
    ModelNamesBody: model_names(), with [];
    ShadowRequest: object(
        vec![
            ("model", ObjectBuilder::new().schema_type(Type::String).description(Some("A loaded model")).into()),
            (
                "share",
                ObjectBuilder::new()
                    .schema_type(Type::Number)
                    .exclusive_minimum(Some(0.0))
                    .maximum(Some(1.0))
                    .description(Some("Of the live documents"))
                    .into(),
            ),
        ],
        &["model", "share"],
    ), with [];
}
