//! Traces: the spans of a request arrive at a collector, within the trace of the client, and without a text.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::cli::{Server, model, ressort};

/// A collector on a free port; gives the body of each export.
fn collector() -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            loop {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if reader.read_until(b'\n', &mut head).unwrap_or(0) == 0 {
                        break;
                    }
                }
                let head = String::from_utf8_lossy(&head).to_lowercase();
                if head.is_empty() {
                    break;
                }
                assert!(head.starts_with("post /v1/traces "), "{head}");
                assert!(head.contains("content-type: application/x-protobuf"), "{head}");
                let length = head.split("content-length: ").nth(1).unwrap().split_whitespace().next().unwrap();
                let mut body = vec![0; length.parse().unwrap()];
                reader.read_exact(&mut body).unwrap();
                reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                if send.send(body).is_err() {
                    return;
                }
            }
        }
    });
    (endpoint, receive)
}

fn spans(exports: &[Vec<u8>]) -> Vec<Span> {
    let requests = exports.iter().map(|body| ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
    let resources = requests.flat_map(|request| request.resource_spans);
    resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    span.attributes.iter().map(|attribute| (attribute.key.as_str(), format!("{:?}", attribute.value))).collect()
}

#[test]
fn the_stages_of_a_request_are_spans_of_the_clients_trace_without_its_text() {
    const SECRET: &str = "Geheimrat";
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";
    let (endpoint, exports) = collector();
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = ressort();
    command.env("OTEL_BSP_SCHEDULE_DELAY", "3600000").stderr(Stdio::from(log.reopen().unwrap()));
    let server = Server::start_with(
        command,
        &["--model", &model("two-heads"), "--providers", "cpu", "--otlp-endpoint", &endpoint],
    );
    let body = format!(r#"{{"documents": [{{"text": "{SECRET} Merkel"}}, {{"text": "Berlin"}}]}}"#);
    let answer = server.ask(&format!(
        "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\nx-request-id: auftrag-7\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The end of the process exports what is left.
    assert_eq!(server.stop(), 0);
    let exports: Vec<Vec<u8>> = exports.try_iter().collect();
    let spans = spans(&exports);
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let [request] = named("POST /v1/classify")[..] else { panic!("{spans:#?}") };
    assert_eq!((hex(&request.trace_id), hex(&request.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    let expected = format!("\r\ntraceresponse: 00-{TRACE}-{}-01\r\n", hex(&request.span_id));
    assert!(answer.contains(&expected), "{expected}: {answer}");
    let values = attributes(request);
    assert!(
        values["request.id"].contains("auftrag-7") && values["http.response.status_code"].contains("200"),
        "{values:?}"
    );
    let documents = named("document");
    assert_eq!(documents.len(), 2);
    assert!(documents.iter().all(|span| span.parent_span_id == request.span_id));
    for stage in ["admit", "tokenize", "queue", "run", "decode"] {
        let stages = named(stage);
        assert_eq!(stages.len(), 2, "{stage}");
        for span in stages {
            let document = documents.iter().find(|document| document.span_id == span.parent_span_id);
            assert!(document.is_some_and(|document| document.trace_id == span.trace_id), "{stage}");
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{stage}");
        }
    }
    for (bytes, what) in exports
        .iter()
        .map(|export| (export.clone(), "an export"))
        .chain([(std::fs::read(log.path()).unwrap(), "the log")])
    {
        assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{what} has the text");
    }
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert!(log.contains(&format!("trace_id=\"{TRACE}\"")), "{log}");
}

#[test]
fn an_address_that_cannot_be_a_collector_is_refused_with_one_that_can() {
    for endpoint in ["https://collector.example", "127.0.0.1:4318", "http://", "x"] {
        let mut command = ressort();
        command.args(["serve", "--port", "0", "--model", &model("two-heads"), "--otlp-endpoint", endpoint]);
        let output = command.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{endpoint}");
        assert!(message.contains(endpoint) && message.contains("http://127.0.0.1:4318"), "{endpoint}: {message}");
    }
}
