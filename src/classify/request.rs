//! What a caller may send: limits, options and texts, checked in one place for HTTP, files and evaluation.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::classify::derived::Derived;
use crate::classify::error::ClassifyError;
use crate::classify::fields::{Fields, Located, Locator};
use crate::inference::pipeline::Overflow;
use crate::inference::scheduler::{Admission, Priority, RequestContext, RequestId};
use crate::manifest::TopicLabel;
use crate::manifest::task::AggregationStrategy;
use crate::manifest::text_rules::TextRules;
use crate::models::registry::{Assignment, ByTask};
use crate::text::span::{ByteSpan, OffsetUnit};

/// The limits of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Unicode code points of one text.
    pub max_characters: usize,
    pub max_documents: usize,
    /// Bytes of a request's body.
    pub max_body_bytes: usize,
    /// From the arrival of a request to its answer.
    pub timeout: Duration,
}

/// How documents are classified and how their answers are written.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifyOptions {
    /// Number of topics in an answer, best first; at least 1.
    pub top_k: usize,
    /// In 0..=1. Topics: replaces the thresholds of the labels. Entities: those with a lower score are left out.
    pub threshold: ByTask<f32>,
    /// `None`: the strategy of the model.
    pub aggregation: Option<AggregationStrategy>,
    pub overflow: Overflow,
    /// Rules without a switch are as the model's folder says, else on.
    pub text_rules: TextRules,
    pub offset_unit: OffsetUnit,
    /// Language tag of topic labels; `None`: the labels themselves.
    pub label_language: Option<String>,
    /// The labels of entities that are answered; `None`: all.
    pub labels: Option<Vec<String>>,
    pub derived: Derived,
    /// Whether the answer says which entities are one.
    pub group: bool,
    /// Whether accepted topics come with the passages that carry them.
    pub evidence: bool,
}

/// A text that passed the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedText {
    text: Arc<str>,
    fields: Option<Fields>,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            max_characters: 200_000,
            max_documents: 1_000,
            max_body_bytes: 32 * 1024 * 1024,
            timeout: Duration::from_secs(60),
        }
    }
}

impl Default for ClassifyOptions {
    fn default() -> Self {
        Self {
            top_k: 5,
            threshold: ByTask::default(),
            aggregation: None,
            overflow: Overflow::default(),
            text_rules: TextRules::default(),
            offset_unit: OffsetUnit::default(),
            label_language: None,
            labels: None,
            derived: Derived::default(),
            group: false,
            evidence: false,
        }
    }
}

impl ClassifyOptions {
    /// Checks everything that can be checked without the models.
    pub fn check(&self) -> Result<(), ClassifyError> {
        let thresholds = [self.threshold.topics, self.threshold.entities];
        if let Some(value) = thresholds.into_iter().flatten().find(|value| !(0.0..=1.0).contains(value)) {
            return Err(ClassifyError::Threshold(value));
        }
        if self.top_k == 0 { Err(ClassifyError::NoTopics) } else { Ok(()) }
    }

    /// Checks what depends on the models, and spells it as they do.
    pub fn for_models(self, models: &Assignment) -> Result<Self, ClassifyError> {
        self.check_entities(models)?;
        self.with_known_language(models)
    }

    /// Spells the language of topic labels as the models spell it: `EN` and `en-GB` become `en`.
    pub fn with_known_language(mut self, models: &Assignment) -> Result<Self, ClassifyError> {
        let Some(tag) = &self.label_language else { return Ok(self) };
        let known = label_languages(topic_labels(models));
        let unknown = || ClassifyError::LabelLanguage {
            tag: tag.clone(),
            known: known.iter().map(ToString::to_string).collect(),
        };
        self.label_language = Some(find_language(&known, tag).ok_or_else(unknown)?.to_owned());
        Ok(self)
    }

    /// Spells the language as the models spell it, and drops one that they do not have: they then give the labels themselves.
    pub fn with_language_or_labels(mut self, models: &Assignment) -> Self {
        let known = label_languages(topic_labels(models));
        self.label_language = self.label_language.and_then(|tag| find_language(&known, &tag).map(str::to_owned));
        self
    }
}

fn topic_labels(models: &Assignment) -> &[TopicLabel] {
    models.topics.as_ref().map_or(&[][..], |model| model.topic_labels())
}

/// The languages in which topics have names.
pub fn label_languages(labels: &[TopicLabel]) -> BTreeSet<&str> {
    labels.iter().flat_map(|label| label.names.keys()).map(String::as_str).collect()
}

/// The known language that a tag means: `EN` and `en-GB` mean `en`.
pub fn find_language<'k>(known: &BTreeSet<&'k str>, tag: &str) -> Option<&'k str> {
    let primary = tag.split('-').next().unwrap_or_default();
    known.iter().find(|known| known.eq_ignore_ascii_case(tag) || known.eq_ignore_ascii_case(primary)).copied()
}

impl CheckedText {
    /// Checks a text. An empty one is allowed: it has no topics and no entities.
    pub fn new(text: Arc<str>, max_characters: usize) -> Result<Self, ClassifyError> {
        Self { text, fields: None }.checked(max_characters)
    }

    /// Checks a document of a title, a lead and a text; the limit counts all of them.
    pub fn of_fields(values: [Option<&str>; 3], max_characters: usize) -> Result<Self, ClassifyError> {
        let (text, fields) = Fields::join(values);
        Self { text, fields: Some(fields) }.checked(max_characters)
    }

    fn checked(self, max_characters: usize) -> Result<Self, ClassifyError> {
        // A character has at least one byte, so most texts need no count.
        if self.text.len() > max_characters {
            let n_characters = self.n_characters();
            if n_characters > max_characters {
                return Err(ClassifyError::TextTooLong { n_characters, max_characters });
            }
        }
        match self.text.find('\0') {
            Some(at) => {
                let mut locator = Locator::new(&self.text, self.fields(), OffsetUnit::Codepoint);
                let Located { field, start, .. } = locator.locate(ByteSpan::new(at, at + 1));
                Err(ClassifyError::Nul { field, position: start })
            }
            None => Ok(self),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Unicode code points of the text, or of all its fields.
    pub fn n_characters(&self) -> usize {
        match &self.fields {
            Some(fields) => fields.n_characters(&self.text),
            None => self.text.chars().count(),
        }
    }

    /// The fields of which the text was made; `None` where it is no such document.
    pub fn fields(&self) -> Option<&Fields> {
        self.fields.as_ref()
    }

    /// The same as one text, in which all offsets count.
    pub(super) fn joined(&self) -> Self {
        Self { text: self.shared(), fields: None }
    }

    pub(super) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }
}

/// The context of a batch job: it waits in the bulk lane, and no client waits for a single document.
pub fn batch_context() -> RequestContext {
    const TIMEOUT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    RequestContext {
        request: RequestId::next(),
        priority: Priority::Bulk,
        admission: Admission::Wait,
        deadline: Instant::now() + TIMEOUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_refused_for_its_characters_and_not_for_its_bytes() {
        let check = |text: &str| CheckedText::new(text.into(), 5).map(|text| text.as_str().len());
        for (text, n_bytes) in [("", 0), (" ", 1), ("äöüßä", 10), ("😀😀😀😀😀", 20)] {
            assert_eq!(check(text).ok(), Some(n_bytes), "{text:?}");
        }
        for (text, code, part) in [
            ("äöüßäö", "text_too_long", "6 characters, and the limit is 5"),
            ("ä\0", "invalid_text", "at character 1"),
            ("\0", "invalid_text", "at character 0"),
        ] {
            let error = check(text).unwrap_err();
            assert_eq!(error.code(), code, "{text:?}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn a_language_may_be_spelled_otherwise() {
        let known = BTreeSet::from(["en", "pt-BR"]);
        for (tag, found) in [("en", "en"), ("EN", "en"), ("en-GB", "en"), ("pt-br", "pt-BR")] {
            assert_eq!(find_language(&known, tag), Some(found), "{tag}");
        }
        assert!(["fr", "", "eng", "pt"].iter().all(|tag| find_language(&known, tag).is_none()));
    }

    #[test]
    fn a_language_that_no_model_has_is_refused_or_dropped() {
        let options = ClassifyOptions { label_language: Some("en".into()), ..ClassifyOptions::default() };
        let error = options.clone().with_known_language(&ByTask::default()).unwrap_err();
        assert_eq!((error.code(), error.to_string().contains("`en`")), ("invalid_request", true));
        let others = ClassifyOptions { top_k: 7, ..options };
        let expected = ClassifyOptions { label_language: None, ..others.clone() };
        assert_eq!(others.with_language_or_labels(&ByTask::default()), expected);
        let none = ClassifyOptions::default();
        assert_eq!(none.clone().with_known_language(&ByTask::default()), Ok(none));
    }

    #[test]
    fn a_batch_job_waits_for_a_week() {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let (context, now) = (batch_context(), Instant::now());
        assert!(context.deadline > now + 6 * DAY && context.deadline <= now + 7 * DAY);
        assert_eq!((context.priority, context.admission), (Priority::Bulk, Admission::Wait));
    }

    #[test]
    fn a_nul_is_named_with_its_field_and_the_character_in_it() {
        let message = |values| CheckedText::of_fields(values, 100).unwrap_err().to_string();
        for (values, expected) in [
            ([Some("Ü\0"), None, Some("Ulm")], "`title` contains NUL (U+0000) at character 1; remove it"),
            ([Some("Über"), Some(" "), Some("\0 Ulm")], "`text` contains NUL (U+0000) at character 0; remove it"),
            ([Some("Über"), Some("ä ö\0"), None], "`lead` contains NUL (U+0000) at character 3; remove it"),
        ] {
            assert_eq!(message(values), expected);
        }
        let alone = CheckedText::new("ä\0".into(), 100).unwrap_err().to_string();
        assert_eq!(alone, "the text contains NUL (U+0000) at character 1; remove it");
    }

    #[test]
    fn a_threshold_is_a_score_and_at_least_one_topic_is_listed() {
        let with = |topics, top_k| ClassifyOptions {
            threshold: ByTask { topics: Some(topics), entities: None },
            top_k,
            ..ClassifyOptions::default()
        };
        for options in [with(0.0, 1), with(1.0, usize::MAX), ClassifyOptions::default()] {
            assert!(options.check().is_ok(), "{options:?}");
        }
        for options in [with(-0.1, 1), with(1.1, 1), with(f32::NAN, 1), with(0.5, 0)] {
            assert!(options.check().is_err(), "{options:?}");
        }
    }
}
