//! `POST /v2/models/{name}/infer`: JSON, which binary tensors may follow, both ways.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};

use super::super::super::app::App;
use super::super::super::body::{MediaTypes, utf8};
use super::super::super::error::{Code, Problem};
use super::super::super::in_path::InPath;
use super::super::super::json::{Expected, Field, Object};
use super::super::super::schema;
use super::super::call::{Call, answer};
use super::super::problems::InferProblems;
use super::bodies::{InferBody, InferRequest, OPTIONS, OutputBody, OutputParameters};
use super::named;
use super::tensors::{OUTPUTS, Output, TEXT_INPUT, Tensor, binary_texts, json_texts};
use crate::classify::answer::Answer;
use crate::classify::request::{CheckedText, ClassifyOptions, RequestLimits};
use crate::inference::scheduler::Priority;
use crate::manifest::task::{Task, Tasks};
use crate::models::load::Model;
use crate::system::choice::shortened;
use crate::system::counted::counted;

/// The length of the JSON, where binary data follows it.
static JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// What the address and the headers of a request say.
struct Target {
    name: String,
    version: Option<String>,
    json_length: Option<String>,
}

/// How the answer is written.
struct Shape {
    model: Arc<Model>,
    id: Option<String>,
    /// Each with whether it is binary.
    outputs: Vec<(Output, bool)>,
}

const FIELDS: &[&str] = &["id", "parameters", "inputs", "outputs"];
/// Those of `/v1/classify`, then those of the protocol.
static PARAMETERS: LazyLock<Vec<&str>> =
    LazyLock::new(|| [OPTIONS, &["priority", "timeout", "binary_data_output"]].concat());
const INPUT_FIELDS: &[&str] = &["name", "shape", "datatype", "parameters", "data"];
const INPUT_PARAMETERS: &[&str] = &["binary_data_size"];
const OUTPUT_FIELDS: &[&str] = &["name", "parameters"];
const OUTPUT_PARAMETERS: &[&str] = &["binary_data"];

const BODY: Expected = Expected {
    what: "an object",
    example: r#"{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Angela Merkel in Berlin"]}]}"#,
};
const ID: Expected = Expected { what: "a string", example: r#""id": "a1""# };
const OBJECT: Expected = Expected { what: "an object", example: r#""parameters": {"top_k": 3}"# };
const INPUTS: Expected = Expected {
    what: "a list with the one input `text`",
    example: r#""inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Berlin"]}]"#,
};
const NAME: Expected = Expected { what: "\"text\", the only input", example: r#""name": "text""# };
const DATATYPE: Expected = Expected { what: "\"BYTES\"", example: r#""datatype": "BYTES""# };
const SHAPE: Expected = Expected { what: "[n] or [n, 1], where n is the number of texts", example: r#""shape": [1]"# };
const DATA: Expected = Expected { what: "a list of strings", example: r#""data": ["Angela Merkel in Berlin"]"# };
const SIZE: Expected = Expected { what: "a number of bytes", example: r#""binary_data_size": 10"# };
const OUTPUT_LIST: Expected = Expected { what: "a list of outputs", example: r#""outputs": [{"name": "entities"}]"# };
const OUTPUT_NAME: Expected = Expected { what: "the name of an output", example: r#""name": "entities""# };
const SWITCH: Expected = Expected { what: "true or false", example: r#""binary_data": true"# };
const PRIORITY: Expected =
    Expected { what: "a whole number: 0 and 1 are usual, 2 and more yield to them", example: r#""priority": 2"# };
const TIMEOUT: Expected = Expected { what: "a number of microseconds", example: r#""timeout": 5000000"# };

/// `POST /v2/models/{name}/infer`
#[utoipa::path(
    post, path = "/v2/models/{name}/infer", operation_id = "open_inference_infer", tag = "open_inference", summary = "Topics and entities of texts as tensors",
    params(("name" = String, Path, description = "The name of a loaded model")),
    request_body(content = InferRequest, example = json!({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Angela Merkel sprach in Berlin."]}], "parameters": {"top_k": 3}})),
    responses(
        (
            status = 200,
            description = "The outputs; after their JSON the data of those that are binary",
            content((InferBody = "application/json"), (String = "application/octet-stream"))
        ),
        InferProblems,
    )
)]
pub async fn infer(
    State(app): State<Arc<App>>,
    InPath(name): InPath<String>,
    request: Request,
) -> Result<Response, Problem> {
    respond(app, name, None, request).await
}

/// `POST /v2/models/{name}/versions/{version}/infer`
#[utoipa::path(
    post, path = "/v2/models/{name}/versions/{version}/infer", operation_id = "open_inference_infer_version", tag = "open_inference", summary = "Topics and entities of texts as tensors, by a version of a model",
    params(("name" = String, Path, description = "The name of a loaded model"), ("version" = String, Path, description = "Its version")),
    request_body(content = InferRequest, example = json!({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Angela Merkel sprach in Berlin."]}], "parameters": {"top_k": 3}})),
    responses(
        (
            status = 200,
            description = "The outputs; after their JSON the data of those that are binary",
            content((InferBody = "application/json"), (String = "application/octet-stream"))
        ),
        InferProblems,
    )
)]
pub async fn infer_version(
    State(app): State<Arc<App>>,
    InPath((name, version)): InPath<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    respond(app, name, Some(version), request).await
}

async fn respond(app: Arc<App>, name: String, version: Option<String>, request: Request) -> Result<Response, Problem> {
    let target = Target { name, version, json_length: json_length(request.headers()) };
    let read = move |app: &App, body: &Bytes| read(app, target, body);
    // `tritonclient` names no media type.
    answer(&app, (MediaTypes::Any, request), read, write).await
}

fn json_length(headers: &HeaderMap) -> Option<String> {
    headers.get(&JSON_LENGTH).map(|length| String::from_utf8_lossy(length.as_bytes()).into_owned())
}

fn read(app: &App, target: Target, body: &Bytes) -> Result<(Call, Shape), Problem> {
    let model = named(app, &target.name, target.version.as_deref())?;
    let (json, binary) = split(body, target.json_length.as_deref())?;
    let fields = Field::body(utf8(json)?).object(FIELDS, BODY)?;
    fields.check()?;
    let texts = input_texts(&fields.require("inputs", INPUTS)?, binary, app.limits.get())?;
    let mut call = Call { model: Some(target.name), ..Call::new(texts, Task::Topics) };
    let is_binary = match fields.get("parameters") {
        Some(parameters) => read_parameters(&parameters, &mut call)?,
        None => false,
    };
    let outputs = match fields.get("outputs") {
        Some(outputs) => requested_outputs(&outputs, &model, is_binary)?,
        None => {
            OUTPUTS.into_iter().filter(|output| output.is_given_by(&model)).map(|output| (output, is_binary)).collect()
        }
    };
    let needs = |task| {
        let is_about = |output: Output| output.task().is_none_or(|about| about == task);
        model.answers(task) && outputs.iter().any(|(output, _)| is_about(*output))
    };
    call.tasks = Tasks { topics: needs(Task::Topics), entities: needs(Task::Entities) };
    let id = fields.read("id", |field| field.string(ID).map(Into::into))?;
    Ok((call, Shape { model, id, outputs }))
}

/// The JSON of a body, and the binary data after it.
fn split<'b>(body: &'b [u8], json_length: Option<&str>) -> Result<(&'b [u8], &'b [u8]), Problem> {
    let Some(length) = json_length else { return Ok((body, &[])) };
    let split = length.trim().parse().ok().and_then(|length| body.split_at_checked(length));
    split.filter(|(json, _)| !json.is_empty()).ok_or_else(|| {
        let detail = format!(
            "Inference-Header-Content-Length is `{}`, and the body has {} bytes; send the length of the JSON before the binary data",
            shortened(length),
            body.len()
        );
        Problem::new(Code::InvalidRequest, detail)
    })
}

/// The texts of the only input.
fn input_texts(field: &Field<'_>, binary: &[u8], limits: RequestLimits) -> Result<Vec<CheckedText>, Problem> {
    let list = field.list(1, INPUTS)?;
    let ([input], 1) = (&list.entries[..], list.n_entries) else { return Err(field.refuse(INPUTS)) };
    let input = input.object(INPUT_FIELDS, INPUTS)?;
    input.check()?;
    require_word(&input, "name", TEXT_INPUT, NAME)?;
    require_word(&input, "datatype", "BYTES", DATATYPE)?;
    let size = match input.get("parameters") {
        Some(parameters) => binary_size(&parameters)?,
        None => None,
    };
    let texts = match (size, input.get("data")) {
        (Some((field, size)), None) if size == binary.len() => binary_texts(binary, limits).map(|texts| (field, texts)),
        (Some((field, size)), None) => Err(field.problem(format!(
            "{size} is not the {} bytes that follow the JSON; send Inference-Header-Content-Length, and the size of all elements with their lengths",
            binary.len()
        ))),
        (None, Some(data)) if binary.is_empty() => json_texts(&data, limits).map(|texts| (data, texts)),
        (None, Some(data)) => Err(data.problem("binary data follows the JSON too; send one of both")),
        (Some((field, _)), Some(_)) => Err(field.problem("`data` is given too; send one of both")),
        (None, None) => Err(input.require("data", DATA).err().unwrap_or_else(|| field.refuse(INPUTS))),
    };
    let (data, texts) = texts?;
    check_shape(&input, &data, texts.len())?;
    Ok(texts)
}

/// The field `binary_data_size` and its value.
fn binary_size<'b>(parameters: &Field<'b>) -> Result<Option<(Field<'b>, usize)>, Problem> {
    let parameters = parameters.object(INPUT_PARAMETERS, OBJECT)?;
    // Regions of shared memory are among the unknown ones.
    parameters.check()?;
    parameters.read("binary_data_size", |field| Ok((field.clone(), field.count(SIZE)?)))
}

fn require_word(object: &Object<'_>, name: &str, word: &str, expected: Expected) -> Result<(), Problem> {
    let field = object.require(name, expected)?;
    if field.string(expected)? == word { Ok(()) } else { Err(field.refuse(expected)) }
}

fn check_shape(input: &Object<'_>, data: &Field<'_>, n_texts: usize) -> Result<(), Problem> {
    let field = input.require("shape", SHAPE)?;
    let axes = field.list(2, SHAPE)?;
    let sizes = axes.entries.iter().map(|axis| axis.count(SHAPE)).collect::<Result<Vec<_>, _>>()?;
    match (&sizes[..], axes.n_entries) {
        ([n] | [n, 1], 1 | 2) if *n == n_texts => Ok(()),
        ([n] | [n, 1], 1 | 2) => {
            Err(data.problem(format!("it holds {}, and `shape` announces {n}", counted(n_texts, "element"))))
        }
        _ => Err(field.refuse(SHAPE)),
    }
}

/// Reads the options into the call. Returns whether outputs are binary that do not say.
fn read_parameters(field: &Field<'_>, call: &mut Call) -> Result<bool, Problem> {
    let parameters = field.object(&PARAMETERS, OBJECT)?;
    parameters.check()?;
    let options = schema::options(&parameters)?;
    let top_k = if parameters.get("top_k").is_some() { options.top_k } else { usize::MAX };
    call.options = ClassifyOptions { top_k, ..options };
    let is_late = |field: &Field<'_>| Ok(field.count(PRIORITY)? > 1);
    if parameters.read("priority", is_late)?.unwrap_or(false) {
        call.priority = Priority::Bulk;
    }
    let micros = |field: &Field<'_>| Ok(Duration::from_micros(field.count(TIMEOUT)? as u64));
    // 0 stands for none.
    call.timeout = parameters.read("timeout", micros)?.filter(|timeout| !timeout.is_zero());
    Ok(parameters.read("binary_data_output", |field| field.boolean(SWITCH))?.unwrap_or(false))
}

fn requested_outputs(field: &Field<'_>, model: &Model, is_binary: bool) -> Result<Vec<(Output, bool)>, Problem> {
    const MAX_OUTPUTS: usize = 100;
    let list = field.list(MAX_OUTPUTS, OUTPUT_LIST)?;
    if list.n_entries == 0 || list.n_entries > MAX_OUTPUTS {
        return Err(field.problem("it names no output, or too many; leave it out to get all of them"));
    }
    let read = |field: &Field<'_>| -> Result<(Output, bool), Problem> {
        let output = field.object(OUTPUT_FIELDS, OUTPUT_LIST)?;
        output.check()?;
        let name = output.require("name", OUTPUT_NAME)?;
        let named: Output = name.word()?;
        if !named.is_given_by(model) {
            let task = named.task().map_or("it", |task| task.into_str());
            return Err(name.problem(format!("model `{}` does not serve {task}; leave it out", model.name)));
        }
        let Some(parameters) = output.get("parameters") else { return Ok((named, is_binary)) };
        let parameters = parameters.object(OUTPUT_PARAMETERS, OBJECT)?;
        parameters.check()?;
        let binary = parameters.read("binary_data", |field| field.boolean(SWITCH))?;
        Ok((named, binary.unwrap_or(is_binary)))
    };
    list.entries.iter().map(read).collect()
}

fn write(answers: Vec<Answer>, shape: Shape) -> Response {
    let (mut binary, mut is_any_binary) = (Vec::new(), false);
    let mut outputs = Vec::with_capacity(shape.outputs.len());
    for (output, is_binary) in shape.outputs {
        let Tensor { output, shape, data } = output.tensor(&answers);
        let (parameters, data) = match is_binary {
            true => {
                let bytes = data.binary();
                binary.extend_from_slice(&bytes);
                (Some(OutputParameters { binary_data_size: bytes.len() }), None)
            }
            false => (None, Some(data)),
        };
        is_any_binary |= is_binary;
        outputs.push(OutputBody { name: output.name(), datatype: output.datatype(), shape, parameters, data });
    }
    let (model_name, model_version) = (shape.model.name.clone(), shape.model.version.clone());
    let body = InferBody { model_name, model_version, id: shape.id, outputs };
    if !is_any_binary {
        return Json(body).into_response();
    }
    // Plain structs of strings and numbers: there is nothing that cannot be written.
    let mut bytes = serde_json::to_vec(&body).unwrap_or_default();
    let headers =
        [(CONTENT_TYPE, "application/octet-stream".to_owned()), (JSON_LENGTH.clone(), bytes.len().to_string())];
    bytes.append(&mut binary);
    (headers, bytes).into_response()
}
