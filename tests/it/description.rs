//! The description of the API for machines: every route is in it, its examples run, and real answers are as its schemas say.

mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use ressort::classify::request::RequestLimits;
use ressort::http::{AdminAccess, App, Code, JobLimits, JobStore};
use ressort::models::model_folders::ModelFolders;
use ressort::models::registry::{ByTask, Registry};
use ressort::models::spec::ModelSpec;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use self::schema::check;
use crate::api::{get, post, router, send};
use crate::support::{copy_files, models_dir, settings};

/// Pages for people, and the description itself.
const PAGES: &[&str] =
    &["/page/{file}", "/openapi.json", "/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"];

/// Operations whose status is the answer.
const EMPTY: &[&str] = &["text_embeddings_health", "open_inference_model_ready", "open_inference_model_version_ready"];

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];

/// A service with the models that the examples name, and its folder of jobs.
pub async fn service() -> (Router, TempDir) {
    let model = |name: &str| ModelSpec { name: name.to_owned(), path: models_dir().join("two-heads") };
    let registry =
        Registry::load(&[model("ressort"), model("ressort-mini")], ByTask::default(), &settings()).await.unwrap();
    let mut app = App::new(registry, RequestLimits::default());
    app.admin = AdminAccess::Anyone;
    let dir = tempfile::tempdir().unwrap();
    app.jobs = Some(JobStore::new(dir.path().join("jobs"), JobLimits::default()));
    for name in ["ressort", "ressort-mini"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        copy_files(&models_dir().join("two-heads"), &dir.path().join(name));
    }
    app.model_folders = Some(ModelFolders::of(dir.path()));
    (router(Arc::new(app)), dir)
}

pub async fn description(service: &Router) -> Value {
    let (status, description) = send(service, get("/openapi.json")).await;
    assert_eq!((status, &description["openapi"]), (StatusCode::OK, &json!("3.1.0")));
    description
}

/// The paths of the routes in the code.
fn routes() -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let code = std::fs::read_to_string(path).unwrap_or_default();
            let calls = code.split(".route(").skip(1);
            routes.extend(calls.filter_map(|call| call.split('"').nth(1)).map(str::to_owned));
        }
    }
    routes
}

/// An address with a name for everything that it leaves open.
pub fn addressed(path: &str, name: &str) -> String {
    let path = path.replace("{task}", "token-classification");
    ["{name}", "{id}", "{version}"].iter().fold(path, |path, part| path.replace(part, name))
}

pub fn operations(description: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = description["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

#[tokio::test]
async fn every_route_and_method_is_described() {
    let (service, _dir) = service().await;
    let description = description(&service).await;
    let paths: BTreeSet<String> = description["paths"].as_object().unwrap().keys().cloned().collect();
    let routes: BTreeSet<String> = routes().into_iter().filter(|path| !PAGES.contains(&path.as_str())).collect();
    assert_eq!(paths, routes, "CONTRIBUTING.md, \"Add a route\", says how to describe one");
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in METHODS {
            let is_described = item.get(method.as_str().to_lowercase()).is_some();
            let request = Request::builder().method(&method).uri(addressed(path, "nobody")).body(Body::empty());
            let response = service.clone().oneshot(request.unwrap()).await.unwrap();
            assert_eq!(response.status() != StatusCode::METHOD_NOT_ALLOWED, is_described, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_operation_has_a_name_and_schemas_and_no_object_is_free() {
    fn objects<'v>(value: &'v Value, found: &mut Vec<&'v Map<String, Value>>) {
        match value {
            Value::Object(object) => {
                found.push(object);
                object
                    .iter()
                    .filter(|(key, _)| *key != "example" && *key != "examples")
                    .for_each(|(_, value)| objects(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| objects(value, found)),
            _ => {}
        }
    }
    let description = description(&service().await.0).await;
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&description) {
        let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
        assert!(names.insert(name), "{name} is the name of two operations");
        for part in ["summary", "tags"] {
            assert!(!operation[part].is_null(), "{name} has no {part}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let is_empty = status == "204" || EMPTY.contains(&name) && status == "200";
            let is_described = is_empty || response["content"].as_object().is_some_and(|content| !content.is_empty());
            assert!(is_described, "{name}: the answer of status {status} has no schema");
        }
    }
    let mut found = Vec::new();
    objects(&description, &mut found);
    for object in found.into_iter().filter(|object| object.get("type") == Some(&json!("object"))) {
        let additional =
            object.get("additionalProperties").is_some_and(|rule| rule.is_object() || *rule == json!(false));
        assert!(object.contains_key("properties") || additional, "a free object: {object:?}");
    }
    let text = description.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(description.pointer(reference).is_some(), "{reference} leads nowhere");
    }
    let codes = description["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array().unwrap();
    let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes.iter().filter_map(Value::as_str).collect::<Vec<_>>(), known);
}

#[tokio::test]
async fn every_field_of_a_request_is_described() {
    let (service, _dir) = service().await;
    let description = description(&service).await;
    // A field that is not known is answered with those that are.
    let known = async |method: Method, path: &str, body: &str| {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answer = service.clone().oneshot(request).await.unwrap();
        let answer: Value = serde_json::from_slice(&to_bytes(answer.into_body(), usize::MAX).await.unwrap()).unwrap();
        let error = if answer["results"].is_null() { &answer } else { &answer["results"][0]["error"] };
        let shapes = [&error["detail"], &error["error"], &error["error"]["message"]];
        let detail = shapes.into_iter().find_map(Value::as_str).unwrap_or_else(|| panic!("{path}: {answer}"));
        let (_, known) = detail.split_once("expected one of ").unwrap();
        let known = known.split_once(';').map_or(known, |(known, _)| known);
        known.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let described = |name: &str| {
        let properties = description["components"]["schemas"][name]["properties"].as_object().unwrap();
        properties.keys().cloned().collect::<BTreeSet<_>>()
    };
    let both = known(Method::POST, "/v1/classify", r#"{"text": "a", "nope": 1}"#).await;
    let without = |name: &str| both.iter().filter(|field| *field != name).cloned().collect::<BTreeSet<_>>();
    let texts = ["title", "lead", "text"].map(str::to_owned).into();
    assert_eq!(described("OneText"), without("documents"));
    assert_eq!(described("DocumentList"), both.difference(&texts).cloned().collect());
    let document = known(Method::POST, "/v1/classify", r#"{"documents": [{"nope": 1}]}"#).await;
    assert_eq!(described("Document"), document);
    assert_eq!(described("LineBody"), without("documents").union(&document).cloned().collect());
    assert_eq!(described("ModelNamesBody"), known(Method::PUT, "/v1/active", r#"{"nope": 1}"#).await);
    for (name, path, body) in [
        ("HuggingFaceBody", "/", r#"{"nope": 1}"#),
        ("TextParameters", "/pipeline/text-classification", r#"{"inputs": "a", "parameters": {"nope": 1}}"#),
        ("PredictBody", "/predict", r#"{"nope": 1}"#),
        ("InferRequest", "/v2/models/ressort/infer", r#"{"nope": 1}"#),
        ("InferInput", "/v2/models/ressort/infer", r#"{"inputs": [{"nope": 1}]}"#),
        ("IndexRequest", "/v2/repository/index", r#"{"nope": 1}"#),
        ("LoadRequest", "/v2/repository/models/ressort/load", r#"{"nope": 1}"#),
        ("UnloadRequest", "/v2/repository/models/ressort/unload", r#"{"nope": 1}"#),
    ] {
        assert_eq!(described(name), known(Method::POST, path, body).await, "{name}");
    }
    // What a description need not name, since it is refused in each request.
    let refused = |known: BTreeSet<String>, name: &str| known.into_iter().filter(|field| field != name).collect();
    let tokens = known(Method::POST, "/pipeline/ner", r#"{"inputs": "a", "parameters": {"nope": 1}}"#).await;
    assert_eq!(described("TokenParameters"), refused(tokens, "stride"));
    let vllm = known(Method::POST, "/classify", r#"{"nope": 1}"#).await;
    assert_eq!(described("VllmClassifyBody"), refused(vllm, "messages"));
    assert_eq!(described("ShadowRequest"), known(Method::PUT, "/v1/shadow", r#"{"nope": 1}"#).await);
}

/// The examples of a content: one, or several by name.
fn examples(content: &Value) -> Vec<Value> {
    let named = content["examples"].as_object().into_iter().flatten().map(|(_, example)| example["value"].clone());
    named.chain(content.get("example").cloned()).collect()
}

#[tokio::test]
async fn every_example_runs_and_is_answered_as_described() {
    let service = service().await;
    let description = description(&service.0).await;
    let (_, model) = send(&service.0, get("/v2/models/ressort")).await;
    let version = model["versions"][0].as_str().unwrap().to_owned();
    let mut n_run = 0;
    for (path, method, operation) in operations(&description) {
        let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
        for (media_type, content) in content {
            let examples = examples(content);
            assert!(!examples.is_empty(), "{method} {path} has no example of {media_type}");
            for example in examples {
                let schema = &content["schema"];
                check(&description, schema, &example)
                    .unwrap_or_else(|why| panic!("{path}: {example} is not valid: {why}"));
                let body = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
                // A model that no earlier example has put into use.
                let (service, _dir) = if path.ends_with("unload") { &self::service().await } else { &service };
                let name = if path.contains("repository") { "ressort-mini" } else { "ressort" };
                let uri = addressed(&path.replace("{version}", &version), name);
                let request = Request::builder().method(method.to_uppercase().as_str()).uri(uri);
                let request = request.header("content-type", media_type).body(Body::from(body)).unwrap();
                let status = answer_as_described(service, &description, path, method, request).await;
                let expected = if path == "/v1/jobs" { 202 } else { 200 };
                assert_eq!(status, expected, "{method} {path}: {example}");
                n_run += 1;
            }
        }
    }
    assert!(n_run >= 20, "{n_run}");
}

#[tokio::test]
async fn answers_are_as_described() {
    let (service, _dir) = service().await;
    let description = description(&service).await;
    let with_body = |method: &str, path: &str, body: Value| {
        let request = Request::builder().method(method.to_uppercase().as_str()).uri(path);
        request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()
    };
    let named = |method: &str, path: &str| {
        Request::builder().method(method.to_uppercase().as_str()).uri(path).body(Body::empty()).unwrap()
    };
    for (path, method, request, status) in [
        (
            "/v1/classify",
            "post",
            post(json!({"text": "Angela Merkel in Berlin", "label_language": "en"}).to_string()),
            200,
        ),
        (
            "/v1/classify",
            "post",
            post(json!({"documents": [{"text": "Berlin"}, {"id": 1e3, "text": 5}]}).to_string()),
            200,
        ),
        ("/v1/classify", "post", post("{"), 400),
        ("/v1/classify", "post", post(json!({"text": "a", "models": {"topics": "nobody"}}).to_string()), 404),
        ("/v1/classify", "post", post(json!({"text": 5}).to_string()), 422),
        ("/v1/classify", "post", named("post", "/v1/classify"), 415),
        ("/v1/jobs", "get", get("/v1/jobs"), 200),
        ("/v1/jobs", "post", with_body("post", "/v1/jobs", json!({"text": "Berlin"})), 202),
        ("/v1/jobs", "get", get("/v1/jobs"), 200),
        ("/v1/jobs", "post", with_body("post", "/v1/jobs", json!({"text": 5})), 422),
        ("/v1/jobs/{id}", "get", get("/v1/jobs/nobody"), 404),
        ("/v1/jobs/{id}", "delete", named("delete", "/v1/jobs/nobody"), 404),
        ("/v1/jobs/{id}/cancel", "post", named("post", "/v1/jobs/nobody/cancel"), 404),
        ("/v1/jobs/{id}/result", "get", get("/v1/jobs/nobody/result"), 404),
        ("/v1/models", "get", get("/v1/models"), 200),
        ("/v1/drift", "get", get("/v1/drift"), 200),
        ("/v1/drift/baseline", "get", get("/v1/drift/baseline"), 200),
        ("/v1/models/{name}", "put", named("put", "/v1/models/nobody"), 422),
        ("/v1/models/{name}", "delete", named("delete", "/v1/models/ressort"), 409),
        ("/v1/models/{name}", "delete", named("delete", "/v1/models/nobody"), 404),
        ("/v1/active/rollback", "post", named("post", "/v1/active/rollback"), 409),
        ("/v1/active", "put", with_body("put", "/v1/active", json!({"topics": "ressort-mini"})), 200),
        ("/v1/active/rollback", "post", named("post", "/v1/active/rollback"), 200),
        ("/v1/shadow", "get", get("/v1/shadow"), 404),
        ("/v1/shadow", "put", with_body("put", "/v1/shadow", json!({"model": "ressort-mini", "share": 1})), 200),
        ("/v1/shadow", "get", get("/v1/shadow"), 200),
        ("/v1/shadow", "delete", named("delete", "/v1/shadow"), 204),
        ("/v1/models/{name}", "delete", named("delete", "/v1/models/ressort-mini?forget_rollback=true"), 204),
        ("/", "get", get("/"), 200),
        ("/models/{name}", "post", with_body("post", "/models/nobody", json!({"inputs": "a"})), 404),
        ("/models/{name}", "post", with_body("post", "/models/%FF", json!({"inputs": "a"})), 422),
        ("/", "post", with_body("post", "/", json!({"inputs": ["a", "b"], "parameters": {"top_k": 2}})), 200),
        ("/", "post", with_body("post", "/", json!({"inputs": []})), 200),
        ("/", "post", with_body("post", "/", json!({"inputs": 5})), 422),
        ("/predict", "post", with_body("post", "/predict", json!({"inputs": "a", "raw_scores": true})), 200),
        ("/predict", "post", with_body("post", "/predict", json!({"inputs": ["a", "b"]})), 422),
        ("/info", "get", get("/info"), 200),
        ("/health", "get", get("/health"), 200),
        ("/classify", "post", with_body("post", "/classify", json!({"input": ["a", ""]})), 200),
        ("/classify", "post", with_body("post", "/classify", json!({"input": 5})), 400),
        ("/v2", "get", get("/v2"), 200),
        ("/v2/health/live", "get", get("/v2/health/live"), 200),
        ("/v2/health/ready", "get", get("/v2/health/ready"), 200),
        ("/v2/models/{name}", "get", get("/v2/models/ressort"), 200),
        ("/v2/models/{name}", "get", get("/v2/models/nobody"), 404),
        ("/v2/models/{name}/ready", "get", get("/v2/models/ressort/ready"), 200),
        ("/v2/models/{name}/versions/{version}", "get", get("/v2/models/ressort/versions/1"), 404),
        ("/v2/models/{name}/versions/{version}/ready", "get", get("/v2/models/ressort/versions/1/ready"), 404),
        ("/v2/models/{name}/infer", "post", with_body("post", "/v2/models/ressort/infer", json!({"inputs": []})), 422),
        ("/v2/repository/index", "post", named("post", "/v2/repository/index"), 200),
        ("/v2/repository/models/{name}/load", "post", named("post", "/v2/repository/models/nobody/load"), 422),
        ("/v2/repository/models/{name}/unload", "post", named("post", "/v2/repository/models/ressort/unload"), 409),
        ("/health/live", "get", get("/health/live"), 200),
        ("/health/ready", "get", get("/health/ready"), 200),
        ("/metrics", "get", get("/metrics"), 404),
    ] {
        assert_eq!(answer_as_described(&service, &description, path, method, request).await, status, "{method} {path}");
    }
}

#[tokio::test]
async fn the_viewer_is_part_of_the_service_and_loads_nothing_from_others() {
    let (service, _dir) = service().await;
    let mut sizes = BTreeMap::new();
    for path in PAGES.iter().filter(|path| path.starts_with("/docs")) {
        let response = service.clone().oneshot(get(path)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let policy = response.headers().get("content-security-policy").cloned();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        sizes.insert(*path, body.len());
        if *path == "/docs" {
            let (page, policy) = (String::from_utf8_lossy(&body), policy.unwrap());
            assert!(
                !page.contains("//") && policy.to_str().unwrap().starts_with("default-src 'none'"),
                "{page} {policy:?}"
            );
        }
    }
    assert!(sizes["/docs/swagger-ui-bundle.js"] > 1_000_000 && sizes["/docs/swagger-ui.css"] > 100_000, "{sizes:?}");
}

/// Sends a request, holds its answer against the description, and gives its status.
async fn answer_as_described(
    service: &Router,
    description: &Value,
    path: &str,
    method: &str,
    request: Request<Body>,
) -> u16 {
    let operation = &description["paths"][path][method];
    let response = service.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let media_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let described = &operation["responses"][status.to_string()];
    assert!(described.is_object(), "{method} {path}: status {status} is not described: {body:?}");
    let Some(media_type) = media_type else { return status };
    let content = &described["content"][media_type.split(';').next().unwrap()];
    assert!(content.is_object(), "{method} {path}: {media_type} of status {status} is not described");
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if let Ok(answer) = serde_json::from_slice::<Value>(line) {
            check(description, &content["schema"], &answer)
                .unwrap_or_else(|why| panic!("{method} {path}: {answer}: {why}"));
        }
    }
    status
}
