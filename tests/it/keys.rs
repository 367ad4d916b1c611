//! Keys of clients: scopes, rates and quotas, and the file that holds their hashes.

use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use ressort::classify::request::RequestLimits;
use ressort::http::{App, KeyLimits, KeyRing, KeySpec, Scope};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::api::{registry, router};
use crate::cli::{Server, model, ressort};
use crate::drift::until;

async fn service(limits: KeyLimits) -> Router {
    let app = App::new(registry(&["lexicon-ner"]).await, RequestLimits::default());
    let reader = KeySpec { limits, ..KeySpec::of_text("reader", "offen", Scope::Read) };
    app.keys.store(Arc::new(KeyRing::new(vec![reader, KeySpec::of_text("other", "frei", Scope::Read)])));
    router(Arc::new(app))
}

async fn send(service: &Router, path: &str, key: &str, kind: &str, body: String) -> Response<Body> {
    let request = Request::post(path).header("authorization", format!("Bearer {key}")).header("content-type", kind);
    service.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap()
}

async fn classify(service: &Router, key: &str, body: Value) -> Response<Body> {
    send(service, "/v1/classify", key, "application/json", body.to_string()).await
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn field<'r>(response: &'r Response<Body>, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_key_whose_rate_is_used_up_gets_429_and_others_are_served() {
    let service = service(KeyLimits { requests_per_minute: Some(2), ..KeyLimits::default() }).await;
    let berlin = || json!({"text": "Berlin"});
    for left in [1, 0] {
        let answer = classify(&service, "offen", berlin()).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(field(&answer, "ratelimit-policy"), "\"requests_per_minute\";q=2;w=60");
        assert!(field(&answer, "ratelimit").starts_with(&format!("\"requests_per_minute\";r={left};t=")));
        assert_eq!(field(&answer, "retry-after"), "");
    }
    let refused = classify(&service, "offen", berlin()).await;
    assert_eq!(refused.status(), 429);
    assert!((1..=60).contains(&field(&refused, "retry-after").parse::<u64>().unwrap()));
    assert!(field(&refused, "ratelimit").contains("r=0;"));
    let problem: Value = serde_json::from_str(&text(refused).await).unwrap();
    assert_eq!(problem["code"], "rate_limited");
    let other = classify(&service, "frei", berlin()).await;
    assert_eq!((other.status().as_u16(), field(&other, "ratelimit")), (200, ""));
    for (path, body) in [("/predict", json!({"inputs": "Berlin"})), ("/classify", json!({"input": "Berlin"}))] {
        let refused = send(&service, path, "offen", "application/json", body.to_string()).await;
        assert_eq!(refused.status(), 429, "{path}");
        assert_ne!(field(&refused, "retry-after"), "", "{path}");
    }
}

#[tokio::test]
async fn every_document_counts_in_each_form_of_a_request() {
    let service = service(KeyLimits { documents_per_day: Some(8), ..KeyLimits::default() }).await;
    let two = || json!({"documents": [{"text": "Berlin"}, {"text": "Bonn"}]});
    let left = |response: &Response<Body>| {
        let field = field(response, "ratelimit").to_owned();
        field.split("r=").nth(1).unwrap().split(';').next().unwrap().to_owned()
    };
    assert_eq!(left(&classify(&service, "offen", two()).await), "6");
    assert_eq!(left(&classify(&service, "offen", json!({"text": "Berlin"})).await), "5");
    let inputs = json!({"inputs": ["Berlin", "Bonn"]}).to_string();
    assert_eq!(left(&send(&service, "/models/lexicon-ner", "offen", "application/json", inputs).await), "3");
    let four = json!({"documents": vec![json!({"text": "Berlin"}); 4]});
    let refused = classify(&service, "offen", four).await;
    assert_eq!((refused.status().as_u16(), left(&refused)), (429, "3".to_owned()), "a refusal uses nothing");
    let retry_after: u64 = field(&refused, "retry-after").parse().unwrap();
    assert!(retry_after > 86_000, "{retry_after}");
    assert!(text(refused).await.contains("\"quota_exceeded\""));
    // Lines are answered one by one.
    let lines = "{\"text\": \"Berlin\"}\n".repeat(4);
    let answer = send(&service, "/v1/classify", "offen", "application/x-ndjson", lines).await;
    assert_eq!(answer.status(), 200);
    let answer = text(answer).await;
    let failed: Vec<bool> = answer.lines().map(|line| line.contains("quota_exceeded")).collect();
    assert_eq!(failed, [false, false, false, true], "{answer}");
}

#[test]
fn a_new_key_opens_what_its_entry_says_and_the_file_does_not_hold_it() {
    let output = ressort().args(["key", "new", "--name", "Redaktion", "--scope", "read"]).output().unwrap();
    let (entry, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let key = told.lines().last().unwrap().to_owned();
    assert!(key.starts_with("ressort_") && key.len() == "ressort_".len() + 64, "{key}");
    assert!(entry.contains("[[keys]]") && !entry.contains(&key));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), entry).unwrap();
    let path = file.path().to_string_lossy().into_owned();
    let mut command = ressort();
    command.stderr(Stdio::null());
    let args = ["--config", &path, "--model", &model("lexicon-ner"), "--providers", "cpu"];
    let server = Server::start_with(command, &args);
    let status = |method: &str, path: &str, key: &str| {
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {key}");
        server.ask(&format!("{head}\r\n\r\n"))[9..12].to_owned()
    };
    assert_eq!(status("GET", "/v1/models", &key), "200");
    assert_eq!(status("GET", "/v1/models", "x"), "401");
    assert_eq!(status("GET", "/v1/models", &key[..key.len() - 1]), "401");
    // The one key does not have the scope, and without an admin key nobody may.
    assert_eq!(status("GET", "/v1/shadow", &key), "403");
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_reload_says_what_changed_of_keys_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let entry = |name: &str, n: u8, rest: &str| {
        format!("[[keys]]\nname = \"{name}\"\nhash = \"sha256:{}\"\n{rest}", format!("{n:x}").repeat(64))
    };
    let configure = |text: &str| {
        let text = format!(
            "model = \"{}\"\nproviders = \"cpu\"\nadmin_key_file = {:?}\n{text}",
            model("lexicon-ner"),
            path("admin")
        );
        std::fs::write(path("r.toml"), text).unwrap();
    };
    std::fs::write(path("admin"), "geheim-1\n").unwrap();
    configure(&(entry("bleibt", 1, "") + &entry("geht", 2, "") + &entry("anders", 3, "requests_per_minute = 60\n")));
    let mut command = ressort();
    command.stderr(std::fs::File::create(path("log")).unwrap());
    let server = Server::start_with(command, &["--config", &path("r.toml")]);
    let reloaded = |n: usize| {
        server.signal("-HUP");
        let lines = || -> Vec<String> {
            let log = std::fs::read_to_string(path("log")).unwrap();
            log.lines().filter(|line| line.contains("the configuration is reloaded")).map(str::to_owned).collect()
        };
        until("the reload is logged", || lines().len() == n);
        lines().pop().unwrap()
    };
    let line = reloaded(1);
    assert!(line.contains("nothing changed") && !line.contains("changed=") && !line.contains(" keys="), "{line}");
    std::fs::write(path("admin"), "geheim-2\n").unwrap();
    let anders = "scopes = [\"admin\"]\nrequests_per_minute = 100\ndocuments_per_day = 5\n";
    configure(
        &("max_documents = 7\n".to_owned()
            + &entry("bleibt", 1, "")
            + &entry("neu", 4, "")
            + &entry("anders", 3, anders)),
    );
    let line = reloaded(2);
    for part in [
        "changed=\"max_documents\"",
        "added `neu` (scopes read)",
        "revoked `geht`",
        "changed `anders` (scopes read -> admin, requests_per_minute 60 -> 100, documents_per_day unlimited -> 5)",
        "changed `--admin-key` (another key)",
        "n_keys=3",
    ] {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
    let log = std::fs::read_to_string(path("log")).unwrap();
    assert!(!log.contains("geheim") && !log.contains("`bleibt`") && !log.contains("3333"), "{log}");
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_reload_that_leaves_no_key_opens_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let configure = |text: &str| {
        let head = format!("model = \"{}\"\nproviders = \"cpu\"\n", model("lexicon-ner"));
        std::fs::write(path("r.toml"), head + text).unwrap();
    };
    configure("api_key = \"geheim\"\n");
    let mut command = ressort();
    command.stderr(std::fs::File::create(path("log")).unwrap());
    let server = Server::start_with(command, &["--config", &path("r.toml")]);
    let log = || std::fs::read_to_string(path("log")).unwrap();
    let status = |key: &str| {
        let head = "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer";
        server.ask(&format!("{head} {key}\r\n\r\n"))[9..12].to_owned()
    };
    configure("");
    server.signal("-HUP");
    until("the reload is refused", || log().contains("stays in use, with all of its keys"));
    assert!(log().contains("a reload does not open a server that had keys"), "{}", log());
    assert_eq!((status("geheim"), status("falsch")), ("200".to_owned(), "401".to_owned()));
    configure("allow_anonymous = true\n");
    server.signal("-HUP");
    until("the operator opens the server", || log().contains("the configuration is reloaded"));
    assert_eq!(status("falsch"), "200");
    assert_eq!(server.stop(), 0);
}
