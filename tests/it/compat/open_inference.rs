//! Clients of the Open Inference Protocol, such as `tritonclient`: requests and answers in their shapes.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use ressort::classify::request::RequestLimits;
use ressort::http::{App, KeyRing, KeySpec, Scope};
use ressort::models::model_folders::ModelFolders;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{answer, native, post, send, service};
use crate::api::{registry, router};
use crate::support::{copy_files, models_dir};

const TEXT: &str = "Angela Merkel traf Olaf Scholz in Köln.";

/// A request with texts in JSON.
pub fn tensor(texts: &[&str]) -> Value {
    json!({"inputs": [{"name": "text", "shape": [texts.len()], "datatype": "BYTES", "data": texts}]})
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// The output of this name.
fn output<'v>(answer: &'v Value, name: &str) -> &'v Value {
    answer["outputs"].as_array().unwrap().iter().find(|output| output["name"] == name).unwrap()
}

#[tokio::test]
async fn server_and_models_describe_themselves() {
    let service = service().await;
    let (status, server) = send(&service, get("/v2")).await;
    assert_eq!((status, server["name"].as_str()), (200, Some("ressort")));
    assert!(server["extensions"].as_array().unwrap().contains(&json!("binary_tensor_data")));
    let (_, model) = send(&service, get("/v2/models/two-heads")).await;
    assert_eq!(model["inputs"], json!([{"name": "text", "datatype": "BYTES", "shape": [-1]}]));
    let version = model["versions"][0].as_str().unwrap();
    assert_eq!(send(&service, get(&format!("/v2/models/two-heads/versions/{version}"))).await, (200, model.clone()));
    let names = |model: &Value| super::words(&model["outputs"], "name").join(" ");
    assert_eq!(names(&model), "topic_labels topic_scores topic_accepted entities answer");
    let (_, model) = send(&service, get("/v2/models/lexicon-ner")).await;
    assert_eq!(names(&model), "entities answer");
    for (path, status) in [
        ("/v2/health/live", 200),
        ("/v2/health/ready", 200),
        ("/v2/models/two-heads/ready", 200),
        (&*format!("/v2/models/two-heads/versions/{version}/ready"), 200),
        ("/v2/models/two-heads/versions/1/ready", 404),
        ("/v2/models/nobody/ready", 404),
        ("/v2/models/nobody", 404),
        ("/v2/nothing", 404),
    ] {
        let (found, answer) = send(&service, get(path)).await;
        assert_eq!(found, status, "{path}");
        assert_eq!(answer["error"].is_string(), status == 404, "{path}: {answer}");
    }
}

#[tokio::test]
async fn texts_in_json_give_tensors_with_a_row_each() {
    let service = service().await;
    let mut body = tensor(&[TEXT, ""]);
    (body["id"], body["parameters"]) = (json!("a1"), json!({"top_k": 2}));
    let found = answer(&service, "/v2/models/two-heads/infer", body).await;
    assert_eq!((found["model_name"].as_str(), found["id"].as_str()), (Some("two-heads"), Some("a1")));
    let models = json!({"topics": "two-heads", "entities": "two-heads"});
    let native = native(&service, json!({"text": TEXT, "models": models, "top_k": 2})).await;
    let topics = &native["topics"];
    let labels = output(&found, "topic_labels");
    assert_eq!(labels["shape"], json!([2, 2]));
    assert_eq!(labels["data"], json!([topics[0]["label"], topics[1]["label"], "", ""]));
    assert_eq!(output(&found, "topic_scores")["data"], json!([topics[0]["score"], topics[1]["score"], 0.0, 0.0]));
    assert_eq!(output(&found, "topic_accepted")["datatype"], "BOOL");
    let entities: Value = serde_json::from_str(output(&found, "entities")["data"][0].as_str().unwrap()).unwrap();
    assert_eq!(entities, native["entities"]);
    let whole: Value = serde_json::from_str(output(&found, "answer")["data"][0].as_str().unwrap()).unwrap();
    assert_eq!((&whole["topics"], &whole["entities"]), (topics, &native["entities"]));
    let version = found["model_version"].as_str().unwrap();
    let nested = json!({"inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [[TEXT]]}]});
    let same = answer(&service, &format!("/v2/models/two-heads/versions/{version}/infer"), nested).await;
    assert_eq!(output(&same, "topic_labels")["shape"], json!([1, 4]));
}

#[tokio::test]
async fn only_the_outputs_that_are_requested_are_computed_and_given() {
    let mut body = tensor(&[TEXT]);
    body["outputs"] = json!([{"name": "entities", "parameters": {"binary_data": false}}]);
    let found = answer(&service().await, "/v2/models/two-heads/infer", body).await;
    assert_eq!(super::words(&found["outputs"], "name"), ["entities"]);
}

/// A request with JSON and binary data.
fn binary(path: &str, header: &Value, data: &[u8]) -> Request<Body> {
    let json = header.to_string();
    let request = Request::post(path).header("inference-header-content-length", json.len());
    request.body(Body::from([json.as_bytes(), data].concat())).unwrap()
}

fn elements(texts: &[&[u8]]) -> Vec<u8> {
    texts.iter().flat_map(|text| [&(text.len() as u32).to_le_bytes()[..], text].concat()).collect()
}

fn header(n_texts: usize, size: usize) -> Value {
    json!({
        "inputs": [{"name": "text", "shape": [n_texts], "datatype": "BYTES", "parameters": {"binary_data_size": size}}],
        "parameters": {"binary_data_output": true},
    })
}

#[tokio::test]
async fn binary_tensors_follow_the_json_both_ways() {
    let service = service().await;
    let data = elements(&[TEXT.as_bytes(), b""]);
    let request = binary("/v2/models/two-heads/infer", &header(2, data.len()), &data);
    let response = service.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/octet-stream");
    let length: usize = response.headers()["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let (json, mut rest) = body.split_at(length);
    let found: Value = serde_json::from_slice(json).unwrap();
    let expected = answer(&service, "/v2/models/two-heads/infer", tensor(&[TEXT, ""])).await;
    for (output, expected) in found["outputs"].as_array().unwrap().iter().zip(expected["outputs"].as_array().unwrap()) {
        assert_eq!((&output["name"], &output["shape"]), (&expected["name"], &expected["shape"]));
        assert!(output["data"].is_null());
        let size = output["parameters"]["binary_data_size"].as_u64().unwrap() as usize;
        let (tensor, after) = rest.split_at(size);
        rest = after;
        let data = expected["data"].as_array().unwrap();
        let bytes: Vec<u8> = match output["datatype"].as_str().unwrap() {
            "FP32" => data.iter().flat_map(|value| (value.as_f64().unwrap() as f32).to_le_bytes()).collect(),
            "BOOL" => data.iter().map(|value| u8::from(value.as_bool().unwrap())).collect(),
            _ if output["name"] == "answer" => continue,
            _ => elements(&data.iter().map(|value| value.as_str().unwrap().as_bytes()).collect::<Vec<_>>()),
        };
        assert_eq!(tensor, bytes, "{output}");
    }
    assert!(rest.is_empty());
}

#[tokio::test]
async fn what_does_not_add_up_is_refused_and_named() {
    let service = service().await;
    let path = "/v2/models/lexicon-ner/infer";
    let input = |field: &str, value: Value| {
        let mut body = tensor(&["a"]);
        body["inputs"][0][field] = value;
        body
    };
    let with = |field: &str, value: Value| {
        let mut body = tensor(&["a"]);
        body[field] = value;
        body
    };
    let shared = json!({"shared_memory_region": "r", "shared_memory_byte_size": 1});
    for (body, part) in [
        (input("shape", json!([2])), "holds 1 element, and `shape` announces 2"),
        (input("shape", json!([1, 2])), "[n] or [n, 1]"),
        (input("datatype", json!("FP32")), "\"BYTES\""),
        (input("name", json!("image")), "\"text\", the only input"),
        (input("parameters", shared), "unknown field `shared_memory_"),
        (with("inputs", json!([])), "the one input"),
        (with("outputs", json!([{"name": "topic_scores"}])), "does not serve topics"),
        (with("outputs", json!([{"name": "scores"}])), "`topic_labels`"),
        (
            with("outputs", json!([{"name": "entities", "parameters": {"classification": 3}}])),
            "unknown field `classification`",
        ),
        (with("parameters", json!({"sequence_id": 1})), "unknown field `sequence_id`"),
        (with("parameters", json!({"top_k": 0})), "top_k 0"),
    ] {
        let (status, answer) = send(&service, post(path, &body)).await;
        assert_eq!(status, 422, "{body}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(part), "{body}: {answer}");
    }
    let whole = elements(&[b"Berlin"]);
    for (n_texts, size, data, part) in [
        (1, whole.len(), &whole[..5], "5 bytes that follow"),
        (2, whole.len(), &whole, "holds 1 element"),
        (1, 5, &whole[..5], "ends within element 0"),
        (1, 5, &elements(&[b"\xff"]), "not UTF-8 at byte 0"),
    ] {
        let (status, answer) = send(&service, binary(path, &header(n_texts, size), data)).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(part), "{part}: {answer}");
    }
    let mut request = post(path, &tensor(&["a"]));
    request.headers_mut().insert("inference-header-content-length", "99999".parse().unwrap());
    let (status, answer) = send(&service, request).await;
    assert_eq!(status, 422);
    assert!(answer["error"].as_str().unwrap().contains("Inference-Header-Content-Length is `99999`"), "{answer}");
}

#[tokio::test]
async fn a_client_that_allows_less_time_is_answered_within_it() {
    let (mut body, text) = (tensor(&["a"]), "Angela Merkel reiste nach Paris. ".repeat(5_000));
    (body["inputs"][0]["data"], body["parameters"]) = (json!([text]), json!({"timeout": 1}));
    let (status, answer) = send(&service().await, post("/v2/models/lexicon-ner/infer", &body)).await;
    assert_eq!(status, 504, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("within the 1µs that the request allows"), "{answer}");
}

/// A service with a folder of models of which one is loaded.
async fn repository() -> (Router, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["lexicon-ner", "lexicon-topics"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        copy_files(&models_dir().join(name), &dir.path().join(name));
    }
    std::fs::create_dir(dir.path().join("no-model")).unwrap();
    let app = App::new(registry(&["lexicon-ner"]).await, RequestLimits::default());
    let admin = KeySpec::of_text("admin", "geheim", Scope::Admin);
    app.keys.store(Arc::new(KeyRing::new(vec![admin]).open_to_readers()));
    let model_folders = Some(ModelFolders::of(dir.path()));
    (router(Arc::new(App { model_folders, ..app })), dir)
}

#[tokio::test]
async fn the_repository_lists_loads_and_unloads_models() {
    let (service, _dir) = repository().await;
    let states = |service: Router, body: Value| async move {
        let index = answer(&service, "/v2/repository/index", body).await;
        let state = |entry: &Value| format!("{} {}", entry["name"].as_str().unwrap(), entry["state"].as_str().unwrap());
        index.as_array().unwrap().iter().map(state).collect::<Vec<_>>()
    };
    assert_eq!(states(service.clone(), json!({})).await, ["lexicon-ner READY", "lexicon-topics UNAVAILABLE"]);
    assert_eq!(states(service.clone(), json!({"ready": true})).await, ["lexicon-ner READY"]);
    let change = |path: &str, body: &str, key: Option<&str>| {
        let mut request = Request::post(format!("/v2/repository/models/{path}"));
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        send_owned(service.clone(), request.body(Body::from(body.to_owned())).unwrap())
    };
    assert_eq!(change("lexicon-topics/load", "{}", None).await.0, 401);
    let config = r#"{"parameters": {"config": "{}"}}"#;
    assert_eq!(change("lexicon-topics/load", config, Some("geheim")).await.0, 422);
    assert_eq!(change("lexicon-topics/load", "", Some("geheim")).await, (200, json!({})));
    assert_eq!(states(service.clone(), json!({})).await, ["lexicon-ner READY", "lexicon-topics READY"]);
    let unload = r#"{"parameters": {"unload_dependents": false}}"#;
    assert_eq!(change("lexicon-topics/unload", unload, None).await.0, 401);
    assert_eq!(change("lexicon-topics/unload", unload, Some("geheim")).await, (200, json!({})));
    assert_eq!(states(service.clone(), json!({})).await, ["lexicon-ner READY", "lexicon-topics UNAVAILABLE"]);
    let (status, problem) = change("lexicon-ner/unload", unload, Some("geheim")).await;
    assert_eq!(status, 409);
    assert!(problem["error"].as_str().unwrap().contains("it is active"), "{problem}");
}

async fn send_owned(service: Router, request: Request<Body>) -> (u16, Value) {
    send(&service, request).await
}
