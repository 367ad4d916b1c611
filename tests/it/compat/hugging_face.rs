//! Clients of Hugging Face's inference API: requests and answers in their shapes.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use ressort::classify::cache::PredictionCache;
use ressort::classify::request::RequestLimits;
use ressort::http::App;
use serde_json::{Value, json};

use super::{answer, native, post, send, service, words};
use crate::api::{registry, router};

const TEXT: &str = "👍 Angela Merkel traf Olaf Scholz in Köln.";

#[tokio::test]
async fn topics_are_lists_of_labels_for_one_text_too() {
    let service = service().await;
    let text = "Der FC Bayern gewann";
    let one = answer(&service, "/models/lexicon-topics", json!({"inputs": text})).await;
    let scores = one[0].as_array().unwrap();
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert_eq!(scores.len(), 4, "every label: {one}");
    let native = native(&service, json!({"text": text, "top_k": 4, "tasks": ["topics"]})).await;
    assert_eq!(words(&one[0], "label"), words(&native["topics"], "label"));
    assert_eq!(scores[0]["score"], native["topics"][0]["score"]);
    let two = answer(&service, "/", json!({"inputs": [text, ""], "parameters": {"top_k": 1}})).await;
    assert_eq!(two, json!([[{"label": "Sport", "score": scores[0]["score"]}], []]));
}

#[tokio::test]
async fn the_function_makes_scores_of_the_same_logits() {
    let service = service().await;
    let scores = |function: &'static str, top_k| {
        let service = service.clone();
        async move {
            let parameters = json!({"function_to_apply": function, "top_k": top_k});
            let body = json!({"inputs": "Der FC Bayern gewann", "parameters": parameters});
            let answer = answer(&service, "/models/lexicon-topics", body).await;
            answer[0].as_array().unwrap().iter().map(|label| label["score"].as_f64().unwrap()).collect::<Vec<_>>()
        }
    };
    let (logits, sigmoids, softmax) = (scores("none", 4).await, scores("sigmoid", 4).await, scores("softmax", 4).await);
    for (logit, sigmoid) in logits.iter().zip(sigmoids) {
        assert!((1.0 / (1.0 + (-logit).exp()) - sigmoid).abs() < 1e-6);
    }
    assert!((softmax.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{softmax:?}");
    assert_eq!(scores("softmax", 1).await, softmax[..1], "of all labels, and not of the best alone");
}

#[tokio::test]
async fn entities_are_groups_with_offsets_in_code_points() {
    let service = service().await;
    let found = answer(&service, "/models/lexicon-ner", json!({"inputs": TEXT})).await;
    let native = native(&service, json!({"text": TEXT, "tasks": ["entities"]})).await;
    let expected: Vec<Value> = native["entities"].as_array().unwrap().iter().map(|entity| {
        json!({"entity_group": entity["label"], "score": entity["score"], "word": entity["text"], "start": entity["start"], "end": entity["end"]})
    }).collect();
    assert_eq!(found, Value::Array(expected));
    assert_eq!(found[0]["start"], 2, "the sign before it is one code point");
    let batch = answer(&service, "/models/lexicon-ner", json!({"inputs": [TEXT, ""]})).await;
    assert_eq!(batch, json!([found, []]));
}

#[tokio::test]
async fn tokens_without_aggregation_have_their_tag_in_both_fields() {
    let body = json!({"inputs": TEXT, "parameters": {"aggregation_strategy": "none"}});
    let found = answer(&service().await, "/models/lexicon-ner", body).await;
    assert!(words(&found, "entity").contains(&"B-PER"), "{found}");
    assert_eq!(words(&found, "entity"), words(&found, "entity_group"));
}

#[tokio::test]
async fn ignored_labels_are_left_out_and_must_be_known() {
    let service = service().await;
    let ignore = |labels: Value| json!({"inputs": TEXT, "parameters": {"ignore_labels": labels}});
    let found = answer(&service, "/models/lexicon-ner", ignore(json!(["PER", "O"]))).await;
    assert_eq!(words(&found, "entity_group"), ["LOC"]);
    let (status, problem) = send(&service, post("/models/lexicon-ner", &ignore(json!(["PERS"])))).await;
    assert_eq!(status, 422);
    assert!(problem["error"].as_str().unwrap().contains("no label `PERS`"), "{problem}");
}

#[tokio::test]
async fn the_task_is_the_one_named_else_that_of_the_parameters_else_that_of_the_model() {
    let service = service().await;
    let gives_topics = |answer: &Value| answer[0].is_array();
    for (path, header, parameters, is_topics) in [
        ("/models/two-heads", None, json!({}), true),
        ("/models/two-heads", None, Value::Null, true),
        ("/models/two-heads", None, json!({"aggregation_strategy": "first"}), false),
        ("/models/two-heads", None, json!({"top_k": 1}), true),
        ("/models/two-heads", Some("token-classification"), json!({}), false),
        ("/models/two-heads/pipeline/ner", Some("text-classification"), json!({}), false),
        ("/models/two-heads/pipeline/text-classification", None, json!({}), true),
        ("/pipeline/token-classification/two-heads", None, json!({}), false),
        ("/pipeline/sentiment-analysis", None, json!({}), true),
        ("/models/lexicon-ner", None, json!({}), false),
        ("/models/lexicon-ner/", None, json!({}), false),
    ] {
        let body = json!({"inputs": TEXT, "parameters": parameters}).to_string();
        let mut request = Request::post(path).header("content-type", "application/json");
        if let Some(task) = header {
            request = request.header("x-task", task);
        }
        let (status, answer) = send(&service, request.body(Body::from(body)).unwrap()).await;
        assert_eq!((status, gives_topics(&answer)), (200, is_topics), "{path} {header:?} {parameters}: {answer}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_remedy() {
    let service = service().await;
    for (path, body, status, part) in [
        ("/models/nobody", json!({"inputs": "a"}), 404, "loaded are"),
        ("/pipeline/summarization", json!({"inputs": "a"}), 422, "`text-classification`, `token-classification`"),
        ("/models/lexicon-ner/pipeline/text-classification", json!({"inputs": "a"}), 422, "does not serve topics"),
        ("/", json!({"inputs": {"text": "a", "text_pair": "b"}}), 422, "a string or a list of strings"),
        ("/", json!({"inputs": "a", "parameters": {"top_k": 0}}), 422, "top_k 0"),
        (
            "/",
            json!({"inputs": "a", "parameters": {"top_k": 1, "stride": 2}}),
            422,
            "unknown field `stride` of `parameters`",
        ),
        ("/", json!({"inputs": "a", "parameters": {"stride": 2}}), 422, "always read whole"),
        ("/", json!({"inputs": "a", "parameters": {"function_to_apply": "tanh"}}), 422, "`sigmoid`, `softmax`, `none`"),
        ("/", json!({"inputs": "a", "parameters": {"aggregation_strategy": "best"}}), 422, "`simple`"),
        ("/", json!({"inputs": "a", "parameters": {"top_kk": 1}}), 422, "did you mean `top_k`"),
        ("/", json!({"inputs": "a", "options": {"use_gpu": true}}), 422, "unknown field `use_gpu`"),
        ("/", json!({}), 422, "`inputs` is missing"),
    ] {
        let (found, problem) = send(&service, post(path, &body)).await;
        let detail = problem["error"].as_str().unwrap();
        assert_eq!(found, status, "{path} {body}: {detail}");
        assert!(detail.contains(part), "{path} {body}: {detail}");
        assert!(problem["error_type"].is_string());
    }
}

#[tokio::test]
async fn an_answer_comes_from_the_cache_unless_the_options_say_no() {
    let mut app = App::new(registry(&["lexicon-topics"]).await, RequestLimits::default());
    app.cache = Some(Arc::new(PredictionCache::new(1_000_000)));
    let service = router(Arc::new(app));
    // What `/v1/classify` says of the same text shows what the route left in the cache.
    for (use_cache, text) in [(false, "Das Spiel gestern"), (true, "Das Spiel heute")] {
        let body = json!({"inputs": text, "options": {"use_cache": use_cache, "wait_for_model": true}});
        answer(&service, "/models/lexicon-topics", body).await;
        let same = native(&service, json!({"text": text})).await;
        assert_eq!(same["usage"]["cached"], use_cache, "{text}");
    }
}
