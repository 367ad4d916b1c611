//! The optional `ressort.toml` of a model folder: what the export cannot say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, de};

use super::config_json::ConfigJson;
use super::entities_toml::EntitiesSection;
use super::folder::FolderFiles;
use super::graph_inputs::InputNames;
use super::toml_values::{invalid, or_default, temperature, word};
use super::{EntityHead, GoldenExample, Graph, LabelDescriptions, ManifestError, TopicHead, TopicLabel, default_label};
use crate::manifest::tags::{entity_labels, parse_tags};
use crate::manifest::task::{Pooling, ProblemType, Task};
use crate::manifest::text_rules::{TextRules, TextSwitch};
use crate::system::file_start::without_mark;

/// The files that a `ressort.toml` names, relative to its folder.
#[derive(Debug, Default)]
pub struct NamedFiles {
    pub onnx: Option<PathBuf>,
    pub truecase: Option<PathBuf>,
    pub names: Option<PathBuf>,
}

impl NamedFiles {
    /// `path` is that of the file with the content `text`.
    pub fn of(text: &[u8], path: &Path) -> Result<Self, ManifestError> {
        let toml = RessortToml::parse(&without_mark(text), path.to_owned())?;
        let names = toml.entities.and_then(|section| section.names);
        Ok(Self { onnx: toml.model.file, truecase: toml.model.truecase, names })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RessortToml {
    pub description: Option<String>,
    #[serde(default)]
    pub model: ModelSection,
    pub topics: Option<TopicsSection>,
    pub entities: Option<EntitiesSection>,
    /// Rules for texts as they arrive, by name: `hyphens = false`.
    #[serde(default, deserialize_with = "text_rules")]
    pub text: TextRules,
    /// What labels mean, by label and language tag: `LOC = { de = "Orte", en = "places" }`.
    #[serde(default)]
    pub descriptions: LabelDescriptions,
    #[serde(default)]
    golden: Vec<GoldenSection>,
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// The ONNX file, relative to the folder.
    pub file: Option<PathBuf>,
    pub max_length: Option<usize>,
    pub stride: Option<usize>,
    /// The list of words in their usual case, relative to the folder.
    pub truecase: Option<PathBuf>,
    #[serde(default)]
    pub inputs: InputNames,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicsSection {
    pub output: Option<String>,
    #[serde(default, deserialize_with = "word")]
    problem_type: Option<ProblemType>,
    #[serde(default, deserialize_with = "word")]
    pooling: Option<Pooling>,
    temperature: Option<f32>,
    /// For labels without a threshold.
    threshold: Option<f32>,
    /// Replaces the `id2label` of the `config.json`.
    labels: Option<Vec<LabelEntry>>,
    /// New names for labels of the `config.json`.
    #[serde(default)]
    rename: BTreeMap<String, String>,
    /// Thresholds by label, after renaming.
    #[serde(default)]
    thresholds: BTreeMap<String, f32>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum LabelEntry {
    Name(String),
    Full(LabelSection),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelSection {
    label: String,
    code: Option<String>,
    threshold: Option<f32>,
    #[serde(default)]
    names: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenSection {
    text: String,
    #[serde(default)]
    topics: Vec<String>,
    #[serde(default)]
    entities: Vec<GoldenEntity>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenEntity {
    text: String,
    label: String,
}

impl RessortToml {
    /// Reads the file; a folder without one has nothing to add.
    pub fn read(files: &mut FolderFiles) -> Result<Self, ManifestError> {
        let path = files.dir.join("ressort.toml");
        if !path.is_file() {
            return Ok(Self::default());
        }
        Self::parse(&files.read(&path)?, path)
    }

    fn parse(text: &[u8], path: PathBuf) -> Result<Self, ManifestError> {
        let message = |error: toml::de::Error| error.to_string().trim_end().to_owned();
        let toml = toml::from_slice(text);
        let toml: Self =
            toml.map_err(|error| ManifestError::Invalid { path: path.clone(), message: message(error) })?;
        Ok(Self { path, ..toml })
    }

    /// The tasks that have a section.
    pub fn sections(&self) -> Vec<Task> {
        let topics = self.topics.as_ref().map(|_| Task::Topics);
        topics.into_iter().chain(self.entities.as_ref().map(|_| Task::Entities)).collect()
    }

    /// The task whose section alone names an output.
    pub fn only_declared(&self) -> Option<Task> {
        let topics = self.topics.as_ref().is_some_and(|head| head.output.is_some());
        let entities = self.entities.as_ref().is_some_and(|head| head.output.is_some());
        match (topics, entities) {
            (true, false) => Some(Task::Topics),
            (false, true) => Some(Task::Entities),
            _ => None,
        }
    }

    pub fn golden(&self) -> Vec<GoldenExample> {
        let example = |golden: &GoldenSection| GoldenExample {
            text: golden.text.clone(),
            topics: golden.topics.clone(),
            entities: golden.entities.iter().map(|entity| (entity.text.clone(), entity.label.clone())).collect(),
        };
        self.golden.iter().map(example).collect()
    }

    /// The topic head, with `labels` of the `config.json` where this file has none.
    pub fn topic_head(
        &self,
        dir: &Path,
        config: &ConfigJson,
        graph: &Graph,
        labels: &[String],
    ) -> Result<TopicHead, ManifestError> {
        let none = TopicsSection::default();
        let section = self.topics.as_ref().unwrap_or(&none);
        let temperature = temperature(&self.path, section.temperature)?;
        let n_labels = section.labels.as_ref().map_or(labels.len(), Vec::len);
        let output = graph.head_output(section.output.as_deref(), Task::Topics, n_labels)?;
        let labels = &*or_default(labels, graph, &output);
        let n_labels = section.labels.as_ref().map_or(labels.len(), Vec::len);
        let declared = match section.problem_type {
            Some(problem_type) => Some(problem_type),
            None => config.problem_type(&dir.join("config.json"))?,
        };
        let scores = graph.scores(&output);
        let problem_type = ProblemType::of(declared, n_labels, scores);
        let per_token = graph.is_per_token(&output);
        let pooling = section.pooling.unwrap_or(if per_token { Pooling::TokenMean } else { Pooling::Mean });
        Ok(TopicHead {
            labels: self.topic_labels(section, problem_type, labels)?,
            output,
            scores,
            default_threshold: section.threshold,
            problem_type,
            pooling,
            temperature,
        })
    }

    fn topic_labels(
        &self,
        section: &TopicsSection,
        problem_type: ProblemType,
        labels: &[String],
    ) -> Result<Vec<TopicLabel>, ManifestError> {
        self.all_known("rename", section.rename.keys(), |name| labels.contains(name))?;
        let default = section.threshold.unwrap_or(problem_type.default_threshold());
        let plain = |label: &String| TopicLabel {
            label: label.clone(),
            code: None,
            threshold: default,
            names: BTreeMap::new(),
        };
        let mut result: Vec<TopicLabel> = match &section.labels {
            Some(entries) => entries.iter().map(|entry| entry.resolve(default)).collect(),
            None => labels.iter().map(|label| plain(section.rename.get(label).unwrap_or(label))).collect(),
        };
        self.all_known("thresholds", section.thresholds.keys(), |name| {
            result.iter().any(|label| label.label == **name)
        })?;
        for label in &mut result {
            label.threshold = section.thresholds.get(&label.label).copied().unwrap_or(label.threshold);
            if !(0.0..=1.0).contains(&label.threshold) {
                return Err(
                    self.invalid(format!("threshold {} of `{}` must lie in 0 to 1", label.threshold, label.label))
                );
            }
        }
        Ok(result)
    }

    /// Refuses the description of a label that neither head has.
    pub fn check_descriptions(
        &self,
        topics: Option<&TopicHead>,
        entities: Option<&EntityHead>,
    ) -> Result<(), ManifestError> {
        // A head without labels gets its labels when it runs.
        let is_open =
            topics.is_some_and(|head| head.labels.is_empty()) || entities.is_some_and(|head| head.tags.is_empty());
        let tags = entities.map(|head| parse_tags(&head.tags)).unwrap_or_default();
        let types = entity_labels(&tags);
        let is_topic = |name: &str| topics.is_some_and(|head| head.labels.iter().any(|label| label.label == name));
        self.all_known("descriptions", self.descriptions.keys(), |name| {
            is_open || is_topic(name) || types.contains(&name.as_str())
        })
    }

    fn all_known<'n>(
        &self,
        key: &str,
        names: impl IntoIterator<Item = &'n String>,
        is_known: impl Fn(&&String) -> bool,
    ) -> Result<(), ManifestError> {
        match names.into_iter().find(|name| !is_known(name)) {
            Some(name) => Err(self
                .invalid(format!("{key} names `{name}`, which is no label of the model; see id2label in config.json"))),
            None => Ok(()),
        }
    }

    /// The entity head, with `labels` of the `config.json` where this file has none.
    pub fn entity_head(&self, dir: &Path, graph: &Graph, labels: &[String]) -> Result<EntityHead, ManifestError> {
        let none = EntitiesSection::default();
        self.entities.as_ref().unwrap_or(&none).head(&self.path, dir, graph, labels)
    }

    fn invalid(&self, message: String) -> ManifestError {
        invalid(&self.path, message)
    }
}

impl LabelEntry {
    fn resolve(&self, default: f32) -> TopicLabel {
        match self {
            Self::Name(label) => {
                TopicLabel { label: label.clone(), code: None, threshold: default, names: BTreeMap::new() }
            }
            Self::Full(full) => TopicLabel {
                label: full.label.clone(),
                code: full.code.clone(),
                threshold: full.threshold.unwrap_or(default),
                names: full.names.clone(),
            },
        }
    }
}

/// Labels for logits of `width` where the folder names none.
impl TopicHead {
    pub fn default_labels(&self, width: usize) -> Vec<TopicLabel> {
        let threshold = self.default_threshold.unwrap_or(self.problem_type.default_threshold());
        let label = |index| TopicLabel { label: default_label(index), code: None, threshold, names: BTreeMap::new() };
        (0..width).map(label).collect()
    }
}

/// Reads a table of rules that are on or off.
fn text_rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TextRules, D::Error> {
    let table = BTreeMap::<String, bool>::deserialize(deserializer)?;
    let switch =
        |(name, is_on): (String, bool)| Ok(TextSwitch { rule: name.parse().map_err(de::Error::custom)?, is_on });
    table.into_iter().map(switch).collect()
}
