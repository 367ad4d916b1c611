//! Evidence through the API: contributions have the unit that the manual states, logits after the temperature.

use axum::Router;
use ressort::classify::request::RequestLimits;
use ressort::http::App;
use ressort::models::registry::{ByTask, Registry};
use ressort::models::spec::ModelSpec;
use serde_json::{Value, json};

use crate::api::{classify, router};
use crate::support::{copy_of, settings, write};

const TEMPERATURES: [f64; 3] = [0.5, 1.0, 3.0];
const SENTENCES: [&str; 4] = ["Die Wahl kommt.", "Das Spiel war gut.", "Heute regnet es.", "Die Börse war im Theater."];

/// A service of one model, whose settings are `ressort_toml`.
async fn service(model: &str, ressort_toml: &str) -> Router {
    let folder = copy_of(model);
    write(&folder, "ressort.toml", ressort_toml);
    let specs = [ModelSpec { name: model.to_owned(), path: folder.path().to_owned() }];
    let registry = Registry::load(&specs, ByTask::default(), &settings()).await.unwrap();
    router(std::sync::Arc::new(App::new(registry, RequestLimits::default())))
}

/// The topics of a text, all accepted, with their evidence.
async fn topics(service: &Router, text: &str) -> Vec<Value> {
    let body = json!({"text": text, "tasks": ["topics"], "top_k": 9, "threshold": 0.0, "evidence": true});
    classify(service, body).await["topics"].as_array().unwrap().clone()
}

fn logit(topic: &Value) -> f64 {
    let score = topic["score"].as_f64().unwrap();
    (score / (1.0 - score)).ln()
}

fn contribution(passage: &Value) -> f64 {
    passage["contribution"].as_f64().unwrap()
}

#[tokio::test]
async fn exact_contributions_add_up_to_the_logit_of_the_score() {
    let file = std::fs::read_to_string(crate::support::models_dir().join("two-heads/ressort.toml")).unwrap();
    for temperature in TEMPERATURES {
        let service =
            service("two-heads", &file.replace("temperature = 1.0", &format!("temperature = {temperature}"))).await;
        for text in [SENTENCES.join(" "), SENTENCES.join("\n").repeat(9), "Das Spiel".to_owned()] {
            for topic in topics(&service, &text).await {
                let sum: f64 = topic["evidence"].as_array().unwrap().iter().map(contribution).sum();
                assert!((sum - logit(&topic)).abs() < 1e-3, "{sum} at {temperature}: {topic}");
            }
        }
    }
}

#[tokio::test]
async fn a_measured_contribution_is_the_logit_that_the_text_loses_without_the_passage() {
    for temperature in TEMPERATURES {
        let service = service("lexicon-topics", &format!("[topics]\ntemperature = {temperature}\n")).await;
        let text = SENTENCES.join(" ");
        let whole = topics(&service, &text).await;
        let mut n_moved = 0;
        for sentence in SENTENCES {
            let without = topics(&service, &text.replace(sentence, "")).await;
            for topic in &whole {
                let evidence = topic["evidence"].as_array().unwrap();
                let passage = evidence.iter().find(|passage| passage["text"] == sentence).unwrap();
                let other = without.iter().find(|other| other["label"] == topic["label"]).unwrap();
                let lost = logit(topic) - logit(other);
                assert!((contribution(passage) - lost).abs() < 1e-3, "{lost} at {temperature}: {passage}");
                n_moved += usize::from(lost.abs() > 0.05);
            }
        }
        assert!(n_moved >= SENTENCES.len(), "{n_moved} passages carry a topic");
    }
}
