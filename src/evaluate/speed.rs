//! A model run over documents: its answers, and what they cost in time and memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::document::GoldDocument;
use super::predictions::{Store, StoreError};
use crate::classify::answer::{Answer, AnswerStyle};
use crate::inference::pipeline::{PredictError, PredictOptions, Prediction};
use crate::inference::scheduler::Priority;
use crate::inference::scheduler::{Admission, RequestContext, RequestId};
use crate::manifest::task::{AggregationStrategy, Task};
use crate::models::load::{Model, resident_bytes};
use crate::models::registry::{Assignment, ByTask};

/// What a model's answers cost on this machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Speed {
    /// Documents that were read for `documents_per_s`, many at a time.
    pub n_documents: usize,
    pub documents_per_s: f64,
    /// Where the model ran.
    pub execution_provider: String,
    /// Runs that happened at the same time.
    pub streams: usize,
    /// From a document to its answer, one document at a time.
    pub p50_ms: f64,
    pub p95_ms: f64,
    /// By how much the process grew from before the model was loaded to after its last answer; where the system says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
}

/// How documents are read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadSettings {
    /// `None`: the model's own.
    pub aggregation: Option<AggregationStrategy>,
    /// Language tag of topic labels; `None`: the labels themselves.
    pub label_language: Option<String>,
}

/// Documents that are read at the same time, so that the scheduler can make batches of them.
const N_AT_ONCE: usize = 32;
/// Documents whose time is taken alone.
const N_TIMED: usize = 50;
/// A document that takes longer counts as failed.
const PATIENCE: Duration = Duration::from_secs(600);

/// Reads the documents that `store` lacks and writes their answers, in their order; `None` where it lacks none.
///
/// `progress` is told how many documents are done.
pub async fn run_model(
    model: &Arc<Model>,
    documents: &[GoldDocument],
    settings: &ReadSettings,
    store: &mut Store,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Option<Speed>, StoreError> {
    let open = documents.get(store.n_done..).unwrap_or_default();
    if open.is_empty() {
        return Ok(None);
    }
    let assignment = assignment(model);
    let style = AnswerStyle {
        top_k: usize::MAX,
        offset_unit: Default::default(),
        label_language: settings.label_language.clone(),
    };
    let begin = Instant::now();
    let read = |document: &GoldDocument| {
        let (document, assignment) = (document.clone(), assignment.clone());
        async move { (read_one(&assignment, &document, settings).await, document) }
    };
    let mut answers = std::pin::pin!(stream::iter(open).map(read).buffered(N_AT_ONCE));
    while let Some((prediction, document)) = answers.next().await {
        match prediction {
            Ok(prediction) => {
                store.write(&Answer::new(Some(document.id), &document.text, prediction, &assignment, &style))?;
            }
            Err(error) => store.write_failure(&document.id, error.to_string())?,
        }
        progress(store.n_done);
    }
    let seconds = begin.elapsed().as_secs_f64();
    let times = time_alone(&assignment, documents, settings).await;
    Ok(Some(Speed {
        n_documents: open.len(),
        documents_per_s: open.len() as f64 / seconds.max(f64::EPSILON),
        execution_provider: model.placement.provider.to_string(),
        streams: model.n_streams,
        p50_ms: percentile_ms(&times, 0.50),
        p95_ms: percentile_ms(&times, 0.95),
        resident_bytes: None,
    }))
}

/// The process's size now, where the system says it.
pub fn size_now() -> Option<u64> {
    resident_bytes()
}

fn assignment(model: &Arc<Model>) -> Assignment {
    let for_task = |task| model.answers(task).then(|| Arc::clone(model));
    ByTask { topics: for_task(Task::Topics), entities: for_task(Task::Entities) }
}

async fn read_one(
    assignment: &Assignment,
    document: &GoldDocument,
    settings: &ReadSettings,
) -> Result<Prediction, PredictError> {
    let context = RequestContext {
        request: RequestId::next(),
        priority: Priority::Bulk,
        admission: Admission::Wait,
        deadline: Instant::now() + PATIENCE,
    };
    let options = PredictOptions { aggregation: settings.aggregation, ..PredictOptions::new(context) };
    assignment.predict(Arc::clone(&document.text), options).await
}

/// The times of some documents from all over the data, one after the other, by rising length.
async fn time_alone(assignment: &Assignment, documents: &[GoldDocument], settings: &ReadSettings) -> Vec<Duration> {
    let every = documents.len().div_ceil(N_TIMED).max(1);
    let mut times = Vec::new();
    for document in documents.iter().step_by(every) {
        let begin = Instant::now();
        if read_one(assignment, document, settings).await.is_ok() {
            times.push(begin.elapsed());
        }
    }
    times.sort();
    times
}

/// The smallest of `sorted` that is not below the given share of them; 0 for none.
fn percentile_ms(sorted: &[Duration], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_taken() {
        let times: Vec<Duration> = (1..=20).map(Duration::from_millis).collect();
        assert_eq!((percentile_ms(&times, 0.5), percentile_ms(&times, 0.95)), (10.0, 19.0));
        assert_eq!((percentile_ms(&times[..1], 0.95), percentile_ms(&[], 0.5)), (1.0, 0.0));
    }
}
