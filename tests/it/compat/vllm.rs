//! Clients of vLLM's classification API: requests and answers in their shapes.

use serde_json::json;

use super::{answer, native, post, send, service};

#[tokio::test]
async fn scores_are_in_the_order_of_the_labels_with_the_best_named() {
    let service = service().await;
    let text = "Der FC Bayern gewann";
    let body = json!({"model": "lexicon-topics", "input": [text, ""], "user": "u", "request_id": "r1", "priority": 1});
    let found = answer(&service, "/classify", body).await;
    assert_eq!((found["id"].as_str(), found["object"].as_str()), (Some("classify-r1"), Some("list")));
    assert_eq!(found["model"], "lexicon-topics");
    let native = native(&service, json!({"text": text, "tasks": ["topics"]})).await;
    let class = &found["data"][0];
    assert_eq!((class["index"].as_u64(), class["label"].as_str()), (Some(0), Some("Sport")));
    assert_eq!(class["num_classes"], 4);
    // The labels of the model are Politik, Wirtschaft, Sport, Kultur.
    let labels: Vec<usize> = (0..4).filter(|index| class["probs"][index] == native["topics"][0]["score"]).collect();
    assert_eq!(labels, [2], "{found}");
    assert_eq!(found["data"][1], json!({"index": 1, "label": null, "probs": [], "num_classes": 0}));
    assert_eq!(found["usage"]["prompt_tokens"], native["usage"]["tokens"]);
    let logits = answer(&service, "/classify", json!({"input": text, "use_activation": false})).await;
    let (logit, score) = (logits["data"][0]["probs"][2].as_f64().unwrap(), class["probs"][2].as_f64().unwrap());
    assert!((1.0 / (1.0 + (-logit).exp()) - score).abs() < 1e-6, "{logit} {score}");
}

#[tokio::test]
async fn errors_have_the_shape_and_statuses_of_the_server() {
    let service = service().await;
    for (body, status, kind, part) in [
        (json!({"input": "a", "model": "nobody"}), 404, "NotFoundError", "loaded are"),
        (json!({"input": [1, 2]}), 400, "BadRequestError", "not of token ids"),
        (json!({"messages": []}), 400, "BadRequestError", "no chat template"),
        (json!({"input": "a", "truncate_prompt_tokens": 5}), 400, "BadRequestError", "-1"),
        (json!({"input": "a", "truncation_side": "left"}), 400, "BadRequestError", "at its end only"),
        (json!({"input": "a", "add_special_tokens": false}), 400, "BadRequestError", "special tokens"),
        (json!({"input": "a", "model": "lexicon-ner"}), 400, "BadRequestError", "does not serve topics"),
        (json!({}), 400, "BadRequestError", "`input` is missing"),
    ] {
        let (found, answer) = send(&service, post("/classify", &body)).await;
        let error = &answer["error"];
        assert_eq!((found, error["type"].as_str()), (status, Some(kind)), "{body}: {answer}");
        assert_eq!((error["code"].as_u64(), error["param"].is_null()), (Some(status.into()), true), "{answer}");
        assert!(error["message"].as_str().unwrap().contains(part), "{body}: {answer}");
    }
    let truncated =
        json!({"input": "a", "truncate_prompt_tokens": -1, "truncation_side": "right", "add_special_tokens": true});
    answer(&service, "/classify", truncated).await;
}
