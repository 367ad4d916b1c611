//! A server without keys answers its own page and programs, and no web page of others. `check_unkeyed` says why.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Request};
use ressort::classify::request::RequestLimits;
use ressort::http::{AllowedHosts, App, Cors, KeyRing, KeySpec, Scope};
use tower::ServiceExt;

use crate::api::registry;
use crate::cli::{Server, model, ressort};
use crate::description::{addressed, description, operations, service};

/// What anybody may ask, with and without keys: pages, checks of health, counts.
const OPEN: [&str; 7] =
    ["/", "/health", "/health/live", "/health/ready", "/metrics", "/v2/health/live", "/v2/health/ready"];

/// What a browser sends for a page of others.
const FOREIGN: &[&[(&str, &str)]] = &[
    &[("host", "evil.example:8080")],
    &[("host", "evil.example:8080"), ("origin", "http://evil.example:8080"), ("sec-fetch-site", "same-origin")],
    &[("host", "localhost.evil.example")],
    &[("host", "192.0.2.1:8080")],
    &[("host", "[::1")],
    &[("host", "localhost:99999")],
    &[("host", "")],
    &[("host", "localhost"), ("host", "evil.example")],
    &[("host", "localhost:8080"), ("origin", "http://evil.example")],
    &[("host", "localhost:8080"), ("origin", "http://localhost:3000")],
    &[("host", "localhost:8080"), ("origin", "null")],
    &[("host", "localhost:8080"), ("origin", "")],
    &[("host", "localhost:8080"), ("origin", "http://localhost:8080"), ("origin", "http://evil.example")],
    &[("host", "localhost:8080"), ("sec-fetch-site", "cross-site")],
    &[("host", "localhost:8080"), ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate")],
    &[("host", "localhost:8080"), ("origin", "http://evil.example"), ("sec-fetch-site", "none")],
];

/// What programs, the server's own page and the pages of [`LISTED`] send.
const OWN: &[&[(&str, &str)]] = &[
    &[("host", "localhost:8080")],
    &[("host", "127.0.0.1")],
    &[("host", "[::1]:8080")],
    &[("host", "LOCALHOST.:8080"), ("x-forwarded-for", "192.0.2.1")],
    &[("host", "localhost:8080"), ("origin", "http://localhost:8080")],
    &[("host", "localhost:8080"), ("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")],
    &[("host", "localhost:8080"), ("sec-fetch-site", "same-origin")],
    &[("host", "localhost:8080"), ("sec-fetch-site", "none")],
    // A proxy rewrote the host.
    &[("host", "127.0.0.1"), ("origin", "https://ressort.example.com"), ("sec-fetch-site", "same-origin")],
];

const LISTED: &[&[(&str, &str)]] = &[
    &[("host", "ressort.example.com")],
    &[("host", "ressort.example.com"), ("origin", "https://ressort.example.com")],
    &[("host", "localhost:8080"), ("origin", "https://www.example.com"), ("sec-fetch-site", "cross-site")],
];

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("content-type", "text/plain");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Body::from("Berlin")).unwrap()
}

/// Status and body of an answer, in whichever shape.
async fn answer(service: &Router, request: Request<Body>) -> (u16, String) {
    let response = service.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn without_keys_no_web_page_reaches_a_route_that_a_key_would_guard() {
    let (service, _dir) = service().await;
    let description = description(&service).await;
    let mut n_guarded = 0;
    for (path, method, _) in operations(&description) {
        let (method, address) = (method.to_uppercase(), addressed(path, "nobody"));
        let is_open = OPEN.contains(&path) && method == "GET";
        n_guarded += usize::from(!is_open);
        for headers in FOREIGN {
            let (status, body) = answer(&service, request(&method, &address, headers)).await;
            assert_eq!(status == 403, !is_open, "{method} {path} {headers:?}: {status} {body}");
        }
    }
    assert!(n_guarded > 25, "{n_guarded}");
}

async fn app() -> App {
    App::new(registry(&["lexicon-ner"]).await, RequestLimits::default())
}

#[tokio::test]
async fn programs_the_own_page_and_what_is_listed_are_answered() {
    let closed = ressort::http::router(Arc::new(app().await));
    let listed = App {
        cors: Cors::new(vec!["https://www.example.com".parse().unwrap()]),
        hosts: AllowedHosts::new([127, 0, 0, 1].into(), vec!["ressort.example.com".parse().unwrap()]),
        ..app().await
    };
    let listed = ressort::http::router(Arc::new(listed));
    for (headers, n_answering) in OWN.iter().map(|own| (own, 2)).chain(LISTED.iter().map(|listed| (listed, 1))) {
        for (service, is_answering) in [(&listed, true), (&closed, n_answering == 2)] {
            let (status, body) = answer(service, request("POST", "/v1/classify", headers)).await;
            assert_eq!(status, if is_answering { 200 } else { 403 }, "{headers:?}: {body}");
        }
    }
    for headers in FOREIGN {
        assert_eq!(answer(&listed, request("POST", "/v1/classify", headers)).await.0, 403, "{headers:?}");
    }
    let open = App { cors: Cors::new(vec!["*".parse().unwrap()]), ..app().await };
    let open = ressort::http::router(Arc::new(open));
    for headers in FOREIGN {
        assert_eq!(answer(&open, request("POST", "/v1/classify", headers)).await.0, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn a_key_guards_instead_of_host_and_origin() {
    let app = app().await;
    let admin = KeySpec::of_text("admin", "geheim", Scope::Admin);
    // The admin key alone: anybody reads, and pages of others do not.
    app.keys.store(Arc::new(KeyRing::new(vec![admin]).open_to_readers()));
    let service = ressort::http::router(Arc::new(app));
    for headers in FOREIGN {
        let without = answer(&service, request("POST", "/v1/classify", headers)).await;
        assert_eq!(without.0, 403, "{headers:?}");
        for (key, status) in [("Bearer geheim", 200), ("Bearer falsch", 403)] {
            let mut request = request("POST", "/v1/classify", headers);
            request.headers_mut().insert("authorization", HeaderValue::from_static(key));
            assert_eq!(answer(&service, request).await.0, status, "{headers:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_names_what_was_sent_and_what_helps() {
    let service = ressort::http::router(Arc::new(app().await));
    for (headers, parts) in [
        (&[("host", "evil.example:80")][..], ["`evil.example:80`", "--allowed-host", "RESSORT_API_KEY"]),
        (&[], ["no header `Host`", "--allowed-host", "RESSORT_API_KEY"]),
        (&[("host", "localhost"), ("origin", "null")], ["`null`", "--cors-origin", "RESSORT_API_KEY"]),
        (
            &[("host", "localhost"), ("sec-fetch-site", "cross-site")],
            ["cross-site", "--cors-origin", "RESSORT_API_KEY"],
        ),
    ] {
        let (status, body) = answer(&service, request("POST", "/v1/classify", headers)).await;
        assert!(status == 403 && parts.iter().all(|part| body.contains(part)), "{headers:?}: {body}");
    }
    let absolute = request("GET", "http://evil.example/v1/models", &[("host", "localhost")]);
    let (status, body) = answer(&service, absolute).await;
    assert!(status == 403 && body.contains("`evil.example`"), "the address goes before `Host`: {body}");
}

#[test]
fn a_page_that_posts_blindly_or_by_rebinding_changes_nothing_of_a_running_server() {
    let jobs = tempfile::tempdir().unwrap();
    let mut command = ressort();
    command.stderr(Stdio::null());
    let dir = jobs.path().to_string_lossy().into_owned();
    let lexicon = model("lexicon-ner");
    let args = ["--model", &lexicon, "--providers", "cpu", "--jobs-dir", &dir, "--allowed-host", "ressort.example.com"];
    let server = Server::start_with(command, &args);
    let status = |head: &str, body: &str| {
        let mut client = TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
        let n = body.len();
        write!(client, "{head}\r\nconnection: close\r\ncontent-length: {n}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        (answer[9..12].to_owned(), answer)
    };
    let post = "POST /v1/jobs HTTP/1.1\r\ncontent-type: text/plain\r\nhost: ";
    let id = {
        let (status, answer) = status(&format!("{post}ressort.example.com"), "Berlin");
        assert_eq!(status, "202", "{answer}");
        answer.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    for head in [
        &format!("{post}localhost\r\norigin: http://evil.example"),
        &format!("{post}evil.example"),
        &format!("{post}localhost:99999"),
        "GET /v1/jobs HTTP/1.1\r\nhost: evil.example",
        &format!("GET /v1/jobs/{id} HTTP/1.1\r\nhost: evil.example"),
        &format!("GET /v1/jobs/{id}/result HTTP/1.1\r\nhost: evil.example"),
        &format!("POST /v1/jobs/{id}/cancel HTTP/1.1\r\nhost: localhost\r\norigin: http://evil.example"),
        &format!("DELETE /v1/jobs/{id} HTTP/1.1\r\nhost: evil.example"),
        &format!("DELETE /v1/jobs/{id} HTTP/1.0"),
        "POST /v1/active/rollback HTTP/1.0",
        "POST /v1/active/rollback HTTP/1.1\r\nhost: ressort.example.com",
        "POST /v1/active/rollback HTTP/1.1\r\nhost: localhost:99999",
    ] {
        let (status, answer) = status(head, "Berlin");
        assert!(status == "403" || head.contains("99999") && status == "400", "{head}: {answer}");
        assert!(!answer.contains(&id), "{head}: {answer}");
    }
    let (_, list) = status("GET /v1/jobs HTTP/1.1\r\nhost: localhost", "");
    assert_eq!(list.matches("\"id\":").count(), 1, "{list}");
    assert!(list.contains(&id) && !list.contains("cancelled"), "{list}");
    assert_eq!(server.stop(), 0);
}
