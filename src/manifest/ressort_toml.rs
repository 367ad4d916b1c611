//! The optional `ressort.toml` of a model folder: what the export cannot say.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, de};

use super::config_json::ConfigJson;
use super::entities_toml::EntitiesSection;
use super::folder::FolderFiles;
use super::graph_inputs::InputNames;
use super::toml_error::{Section, keys, message};
use super::toml_values::{all_different, clean, invalid, languages, or_default, temperature, threshold, word};
use super::{EntityHead, GoldenExample, Graph, LabelDescriptions, ManifestError, TopicHead, TopicLabel, default_label};
use crate::manifest::tags::{entity_labels, parse_tags};
use crate::manifest::task::{Pooling, ProblemType, Task, TokenPooling};
use crate::manifest::text_rules::{RULE_NAMES, TextRules, TextSwitch};
use crate::system::choice::suggestion;
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
    lead_tokens: Option<usize>,
    part_tokens: Option<usize>,
    #[serde(default)]
    min_letters: usize,
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

#[derive(Debug)]
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
        let toml: Result<Self, ManifestError> = match str::from_utf8(text) {
            Ok(text) => toml::from_str(text).map_err(|error| invalid(&path, message(&error, text, &sections()))),
            Err(_) => Err(invalid(&path, "the file cannot be read as text in UTF-8; save it in UTF-8".to_owned())),
        };
        toml.map(|toml| Self { path, ..toml })
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
            min_letters: section.min_letters,
            token_pooling: self.token_pooling(section, pooling)?,
            pooling,
            temperature,
        })
    }

    fn token_pooling(&self, section: &TopicsSection, pooling: Pooling) -> Result<TokenPooling, ManifestError> {
        for (key, given) in [("lead_tokens", section.lead_tokens), ("part_tokens", section.part_tokens)] {
            if given == Some(0) {
                return Err(self.invalid(format!("{key} 0 must be at least 1; leave {key} out to do without")));
            }
            if given.is_some() && pooling != Pooling::TokenMean {
                return Err(self.invalid(format!(
                    "{key} needs topic logits for each token (`pooling = \"token-mean\"`), not `{pooling}`; leave {key} out"
                )));
            }
        }
        Ok(TokenPooling { lead_tokens: section.lead_tokens, part_tokens: section.part_tokens })
    }

    fn topic_labels(
        &self,
        section: &TopicsSection,
        problem_type: ProblemType,
        labels: &[String],
    ) -> Result<Vec<TopicLabel>, ManifestError> {
        self.all_known("rename", section.rename.keys(), labels)?;
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
        let known: Vec<&str> = result.iter().map(|label| &*label.label).collect();
        self.all_known("thresholds", section.thresholds.keys(), &known)?;
        if section.labels.is_some() || !section.rename.is_empty() {
            clean(&self.path, known.iter().copied())?;
            all_different(&self.path, known)?;
        }
        let own = |label: &str| section.labels.iter().flatten().find_map(|entry| entry.own_threshold(label));
        let twice = |(label, threshold): (&String, &f32)| Some((label.clone(), *threshold, own(label)?));
        if let Some((label, threshold, own)) = section.thresholds.iter().find_map(twice) {
            return Err(self.invalid(format!(
                "`{label}` has the threshold {own} in `labels` and {threshold} in `thresholds`; leave one of them out"
            )));
        }
        languages(&self.path, "names", result.iter().flat_map(|label| label.names.keys()))?;
        for label in &mut result {
            let given = section.thresholds.get(&label.label).copied().unwrap_or(label.threshold);
            label.threshold = threshold(&self.path, &label.label, given)?;
        }
        Ok(result)
    }

    /// Refuses the description of a label that neither head has.
    pub fn check_descriptions(
        &self,
        topics: Option<&TopicHead>,
        entities: Option<&EntityHead>,
    ) -> Result<(), ManifestError> {
        languages(&self.path, "descriptions", self.descriptions.values().flat_map(BTreeMap::keys))?;
        // A head without labels gets its labels when it runs.
        let is_open =
            topics.is_some_and(|head| head.labels.is_empty()) || entities.is_some_and(|head| head.tags.is_empty());
        if is_open {
            return Ok(());
        }
        let tags = entities.map(|head| parse_tags(&head.tags)).unwrap_or_default();
        let topics = topics.iter().flat_map(|head| &head.labels).map(|label| &*label.label);
        let known: Vec<&str> = topics.chain(entity_labels(&tags)).collect();
        let topics = self.topics.iter().flat_map(|section| &section.rename);
        let mut renames = topics.chain(self.entities.iter().flat_map(|section| &section.rename));
        let is_described = |label: &String| self.descriptions.contains_key(label) && !known.contains(&label.as_str());
        if let Some((label, new)) = renames.find(|(label, _)| is_described(label)) {
            return Err(self.invalid(format!(
                "descriptions names `{label}`, which `rename` calls `{new}`; name `{new}` there, or take the line out"
            )));
        }
        self.all_known("descriptions", self.descriptions.keys(), &known)
    }

    fn all_known<'n>(
        &self,
        key: &str,
        names: impl IntoIterator<Item = &'n String>,
        known: &[impl AsRef<str>],
    ) -> Result<(), ManifestError> {
        let known = || known.iter().map(AsRef::as_ref);
        match names.into_iter().find(|name| !known().any(|known| known == **name)) {
            Some(name) => {
                let suggested = suggestion(name, known());
                let remedy =
                    if suggested.is_empty() { "; see `labels` here, or id2label in config.json" } else { &suggested };
                Err(self.invalid(format!("{key} names `{name}`, which is no label of the model{remedy}")))
            }
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

fn sections() -> [Section; 4] {
    [
        ("model", keys::<ModelSection>()),
        ("topics", keys::<TopicsSection>()),
        ("entities", keys::<EntitiesSection>()),
        ("text", RULE_NAMES),
    ]
}

/// By hand, since the errors of an untagged enum do not name the key that is wrong.
impl<'de> Deserialize<'de> for LabelEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;

        impl<'de> de::Visitor<'de> for TextOrTable {
            type Value = LabelEntry;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a label in quotes, or a table with `label`")
            }

            fn visit_str<E>(self, label: &str) -> Result<LabelEntry, E> {
                Ok(LabelEntry::Name(label.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, table: A) -> Result<LabelEntry, A::Error> {
                LabelSection::deserialize(de::value::MapAccessDeserializer::new(table)).map(LabelEntry::Full)
            }
        }

        deserializer.deserialize_any(TextOrTable)
    }
}

impl LabelEntry {
    /// The threshold that this entry gives to `label`.
    fn own_threshold(&self, label: &str) -> Option<f32> {
        match self {
            Self::Full(full) if full.label == label => full.threshold,
            _ => None,
        }
    }

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
