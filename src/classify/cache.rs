//! Answers to texts that were read before: agency copy is published again word for word. Bounded in bytes; a new version of
//! a model never answers with what an old one said, since the version is part of the key.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::inference::pipeline::{PredictOptions, Prediction};
use crate::manifest::task::Task;
use crate::models::registry::Assignment;

/// Predictions by text, models and options.
pub struct PredictionCache {
    predictions: moka::sync::Cache<CacheKey, Arc<Prediction>>,
}

/// A SHA-256 over everything that decides a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

impl PredictionCache {
    /// A cache that keeps about `max_bytes` of predictions.
    pub fn new(max_bytes: u64) -> Self {
        let weigh = |_: &CacheKey, prediction: &Arc<Prediction>| size(prediction);
        Self { predictions: moka::sync::Cache::builder().max_capacity(max_bytes).weigher(weigh).build() }
    }

    /// The prediction as it was made before, marked as cached.
    pub fn get(&self, key: &CacheKey) -> Option<Prediction> {
        let mut prediction = Prediction::clone(&*self.predictions.get(key)?);
        prediction.usage.cached = true;
        Some(prediction)
    }

    pub fn insert(&self, key: CacheKey, prediction: &Prediction) {
        self.predictions.insert(key, Arc::new(prediction.clone()));
    }
}

impl CacheKey {
    /// The key of what `models` say of `text`; when and in which lane it is asked does not count.
    pub fn new(text: &str, models: &Assignment, options: &PredictOptions) -> Self {
        let version = |task| models.get(task).map(|model| model.version.as_str());
        let decisive = (
            version(Task::Topics),
            version(Task::Entities),
            options.tasks,
            options.topic_threshold.map(f32::to_bits),
            options.entity_threshold.to_bits(),
            options.aggregation,
            options.overflow,
        );
        let mut hash = Sha256::new();
        hash.update(format!("{decisive:?}\0"));
        hash.update(text);
        Self(hash.finalize().into())
    }
}

/// Bytes that a prediction takes, about.
fn size(prediction: &Prediction) -> u32 {
    const ENTRY: usize = 128;
    let topics = prediction.topics.as_ref().map_or(0, |topics| size_of_val(topics.as_slice()));
    let entities =
        prediction.entities.iter().flatten().map(|entity| size_of_val(entity) + entity.label.len()).sum::<usize>();
    u32::try_from(ENTRY + topics + entities).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::pipeline::Overflow;
    use crate::inference::scheduler::Priority;
    use crate::inference::scheduler::{Admission, RequestContext, RequestId};
    use crate::manifest::task::{AggregationStrategy, Tasks};
    use crate::models::registry::ByTask;
    use std::time::Instant;

    #[test]
    fn whatever_decides_an_answer_is_part_of_the_key() {
        let context = RequestContext {
            request: RequestId::next(),
            priority: Priority::Normal,
            admission: Admission::Try,
            deadline: Instant::now(),
        };
        let options = PredictOptions::new(context);
        let key = |text: &str, options: &PredictOptions| CacheKey::new(text, &ByTask::default(), options);
        let first = key("a", &options);
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
            key("a", &PredictOptions { entity_threshold: 0.5, ..options }),
            key("a", &PredictOptions { aggregation: Some(AggregationStrategy::First), ..options }),
            key("a", &PredictOptions { overflow: Overflow::Truncate, ..options }),
            key("a", &PredictOptions { tasks: Tasks { topics: true, entities: false }, ..options }),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn what_was_kept_comes_back_marked() {
        let cache = PredictionCache::new(10_000);
        let key = CacheKey([7; 32]);
        assert_eq!(cache.get(&key), None);
        cache.insert(key, &Prediction::default());
        assert!(cache.get(&key).is_some_and(|prediction| prediction.usage.cached));
    }
}
