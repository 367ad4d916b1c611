//! vLLM's `/classify`: texts in, the scores of all labels out, in the order of the labels.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{Object as ObjectSchema, ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::super::app::App;
use super::super::body::{MediaTypes, utf8};
use super::super::description::parts::{described, object, or_null, switch, text_or_texts};
use super::super::error::Problem;
use super::super::json::{Expected, Field, Object};
use super::call::{Call, answer, assign, texts};
use super::problems::VllmProblems;
use crate::classify::answer::{Answer, AnswerTopic};
use crate::inference::pipeline::Overflow;
use crate::inference::scheduler::Priority;
use crate::manifest::task::{Task, Tasks};

/// How the answer is written.
struct Shape {
    id: String,
    model: String,
    use_activation: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = VllmAnswer)]
pub struct ClassifyBody {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    data: Vec<TextClass>,
    usage: UsageBody,
}

#[derive(Serialize, ToSchema)]
pub struct TextClass {
    index: usize,
    /// The best label; `None` for a text without tokens, which has no scores either.
    label: Option<String>,
    probs: Vec<f32>,
    num_classes: usize,
}

#[derive(Serialize, ToSchema)]
pub struct UsageBody {
    prompt_tokens: usize,
    total_tokens: usize,
    completion_tokens: usize,
    #[schema(schema_with = null)]
    prompt_tokens_details: Option<()>,
}

const FIELDS: &[&str] = &[
    "model",
    "input",
    "messages",
    "user",
    "request_id",
    "priority",
    "use_activation",
    "truncate_prompt_tokens",
    "truncation_side",
    "add_special_tokens",
];
const BODY: Expected = Expected { what: "an object", example: r#"{"input": "Angela Merkel in Berlin"}"# };
const INPUT: Expected = Expected {
    what: "a string or a list of strings (not of token ids)",
    example: r#""input": ["Angela Merkel in Berlin"]"#,
};
const MODEL: Expected = Expected { what: "the name of a model", example: r#""model": "ressort""# };
const WORD: Expected = Expected { what: "a string", example: r#""request_id": "a1""# };
const PRIORITY: Expected = Expected { what: "a whole number", example: r#""priority": 0"# };
const SWITCH: Expected = Expected { what: "true or false", example: r#""use_activation": true"# };
const TRUNCATE: Expected =
    Expected { what: "-1, which cuts at the model's window", example: r#""truncate_prompt_tokens": -1"# };

fn null() -> ObjectSchema {
    ObjectSchema::with_type(Type::Null)
}

/// The only value that is accepted, or null.
fn only(kind: Type, value: impl Into<Value>) -> Schema {
    ObjectBuilder::new().schema_type(or_null(kind)).enum_values(Some([value.into(), Value::Null])).into()
}

fn string(description: &str) -> Schema {
    ObjectBuilder::new().schema_type(or_null(Type::String)).description(Some(description)).into()
}

described! {
    /// One text, or several. `messages` are refused, since models here have no chat template.
    VllmClassifyBody: object(
        vec![
            ("model", string("The name of a loaded model; default: the active one")),
            ("input", text_or_texts().into()),
            ("user", string("It is not used")),
            ("request_id", string("Part of the id of the answer")),
            (
                "priority",
                ObjectBuilder::new()
                    .schema_type(or_null(Type::Integer))
                    .description(Some("Above 0 yields to all other requests"))
                    .into(),
            ),
            ("use_activation", switch("Whether `probs` are scores rather than logits; default: true").into()),
            ("truncate_prompt_tokens", only(Type::Integer, -1)),
            ("truncation_side", only(Type::String, "right")),
            ("add_special_tokens", only(Type::Boolean, true)),
        ],
        &["input"],
    ), with [];
}

/// `POST /classify`
#[utoipa::path(
    post, path = "/classify", operation_id = "vllm_classify", tag = "vllm", summary = "The scores of all topics for each text",
    request_body(content = VllmClassifyBody, example = json!({"input": ["Der FC Bayern hat gewonnen."], "model": "ressort"})),
    responses((status = 200, description = "A class for each text", body = ClassifyBody), VllmProblems)
)]
pub async fn classify(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    answer(&app, (MediaTypes::Json, request), read, write).await
}

fn read(app: &App, body: &Bytes) -> Result<(Call, Shape), Problem> {
    let fields = Field::body(utf8(body)?).object(FIELDS, BODY)?;
    fields.check()?;
    if let Some(messages) = fields.get("messages") {
        return Err(messages.problem("models here have no chat template; send the text as `input`"));
    }
    let texts = texts(&fields.require("input", INPUT)?, INPUT, app.limits.get())?;
    let model = fields.read("model", |field| field.string(MODEL).map(Into::into))?;
    let mut call = Call { model, ..Call::new(texts.texts, Task::Topics) };
    fields.read("user", |field| field.string(WORD).map(|_| ()))?;
    let is_late = |field: &Field<'_>| field.number(PRIORITY, |number| number.fract() == 0.0).map(|number| number > 0.0);
    if fields.read("priority", is_late)?.unwrap_or(false) {
        call.priority = Priority::Bulk;
    }
    if is_truncated(&fields)? {
        call.options.overflow = Overflow::Truncate;
    }
    let request_id = fields.read("request_id", |field| field.string(WORD).map(Into::into))?;
    let shape = Shape {
        id: format!("classify-{}", request_id.unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string())),
        model: assign(app, Tasks { topics: true, entities: false }, call.model.as_deref())?
            .topics
            .map(|model| model.name.clone())
            .unwrap_or_default(),
        use_activation: fields.read("use_activation", |field| field.boolean(SWITCH))?.unwrap_or(true),
    };
    Ok((call, shape))
}

/// Whether a text is cut at the model's window. It is cut nowhere else, at its end only, and always has special tokens.
fn is_truncated(fields: &Object<'_>) -> Result<bool, Problem> {
    fields.read("truncation_side", |field| match &*field.string(WORD)? {
        "right" => Ok(()),
        _ => Err(field.problem("a text is cut at its end only; send \"right\", or leave it out")),
    })?;
    fields.read("add_special_tokens", |field| match field.boolean(SWITCH)? {
        true => Ok(()),
        false => Err(field.problem("the model reads every text with its special tokens; leave it out")),
    })?;
    let is_window = |number: f64| number == -1.0;
    Ok(fields.read("truncate_prompt_tokens", |field| field.number(TRUNCATE, is_window))?.is_some())
}

fn write(answers: Vec<Answer>, shape: Shape) -> Response {
    let n_tokens = answers.iter().map(|answer| answer.usage.tokens).sum();
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let class = |(index, answer)| TextClass::new(index, answer, shape.use_activation);
    let body = ClassifyBody {
        id: shape.id,
        object: "list",
        created,
        model: shape.model,
        data: answers.into_iter().enumerate().map(class).collect(),
        usage: UsageBody {
            prompt_tokens: n_tokens,
            total_tokens: n_tokens,
            completion_tokens: 0,
            prompt_tokens_details: None,
        },
    };
    Json(body).into_response()
}

impl TextClass {
    fn new(index: usize, answer: Answer, use_activation: bool) -> Self {
        let mut topics = answer.topics.unwrap_or_default();
        let label = topics.first().map(|best| best.label.clone());
        topics.sort_by_key(|topic| topic.index);
        let score = |topic: &AnswerTopic| match use_activation {
            true => topic.score,
            false => topic.logit,
        };
        Self { index, label, num_classes: topics.len(), probs: topics.iter().map(score).collect() }
    }
}
