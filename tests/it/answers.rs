//! What an answer says beyond topics and entities, and which entities it has: over the small model that ships.

use std::path::Path;

use axum::Router;
use ressort::classify::request::RequestLimits;
use ressort::http::{App, router};
use ressort::models::registry::{ByTask, Registry};
use ressort::models::spec::ModelSpec;
use serde_json::{Value, json};

use crate::api::{get, post, send};
use crate::support::settings;

async fn service() -> Router {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ressort-mini");
    let specs = [ModelSpec { name: "mini".to_owned(), path }];
    let registry = Registry::load(&specs, ByTask::default(), &settings()).await.unwrap();
    router(std::sync::Arc::new(App::new(registry, RequestLimits::default())))
}

async fn answer(service: &Router, body: Value) -> Value {
    let (status, answer) = send(service, post(body.to_string())).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Label and text of each entity.
fn names(answer: &Value) -> Vec<(String, String)> {
    let name = |entity: &Value| ["label", "text"].map(|field| entity[field].as_str().unwrap().to_owned()).into();
    answer["entities"].as_array().unwrap().iter().map(name).collect()
}

const TEXT: &str = "US-Beamte und deutsche Diplomaten trafen Angela Merkel in Berlin.";

#[tokio::test]
async fn derived_words_are_kept_dropped_or_folded() {
    let service = service().await;
    for (options, expected) in [
        (json!({}), "LOCpart US-Beamte, LOCderiv deutsche, PER Angela Merkel, LOC Berlin"),
        (json!({"derived": "drop"}), "PER Angela Merkel, LOC Berlin"),
        (json!({"derived": "fold"}), "LOC US, LOC deutsche, PER Angela Merkel, LOC Berlin"),
        (json!({"labels": ["LOC"]}), "LOC Berlin"),
        (json!({"labels": ["LOC"], "derived": "fold"}), "LOC US, LOC deutsche, LOC Berlin"),
        (json!({"labels": ["LOCderiv", "PER"]}), "LOCderiv deutsche, PER Angela Merkel"),
        (json!({"labels": ["LOCderiv"], "derived": "drop"}), ""),
    ] {
        let mut body = options.clone();
        body["text"] = TEXT.into();
        body["tasks"] = json!(["entities"]);
        let answer = answer(&service, body).await;
        let found = names(&answer).iter().map(|(label, text)| format!("{label} {text}")).collect::<Vec<_>>().join(", ");
        assert_eq!(found, expected, "{options}");
        for entity in answer["entities"].as_array().unwrap() {
            let offset = |field: &str| entity[field].as_u64().unwrap() as usize;
            assert_eq!(&TEXT[offset("start")..offset("end")], entity["text"], "{options}");
        }
    }
}

#[tokio::test]
async fn raw_tags_are_chosen_by_their_types() {
    let service = service().await;
    let body = json!({"text": TEXT, "aggregation": "none", "labels": ["LOC"], "derived": "fold"});
    let labels: Vec<String> = names(&answer(&service, body).await).into_iter().map(|(label, _)| label).collect();
    assert!(!labels.is_empty() && labels.iter().all(|label| label == "B-LOC" || label == "I-LOC"), "{labels:?}");
}

#[tokio::test]
async fn an_unknown_label_is_answered_with_those_that_the_model_has() {
    let service = service().await;
    let (status, problem) = send(&service, post(json!({"text": TEXT, "labels": ["LOC", "PRE"]}).to_string())).await;
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("invalid_request")));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`PRE`, which is no entity label") && detail.contains("`LOCderiv`"), "{detail}");
    assert!(detail.ends_with("did you mean `PER`?"), "{detail}");
}

#[tokio::test]
async fn every_label_of_a_shipped_model_is_described_in_german_and_english() {
    let (status, models) = send(&service().await, get("/v1/models")).await;
    assert_eq!(status, 200);
    let model = &models["models"][0];
    let topics = model["labels"]["topics"].as_array().unwrap().iter().map(|topic| &topic["label"]);
    for label in topics.chain(model["labels"]["entities"].as_array().unwrap()) {
        let description = &model["label_descriptions"][label.as_str().unwrap()];
        for language in ["de", "en"] {
            assert!(description[language].as_str().is_some_and(|text| !text.is_empty()), "{label}: {description}");
        }
    }
}
