//! What a loaded model is and how it is served, as a report: for `/v1/models`, for `ressort inspect`, as JSON or as text.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use utoipa::ToSchema;

use crate::inference::decode::name_weights::NameWeights;
use crate::inference::evidence::EvidenceMethod;
use crate::manifest::tags::entity_labels;
use crate::manifest::text_rules::ALL_RULES;
use crate::manifest::{LabelDescriptions, TopicLabel};
use crate::models::load::Model;
use crate::text::truecase::Truecaser;

/// A model as it is served.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelReport {
    pub name: String,
    pub version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub description: Option<String>,
    pub tasks: Vec<&'static str>,
    pub labels: ModelLabels,
    /// What labels mean, by label and language tag.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub label_descriptions: LabelDescriptions,
    /// How the evidence of topics is found: `exact` at no cost, or by `occlusion`, which reads a text again for each sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub evidence: Option<&'static str>,
    /// How tokens become entities, for requests that do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub aggregation: Option<&'static str>,
    /// What the score of a name must reach in one of its mentions, where a request names no threshold; in 0..=1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub entity_threshold: Option<f32>,
    /// `model_type` of the `config.json`.
    pub family: String,
    pub precision: String,
    /// Tokens of one window, special tokens included.
    pub max_length: usize,
    /// Tokens that neighbouring windows share.
    pub stride: usize,
    /// Whether each rule for texts as they arrive is on, for requests that do not say.
    pub text_rules: BTreeMap<&'static str, bool>,
    /// Words in the list by which texts in capitals or in lower case get their letter case back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub truecase_words: Option<usize>,
    /// Names in the list whose labels are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub listed_names: Option<usize>,
    /// What a listed name adds to the logits of its label's tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub names_weight: Option<f32>,
    /// The ONNX file in use.
    pub file: String,
    /// Other ONNX files of the folder, any of which `file` in `ressort.toml` could choose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_files: Vec<String>,
    pub execution_provider: String,
    /// `float`, `exact` (the same scores on every processor) or `saturating`.
    pub arithmetic: &'static str,
    /// Why it is so on this processor.
    pub arithmetic_reason: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// Runs that happen at the same time.
    pub streams: usize,
    /// Windows that may share a run; 1 where a result would depend on them.
    pub max_batch_windows: usize,
    /// What is special about how the graph is run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    pub memory: Memory,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ModelLabels {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    topics: Option<Vec<TopicLabelEntry>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    entities: Option<Vec<String>>,
}

#[derive(Debug, Serialize, ToSchema)]
struct TopicLabelEntry {
    label: String,
    threshold: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    names: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Memory {
    /// Size of the ONNX file with its external data.
    file_bytes: u64,
    /// By how much the process grew when the model was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    resident_bytes: Option<u64>,
}

/// A requested execution provider that is not in use.
#[derive(Debug, Serialize, ToSchema)]
pub struct PassedOver {
    execution_provider: String,
    reason: String,
}

impl PassedOver {
    pub fn of(model: &Model) -> Vec<Self> {
        let passed_over = model.placement.passed_over.iter();
        passed_over
            .map(|(provider, reason)| Self { execution_provider: provider.to_string(), reason: reason.clone() })
            .collect()
    }
}

impl ModelReport {
    pub fn of(model: &Model) -> Self {
        let manifest = &model.manifest;
        let relative = |file: &PathBuf| file.strip_prefix(&manifest.dir).unwrap_or(file).display().to_string();
        Self {
            name: model.name.clone(),
            version: model.version.clone(),
            description: manifest.description.clone(),
            tasks: manifest.tasks().into_iter().map(|task| task.into_str()).collect(),
            labels: ModelLabels::of(model),
            label_descriptions: manifest.descriptions.clone(),
            evidence: model.pipeline.topics.as_ref().map(|head| EvidenceMethod::of(head.pooling).into_str()),
            aggregation: model.pipeline.entities.as_ref().map(|head| head.aggregation.into_str()),
            entity_threshold: model.pipeline.entities.as_ref().map(|head| head.threshold),
            family: manifest.family.clone(),
            precision: manifest.graph.precision.to_string(),
            max_length: manifest.max_length,
            stride: manifest.stride,
            text_rules: ALL_RULES.iter().map(|&rule| (rule.into_str(), manifest.text_rules.is_on(rule))).collect(),
            truecase_words: model.pipeline.truecaser.as_ref().map(Truecaser::n_words),
            listed_names: names(model).map(NameWeights::n_names),
            names_weight: names(model).map(NameWeights::weight),
            file: relative(&manifest.onnx_file),
            other_files: manifest.other_onnx_files.iter().map(relative).collect(),
            execution_provider: model.placement.provider.to_string(),
            arithmetic: model.arithmetic.as_str(),
            arithmetic_reason: model.arithmetic.reason(),
            passed_over: PassedOver::of(model),
            streams: model.n_streams,
            max_batch_windows: model.batch_limits().max_windows,
            notes: model.notes(),
            memory: Memory { file_bytes: manifest.graph.n_bytes, resident_bytes: model.resident_bytes() },
        }
    }
}

/// The list of names of the entity head.
fn names(model: &Model) -> Option<&NameWeights> {
    model.pipeline.entities.as_ref()?.scheme.names.as_ref()
}

impl ModelLabels {
    fn of(model: &Model) -> Self {
        let topics = model.pipeline.topics.as_ref().map(|head| {
            let entry = |label: &TopicLabel| TopicLabelEntry {
                label: label.label.clone(),
                threshold: label.threshold,
                code: label.code.clone(),
                names: label.names.clone(),
            };
            head.labels.iter().map(entry).collect()
        });
        let entities = model
            .pipeline
            .entities
            .as_ref()
            .map(|head| entity_labels(&head.scheme.tags).into_iter().map(str::to_owned).collect());
        Self { topics, entities }
    }
}

impl fmt::Display for ModelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "{name:<20} {value}");
        row("name", self.name.clone())?;
        row("version", self.version.clone())?;
        self.description.iter().try_for_each(|text| row("description", text.clone()))?;
        row("tasks", self.tasks.join(", "))?;
        row("file", format!("{} ({:.1} MB, {})", self.file, self.memory.file_bytes as f64 / 1e6, self.precision))?;
        self.other_files.iter().try_for_each(|file| row("not used", file.clone()))?;
        row("family", self.family.clone())?;
        row("windows", format!("{} tokens, neighbours share up to {}", self.max_length, self.stride))?;
        row(
            "text rules",
            self.text_rules
                .iter()
                .map(|(rule, is_on)| format!("{rule} {}", if *is_on { "on" } else { "off" }))
                .collect::<Vec<_>>()
                .join(", "),
        )?;
        self.truecase_words.iter().try_for_each(|n| row("letter case", format!("restored by a list of {n} words")))?;
        self.listed_names.zip(self.names_weight).iter().try_for_each(|(n, weight)| {
            row("names", format!("a list of {n} names with their labels, weight {weight}"))
        })?;
        row(
            "runs on",
            format!(
                "{}, {} stream(s), up to {} window(s) a run",
                self.execution_provider, self.streams, self.max_batch_windows
            ),
        )?;
        self.notes.iter().try_for_each(|note| row("note", note.clone()))?;
        row("arithmetic", format!("{}: {}", self.arithmetic, self.arithmetic_reason))?;
        self.passed_over
            .iter()
            .try_for_each(|passed| row("passed over", format!("{}: {}", passed.execution_provider, passed.reason)))?;
        for label in self.labels.topics.iter().flatten() {
            let code = label.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
            row("topic", format!("{}{code}, accepted from {}", label.label, label.threshold))?;
        }
        let from = self.entity_threshold.filter(|threshold| *threshold > 0.0);
        let from = from.map(|threshold| format!("; names from a score of {threshold}")).unwrap_or_default();
        self.labels.entities.iter().try_for_each(|labels| row("entities", labels.join(", ") + &from))
    }
}
