//! The optional `ressort.toml` of a model folder: what the export cannot say.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use super::config_json::ConfigJson;
use super::folder::FolderFiles;
use super::graph_inputs::InputNames;
use super::{EntityHead, GoldenExample, Graph, LabelDescriptions, ManifestError, TopicHead, TopicLabel, default_label};
use crate::manifest::tags::{entity_labels, parse_tags, rename_tags};
use crate::manifest::task::{AggregationStrategy, GraphScores, Pooling, ProblemType, Task};
use crate::manifest::text_rules::{TextRules, TextSwitch};
use crate::system::file_start::without_mark;

/// The files that a `ressort.toml` names, relative to its folder.
#[derive(Debug, Default)]
pub struct NamedFiles {
    pub onnx: Option<PathBuf>,
    pub truecase: Option<PathBuf>,
}

impl NamedFiles {
    /// `path` is that of the file with the content `text`.
    pub fn of(text: &[u8], path: &Path) -> Result<Self, ManifestError> {
        let ModelSection { file, truecase, .. } = RessortToml::parse(&without_mark(text), path.to_owned())?.model;
        Ok(Self { onnx: file, truecase })
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

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntitiesSection {
    pub output: Option<String>,
    /// Tags (`O`, `B-PER`, …) instead of the `id2label` of the `config.json`.
    labels: Option<Vec<String>>,
    /// New names for entity types of the `config.json` (`PERSON = "PER"`), or for whole tags (`LABEL_1 = "B-PER"`).
    #[serde(default)]
    rename: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "word")]
    aggregation: Option<AggregationStrategy>,
    temperature: Option<f32>,
    consistency: Option<f32>,
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
        let temperature = self.temperature(section.temperature)?;
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

    /// The entity head, with `labels` of the `config.json` where this file has none.
    pub fn entity_head(&self, graph: &Graph, labels: &[String]) -> Result<EntityHead, ManifestError> {
        let none = EntitiesSection::default();
        let section = self.entities.as_ref().unwrap_or(&none);
        let given = section.labels.as_deref().unwrap_or(labels);
        let output = graph.head_output(section.output.as_deref(), Task::Entities, given.len())?;
        let given = &*or_default(given, graph, &output);
        let tags = match given {
            // How many there are, the trial run shows, which also renames them.
            [] => Vec::new(),
            _ => rename_tags(given, &section.rename).map_err(|name| self.unknown("rename", &name, given))?,
        };
        let aggregation = section.aggregation.unwrap_or(AggregationStrategy::First);
        Ok(EntityHead {
            consistency: self.consistency(section.consistency, aggregation, graph.scores(&output))?,
            scores: graph.scores(&output),
            output,
            tags,
            rename: section.rename.clone(),
            aggregation,
            temperature: self.temperature(section.temperature)?,
        })
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

    fn temperature(&self, given: Option<f32>) -> Result<f32, ManifestError> {
        match given.unwrap_or(1.0) {
            temperature if temperature.is_finite() && temperature > 0.0 => Ok(temperature),
            temperature => {
                Err(self.invalid(format!("temperature {temperature} must be above 0; 1.0 leaves scores as they are")))
            }
        }
    }

    fn consistency(
        &self,
        given: Option<f32>,
        aggregation: AggregationStrategy,
        scores: Option<GraphScores>,
    ) -> Result<f32, ManifestError> {
        match given.unwrap_or(0.0) {
            0.0 => Ok(0.0),
            weight if !(0.0..=1.0).contains(&weight) => Err(self.invalid(format!(
                "consistency {weight} must lie in 0 (each word is read alone) to 1 (equal words have equal scores)"
            ))),
            _ if aggregation != AggregationStrategy::Viterbi => Err(self.invalid(format!(
                "consistency needs `aggregation = \"viterbi\"`, not `{aggregation}`; set that, or leave consistency out"
            ))),
            _ if scores == Some(GraphScores::Sigmoid) => Err(self.invalid(
                "consistency needs scores that sum to 1, and this graph ends in a sigmoid; leave consistency out"
                    .to_owned(),
            )),
            weight => Ok(weight),
        }
    }

    fn unknown(&self, key: &str, name: &str, known: &[String]) -> ManifestError {
        let known = known.join("`, `");
        self.invalid(format!("{key} names `{name}`, which is no label of the model; it has `{known}`"))
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

    fn invalid(&self, message: String) -> ManifestError {
        ManifestError::Invalid { path: self.path.clone(), message }
    }
}

/// `labels`, or where there are none, the default labels of the logits that the graph says it has.
fn or_default<'l>(labels: &'l [String], graph: &Graph, output: &str) -> Cow<'l, [String]> {
    match graph.n_logits(output).filter(|_| labels.is_empty()) {
        Some(n_logits) => (0..n_logits).map(default_label).collect(),
        None => Cow::Borrowed(labels),
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

/// Reads an enum by its word.
fn word<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: Display,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

/// Reads a table of rules that are on or off.
fn text_rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TextRules, D::Error> {
    let table = BTreeMap::<String, bool>::deserialize(deserializer)?;
    let switch =
        |(name, is_on): (String, bool)| Ok(TextSwitch { rule: name.parse().map_err(de::Error::custom)?, is_on });
    table.into_iter().map(switch).collect()
}
