//! What an answer says beyond topics and entities, and which entities it has: over the small model that ships.

use std::path::Path;

use axum::Router;
use ressort::classify::request::RequestLimits;
use ressort::http::App;
use ressort::models::registry::{ByTask, Registry};
use ressort::models::spec::ModelSpec;
use serde_json::{Value, json};

use crate::api::{get, post, router, send};
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

#[tokio::test]
async fn groups_name_the_mentions_that_are_one_entity() {
    let service = service().await;
    let text = "Angela Merkel reist nach Paris\n\nBundeskanzlerin Angela Merkel spricht in Paris mit Emmanuel Macron. Merkels Sprecher lobte die US-Beamten und die USA.";
    let found = answer(&service, json!({"text": text, "tasks": ["entities"], "group": true})).await;
    let groups = found["groups"].as_array().unwrap();
    assert_eq!(
        (&groups[0]["name"], &groups[0]["label"], &groups[0]["count"]),
        (&json!("Angela Merkel"), &json!("PER"), &json!(3))
    );
    assert_eq!(groups[0]["start"], 0);
    let usa = groups.iter().find(|group| group["name"] == "USA").unwrap();
    assert_eq!((&usa["label"], &usa["count"]), (&json!("LOC"), &json!(2)));
    let mut mentions: Vec<u64> = groups
        .iter()
        .flat_map(|group| group["mentions"].as_array().unwrap())
        .map(|index| index.as_u64().unwrap())
        .collect();
    mentions.sort_unstable();
    assert_eq!(mentions, (0..found["entities"].as_array().unwrap().len() as u64).collect::<Vec<_>>());
    let shares: f64 = groups.iter().map(|group| group["salience"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 1e-5, "{shares}");
    let without = answer(&service, json!({"text": text, "tasks": ["entities"]})).await;
    assert!(without.get("groups").is_none() && without["entities"] == found["entities"]);
    let (status, problem) =
        send(&service, post(json!({"text": text, "group": true, "aggregation": "none"}).to_string())).await;
    assert_eq!(status, 422);
    assert!(problem["detail"].as_str().unwrap().contains("group needs whole names"), "{problem}");
}

/// A text of many windows about several topics.
fn long_text() -> String {
    let sentences = [
        "Der FC Bayern München hat das Spiel gegen Borussia Dortmund mit 3:1 gewonnen.",
        "Der Bundestag debattiert heute über das Klimagesetz der Bundesregierung.",
        "<p>Bei einem Erdbeben in der T&uuml;rkei sind mindestens 40 Menschen ums Leben gekommen.</p>",
        "Die Aktie von Siemens stieg um drei Prozent.",
    ];
    (0..60).map(|index| sentences[index % 4].to_owned() + " ").collect()
}

#[tokio::test]
async fn the_passages_of_a_topic_add_up_to_its_score_and_change_nothing_else() {
    let service = service().await;
    for text in
        ["Der FC Bayern hat gewonnen. In Berlin tagt der Bundestag.".to_owned(), long_text(), "Sport".to_owned()]
    {
        let body = json!({"text": text, "threshold": {"topics": 0.05}});
        let plain = answer(&service, body.clone()).await;
        let mut body = body;
        body["evidence"] = true.into();
        let mut explained = answer(&service, body).await;
        assert_eq!(explained["evidence_method"], "exact");
        let characters: Vec<char> = text.chars().collect();
        for topic in explained["topics"].as_array_mut().unwrap() {
            let evidence = topic.as_object_mut().unwrap().remove("evidence");
            assert_eq!(evidence.is_some(), topic["accepted"] == true, "{topic}");
            let Some(evidence) = evidence else { continue };
            let passages = evidence.as_array().unwrap();
            let contribution = |passage: &Value| passage["contribution"].as_f64().unwrap();
            let sum: f64 = passages.iter().map(contribution).sum();
            let score = 1.0 / (1.0 + (-sum).exp());
            assert!((score - topic["score"].as_f64().unwrap()).abs() < 1e-4, "{topic}: {score}");
            assert!(passages.windows(2).all(|pair| contribution(&pair[0]) >= contribution(&pair[1])));
            for passage in passages {
                let offset = |field: &str| passage[field].as_u64().unwrap() as usize;
                let slice: String = characters[offset("start")..offset("end")].iter().collect();
                assert_eq!(passage["text"], slice);
            }
        }
        explained.as_object_mut().unwrap().remove("evidence_method");
        assert_eq!(explained, plain, "scores are equal bit by bit");
    }
}

#[tokio::test]
async fn another_head_is_measured_by_leaving_passages_out_and_says_so() {
    let service = crate::api::service_of(&["lexicon-topics"], RequestLimits::default()).await;
    let text = "Das Spiel war gut. Heute regnet es. Die Wahl kommt.";
    let body = json!({"text": text, "threshold": 0.0, "top_k": 2});
    let plain = answer(&service, body.clone()).await;
    let mut body = body;
    body["evidence"] = true.into();
    let explained = answer(&service, body).await;
    assert_eq!(explained["evidence_method"], "occlusion");
    assert_eq!(explained["usage"]["evidence_windows"], 3);
    let score = |answer: &Value, index: usize| answer["topics"][index]["score"].as_f64();
    assert_eq!((score(&explained, 0), score(&explained, 1)), (score(&plain, 0), score(&plain, 1)));
    let passages = explained["topics"][0]["evidence"].as_array().unwrap();
    let mut texts: Vec<&str> = passages.iter().map(|passage| passage["text"].as_str().unwrap()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["Das Spiel war gut.", "Die Wahl kommt.", "Heute regnet es."]);
}

#[tokio::test]
async fn offsets_of_a_document_with_fields_count_in_the_field_that_is_named() {
    let service = service().await;
    let document = json!({
        "title": "😀 Angela Merkel in Paris", "lead": "", "text": "Der Bundestag tagt. Merkel reist nach <b>Berlin</b>.",
    });
    let options =
        json!({"group": true, "evidence": true, "threshold": {"topics": 0.0}, "text_rules": {"boundaries": false}});
    let mut body = document.clone();
    body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let found = answer(&service, body).await;
    let check = |part: &Value| {
        let field: Vec<char> = document[part["field"].as_str().unwrap()].as_str().unwrap().chars().collect();
        let offset = |name: &str| part[name].as_u64().unwrap() as usize;
        assert_eq!(part["text"], field[offset("start")..offset("end")].iter().collect::<String>(), "{part}");
    };
    found["entities"].as_array().unwrap().iter().for_each(check);
    found["topics"][0]["evidence"].as_array().unwrap().iter().for_each(check);
    let texts: Vec<String> = names(&found).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["Angela Merkel", "Paris", "Bundestag", "Merkel", "Berlin"]);
    assert_eq!((&found["groups"][0]["field"], &found["groups"][0]["start"]), (&json!("title"), &json!(2)));
    assert_eq!(found["usage"]["characters"], 24 + 52);
    let many = answer(&service, json!({"documents": [{"id": 1, "title": "Merkel"}, {"text": "Merkel"}]})).await;
    assert_eq!(many["results"][0]["entities"][0]["field"], "title");
    assert!(many["results"][1]["entities"][0].get("field").is_none());
    let limits = RequestLimits { max_characters: 8, ..RequestLimits::default() };
    let small = crate::api::service_of(&["lexicon-ner"], limits).await;
    for (title, status) in [("abcd", 200), ("abcde", 413)] {
        let body = json!({"title": title, "text": "efgh"}).to_string();
        assert_eq!(send(&small, post(body)).await.0, status, "{title}");
    }
}

/// The tokenizer begins `Rhônetal` with a token of white space, which no training gave a tag.
#[tokio::test]
async fn a_name_whose_first_token_is_white_space_is_found() {
    let body = json!({"text": "Der Blick über das Rhônetal ist schön.", "tasks": ["entities"]});
    assert_eq!(names(&answer(&service().await, body).await), [("LOC".to_owned(), "Rhônetal".to_owned())]);
}
