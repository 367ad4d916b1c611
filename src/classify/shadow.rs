//! The shadow model: a candidate that classifies a share of the live texts. Its predictions are compared and counted, never
//! returned. Texts are not kept, unless the operator names a file for samples of disagreement.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use crate::classify::answer::Answer;
use crate::classify::request::{CheckedText, ClassifyOptions};
use crate::classify::samples::SampleFile;
use crate::inference::encoded::Document;
use crate::inference::pipeline::{PredictOptions, Prediction};
use crate::inference::scheduler::{Admission, Priority, RequestContext, RequestId};
use crate::manifest::task::Task;
use crate::models::load::Model;
use crate::models::registry::Assignment;

/// A candidate under observation.
pub struct Shadow {
    pub model: Arc<Model>,
    /// The same model, for the tasks that it gives.
    assignment: Assignment,
    /// Of the live documents, in 0..=1.
    pub share: f64,
    samples: Option<Arc<SampleFile>>,
    n_seen: AtomicU64,
    /// For documents that wait for the candidate or are read by it.
    pending: Semaphore,
    /// For documents that the candidate reads: as many as it has streams.
    reading: Semaphore,
    counts: Mutex<ShadowCounts>,
}

/// A document that the live models have classified.
pub struct LiveAnswer {
    pub text: CheckedText,
    pub document: Document,
    pub prediction: Arc<Prediction>,
    pub models: Assignment,
    pub options: PredictOptions,
    /// `None` for an answer from the cache.
    pub elapsed: Option<Duration>,
}

#[derive(Debug, Default, Clone)]
struct ShadowCounts {
    n_compared: u64,
    n_live_busy: u64,
    n_candidate_busy: u64,
    n_samples_lost: u64,
    n_timed: u64,
    n_failed: u64,
    n_disagreeing: u64,
    topics: BTreeMap<String, Agreement>,
    entities: BTreeMap<String, Agreement>,
    topic_scores: Difference,
    entity_scores: Difference,
    live: Duration,
    candidate: Duration,
}

/// How often both predicted a label, and how often only one did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Agreement {
    pub both: u64,
    pub only_live: u64,
    pub only_candidate: u64,
}

/// Differences of scores where both predicted the same: candidate minus live.
#[derive(Debug, Default, Clone, Copy)]
struct Difference {
    n: u64,
    sum: f64,
    absolute_sum: f64,
}

/// The counts so far, as `GET /v1/shadow` returns them.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShadowReport {
    model: String,
    version: String,
    share: f64,
    documents: DocumentCounts,
    /// Accepted topics by label.
    topics: BTreeMap<String, Agreement>,
    /// Entities of the same span and label, by label.
    entities: BTreeMap<String, Agreement>,
    score_difference: ByTaskDifference,
    latency_ms: Latency,
}

#[derive(Debug, Serialize, ToSchema)]
struct DocumentCounts {
    compared: u64,
    disagreeing: u64,
    /// Not classified, for one of the reasons in `skipped_because`.
    skipped: u64,
    skipped_because: SkipCounts,
    failed: u64,
    /// Disagreements that are not in the file for samples, because the disk was slow or the file is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    samples_lost: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SkipCounts {
    /// Windows waited for a live model the whole time.
    live_models_busy: u64,
    /// Too many documents waited for the candidate.
    candidate_busy: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct ByTaskDifference {
    topics: MeanDifference,
    entities: MeanDifference,
}

#[derive(Debug, Serialize, ToSchema)]
struct MeanDifference {
    mean: Option<f64>,
    mean_absolute: Option<f64>,
}

/// Means over the compared documents; that of the live models without answers from the cache.
#[derive(Debug, Serialize, ToSchema)]
struct Latency {
    live: Option<f64>,
    candidate: Option<f64>,
}

/// Time that a candidate may take for one document.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Time that a document waits for a moment without live work.
const MAX_QUIET_WAIT: Duration = Duration::from_secs(5);

impl Shadow {
    pub fn new(model: Arc<Model>, share: f64, samples: Option<Arc<SampleFile>>) -> Self {
        /// Documents that may wait for the candidate.
        const MAX_PENDING: usize = 64;
        let (pending, reading) = (Semaphore::new(MAX_PENDING), Semaphore::new(model.n_streams.max(1)));
        let (assignment, n_seen, counts) = (Assignment::of(&model), AtomicU64::new(0), Mutex::default());
        Self { assignment, model, share, samples, n_seen, pending, reading, counts }
    }

    /// Whether the next document belongs to the share, which is taken at even distances.
    pub fn wants_next(&self) -> bool {
        is_due(self.n_seen.fetch_add(1, Ordering::Relaxed), self.share)
    }

    /// Classifies the document with the candidate and counts how the two compare. It waits for a moment in which no window waits
    /// for a live model, and skips the document where none comes or too many wait already.
    pub async fn observe(&self, live: LiveAnswer) {
        let Ok(_pending) = self.pending.try_acquire() else {
            self.count(|counts| counts.n_candidate_busy += 1);
            return;
        };
        // It is never closed.
        let Ok(_reading) = self.reading.acquire().await else { return };
        let is_busy = || live.models.iter().any(|model| model.pipeline.scheduler.n_waiting() > 0);
        if !quiet_moment(is_busy, MAX_QUIET_WAIT).await {
            self.count(|counts| counts.n_live_busy += 1);
            return;
        }
        let started = Instant::now();
        let options = PredictOptions { context: context_of(live.options.context.request, started), ..live.options };
        let prediction = self.assignment.predict(live.document.clone(), options).await;
        let elapsed = started.elapsed();
        match prediction {
            Err(_) => self.count(|counts| counts.n_failed += 1),
            Ok(prediction) => {
                let agrees = self.compare(&live, &prediction, elapsed);
                if !agrees {
                    self.keep_sample(&live, &prediction);
                }
            }
        }
    }

    /// Documents by what became of them.
    pub fn outcomes(&self) -> [(&'static str, u64); 4] {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        [
            ("agreed", counts.n_compared - counts.n_disagreeing),
            ("disagreed", counts.n_disagreeing),
            ("skipped", counts.n_live_busy + counts.n_candidate_busy),
            ("failed", counts.n_failed),
        ]
    }

    pub fn report(&self) -> ShadowReport {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mean_ms = |sum: Duration, n: u64| (n > 0).then(|| sum.as_secs_f64() * 1e3 / n as f64);
        ShadowReport {
            model: self.model.name.clone(),
            version: self.model.version.clone(),
            share: self.share,
            documents: DocumentCounts {
                compared: counts.n_compared,
                disagreeing: counts.n_disagreeing,
                skipped: counts.n_live_busy + counts.n_candidate_busy,
                skipped_because: SkipCounts {
                    live_models_busy: counts.n_live_busy,
                    candidate_busy: counts.n_candidate_busy,
                },
                samples_lost: self.samples.as_ref().map(|_| counts.n_samples_lost),
                failed: counts.n_failed,
            },
            latency_ms: Latency {
                live: mean_ms(counts.live, counts.n_timed),
                candidate: mean_ms(counts.candidate, counts.n_compared),
            },
            score_difference: ByTaskDifference {
                topics: counts.topic_scores.mean(),
                entities: counts.entity_scores.mean(),
            },
            topics: counts.topics,
            entities: counts.entities,
        }
    }

    /// Counts one comparison; returns whether the two agree.
    fn compare(&self, live: &LiveAnswer, candidate: &Prediction, elapsed: Duration) -> bool {
        let mut agrees = true;
        self.count(|counts| {
            counts.n_compared += 1;
            counts.n_timed += u64::from(live.elapsed.is_some());
            counts.live += live.elapsed.unwrap_or_default();
            counts.candidate += elapsed;
            if let Some(model) = live.models.get(Task::Topics).filter(|_| candidate.topics.is_some()) {
                let (ours, theirs) =
                    (accepted_topics(&live.prediction, model), accepted_topics(candidate, &self.model));
                agrees &= tally(&ours, &theirs, &mut counts.topics, &mut counts.topic_scores, |label| label.clone());
            }
            if candidate.entities.is_some() && live.prediction.entities.is_some() {
                let (ours, theirs) = (entities_by_span(&live.prediction), entities_by_span(candidate));
                agrees &=
                    tally(&ours, &theirs, &mut counts.entities, &mut counts.entity_scores, |(_, label)| label.clone());
            }
            counts.n_disagreeing += u64::from(!agrees);
        });
        agrees
    }

    fn count(&self, change: impl FnOnce(&mut ShadowCounts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Offers the text and both answers to the file for samples, if there is one.
    fn keep_sample(&self, live: &LiveAnswer, candidate: &Prediction) {
        let Some(samples) = &self.samples else { return };
        let options = ClassifyOptions { top_k: usize::MAX, ..ClassifyOptions::default() };
        let sample = serde_json::json!({
            "text": live.text.as_str(),
            "live": Answer::new(&live.text, &live.prediction, &live.models, &options),
            "candidate": Answer::new(&live.text, candidate, &self.assignment, &options),
        });
        if !samples.offer(sample.to_string()) {
            self.count(|counts| counts.n_samples_lost += 1);
        }
    }
}

/// Whether document `n` belongs to the share.
fn is_due(n: u64, share: f64) -> bool {
    let due = |n: u64| (n as f64 * share).floor();
    due(n + 1) > due(n)
}

/// The context in which the candidate reads a document of `request`: live documents come first.
fn context_of(request: RequestId, started: Instant) -> RequestContext {
    RequestContext { request, priority: Priority::Bulk, admission: Admission::Try, deadline: started + TIMEOUT }
}

/// Waits until no window waits for a live model; false where that does not happen in time.
async fn quiet_moment(is_busy: impl Fn() -> bool, max_wait: Duration) -> bool {
    const LOOK_EVERY: Duration = Duration::from_millis(2);
    let until = Instant::now() + max_wait;
    while is_busy() {
        if Instant::now() >= until {
            return false;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    true
}

impl Difference {
    fn add(&mut self, difference: f64) {
        self.n += 1;
        self.sum += difference;
        self.absolute_sum += difference.abs();
    }

    fn mean(self) -> MeanDifference {
        let over = |sum: f64| (self.n > 0).then(|| sum / self.n as f64);
        MeanDifference { mean: over(self.sum), mean_absolute: over(self.absolute_sum) }
    }
}

fn accepted_topics(prediction: &Prediction, model: &Model) -> BTreeMap<String, f32> {
    let accepted = prediction.topics.iter().flatten().filter(|topic| topic.accepted);
    accepted.filter_map(|topic| Some((model.topic_labels().get(topic.index)?.label.clone(), topic.score))).collect()
}

fn entities_by_span(prediction: &Prediction) -> BTreeMap<((usize, usize), String), f32> {
    let entities = prediction.entities.iter().flatten();
    entities.map(|entity| (((entity.span.start, entity.span.end), entity.label.clone()), entity.score)).collect()
}

/// Counts by label what both predicted and what only one did; returns whether they agree.
fn tally<K: Ord>(
    live: &BTreeMap<K, f32>,
    candidate: &BTreeMap<K, f32>,
    counts: &mut BTreeMap<String, Agreement>,
    scores: &mut Difference,
    label: impl Fn(&K) -> String,
) -> bool {
    for (key, ours) in live {
        let agreement = counts.entry(label(key)).or_default();
        match candidate.get(key) {
            Some(theirs) => {
                agreement.both += 1;
                scores.add(f64::from(theirs - ours));
            }
            None => agreement.only_live += 1,
        }
    }
    for key in candidate.keys().filter(|key| !live.contains_key(key)) {
        counts.entry(label(key)).or_default().only_candidate += 1;
    }
    live.keys().eq(candidate.keys())
}

#[cfg(test)]
mod tests;
