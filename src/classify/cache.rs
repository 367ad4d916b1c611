//! Predictions for texts that were classified before: agency copy is published again word for word. Bounded in bytes. The key
//! holds the version of the model, so a new version never answers with the predictions of an old one.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::inference::pipeline::{PredictOptions, Prediction};
use crate::manifest::task::Task;
use crate::models::registry::Assignment;

/// Predictions by text, models and options.
pub struct PredictionCache {
    predictions: moka::sync::Cache<CacheKey, Arc<Prediction>>,
}

/// SHA-256 of everything that a prediction depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

impl PredictionCache {
    /// A cache that keeps about `max_bytes` of predictions.
    pub fn new(max_bytes: u64) -> Self {
        let weigh = |_: &CacheKey, prediction: &Arc<Prediction>| size(prediction);
        Self { predictions: moka::sync::Cache::builder().max_capacity(max_bytes).weigher(weigh).build() }
    }

    /// Bytes of the predictions that are kept, about.
    pub fn n_bytes(&self) -> u64 {
        self.predictions.run_pending_tasks();
        self.predictions.weighted_size()
    }

    pub fn get(&self, key: &CacheKey) -> Option<Arc<Prediction>> {
        self.predictions.get(key)
    }

    pub fn insert(&self, key: CacheKey, prediction: Arc<Prediction>) {
        self.predictions.insert(key, prediction);
    }
}

impl CacheKey {
    /// The key of the prediction of `models` for `text`. The context (deadline, priority, request) is not part of it.
    pub fn new(text: &str, models: &Assignment, options: &PredictOptions) -> Self {
        let version = |task| models.get(task).map(|model| model.version.as_str());
        let inputs = (
            version(Task::Topics),
            version(Task::Entities),
            options.tasks,
            options.topic_threshold.map(f32::to_bits),
            options.aggregation,
            options.overflow,
            options.text_rules,
            options.evidence,
        );
        let mut hash = Sha256::new();
        hash.update(format!("{inputs:?}\0"));
        hash.update(text);
        Self(hash.finalize().into())
    }
}

/// Approximate bytes of a prediction with its entry in the cache.
fn size(prediction: &Prediction) -> u32 {
    // The key, its entries in the table and in two queues, the prediction without its contents, and what the allocator adds.
    // A test compares the weights with the memory that is held.
    const ENTRY: usize = 360 + size_of::<Prediction>();
    let topics = prediction.topics.as_ref().map_or(0, |topics| size_of_val(topics.as_slice()));
    let entities =
        prediction.entities.iter().flatten().map(|entity| size_of_val(entity) + entity.label.len()).sum::<usize>();
    let evidence = prediction.evidence.as_ref().map_or(0, |evidence| {
        let n_parts: usize = evidence.contributions.iter().map(|(_, parts)| parts.len()).sum();
        size_of_val(evidence.passages.as_slice()) + size_of::<f32>() * n_parts
    });
    u32::try_from(ENTRY + topics + entities + evidence).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::decode::entity::Entity;
    use crate::inference::decode::topics::Topic;
    use crate::inference::evidence::{Evidence, EvidenceMethod};
    use crate::inference::pipeline::Overflow;
    use crate::inference::scheduler::Priority;
    use crate::inference::scheduler::{Admission, RequestContext, RequestId};
    use crate::manifest::task::{AggregationStrategy, Tasks};
    use crate::manifest::text_rules::{TextRule, TextSwitch};
    use crate::models::registry::ByTask;
    use crate::system::memory::held;
    use crate::text::span::ByteSpan;
    use std::time::Instant;

    #[test]
    fn everything_that_a_prediction_depends_on_is_part_of_the_key() {
        let context = RequestContext {
            request: RequestId::next(),
            priority: Priority::Normal,
            admission: Admission::Try,
            deadline: Instant::now(),
        };
        let options = PredictOptions::new(context);
        let key = |text: &str, options: &PredictOptions| CacheKey::new(text, &ByTask::default(), options);
        let first = key("a", &options);
        let without_hyphens = [TextSwitch { rule: TextRule::Hyphens, is_on: false }];
        assert_eq!(
            first,
            key(
                "a",
                &PredictOptions {
                    context: RequestContext { request: RequestId::next(), priority: Priority::Bulk, ..context },
                    ..options
                }
            )
        );
        for other in [
            key("b", &options),
            key("a", &PredictOptions { topic_threshold: Some(0.0), ..options }),
            key("a", &PredictOptions { aggregation: Some(AggregationStrategy::First), ..options }),
            key("a", &PredictOptions { overflow: Overflow::Truncate, ..options }),
            key("a", &PredictOptions { text_rules: without_hyphens.into_iter().collect(), ..options }),
            key("a", &PredictOptions { evidence: true, ..options }),
            key("a", &PredictOptions { tasks: Tasks { topics: true, entities: false }, ..options }),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_cached_prediction_is_found_and_shared() {
        let cache = PredictionCache::new(10_000);
        let key = CacheKey([7; 32]);
        assert_eq!(cache.get(&key), None);
        let prediction = Arc::new(Prediction::default());
        cache.insert(key, Arc::clone(&prediction));
        assert!(cache.get(&key).is_some_and(|found| Arc::ptr_eq(&found, &prediction)));
    }

    #[test]
    fn a_prediction_weighs_what_its_topics_and_entities_take() {
        let topic = Topic { index: 0, logit: 1.0, score: 1.0, accepted: true };
        let entity = |label: &str| Entity { label: label.to_owned(), span: ByteSpan::new(0, 1), score: 1.0 };
        let (empty, (a_topic, an_entity)) = (size(&Prediction::default()), (size_of::<Topic>(), size_of::<Entity>()));
        let topics = Prediction { topics: Some(vec![topic; 3]), ..Prediction::default() };
        assert_eq!(size(&topics), empty + 3 * a_topic as u32);
        let entities = Prediction { entities: Some(vec![entity("PER"), entity("PERSON")]), ..Prediction::default() };
        assert_eq!(size(&entities), empty + 2 * an_entity as u32 + 9);
        let both = Prediction { topics: topics.topics, ..entities };
        assert_eq!(size(&both), empty + 3 * a_topic as u32 + 2 * an_entity as u32 + 9);
    }

    #[test]
    fn the_weights_are_the_memory_that_is_held() {
        // Enough that garbage of other tests, which the cache may free on this thread, does not count.
        const N: usize = 20_000;
        let cache = PredictionCache::new(1 << 30);
        let before = held::bytes();
        for n in 0..N {
            let entity = |_| Entity { label: "PER".to_owned(), span: ByteSpan::new(0, 1), score: 1.0 };
            let prediction = Prediction { entities: Some((0..4).map(entity).collect()), ..Prediction::default() };
            cache.insert(CacheKey(Sha256::digest(n.to_le_bytes()).into()), Arc::new(prediction));
        }
        let weight = cache.n_bytes();
        let held = held::bytes() - before;
        let ratio = weight as f64 / held as f64;
        assert!((1.0..1.3).contains(&ratio), "{weight} bytes by weight, {held} held");
    }

    #[test]
    fn the_cache_stays_within_its_bytes() {
        const MAX_BYTES: u64 = 10_000;
        let cache = PredictionCache::new(MAX_BYTES);
        for n in 0..=255 {
            let entity = Entity { label: "PER".repeat(100), span: ByteSpan::new(0, 1), score: 1.0 };
            cache.insert(
                CacheKey([n; 32]),
                Arc::new(Prediction { entities: Some(vec![entity; 3]), ..Prediction::default() }),
            );
        }
        cache.predictions.run_pending_tasks();
        let (n_bytes, n_entries) = (cache.predictions.weighted_size(), cache.predictions.entry_count());
        assert!(n_bytes <= MAX_BYTES, "{n_bytes} bytes");
        assert!((5..20).contains(&n_entries), "{n_entries} predictions of about 1,200 bytes");
    }

    #[test]
    fn a_prediction_weighs_what_its_evidence_takes() {
        let evidence = Evidence {
            method: EvidenceMethod::Exact,
            passages: vec![ByteSpan::new(0, 1); 3],
            contributions: vec![(0, vec![1.0; 3]), (4, vec![1.0; 3])],
        };
        let weight = size(&Prediction { evidence: Some(evidence), ..Prediction::default() });
        assert_eq!(weight, size(&Prediction::default()) + (3 * size_of::<ByteSpan>() + 6 * size_of::<f32>()) as u32);
    }
}
