//! The shadow model: which documents it reads, and what it counts.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ressort::classify::request::CheckedText;
use ressort::classify::shadow::{LiveAnswer, Shadow};
use ressort::inference::encoded::Document;
use ressort::inference::pipeline::Prediction;
use ressort::models::load::Model;
use ressort::models::registry::Assignment;
use serde_json::{Value, json};

use crate::support::{options, settings, spec};

const TEXT: &str = "Angela Merkel sprach in Ulm.";

/// A candidate, and what the same model answered as the live one.
async fn candidate() -> (Shadow, Assignment, Prediction) {
    let model = Arc::new(Model::load(&spec("two-heads"), &settings()).await.unwrap());
    let models = Assignment::of(&model);
    let prediction = models.predict(Document::from(TEXT), options()).await.unwrap();
    (Shadow::new(model, 1.0, None), models, prediction)
}

fn live(models: &Assignment, prediction: &Prediction) -> LiveAnswer {
    LiveAnswer {
        text: CheckedText::new(TEXT.into(), 100).unwrap(),
        document: Document::from(TEXT),
        prediction: Arc::new(prediction.clone()),
        models: models.clone(),
        options: options(),
        elapsed: Some(Duration::from_millis(1)),
    }
}

fn report(shadow: &Shadow) -> Value {
    serde_json::to_value(shadow.report()).unwrap()
}

#[tokio::test]
async fn more_documents_than_may_wait_for_the_candidate_are_skipped() {
    let (shadow, models, prediction) = candidate().await;
    join_all((0..70).map(|_| shadow.observe(live(&models, &prediction)))).await;
    let [(_, agreed), (_, disagreed), (_, skipped), (_, failed)] = shadow.outcomes();
    // A document that was read while others came left its permit to one of them.
    assert!((64..70).contains(&agreed), "{agreed} of 70 were compared");
    assert_eq!((agreed + skipped, disagreed, failed), (70, 0, 0));
    let because = json!({"live_models_busy": 0, "candidate_busy": skipped});
    assert_eq!(report(&shadow)["documents"]["skipped_because"], because);
    // Those that were read have left.
    shadow.observe(live(&models, &prediction)).await;
    assert_eq!(shadow.outcomes()[0], ("agreed", agreed + 1));
}

#[tokio::test]
async fn a_disagreement_is_counted_once_for_a_document_and_by_label() {
    let (shadow, models, same) = candidate().await;
    let entities = same.entities.clone().unwrap_or_default();
    assert!(!entities.is_empty());
    let mut moved = same.clone();
    moved.entities.as_mut().unwrap()[0].span.end += 1;
    let mut rejected = same.clone();
    rejected.topics.iter_mut().flatten().for_each(|topic| topic.accepted = false);
    for prediction in [&same, &moved, &rejected] {
        shadow.observe(live(&models, prediction)).await;
    }
    assert_eq!(shadow.outcomes(), [("agreed", 1), ("disagreed", 2), ("skipped", 0), ("failed", 0)]);
    let report = report(&shadow);
    let label = &entities[0].label;
    let n = entities.iter().filter(|entity| entity.label == *label).count();
    let expected = json!({"both": 3 * n - 1, "only_live": 1, "only_candidate": 1});
    assert_eq!(report["entities"][label], expected);
    let topics = report["topics"].as_object().unwrap();
    let expected = json!({"both": 2, "only_live": 0, "only_candidate": 1});
    assert!(!topics.is_empty() && topics.values().all(|agreement| *agreement == expected), "{topics:?}");
    assert_eq!(report["score_difference"]["entities"], json!({"mean": 0.0, "mean_absolute": 0.0}));
}
