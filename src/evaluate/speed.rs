//! Runs a model over documents: stores its answers and measures their time and memory.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::document::GoldDocument;
use super::predictions::Store;
use super::run_record::{Speed, StoreError};
use crate::classify::answer::{Answer, DocumentId};
use crate::classify::classifier::Classifier;
use crate::classify::error::ClassifyError;
use crate::classify::request::{CheckedText, ClassifyOptions, batch_context};
use crate::manifest::task::AggregationStrategy;
use crate::manifest::text_rules::TextRules;
use crate::models::load::Model;
use crate::models::registry::Assignment;

/// How documents are read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadSettings {
    /// `None`: the model's own.
    pub aggregation: Option<AggregationStrategy>,
    /// Rules without a switch are as the model's folder says, else on.
    pub text_rules: TextRules,
    /// Language tag of topic labels; `None`: the labels themselves.
    pub label_language: Option<String>,
}

/// Documents under way at the same time, so that the scheduler can make batches of their windows.
const N_AT_ONCE: usize = 32;
/// Documents that are timed one at a time.
const N_TIMED: usize = 50;

/// Classifies the documents that `store` lacks and writes their answers in order; `None` when it lacks none.
///
/// `progress` is called with the number of documents done.
pub async fn run_model(
    model: &Arc<Model>,
    documents: &[GoldDocument],
    settings: &ReadSettings,
    store: &mut Store,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Option<Speed>, StoreError> {
    let missing = documents.get(store.n_done..).unwrap_or_default();
    if missing.is_empty() {
        return Ok(None);
    }
    let classifier = Arc::new(classifier(model, settings));
    let begin = Instant::now();
    let texts: Vec<_> = missing.iter().map(checked_text).collect();
    let mut answers = pin!(Arc::clone(&classifier).classify_all(texts, batch_context(), N_AT_ONCE));
    for document in missing {
        match answers.next().await {
            Some(Ok(answer)) => store.write(&Answer { id: Some(DocumentId::Text(document.id.clone())), ..answer })?,
            // It says nothing about the model; the same command resumes here.
            Some(Err(error)) if error.ends_run() => {
                return Err(StoreError::Stopped { document: document.id.clone(), source: error });
            }
            Some(Err(error)) => store.write_failure(&document.id, error.to_string())?,
            // One answer for each text.
            None => break,
        }
        progress(store.n_done);
    }
    let seconds = begin.elapsed().as_secs_f64();
    let times = time_alone(&classifier, documents).await;
    Ok(Some(Speed {
        n_documents: missing.len(),
        documents_per_s: missing.len() as f64 / seconds.max(f64::EPSILON),
        execution_provider: model.placement.provider.to_string(),
        streams: model.n_streams,
        p50_ms: percentile_ms(&times, 0.50),
        p95_ms: percentile_ms(&times, 0.95),
        resident_bytes: None,
    }))
}

/// All tasks that the model gives, with all its topics.
fn classifier(model: &Arc<Model>, settings: &ReadSettings) -> Classifier {
    let models = Assignment::of(model);
    let options = ClassifyOptions {
        top_k: usize::MAX,
        aggregation: settings.aggregation,
        text_rules: settings.text_rules,
        label_language: settings.label_language.clone(),
        ..ClassifyOptions::default()
    };
    // Models are compared under one setting, and not all of them have the language.
    let options = options.with_language_or_labels(&models);
    Classifier { options, models, cache: None, memory: None, shadow: None }
}

/// The labelled texts may have any length.
fn checked_text(document: &GoldDocument) -> Result<CheckedText, ClassifyError> {
    CheckedText::new(Arc::clone(&document.text), usize::MAX)
}

/// The times of documents at even distances in the data, one at a time; sorted.
async fn time_alone(classifier: &Arc<Classifier>, documents: &[GoldDocument]) -> Vec<Duration> {
    let step = documents.len().div_ceil(N_TIMED).max(1);
    let mut times = Vec::new();
    for document in documents.iter().step_by(step) {
        let Ok(text) = checked_text(document) else { continue };
        let begin = Instant::now();
        if classifier.classify(text, batch_context()).await.is_ok() {
            times.push(begin.elapsed());
        }
    }
    times.sort();
    times
}

/// The nearest-rank percentile of `sorted`; 0 when it is empty.
fn percentile_ms(sorted: &[Duration], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_measured_times() {
        let times: Vec<Duration> = (1..=20).map(Duration::from_millis).collect();
        assert_eq!((percentile_ms(&times, 0.5), percentile_ms(&times, 0.95)), (10.0, 19.0));
        assert_eq!((percentile_ms(&times[..1], 0.95), percentile_ms(&[], 0.5)), (1.0, 0.0));
    }
}
