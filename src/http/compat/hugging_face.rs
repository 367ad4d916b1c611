//! Hugging Face's inference API, in the shapes of its text-classification and token-classification tasks.
//!
//! A request need not say its task. See [`chosen_task`].

pub mod bodies;

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use self::bodies::{
    EntityGroup, HuggingFaceAnswer, HuggingFaceBody, LabelScore, OutputFunction, PipelineTask, PipelineTaskName,
};
use super::super::app::App;
use super::super::body::{MediaTypes, utf8};
use super::super::error::{Code, Problem};
use super::super::in_path::InPath;
use super::super::json::{Expected, Field, Object};
use super::call::{Call, Texts, answer, assign, texts};
use super::problems::HuggingFaceProblems;
use crate::classify::answer::{Answer, AnswerTopic};
use crate::inference::decode::{sigmoid, softmax};
use crate::manifest::tags::entity_labels;
use crate::manifest::task::{AggregationStrategy, Task, Tasks};
use crate::models::load::Model;
use crate::system::choice::{shortened, suggestion};

/// What the address and the headers of a request say.
struct Target {
    model: Option<String>,
    task: Option<PipelineTask>,
}

/// How the answer is written.
struct Shape {
    is_list: bool,
    output: Output,
}

enum Output {
    Labels { function: Option<OutputFunction>, top_k: usize },
    Entities { ignored: Vec<String>, is_raw: bool },
}

const FIELDS: &[&str] = &["inputs", "parameters", "options"];
const TEXT_PARAMETERS: &[&str] = &["top_k", "function_to_apply"];
const TOKEN_PARAMETERS: &[&str] = &["aggregation_strategy", "ignore_labels", "stride"];
const OPTIONS: &[&str] = &["use_cache", "wait_for_model"];

const BODY: Expected = Expected { what: "an object", example: r#"{"inputs": "Angela Merkel in Berlin"}"# };
const INPUTS: Expected =
    Expected { what: "a string or a list of strings", example: r#""inputs": "Angela Merkel in Berlin""# };
const PARAMETERS: Expected = Expected { what: "an object", example: r#""parameters": {"top_k": 3}"# };
const TOP_K: Expected = Expected { what: "a whole number from 1 on", example: r#""top_k": 5"# };
const LABELS: Expected = Expected { what: "a list of labels", example: r#""ignore_labels": ["OTH"]"# };
const OPTION: Expected = Expected { what: "true or false", example: r#""options": {"use_cache": false}"# };

/// `POST /`
#[utoipa::path(
    post, path = "/", operation_id = "hugging_face_inference", tag = "hugging_face", summary = "Texts through the active models",
    params(("x-task" = Option<PipelineTaskName>, Header, description = "The task, where the address names none", nullable = false)),
    request_body(content = HuggingFaceBody, example = json!({"inputs": "Angela Merkel sprach in Berlin.", "parameters": {"aggregation_strategy": "simple"}})),
    responses((status = 200, description = "Labels or entities", body = HuggingFaceAnswer), HuggingFaceProblems)
)]
pub async fn active(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    respond(app, None, None, request).await
}

/// `POST /models/{name}`
#[utoipa::path(
    post, path = "/models/{name}", operation_id = "hugging_face_model", tag = "hugging_face", summary = "Texts through a model",
    params(("name" = String, Path, description = "The name of a loaded model"), ("x-task" = Option<PipelineTaskName>, Header, description = "The task, where the address names none", nullable = false)),
    request_body(content = HuggingFaceBody, example = json!({"inputs": ["Angela Merkel sprach in Berlin."]})),
    responses((status = 200, description = "Labels or entities", body = HuggingFaceAnswer), HuggingFaceProblems)
)]
pub async fn named(
    State(app): State<Arc<App>>,
    InPath(name): InPath<String>,
    request: Request,
) -> Result<Response, Problem> {
    respond(app, Some(name), None, request).await
}

/// `POST /models/{name}/pipeline/{task}`
#[utoipa::path(
    post, path = "/models/{name}/pipeline/{task}", operation_id = "hugging_face_model_task", tag = "hugging_face", summary = "Texts through a model, for a task",
    params(("name" = String, Path, description = "The name of a loaded model"), ("task" = PipelineTaskName, Path, description = "What is read of the texts")),
    request_body(content = HuggingFaceBody, example = json!({"inputs": ["Angela Merkel sprach in Berlin."]})),
    responses((status = 200, description = "Labels or entities", body = HuggingFaceAnswer), HuggingFaceProblems)
)]
pub async fn named_for_task(
    State(app): State<Arc<App>>,
    InPath((name, task)): InPath<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    respond(app, Some(name), Some(task), request).await
}

/// `POST /pipeline/{task}`
#[utoipa::path(
    post, path = "/pipeline/{task}", operation_id = "hugging_face_task", tag = "hugging_face", summary = "Texts through the active model of a task",
    params(("task" = PipelineTaskName, Path, description = "What is read of the texts")),
    request_body(content = HuggingFaceBody, example = json!({"inputs": ["Angela Merkel sprach in Berlin."]})),
    responses((status = 200, description = "Labels or entities", body = HuggingFaceAnswer), HuggingFaceProblems)
)]
pub async fn active_for_task(
    State(app): State<Arc<App>>,
    InPath(task): InPath<String>,
    request: Request,
) -> Result<Response, Problem> {
    respond(app, None, Some(task), request).await
}

/// `POST /pipeline/{task}/{name}`
#[utoipa::path(
    post, path = "/pipeline/{task}/{name}", operation_id = "hugging_face_task_model", tag = "hugging_face", summary = "Texts for a task, through a model",
    params(("task" = PipelineTaskName, Path, description = "What is read of the texts"), ("name" = String, Path, description = "The name of a loaded model")),
    request_body(content = HuggingFaceBody, example = json!({"inputs": ["Angela Merkel sprach in Berlin."]})),
    responses((status = 200, description = "Labels or entities", body = HuggingFaceAnswer), HuggingFaceProblems)
)]
pub async fn task_of_named(
    State(app): State<Arc<App>>,
    InPath((task, name)): InPath<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    respond(app, Some(name), Some(task), request).await
}

async fn respond(
    app: Arc<App>,
    model: Option<String>,
    task: Option<String>,
    request: Request,
) -> Result<Response, Problem> {
    let target = Target { model, task: named_task(task.as_deref(), request.headers())? };
    let read = move |app: &App, body: &Bytes| read(app, target, body);
    answer(&app, (MediaTypes::Json, request), read, write).await
}

/// The task in the address, else in the header `x-task`.
fn named_task(in_address: Option<&str>, headers: &HeaderMap) -> Result<Option<PipelineTask>, Problem> {
    let in_header = || headers.get("x-task").map(|task| String::from_utf8_lossy(task.as_bytes()).trim().to_owned());
    let named = in_address.map(str::to_owned).or_else(in_header);
    let unknown = |error| Problem::new(Code::InvalidRequest, format!("task {error}; models here give no other tasks"));
    named.map(|name| name.parse().map_err(unknown)).transpose()
}

fn read(app: &App, target: Target, body: &Bytes) -> Result<(Call, Shape), Problem> {
    let fields = Field::body(utf8(body)?).object(FIELDS, BODY)?;
    fields.check()?;
    let Texts { texts, is_list } = texts(&fields.require("inputs", INPUTS)?, INPUTS, app.limits.get())?;
    let parameters = fields.get("parameters");
    let task = chosen_task(app, &target, parameters.as_ref())?;
    let mut call = Call { model: target.model, ..Call::new(texts, task) };
    call.use_cache = fields.read("options", use_cache)?.unwrap_or(true);
    let output = match task {
        Task::Topics => label_output(parameters.as_ref(), &mut call)?,
        Task::Entities => entity_output(app, parameters.as_ref(), &mut call)?,
    };
    call.options.check()?;
    Ok((call, Shape { is_list, output }))
}

/// The task of a request: the one that it names, else the one whose parameters it has, else the only one that the model gives,
/// else topics.
fn chosen_task(app: &App, target: &Target, parameters: Option<&Field<'_>>) -> Result<Task, Problem> {
    match target.task {
        Some(PipelineTask::TextClassification) => return Ok(Task::Topics),
        Some(PipelineTask::TokenClassification) => return Ok(Task::Entities),
        None => {}
    }
    let has_any = |known: &'static [&'static str]| -> Result<bool, Problem> {
        let Some(parameters) = parameters else { return Ok(false) };
        let parameters = parameters.object(known, PARAMETERS)?;
        Ok(known.iter().any(|name| parameters.get(name).is_some()))
    };
    match (has_any(TEXT_PARAMETERS)?, has_any(TOKEN_PARAMETERS)?) {
        (true, false) => return Ok(Task::Topics),
        (false, true) => return Ok(Task::Entities),
        _ => {}
    }
    let gives_topics = match &target.model {
        Some(name) => app.registry.named(name)?.answers(Task::Topics),
        None => app.registry.active().get(Task::Topics).is_some(),
    };
    Ok(if gives_topics { Task::Topics } else { Task::Entities })
}

fn use_cache(field: &Field<'_>) -> Result<bool, Problem> {
    let options = field.object(OPTIONS, OPTION)?;
    options.check()?;
    // Every loaded model is ready, so there is none to wait for.
    options.read("wait_for_model", |field| field.boolean(OPTION))?;
    Ok(options.read("use_cache", |field| field.boolean(OPTION))?.unwrap_or(true))
}

/// The parameters, of which no other may be there; `None` where there are none.
fn known<'b>(field: Option<&Field<'b>>, known: &'static [&'static str]) -> Result<Option<Object<'b>>, Problem> {
    let Some(field) = field else { return Ok(None) };
    let parameters = field.object(known, PARAMETERS)?;
    parameters.check()?;
    Ok(Some(parameters))
}

fn label_output(parameters: Option<&Field<'_>>, call: &mut Call) -> Result<Output, Problem> {
    let Some(parameters) = known(parameters, TEXT_PARAMETERS)? else {
        return Ok(Output::Labels { function: None, top_k: usize::MAX });
    };
    let function = parameters.read("function_to_apply", Field::word)?;
    let top_k = parameters.read("top_k", |field| field.count(TOP_K))?.unwrap_or(usize::MAX);
    // The core refuses 0. A softmax needs every label.
    call.options.top_k = if function.is_some() && top_k > 0 { usize::MAX } else { top_k };
    Ok(Output::Labels { function, top_k })
}

fn entity_output(app: &App, parameters: Option<&Field<'_>>, call: &mut Call) -> Result<Output, Problem> {
    let Some(parameters) = known(parameters, TOKEN_PARAMETERS)? else {
        return Ok(Output::Entities { ignored: Vec::new(), is_raw: false });
    };
    if let Some(stride) = parameters.get("stride") {
        return Err(stride.problem(
            "long texts are always read whole, in windows that overlap as the model folder says; leave it out",
        ));
    }
    call.options.aggregation = parameters.read("aggregation_strategy", Field::word)?;
    let models = assign(app, Tasks { topics: false, entities: true }, call.model.as_deref())?;
    let ignored = parameters.read("ignore_labels", |field| ignored_labels(field, models.entities.as_deref()))?;
    let is_raw = call.options.aggregation == Some(AggregationStrategy::None);
    Ok(Output::Entities { ignored: ignored.unwrap_or_default(), is_raw })
}

/// Labels of the model that are left out of an answer. `O`, which says that a token is in no name, always is.
fn ignored_labels(field: &Field<'_>, model: Option<&Model>) -> Result<Vec<String>, Problem> {
    const MAX_LABELS: usize = 1000;
    let tags = model.and_then(|model| model.pipeline.entities.as_ref()).map_or(&[][..], |head| &head.scheme.tags);
    let labels = entity_labels(tags);
    let list = field.list(MAX_LABELS, LABELS)?;
    let read = |field: &Field<'_>| {
        let label = field.string(LABELS)?;
        let is_known = labels.iter().any(|known| **known == *label) || tags.iter().any(|tag| tag.raw == *label);
        if is_known || label == "O" {
            return Ok(label.into_owned());
        }
        let hint = suggestion(&label, labels.iter().copied());
        Err(field.problem(format!("the model has no label `{}`, only {}{hint}", shortened(&label), labels.join(", "))))
    };
    list.entries.iter().map(read).collect()
}

fn write(answers: Vec<Answer>, shape: Shape) -> Response {
    match shape.output {
        Output::Labels { function, top_k } => {
            let scores = |answer: Answer| label_scores(answer.topics.unwrap_or_default(), function, top_k);
            // One text gives a list of one list, too: this is what the clients take apart.
            Json(answers.into_iter().map(scores).collect::<Vec<_>>()).into_response()
        }
        Output::Entities { ignored, is_raw } => {
            let entities = |answer: Answer| -> Vec<EntityGroup> {
                let entities = answer.entities.unwrap_or_default().into_iter();
                let kept = entities.filter(|entity| !ignored.contains(&entity.label));
                kept.map(|entity| EntityGroup::new(entity, is_raw)).collect()
            };
            let mut lists: Vec<Vec<EntityGroup>> = answers.into_iter().map(entities).collect();
            match shape.is_list {
                true => Json(lists).into_response(),
                false => Json(lists.pop().unwrap_or_default()).into_response(),
            }
        }
    }
}

/// The best labels with their scores. The order is the same under every function.
fn label_scores(topics: Vec<AnswerTopic>, function: Option<OutputFunction>, top_k: usize) -> Vec<LabelScore> {
    let logits = topics.iter().map(|topic| topic.logit);
    let scores: Vec<f32> = match function {
        None => topics.iter().map(|topic| topic.score).collect(),
        Some(OutputFunction::None) => logits.collect(),
        Some(OutputFunction::Sigmoid) => logits.map(sigmoid).collect(),
        Some(OutputFunction::Softmax) => softmax(logits),
    };
    let labels = topics.into_iter().map(|topic| topic.label);
    labels.zip(scores).take(top_k).map(|(label, score)| LabelScore { label, score }).collect()
}
