//! text-embeddings-inference, as it serves a sequence classifier: `/predict`, `/info`, `/health`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::schema::{AnyOfBuilder, Type};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::super::app::App;
use super::super::body::{MediaTypes, utf8};
use super::super::description::parts::{described, object, or_null, reference, switch, text};
use super::super::error::{Code, Problem};
use super::super::health;
use super::super::json::{Expected, Field};
use super::call::{self, Call, Texts, answer, assign, entries};
use super::problems::{InfoProblems, TextEmbeddingsHealthProblems, TextEmbeddingsProblems};
use crate::classify::answer::{Answer, AnswerTopic};
use crate::classify::request::{CheckedText, RequestLimits};
use crate::inference::pipeline::Overflow;
use crate::manifest::task::{Task, Tasks};

/// How the answer is written.
struct Shape {
    is_batch: bool,
    raw_scores: bool,
}

#[derive(Serialize, ToSchema)]
pub struct ScoredLabel {
    score: f32,
    label: String,
}

/// What `/info` tells; the fields of text-embeddings-inference, which a client may require.
#[derive(Serialize, ToSchema)]
pub struct InfoBody {
    model_id: String,
    model_sha: String,
    model_dtype: String,
    served_model_name: String,
    model_type: ModelType,
    /// Windows that may wait.
    max_concurrent_requests: usize,
    /// Tokens of one window. Longer texts are read whole, in several.
    max_input_length: usize,
    max_batch_tokens: usize,
    max_batch_requests: usize,
    max_client_batch_size: usize,
    auto_truncate: bool,
    tokenization_workers: usize,
    version: &'static str,
    sha: Option<&'static str>,
    docker_label: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
pub struct ModelType {
    classifier: ClassifierLabels,
}

#[derive(Serialize, ToSchema)]
pub struct ClassifierLabels {
    #[schema(value_type = BTreeMap<String, String>)]
    id2label: BTreeMap<usize, String>,
    label2id: BTreeMap<String, usize>,
}

const FIELDS: &[&str] = &["inputs", "truncate", "truncation_direction", "raw_scores"];
const BODY: Expected = Expected { what: "an object", example: r#"{"inputs": "Angela Merkel in Berlin"}"# };
const INPUTS: Expected =
    Expected { what: "a string, or a list of lists of one string", example: r#""inputs": [["Berlin"], ["Köln"]]"# };
const TRUNCATE: Expected = Expected { what: "true or false", example: r#""truncate": true"# };
const RAW_SCORES: Expected = Expected { what: "true or false", example: r#""raw_scores": false"# };
const DIRECTION: Expected = Expected { what: "`Right`", example: r#""truncation_direction": "Right""# };

fn inputs_schema() -> OneOfBuilder {
    let sequence = || ArrayBuilder::new().items(text()).min_items(Some(1)).max_items(Some(1));
    OneOfBuilder::new().item(text()).item(sequence()).item(ArrayBuilder::new().items(sequence()))
}

fn direction() -> ObjectBuilder {
    let words = [Some("Right"), Some("right"), None];
    ObjectBuilder::new()
        .schema_type(or_null(Type::String))
        .enum_values(Some(words))
        .description(Some("Where a text is cut"))
}

described! {
    /// One text as a string or a list of one, or a batch of such lists.
    PredictBody: object(
        vec![
            ("inputs", inputs_schema().into()),
            ("truncate", switch("Whether a text is cut at one window; default: false, and it is read whole").into()),
            ("truncation_direction", direction().into()),
            ("raw_scores", switch("Whether scores are logits; default: false").into()),
        ],
        &["inputs"],
    ), with [];
    /// The labels of one text, or of each.
    PredictAnswer: AnyOfBuilder::new()
        .item(ArrayBuilder::new().items(reference::<ScoredLabel>()))
        .item(ArrayBuilder::new().items(ArrayBuilder::new().items(reference::<ScoredLabel>())))
        .build(), with [ScoredLabel];
}

/// `POST /predict`
#[utoipa::path(
    post, path = "/predict", operation_id = "text_embeddings_predict", tag = "text_embeddings",
    summary = "Topics of one text, or of a batch",
    request_body(content = PredictBody, example = json!({"inputs": [["Der FC Bayern hat gewonnen."], ["Der Bundestag tagt."]]})),
    responses((status = 200, description = "Labels with scores", body = PredictAnswer), TextEmbeddingsProblems)
)]
pub async fn predict(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    answer(&app, (MediaTypes::Json, request), read, write).await
}

/// `GET /info`: the active model of topics.
#[utoipa::path(
    get, path = "/info", operation_id = "text_embeddings_info", tag = "text_embeddings", summary = "The active model of topics",
    responses((status = 200, description = "The model and the limits", body = InfoBody), InfoProblems)
)]
pub async fn info(State(app): State<Arc<App>>) -> Result<Json<InfoBody>, Problem> {
    let models = assign(&app, Tasks { topics: true, entities: false }, None)?;
    let Some(model) = models.topics else {
        return Err(Problem::new(Code::TaskNotServed, "no model for topics is active; load one with --model"));
    };
    let labels = || model.topic_labels().iter().map(|label| label.label.clone()).enumerate();
    Ok(Json(InfoBody {
        model_id: model.name.clone(),
        model_sha: model.version.clone(),
        model_dtype: model.manifest.graph.precision.to_string(),
        served_model_name: model.name.clone(),
        model_type: ModelType {
            classifier: ClassifierLabels {
                id2label: labels().collect(),
                label2id: labels().map(|(index, label)| (label, index)).collect(),
            },
        },
        max_concurrent_requests: model.pipeline.scheduler.n_permits(),
        max_input_length: model.manifest.max_length,
        max_batch_tokens: model.batch_limits().max_tokens,
        max_batch_requests: model.batch_limits().max_windows,
        max_client_batch_size: app.limits.get().max_documents,
        auto_truncate: false,
        tokenization_workers: model.n_streams,
        version: crate::system::build_info::VERSION,
        sha: None,
        docker_label: None,
    }))
}

/// `GET /health`: an empty answer while every model can answer.
#[utoipa::path(
    get, path = "/health", operation_id = "text_embeddings_health", tag = "text_embeddings",
    summary = "Whether every model answers", security(()),
    responses(TextEmbeddingsHealthProblems, (status = 200, description = "Every model answers"))
)]
pub async fn health(app: State<Arc<App>>) -> Result<StatusCode, Problem> {
    match health::ready(app).await {
        (StatusCode::OK, _) => Ok(StatusCode::OK),
        _ => Err(Problem::new(Code::Unavailable, "unhealthy; GET /health/ready says why")),
    }
}

fn read(app: &App, body: &Bytes) -> Result<(Call, Shape), Problem> {
    let fields = Field::body(utf8(body)?).object(FIELDS, BODY)?;
    fields.check()?;
    let Texts { texts, is_list } = inputs(&fields.require("inputs", INPUTS)?, app.limits.get())?;
    let mut call = Call::new(texts, Task::Topics);
    fields.read("truncation_direction", |field| match &*field.string(DIRECTION)? {
        "Right" | "right" => Ok(()),
        _ => Err(field.problem(
            "a text is cut at its end only; leave it out, or leave out `truncate`: texts are then read whole",
        )),
    })?;
    if fields.read("truncate", |field| field.boolean(TRUNCATE))?.unwrap_or(false) {
        call.options.overflow = Overflow::Truncate;
    }
    let raw_scores = fields.read("raw_scores", |field| field.boolean(RAW_SCORES))?.unwrap_or(false);
    Ok((call, Shape { is_batch: is_list, raw_scores }))
}

/// One text as `"a"` or `["a"]`, or a batch `[["a"], ["b"]]`. `["a", "b"]` is a pair.
fn inputs(field: &Field<'_>, limits: RequestLimits) -> Result<Texts, Problem> {
    if !field.starts_with('[') {
        return Ok(Texts { texts: vec![call::text(field, INPUTS, limits)?], is_list: false });
    }
    let inputs = entries(field, INPUTS, limits)?;
    if inputs.is_empty() || inputs.iter().any(|input| input.starts_with('[')) {
        let batch = inputs.iter().map(|input| sequence(input, limits)).collect::<Result<_, _>>()?;
        return Ok(Texts { texts: batch, is_list: true });
    }
    Ok(Texts { texts: vec![sequence(field, limits)?], is_list: false })
}

/// A list of one string.
fn sequence(field: &Field<'_>, limits: RequestLimits) -> Result<CheckedText, Problem> {
    let strings = field.list(1, INPUTS)?;
    match (&strings.entries[..], strings.n_entries) {
        ([only], 1) => call::text(only, INPUTS, limits),
        (_, 2) => Err(field.problem(
            "pairs of texts are not classified here; send a batch of texts as lists of one: [[\"Berlin\"], [\"Köln\"]]",
        )),
        _ => Err(field.refuse(INPUTS)),
    }
}

fn write(answers: Vec<Answer>, shape: Shape) -> Response {
    let label = |topic: AnswerTopic| ScoredLabel {
        score: if shape.raw_scores { topic.logit } else { topic.score },
        label: topic.label,
    };
    let labels = |answer: Answer| answer.topics.unwrap_or_default().into_iter().map(label).collect();
    let mut lists: Vec<Vec<ScoredLabel>> = answers.into_iter().map(labels).collect();
    match shape.is_batch {
        true => Json(lists).into_response(),
        false => Json(lists.pop().unwrap_or_default()).into_response(),
    }
}
