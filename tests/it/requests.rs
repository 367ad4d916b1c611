//! What clients send in place of what is expected: encodings, packings, addresses, and JSON of any shape.

use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use ressort::classify::request::RequestLimits;
use ressort::http::{AdminAccess, App};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::api::{classify, get, post, problem, registry, router, send, service_of};

/// A service that lets the tests change its models too.
async fn service() -> Router {
    let mut app = App::new(registry(&["lexicon-topics", "lexicon-ner"]).await, RequestLimits::default());
    app.admin = AdminAccess::Anyone;
    router(Arc::new(app))
}

/// The detail of a problem, or the answer as text.
async fn answer(service: &Router, request: Request<Body>) -> (u16, String) {
    let (status, answer) = send(service, request).await;
    let detail = answer["detail"].as_str().map_or_else(|| answer.to_string(), str::to_owned);
    (status.as_u16(), detail)
}

pub fn packed(coding: &str, body: Vec<u8>) -> Request<Body> {
    let mut request = post(body);
    request.headers_mut().insert("content-encoding", coding.parse().unwrap());
    request
}

pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn brotli(body: &[u8]) -> Vec<u8> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
    encoder.write_all(body).unwrap();
    encoder.into_inner()
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 1).unwrap()
}

/// Bodies whose messages are held by [`no_message_has_words_of_the_program`].
fn malformed() -> Vec<String> {
    let values = [
        "null",
        "true",
        "5",
        "-1",
        "1.5",
        "1e400",
        "\"x\"",
        "\"\"",
        "[]",
        "{}",
        "[0.1, 0.2]",
        "[\"topics\", \"entities\"]",
        "{\"topics\": [1]}",
        "{\"topics\": {}}",
        "{\"topics\": true, \"topics\": 1}",
        "{\"topcis\": 1}",
        "[{}]",
        "[[]]",
        "[5]",
        "\"\\ud800\"",
        "[\"\\udc00\"]",
        "{\"\\ud800\": 1}",
        "NaN",
        "[NaN]",
        "-Infinity",
        "nul",
        "01",
        "1.",
        "\"a",
        "'x'",
        "[1,]",
        "[1 2]",
        "{\"a\" 1}",
        "{a: 1}",
        "{\"a\": 1,}",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\u{1}\"",
        "tru",
        "undefined",
        "/* x */ 1",
    ];
    let fields =
        "text documents tasks top_k threshold aggregation offset_unit overflow text_rules priority models label_language nope"
            .split(' ');
    let mut bodies: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    for value in values {
        bodies.extend(fields.clone().map(|field| format!("{{\"text\": \"a\", \"{field}\": {value}}}")));
        bodies.extend(
            ["id", "text", "nope"].map(|field| format!("{{\"documents\": [{{\"{field}\": {value}}}, {value}]}}")),
        );
        bodies.push(format!("{{\"model\": \"lexicon-ner\", \"share\": {value}}}"));
        bodies.push(format!("{{\"share\": 0.5, \"model\": {value}}}"));
    }
    bodies
}

#[tokio::test]
async fn no_message_has_words_of_the_program() {
    let words = "invalid type|invalid value|struct|variant|enum|tuple|sequence|map|f32|f64|u64|i64|usize|integer `|\
        floating point|Option|None|Some(|EOF|ident|deserial|serde|unit|newtype|Body|recursion|code point";
    let service = service().await;
    for body in malformed() {
        for (method, path) in [("POST", "/v1/classify"), ("PUT", "/v1/active"), ("PUT", "/v1/shadow")] {
            let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
            let (status, answer) = send(&service, request.body(Body::from(body.clone())).unwrap()).await;
            assert!(status.as_u16() < 500, "{path} {body}: {answer}");
            let failed = answer["results"].as_array().into_iter().flatten().map(|result| &result["error"]["detail"]);
            for detail in failed.chain([&answer["detail"]]).filter_map(Value::as_str) {
                // What the client wrote, and the names of fields, are quoted.
                let plain: String = detail.split('`').step_by(2).collect();
                let found: Vec<&str> = words.split('|').filter(|word| plain.contains(word)).collect();
                assert!(found.is_empty(), "{path} {body}: {found:?} in {detail}");
                assert!(detail.len() < 600, "{path} {body}: {detail}");
                assert!(
                    [";", "?", "is not one of"].iter().any(|remedy| detail.contains(remedy)),
                    "{path} {body}: no remedy in {detail}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_array_is_never_taken_for_an_object() {
    let service = service().await;
    for (body, field) in [
        (r#"["a", null, null]"#, "the body"),
        (r#"{"text": "a", "threshold": [0.1, 0.2]}"#, "`threshold`"),
        (r#"{"text": "a", "models": ["lexicon-topics", "lexicon-ner"]}"#, "`models`"),
    ] {
        let (status, detail) = answer(&service, post(body)).await;
        assert_eq!(status, 422, "{body}: {detail}");
        assert!(detail.starts_with(field) && detail.contains("object"), "{body}: {detail}");
    }
    let (_, results) = send(&service, post(r#"{"documents": [["a", "Berlin"]]}"#)).await;
    assert_eq!(results["results"][0]["error"]["code"], "invalid_request", "{results}");
    for (path, body) in
        [("/v1/active", r#"["lexicon-topics", "lexicon-ner"]"#), ("/v1/shadow", r#"["lexicon-ner", 0.5]"#)]
    {
        let request = Request::put(path).header("content-type", "application/json").body(Body::from(body)).unwrap();
        assert_eq!(answer(&service, request).await.0, 422, "{path}");
    }
}

#[tokio::test]
async fn ids_come_back_as_they_were_sent() {
    let service = service().await;
    let ids = [
        "17",
        "17.0",
        "1e3",
        "-0",
        "-0.0",
        "1E+2",
        "1e400",
        "123456789012345678901234567890",
        "0.1000000000000000055511151231257827",
        "\"ä\"",
        "\"\"",
    ];
    let documents = ids.map(|id| format!(r#"{{"id": {id}, "text": "Berlin"}}, {{"id": {id}, "text": 5}}"#)).join(",");
    let body = format!(r#"{{"tasks": ["entities"], "documents": [{documents}]}}"#);
    for accept in ["*/*", "application/x-ndjson"] {
        let mut request = post(body.clone());
        request.headers_mut().insert("accept", accept.parse().unwrap());
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let text = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = std::str::from_utf8(&text).unwrap();
        for (n, id) in ids.iter().enumerate() {
            assert!(text.contains(&format!(r#"{{"id":{id},"entities""#)), "{id} in {text}");
            assert!(text.contains(&format!(r#"{{"index":{},"id":{id},"error""#, 2 * n + 1)), "{id} in {text}");
        }
    }
}

#[tokio::test]
async fn a_failed_document_is_named_by_index_id_and_path() {
    let body = r#"{"documents": [{"text": "a"}, {"id": "b", "text": 5}, {"id": [1], "text": "c"}, 7, {"id": 4, "text": "\ud800"},
        {"id": "\ud800", "text": "e"}, {"id": 6}, {"id": 7, "text": "a", "text": "b"}, {"id": 8, "text": "a", "Text": "b"}]}"#;
    let (status, answer) = send(&service().await, post(body)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(answer["results"][0].get("error").is_none());
    for (index, id, code, part) in [
        (1, json!("b"), "invalid_request", "`documents[1].text` is `5`, and a string is expected"),
        (2, Value::Null, "invalid_request", "`documents[2].id` is `[1]`, and a string or a number is expected"),
        (3, Value::Null, "invalid_request", "`documents[3]` is `7`, and an object is expected"),
        (4, json!(4), "invalid_json", "`documents[4].text` has a lone surrogate"),
        (5, Value::Null, "invalid_json", "`documents[5].id` has a lone surrogate"),
        (6, json!(6), "invalid_request", "`documents[6].text` is missing"),
        (7, json!(7), "invalid_request", "`text` of `documents[7]` is given more than once"),
        (8, json!(8), "invalid_request", "unknown field `Text` of `documents[8]`"),
    ] {
        let failure = &answer["results"][index];
        assert_eq!(
            (&failure["index"], &failure["id"], &failure["error"]["code"]),
            (&json!(index), &id, &json!(code)),
            "{failure}"
        );
        assert!(failure["error"]["detail"].as_str().unwrap().contains(part), "{failure}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_read_over_and_another_encoding_is_named() {
    let service = service().await;
    let body = json!({"text": "Angela Merkel in Köln"}).to_string();
    let expected = classify(&service, serde_json::from_str(&body).unwrap()).await;
    assert_eq!(send(&service, post(format!("\u{feff}{body}"))).await, (StatusCode::OK, expected));
    let utf16 = |to_bytes: fn(u16) -> [u8; 2], mark: &str| {
        (mark.to_owned() + &body).encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>()
    };
    let latin: Vec<u8> = body.chars().map(|char| char as u8).collect();
    let utf32: Vec<u8> = body.chars().flat_map(|char| (char as u32).to_le_bytes()).collect();
    for (body, part) in [
        (utf16(u16::to_le_bytes, "\u{feff}"), "is UTF-16; send it in UTF-8"),
        (utf16(u16::to_be_bytes, "\u{feff}"), "is UTF-16"),
        (utf16(u16::to_le_bytes, ""), "is UTF-16"),
        (utf16(u16::to_be_bytes, ""), "is UTF-16"),
        (utf32, "is UTF-32"),
        (latin, "byte 27 is 0xf6, perhaps of Windows-1252"),
        (gzip(body.as_bytes()), "send `content-encoding: gzip`"),
        (zstd(body.as_bytes()), "send `content-encoding: zstd`"),
        (b"\xef\xbb\xbf".to_vec(), "the body is empty"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}".to_vec(), "is not JSON"),
    ] {
        let (status, detail) = answer(&service, post(body)).await;
        assert_eq!(status, 400, "{detail}");
        assert!(detail.contains(part), "{detail}");
    }
}

#[tokio::test]
async fn a_packed_body_is_read_within_the_same_limit() {
    const MAX: usize = 100_000;
    let service = service_of(&["lexicon-ner"], RequestLimits { max_body_bytes: MAX, ..RequestLimits::default() }).await;
    let body = json!({"text": "Angela Merkel in Köln"}).to_string().into_bytes();
    let expected = classify(&service, serde_json::from_slice(&body).unwrap()).await;
    let halves = [gzip(&body[..9]), gzip(&body[9..])].concat();
    for (coding, body) in [
        ("gzip", gzip(&body)),
        ("X-GZip", gzip(&body)),
        ("gzip", halves),
        ("zstd", zstd(&body)),
        ("br", brotli(&body)),
        ("identity", body.clone()),
        ("identity, zstd", zstd(&body)),
        ("", body.clone()),
        ("gzip", gzip(&[b"\xef\xbb\xbf", &body[..]].concat())),
    ] {
        assert_eq!(send(&service, packed(coding, body)).await, (StatusCode::OK, expected.clone()), "{coding}");
    }
    let padded = |n: usize| [&body[..], &vec![b' '; n - body.len()]].concat();
    for (coding, pack) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd), ("br", brotli)] {
        assert_eq!(send(&service, packed(coding, pack(&padded(MAX)))).await.0, StatusCode::OK);
        for n in [MAX + 1, 50_000_000] {
            let (status, detail) = answer(&service, packed(coding, pack(&padded(n)))).await;
            assert_eq!((status, detail.contains("unpacked body has more than 100000 bytes")), (413, true), "{detail}");
        }
        let whole = pack(&body);
        for broken in [
            &whole[..whole.len() - 5],
            &whole[..3],
            b"{}",
            &[&whole[..], b"rubbish"].concat(),
            &[&whole[..], &[7; 40_000]].concat(),
        ] {
            let (status, detail) = answer(&service, packed(coding, broken.to_vec())).await;
            assert_eq!((status, detail.contains("is not whole")), (400, true), "{detail}");
        }
    }
    for coding in ["deflate", "gzip, zstd", "gzip, gzip", "\u{e4}"] {
        let response = service.clone().oneshot(packed(coding, body.clone())).await.unwrap();
        assert_eq!(response.status(), 415, "{coding}");
        assert_eq!(response.headers()["accept-encoding"], "gzip, zstd, br, identity");
        let (_, detail) = answer(&service, packed(coding, body.clone())).await;
        assert!(detail.contains("`gzip`, `zstd` or `br`"), "{detail}");
    }
}

#[tokio::test]
async fn an_address_may_end_in_a_slash_and_pages_have_heads() {
    let service = service().await;
    let body = json!({"text": "Berlin"}).to_string();
    let request = |path: &str| {
        Request::post(path).header("content-type", "application/json").body(Body::from(body.clone())).unwrap()
    };
    for path in ["/v1/classify", "/v1/classify/", "/v1/classify//", "/v1/classify/?"] {
        assert_eq!(send(&service, request(path)).await.0, StatusCode::OK, "{path}");
    }
    for path in ["/", "/v1/models", "/health/live", "/health/ready", "/openapi.json"] {
        for path in [path.to_owned(), format!("{path}/")] {
            let response = service.clone().oneshot(Request::head(&path).body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "HEAD {path}");
            assert!(to_bytes(response.into_body(), 1).await.unwrap().is_empty(), "HEAD {path}");
            assert_eq!(service.clone().oneshot(get(&path)).await.unwrap().status(), StatusCode::OK, "GET {path}");
        }
    }
    for (method, path) in [("GET", "/v1/classify/"), ("HEAD", "/v1/classify"), ("POST", "/v1/models/")] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert!(response.headers().contains_key("allow"), "{method} {path}");
    }
    assert_eq!(problem(&service, get("/v1/nope/")).await, (404, "not_found".into()));
}

#[tokio::test]
async fn an_unknown_name_is_answered_with_the_nearest_known_one() {
    let service = service_of(&["two-heads", "lexicon-ner"], RequestLimits::default()).await;
    for (body, nearest) in [
        (json!({"text": "a", "tasks": ["topcis"]}), "topics"),
        (json!({"text": "a", "models": {"entities": "lexikon-ner"}}), "lexicon-ner"),
        (json!({"text": "a", "models": {"entitites": "lexicon-ner"}}), "entities"),
        (json!({"text": "a", "label_language": "em"}), "en"),
        (json!({"text": "a", "aggregation": "Viterby"}), "viterbi"),
        (json!({"text": "a", "offset_unit": "utf-16"}), "utf16"),
        (json!({"text": "a", "priority": "BULK"}), "bulk"),
        (json!({"text": "a", "labelLanguage": "en"}), "label_language"),
        (json!({"txt": "a"}), "text"),
    ] {
        let (status, detail) = answer(&service, post(body.to_string())).await;
        assert!(status >= 400 && detail.contains(&format!("did you mean `{nearest}`?")), "{body}: {detail}");
    }
}

#[tokio::test]
async fn a_body_of_any_size_or_depth_is_answered() {
    let service = service().await;
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let deep_objects = "{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000);
    let blank = " \n\t\r".repeat(2_500_000);
    for (body, status) in [
        (deep.clone(), 422),
        (deep_objects.clone(), 422),
        (format!("{{\"text\": {deep}}}"), 422),
        (format!("{{\"text\": \"a\", \"threshold\": {deep_objects}}}"), 422),
        (format!("{{\"text\": \"a\", \"nope\": {deep_objects}}}"), 422),
        (format!("{{\"documents\": {deep}}}"), 200),
        (format!("{{\"documents\": [{{\"id\": {deep}, \"text\": \"a\"}}, {deep_objects}]}}"), 200),
        (format!("{{\"text\": \"a\", \"tasks\": [{}\"topics\"]}}", "\"topics\",".repeat(1_000_000)), 422),
        (format!("{{{}\"text\": \"a\"}}", "\"a\":1,".repeat(1_000_000)), 422),
        (format!("{{\"text\": \"a\", \"models\": {{\"topics\": \"{}\"}}}}", "x".repeat(1_000_000)), 404),
        (format!("{{\"text\": \"a\", \"aggregation\": \"{}\"}}", "x".repeat(1_000_000)), 422),
        (format!("{{\"text\": \"a\", \"label_language\": \"{}\"}}", "x".repeat(1_000_000)), 422),
        (format!("{{\"text\": \"a\", \"{}\": 1}}", "x".repeat(1_000_000)), 422),
        (format!("{{\"text\": \"a\", \"top_k\": {}}}", "9".repeat(1_000_000)), 200),
        (format!("{{\"text\": \"a\", \"threshold\": 0.{}}}", "9".repeat(1_000_000)), 200),
        (format!("{blank}{{\"text\":{blank}\"Berlin\"}}{blank}"), 200),
        (blank, 400),
        ("\"".repeat(1_000_000), 400),
        (format!("\n{}x", " ".repeat(1_000_000)), 400),
        ("\\".repeat(1_000_000), 400),
    ] {
        let (found, detail) = answer(&service, post(body.clone())).await;
        let start: String = body.chars().take(60).collect();
        assert_eq!(found, status, "{start}: {detail}");
        assert!(status == 200 || detail.len() < 600, "{start}: {detail}");
    }
    for (request, status) in [
        (get(&format!("/{}", "a".repeat(20_000))), 404),
        (Request::post("/v1/classify").header("content-type", "a".repeat(5_000)).body(Body::empty()).unwrap(), 415),
        (packed(&"b".repeat(5_000), Vec::new()), 415),
        (Request::put("/v1/models/%ff").body(Body::empty()).unwrap(), 422),
    ] {
        let (found, detail) = answer(&service, request).await;
        assert_eq!((found, detail.len() < 300), (status, true), "{detail}");
    }
}
