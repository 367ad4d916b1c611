//! Clients of text-embeddings-inference: requests and answers in their shapes.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::{answer, post, send, service, words};

#[tokio::test]
async fn one_text_gives_a_list_of_scores_and_a_batch_a_list_of_lists() {
    let service = service().await;
    let one = answer(&service, "/predict", json!({"inputs": "Der FC Bayern gewann"})).await;
    assert_eq!(one[0]["label"], "Sport");
    assert_eq!(words(&one, "label").len(), 4);
    let scores: Vec<f64> = one.as_array().unwrap().iter().map(|label| label["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert_eq!(answer(&service, "/predict", json!({"inputs": ["Der FC Bayern gewann"]})).await, one);
    let batch = answer(&service, "/predict", json!({"inputs": [["Der FC Bayern gewann"], [""]]})).await;
    assert_eq!(batch, json!([one, []]));
    assert_eq!(answer(&service, "/predict", json!({"inputs": []})).await, json!([]));
}

#[tokio::test]
async fn raw_scores_are_the_logits() {
    let service = service().await;
    let scores = |raw: bool| {
        let service = service.clone();
        async move {
            answer(&service, "/predict", json!({"inputs": "Der FC Bayern gewann", "raw_scores": raw})).await[0]["score"]
                .as_f64()
                .unwrap()
        }
    };
    let (logit, score) = (scores(true).await, scores(false).await);
    assert!((1.0 / (1.0 + (-logit).exp()) - score).abs() < 1e-6, "{logit} {score}");
}

#[tokio::test]
async fn a_long_text_is_read_whole_unless_it_is_to_be_truncated() {
    let service = service().await;
    let long = format!("{} Der FC Bayern gewann", "und ".repeat(500));
    let best = |truncate: bool| {
        let (service, body) =
            (service.clone(), json!({"inputs": &long, "truncate": truncate, "truncation_direction": "Right"}));
        async move { answer(&service, "/predict", body).await[0]["score"].as_f64().unwrap() }
    };
    assert!(best(false).await > best(true).await, "the end of the text counts");
}

#[tokio::test]
async fn errors_have_the_types_and_statuses_of_the_service() {
    let service = service().await;
    for (body, status, error_type, part) in [
        (json!({"inputs": ["a", "b"]}), 422, "Validation", "pairs of texts"),
        (json!({"inputs": [["a", "b"]]}), 422, "Validation", "pairs of texts"),
        (json!({"inputs": [["a"], "b"]}), 422, "Validation", "`inputs[1]`"),
        (json!({"inputs": [[]]}), 422, "Validation", "`inputs[0]`"),
        (json!({"inputs": "a", "truncation_direction": "Left"}), 422, "Validation", "cut at its end only"),
        (json!({"inputs": "a", "truncate": 1}), 422, "Validation", "true or false"),
        (json!({"inputs": 1}), 422, "Validation", "a string"),
        (json!({}), 422, "Validation", "`inputs` is missing"),
    ] {
        let (found, answer) = send(&service, post("/predict", &body)).await;
        assert_eq!((found, answer["error_type"].as_str()), (status, Some(error_type)), "{body}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(part), "{body}: {answer}");
    }
    let only_entities = crate::api::service_of(&["lexicon-ner"], Default::default()).await;
    let (status, answer) = send(&only_entities, post("/predict", &json!({"inputs": "a"}))).await;
    assert_eq!((status, answer["error_type"].as_str()), (424, Some("Backend")), "{answer}");
}

#[tokio::test]
async fn info_describes_the_active_model_and_its_labels() {
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let (status, info) = send(&service().await, get("/info")).await;
    assert_eq!((status, info["model_id"].as_str()), (200, Some("lexicon-topics")));
    let classifier = &info["model_type"]["classifier"];
    assert_eq!(classifier["id2label"].as_object().unwrap().len(), 4);
    for (label, index) in classifier["label2id"].as_object().unwrap() {
        assert_eq!(classifier["id2label"][index.to_string()], *label);
    }
    for number in ["max_concurrent_requests", "max_input_length", "max_batch_tokens", "max_client_batch_size"] {
        assert!(info[number].as_u64().is_some_and(|number| number > 0), "{number}: {info}");
    }
    assert_eq!(info["auto_truncate"], false);
}
