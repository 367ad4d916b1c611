//! `/v1/jobs`: a job gives what `/v1/classify` answers, survives a kill, and a bad disk harms nothing else.

mod keys;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use ressort::classify::request::RequestLimits;
use ressort::http::{App, JobLimits, JobStore, run_jobs};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::api::{get, problem, registry, router, send};
use crate::cli::{Server, model, ressort};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

async fn app(dir: &Path, limits: JobLimits) -> Arc<App> {
    let limits_of_requests = RequestLimits { max_characters: 400, ..RequestLimits::default() };
    let mut app = App::new(registry(&["two-heads", "lexicon-ner"]).await, limits_of_requests);
    app.jobs = Some(JobStore::new(dir.to_owned(), limits));
    Arc::new(app)
}

/// A service whose jobs wait for ever.
async fn waiting(dir: &Path, limits: JobLimits) -> Router {
    router(app(dir, limits).await)
}

/// A service that runs its jobs.
async fn running(dir: &Path) -> Router {
    let app = app(dir, JobLimits::default()).await;
    tokio::spawn(run_jobs(Arc::clone(&app)));
    router(app)
}

fn request(method: &str, path: &str, media_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(method).uri(path).header("content-type", media_type).body(body.into()).unwrap()
}

async fn bytes_of(service: &Router, request: Request<Body>) -> (u16, String, Vec<u8>) {
    let response = service.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let media_type = headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
    (status, media_type.unwrap_or_default(), to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
}

async fn create(service: &Router, media_type: &str, body: impl Into<Body>) -> String {
    let (status, job) = send(service, request("POST", "/v1/jobs", media_type, body)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

/// The job once it is finished.
async fn finished(service: &Router, id: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (_, job) = send(service, get(&format!("/v1/jobs/{id}"))).await;
        if !["queued", "running"].contains(&job["status"].as_str().unwrap()) {
            return job;
        }
        assert!(Instant::now() < deadline, "{job}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_result_of_a_job_is_what_classify_answers() {
    let dir = tempfile::tempdir().unwrap();
    let service = running(&dir.path().join("jobs")).await;
    let documents: Vec<Value> = (0..300)
        .map(|n| match n % 50 {
            7 => json!({"id": n, "text": 5}),
            8 => json!({"id": "a", "title": "Berlin", "text": "Angela Merkel sprach"}),
            9 => json!({"id": 1.0, "text": "a\u{0}"}),
            11 => json!({"txt": "?"}),
            12 => json!({"text": "Zu lang ".repeat(60)}),
            _ => json!({"id": n, "text": format!("Angela Merkel war {n} mal in Berlin")}),
        })
        .collect();
    let options =
        json!({"documents": documents, "top_k": 2, "offset_unit": "utf16", "group": true, "priority": "normal"});
    let in_lines: String = documents.iter().map(|document| format!("{document}\r\n\n")).collect();
    let in_lines = in_lines
        + "{\"text\": \"x\", \"models\": {\"entities\": \"nobody\"}}\n{\"text\": \"Käthe\", \"offset_unit\": \"byte\"}";
    for (media_type, accept, body, n_documents, n_failed) in [
        (JSON, JSON, json!({"text": "Angela Merkel in Köln", "evidence": true}).to_string(), 1, 0),
        (JSON, JSON, json!({"title": "Köln", "lead": "Angela Merkel"}).to_string(), 1, 0),
        ("text/plain", JSON, "Angela Merkel in Köln".to_owned(), 1, 0),
        (JSON, JSON, options.to_string(), 300, 24),
        (JSON, LINES, serde_json::to_string_pretty(&options).unwrap(), 300, 24),
        (JSON, JSON, json!({"documents": []}).to_string(), 0, 0),
        (LINES, LINES, in_lines, 302, 25),
        (LINES, LINES, String::new(), 0, 0),
    ] {
        let with = |method: &str, path: &str, body: String| {
            let mut request = request(method, path, media_type, body);
            request.headers_mut().insert("accept", accept.parse().unwrap());
            request
        };
        let expected = bytes_of(&service, with("POST", "/v1/classify", body.clone())).await;
        let id = create(&service, media_type, body.clone()).await;
        let job = finished(&service, &id).await;
        let counts = (&job["status"], &job["documents"], &job["answered"], &job["failed"]);
        assert_eq!(counts, (&json!("done"), &json!(n_documents), &json!(n_documents), &json!(n_failed)), "{job}");
        let result = bytes_of(&service, with("GET", job["result"].as_str().unwrap(), String::new())).await;
        assert_eq!((result.0, &result.1), (expected.0, &expected.1), "{job}");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&result.2), text(&expected.2));
        assert!(job["expires_at"].as_u64() > job["finished_at"].as_u64(), "{job}");
    }
    let (_, list) = send(&service, get("/v1/jobs")).await;
    assert_eq!(list["jobs"].as_array().unwrap().len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_job_can_answer_is_refused_at_once_or_is_the_result() {
    let dir = tempfile::tempdir().unwrap();
    let service = running(dir.path()).await;
    let too_long = "Zu lang ".repeat(60);
    for (media_type, body) in [
        (JSON, "{"),
        (JSON, r#"{"text": 5}"#),
        (JSON, r#"{"documents": {}}"#),
        (JSON, r#"{"text": "a", "top_k": 0}"#),
        (JSON, r#"{"text": "a", "models": {"topics": "nobody"}}"#),
        (JSON, r#"{"text": "a", "labels": ["NONE"]}"#),
        ("text/plain", &too_long),
        ("text/html", "a"),
    ] {
        let expected = problem(&service, request("POST", "/v1/classify", media_type, body.to_owned())).await;
        let refused = problem(&service, request("POST", "/v1/jobs", media_type, body.to_owned())).await;
        assert_eq!(refused, expected, "{body}");
    }
    // Found when it runs.
    let body = json!({"text": "a ".repeat(190), "overflow": "error"}).to_string();
    let expected = bytes_of(&service, request("POST", "/v1/classify", JSON, body.clone())).await;
    let job = finished(&service, &create(&service, JSON, body).await).await;
    assert_eq!((&job["status"], job.get("result")), (&json!("failed"), None), "{job}");
    let result = bytes_of(&service, get(&format!("/v1/jobs/{}/result", job["id"].as_str().unwrap()))).await;
    assert_eq!((result.0, &result), (422, &expected));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "the lock and one job");
}

#[tokio::test]
async fn a_job_is_cancelled_and_removed_and_the_state_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let service = waiting(dir.path(), JobLimits::default()).await;
    let id = create(&service, LINES, "{\"text\": \"Berlin\"}\n".repeat(100)).await;
    let at = |method: &str, path: &str| request(method, &format!("/v1/jobs/{path}"), JSON, Body::empty());
    for (path, status) in [("nobody", 404), ("nobody/result", 404), ("%FF", 422), ("../lock", 404)] {
        let found = problem(&service, at("GET", path)).await;
        assert_eq!(found.0, status, "{path}: {found:?}");
    }
    assert_eq!(problem(&service, at("DELETE", "nobody")).await, (404, "unknown_job".to_owned()));
    let (status, answer) = send(&service, at("GET", &format!("{id}/result"))).await;
    assert_eq!((status.as_u16(), &answer["code"]), (409, &json!("job_state")));
    assert!(answer["detail"].as_str().unwrap().contains("`queued`, with 0 of 100 documents"), "{answer}");
    let (status, job) = send(&service, at("POST", &format!("{id}/cancel"))).await;
    assert_eq!((status.as_u16(), &job["status"]), (200, &json!("cancelled")));
    assert!(!dir.path().join(&id).join("request").exists(), "the texts stay");
    for (method, path) in [("POST", format!("{id}/cancel")), ("GET", format!("{id}/result"))] {
        let (status, answer) = send(&service, at(method, &path)).await;
        assert_eq!(status.as_u16(), 409, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains("`cancelled`"), "{answer}");
    }
    assert_eq!(send(&service, at("DELETE", &id)).await.0.as_u16(), 204);
    assert_eq!(problem(&service, at("GET", &id)).await, (404, "unknown_job".to_owned()));
    assert!(!dir.path().join(&id).exists());
}

#[tokio::test]
async fn blank_lines_of_a_job_are_limited_too() {
    let dir = tempfile::tempdir().unwrap();
    let service = waiting(dir.path(), JobLimits::default()).await;
    let lines = "\n".repeat(1_000_000) + "{\"text\": \"Berlin\"}\n";
    let refused = problem(&service, request("POST", "/v1/jobs", LINES, lines)).await;
    assert_eq!(refused, (413, "too_many_documents".to_owned()));
    create(&service, LINES, "\n".repeat(1_000) + "{\"text\": \"Berlin\"}\n").await;
}

#[tokio::test]
async fn jobs_are_limited_in_number_bytes_and_age() {
    let dir = tempfile::tempdir().unwrap();
    let limits = JobLimits { max_jobs: 2, max_bytes: 1000, keep: Duration::ZERO };
    let service = waiting(dir.path(), limits).await;
    let refused = async |body: String| {
        let (status, answer) = send(&service, request("POST", "/v1/jobs", LINES, body)).await;
        (status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned(), answer["detail"].to_string())
    };
    let (status, code, detail) = refused("{\"text\": \"Berlin\"}\n".repeat(100)).await;
    assert_eq!((status, code.as_str()), (507, "insufficient_storage"), "{detail}");
    assert!(detail.contains("--max-jobs-mb"), "{detail}");
    let (status, code, _) = refused("{\"text\": \"Berlin\"}\n".repeat(10) + "{\"text\": \"\u{0}").await;
    assert_eq!((status, code.as_str()), (202, ""), "a line that is not valid is answered by an error");
    let id = create(&service, JSON, r#"{"text": "Berlin"}"#).await;
    let (status, code, detail) = refused(String::new()).await;
    assert_eq!((status, code.as_str()), (429, "too_many_jobs"), "{detail}");
    assert!(detail.contains("--max-jobs"), "{detail}");
    let folders = || std::fs::read_dir(dir.path()).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
    assert_eq!(folders(), 2, "refused jobs leave folders");
    // The age is 0: a job that ended goes with the next that comes.
    send(&service, request("POST", &format!("/v1/jobs/{id}/cancel"), JSON, Body::empty())).await;
    create(&service, JSON, r#"{"text": "Berlin"}"#).await;
    assert_eq!(problem(&service, get(&format!("/v1/jobs/{id}"))).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_folder_stops_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let ids = {
        let service = waiting(dir.path(), JobLimits::default()).await;
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(create(&service, JSON, json!({"text": format!("Berlin {n}")}).to_string()).await);
        }
        ids
    };
    let file = |n: usize, name: &str| dir.path().join(&ids[n]).join(name);
    std::fs::write(file(0, "job.json"), "{\"status\": \"do").unwrap();
    std::fs::write(file(1, "request"), "{").unwrap();
    std::fs::create_dir(file(2, "result.parts")).unwrap();
    std::fs::write(file(2, "result.parts/checkpoint.json"), "?").unwrap();
    let left = dir.path().join("0123456789abcdef0123456789abcdef");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(dir.path().join("mine"), "mine").unwrap();
    let service = running(dir.path()).await;
    // The jobs are found when the folder is opened, which is a task.
    while send(&service, get("/v1/jobs")).await.1["jobs"].as_array().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    for (n, status, code) in [(0, "failed", 500), (1, "failed", 500), (2, "done", 200), (3, "done", 200)] {
        let job = finished(&service, &ids[n]).await;
        assert_eq!(job["status"], status, "{n}: {job}");
        let (found, answer) = send(&service, get(&format!("/v1/jobs/{}/result", ids[n]))).await;
        assert_eq!(found.as_u16(), code, "{n}: {answer}");
    }
    let (_, damaged) = send(&service, get(&format!("/v1/jobs/{}", ids[0]))).await;
    assert!(damaged["error"]["detail"].as_str().unwrap().contains("remove it with DELETE"), "{damaged}");
    assert!(!left.exists(), "what a killed process left");
    assert!(dir.path().join("mine").exists(), "another file");
    std::fs::remove_file(file(3, "result.parts/rows")).unwrap();
    assert_eq!(problem(&service, get(&format!("/v1/jobs/{}/result", ids[3]))).await, (500, "internal".to_owned()));
    for id in &ids {
        let removed = request("DELETE", &format!("/v1/jobs/{id}"), JSON, Body::empty());
        assert_eq!(send(&service, removed).await.0.as_u16(), 204);
        assert!(!dir.path().join(id).exists());
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_said_to_who_sends_a_job() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let first = waiting(&dir.path().join("jobs"), JobLimits::default()).await;
    create(&first, JSON, r#"{"text": "Berlin"}"#).await;
    for (folder, part) in [("file", "their folder cannot be used"), ("jobs", "another server uses their folder")] {
        let service = waiting(&dir.path().join(folder), JobLimits::default()).await;
        let new = request("POST", "/v1/jobs", JSON, r#"{"text": "Berlin"}"#);
        for request in [new, get("/v1/jobs"), get("/v1/jobs/0123456789abcdef0123456789abcdef")] {
            let (status, answer) = send(&service, request).await;
            assert_eq!((status.as_u16(), &answer["code"]), (503, &json!("unavailable")), "{answer}");
            let detail = answer["detail"].as_str().unwrap();
            assert!(detail.contains(part) && detail.contains("--jobs-dir"), "{detail}");
        }
    }
    let none = waiting(&dir.path().join("none"), JobLimits::default()).await;
    assert_eq!(send(&none, get("/v1/jobs")).await, (StatusCode::OK, json!({"jobs": []})));
}

/// A server process with a folder of jobs, and calls to it.
struct Process(Server);

impl Process {
    fn start(dir: &Path, limits: &str) -> Self {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("trap '' XFSZ; {limits} exec \"$0\" \"$@\"")]);
        command.arg(ressort().get_program()).stderr(std::process::Stdio::null());
        let dir = dir.to_string_lossy().into_owned();
        let model = format!("a={}", model("two-heads"));
        let args = ["--model", &model, "--providers", "cpu", "--cache-mb", "0", "--jobs-dir", &dir];
        Self(Server::start_with(command, &args))
    }

    fn call(&self, method: &str, path: &str, media_type: &str, body: &str) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.0.url()));
        let request = request.header("content-type", media_type).body(body.to_owned()).unwrap();
        let mut response = agent.run(request).unwrap();
        let status = response.status().as_u16();
        (status, response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap())
    }

    fn json(&self, method: &str, path: &str, media_type: &str, body: &str) -> (u16, Value) {
        let (status, answer) = self.call(method, path, media_type, body);
        (status, serde_json::from_str(&answer).unwrap_or_default())
    }

    fn until(&self, id: &str, is_reached: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let (_, job) = self.json("GET", &format!("/v1/jobs/{id}"), JSON, "");
            if is_reached(&job) {
                return job;
            }
            assert!(Instant::now() < deadline, "{job}");
            std::thread::yield_now();
        }
    }

    fn n_documents(&self) -> u64 {
        let (_, metrics) = self.call("GET", "/metrics", JSON, "");
        let line = metrics.lines().find_map(|line| line.strip_prefix("ressort_documents_total{outcome=\"ok\"} "));
        line.map_or(0, |count| count.parse().unwrap())
    }
}

#[test]
fn a_killed_server_continues_its_jobs_and_repeats_no_saved_document() {
    const N_LINES: usize = 3000;
    let dir = tempfile::tempdir().unwrap();
    let body: String =
        (0..N_LINES).map(|n| format!("{{\"id\": {n}, \"text\": \"Angela Merkel {n} in Berlin\"}}\n")).collect();
    let first = Process::start(dir.path(), "");
    let (status, job) = first.json("POST", "/v1/jobs", LINES, &body);
    assert_eq!(status, 202, "{job}");
    let id = job["id"].as_str().unwrap().to_owned();
    let is_under_way = |job: &Value| job["answered"].as_u64() > Some(0);
    let saved = first.until(&id, is_under_way);
    // Kills it.
    drop(first);
    assert_eq!(saved["status"], "running", "it was done before it could be killed");
    let second = Process::start(dir.path(), "");
    let job = second.until(&id, |job| job["status"] == "done");
    assert_eq!((&job["documents"], &job["failed"]), (&json!(N_LINES), &json!(0)), "{job}");
    let n_repeated = second.n_documents();
    assert!(n_repeated > 0 && n_repeated <= N_LINES as u64 - saved["answered"].as_u64().unwrap(), "{n_repeated}");
    let (_, result) = second.call("GET", &format!("/v1/jobs/{id}/result"), JSON, "");
    let (_, expected) = second.call("POST", "/v1/classify", LINES, &body);
    assert!(result == expected, "the result differs from what one run answers");
    assert_eq!(second.0.stop(), 0);
}

#[test]
fn a_full_disk_fails_the_job_and_not_the_server() {
    let dir = tempfile::tempdir().unwrap();
    // A limit on the size of files stands for a disk that is full: the write fails in the same place.
    let server = Process::start(dir.path(), "ulimit -f 64;");
    let lines = |n: usize| -> String { (0..n).map(|n| format!("{{\"text\": \"Berlin {n}\"}}\n")).collect() };
    let (status, refused) = server.json("POST", "/v1/jobs", LINES, &lines(4000));
    assert_eq!((status, &refused["code"]), (507, &json!("insufficient_storage")), "{refused}");
    let (status, job) = server.json("POST", "/v1/jobs", LINES, &lines(1000));
    assert_eq!(status, 202, "{job}");
    let id = job["id"].as_str().unwrap();
    let job = server.until(id, |job| job["finished_at"].is_u64());
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("insufficient_storage")), "{job}");
    assert!(job["error"]["detail"].as_str().unwrap().contains("free space"), "{job}");
    assert_eq!(server.json("GET", &format!("/v1/jobs/{id}/result"), JSON, "").0, 507);
    let (_, job) = server.json("POST", "/v1/jobs", JSON, r#"{"text": "Berlin"}"#);
    server.until(job["id"].as_str().unwrap(), |job| job["status"] == "done");
    assert_eq!(server.json("GET", "/health/ready", JSON, "").0, 200);
}
