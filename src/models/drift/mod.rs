//! Whether the documents of the last day are like those of a baseline: their labels, scores, lengths and unknown tokens.
//!
//! Only counts are kept: one sample for each hour of the last day, and one since the start.

pub mod baseline;
pub mod psi;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use psi::Sample;

/// What is compared.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::EnumString, strum::IntoStaticStr,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Feature {
    /// The accepted topics of a document, which share its weight; [`NONE`] for a document without any.
    Topics,
    /// The labels of its mentions, likewise.
    Entities,
    /// The score of its best topic.
    TopicScores,
    /// The scores of its mentions, which share its weight.
    EntityScores,
    /// Its tokens.
    Length,
    /// The share of unknown ones among them.
    UnknownTokens,
}

/// Samples of one model by feature.
pub type Samples = BTreeMap<Feature, Sample>;

/// The bin of documents without a label.
pub const NONE: &str = "(none)";

/// How long the documents are kept, in sum.
pub const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
const N_SLOTS: u64 = 24;

/// The documents of the last day, and all since the start.
#[derive(Debug)]
pub struct Recent {
    started: Instant,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    /// By the number of their hour, which ascends.
    recent: VecDeque<(u64, Samples)>,
    all: Samples,
}

/// A document as the features see it.
#[derive(Debug, Default, PartialEq)]
pub struct DocumentFeatures<'d> {
    /// Labels of accepted topics; `None` for a model without topics.
    pub topics: Option<Vec<&'d str>>,
    pub best_topic_score: Option<f32>,
    /// Label and score of each mention; `None` for a model without entities.
    pub entities: Option<Vec<(&'d str, f32)>>,
    pub n_tokens: usize,
    /// `None` where the tokenizer knows everything.
    pub n_unknown: Option<usize>,
}

impl Recent {
    pub fn new(started: Instant) -> Self {
        Self { started, slots: Mutex::default() }
    }

    /// Counts a document that was answered at `now`.
    pub fn add(&self, document: &DocumentFeatures<'_>, now: Instant) {
        let number = self.slot(now);
        let mut slots = self.lock();
        if slots.recent.back().is_none_or(|(last, _)| *last < number) {
            slots.recent.push_back((number, Samples::default()));
        }
        let Slots { recent, all } = &mut *slots;
        for samples in recent.back_mut().map(|(_, samples)| samples).into_iter().chain([all]) {
            document.add_to(samples);
        }
        drop_old(&mut slots.recent, number);
    }

    /// The documents of the day before `now`.
    pub fn last_day(&self, now: Instant) -> Samples {
        let number = self.slot(now);
        let mut slots = self.lock();
        drop_old(&mut slots.recent, number);
        let mut sum = Samples::default();
        for (feature, sample) in slots.recent.iter().flat_map(|(_, samples)| samples) {
            sum.entry(*feature).or_default().merge(sample);
        }
        sum
    }

    /// All documents since the start.
    pub fn all(&self) -> Samples {
        self.lock().all.clone()
    }

    fn slot(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.started);
        elapsed.as_secs() * N_SLOTS / WINDOW.as_secs()
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drop_old(slots: &mut VecDeque<(u64, Samples)>, now: u64) {
    while slots.front().is_some_and(|(number, _)| number + N_SLOTS <= now) {
        slots.pop_front();
    }
}

impl DocumentFeatures<'_> {
    fn add_to(&self, samples: &mut Samples) {
        let mut add = |feature: Feature, bins: &[&str]| {
            samples.entry(feature).or_default().add(bins.iter().copied());
        };
        let or_none = |labels: Vec<_>| if labels.is_empty() { vec![NONE] } else { labels };
        if let Some(topics) = &self.topics {
            add(Feature::Topics, &or_none(topics.clone()));
        }
        if let Some(score) = self.best_topic_score {
            add(Feature::TopicScores, &[score_bin(score)]);
        }
        if let Some(entities) = &self.entities {
            add(Feature::Entities, &or_none(entities.iter().map(|(label, _)| *label).collect()));
            if !entities.is_empty() {
                let bins: Vec<&str> = entities.iter().map(|(_, score)| score_bin(*score)).collect();
                add(Feature::EntityScores, &bins);
            }
        }
        add(Feature::Length, &[length_bin(self.n_tokens)]);
        if let Some(n_unknown) = self.n_unknown.filter(|_| self.n_tokens > 0) {
            add(Feature::UnknownTokens, &[unknown_bin(n_unknown, self.n_tokens)]);
        }
    }
}

fn score_bin(score: f32) -> &'static str {
    const BINS: [&str; 10] =
        ["0.0-0.1", "0.1-0.2", "0.2-0.3", "0.3-0.4", "0.4-0.5", "0.5-0.6", "0.6-0.7", "0.7-0.8", "0.8-0.9", "0.9-1.0"];
    BINS[((score * 10.0) as usize).min(BINS.len() - 1)]
}

fn length_bin(n_tokens: usize) -> &'static str {
    match n_tokens {
        0 => "0",
        1..=16 => "1-16",
        17..=32 => "17-32",
        33..=64 => "33-64",
        65..=128 => "65-128",
        129..=256 => "129-256",
        257..=512 => "257-512",
        513..=1024 => "513-1024",
        1025..=2048 => "1025-2048",
        _ => "2049-",
    }
}

fn unknown_bin(n_unknown: usize, n_tokens: usize) -> &'static str {
    match n_unknown as f64 / n_tokens as f64 {
        0.0 => "0%",
        ..=0.01 => "0-1%",
        ..=0.02 => "1-2%",
        ..=0.05 => "2-5%",
        ..=0.1 => "5-10%",
        _ => "10-100%",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_leaves_the_last_day_after_its_last_hour() {
        const HOUR: Duration = Duration::from_secs(60 * 60);
        let started = Instant::now();
        let recent = Recent::new(started);
        let document = DocumentFeatures { n_tokens: 7, ..DocumentFeatures::default() };
        let n_documents = |samples: Samples| samples.get(&Feature::Length).map_or(0, |sample| sample.n_documents);
        recent.add(&document, started);
        recent.add(&document, started + 5 * HOUR);
        for (hours, expected) in [(5, 2), (23, 2), (24, 1), (28, 1), (29, 0)] {
            assert_eq!(n_documents(recent.last_day(started + hours * HOUR)), expected, "after {hours} hours");
        }
        assert_eq!(n_documents(recent.all()), 2);
    }
}
