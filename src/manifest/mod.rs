//! A model folder, read and made sense of without running it: which tasks it answers, which ONNX file, which labels, how
//! long a window may be. What `optimum-cli export onnx` writes is enough; an optional `ressort.toml` says the rest.
//!
//! [`Manifest::read`] is the way in. What can only be seen by running the model (the width of its logits) is checked by
//! [`crate::models::load`].

mod config_json;
mod entities_toml;
mod folder;
mod graph;
mod graph_inputs;
mod graph_outputs;
mod graph_scores;
mod graph_values;
pub mod labels;
mod onnx;
mod parts;
mod pieces;
mod proto;
mod reading;
mod ressort_toml;
mod saturation;
pub mod tags;
pub mod task;
pub mod text_rules;
mod toml_error;
mod toml_values;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use folder::{FolderFiles, checkpoint_dir, content_hash, model_names, no_folder};
pub use graph::{Graph, Precision};
pub use graph_inputs::{GraphInput, GraphInputs, InputKind, InputRole};
pub use graph_outputs::export_task;
pub use graph_values::{Dimension, ElementKind, GraphValue};
pub use onnx::{OnnxFile, Weight};
pub use parts::WeightKind;
pub use reading::{ReadingSizes, check_expansion};
pub use ressort_toml::NamedFiles;
pub use saturation::IntegerProducts;
pub use walk::folder_files;

use crate::manifest::task::{AggregationStrategy, GraphScores, Pooling, ProblemType, Task, TokenPooling};
use crate::manifest::text_rules::TextRules;
use config_json::{ConfigJson, TokenizerConfigJson};
use ressort_toml::RessortToml;

/// What a model folder says about its model.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub dir: PathBuf,
    pub description: Option<String>,
    /// `model_type` of the `config.json`: `bert`, `xlm-roberta`, …
    pub family: String,
    /// The ONNX file in use.
    pub onnx_file: PathBuf,
    /// Other ONNX files of the folder, which `file` in `ressort.toml` could choose instead.
    pub other_onnx_files: Vec<PathBuf>,
    pub graph: Graph,
    /// Longest sequence in tokens, special tokens included.
    pub max_length: usize,
    /// Tokens that neighbouring windows share.
    pub stride: usize,
    pub vocab_size: Option<u32>,
    /// The padding token by name, where the folder names one.
    pub pad_token: Option<String>,
    pub pad_token_id: Option<u32>,
    /// The `position_ids` of a window's first token: 0, and for RoBERTa and related models the padding id + 1.
    pub first_position: u32,
    pub topics: Option<TopicHead>,
    pub entities: Option<EntityHead>,
    pub golden: Vec<GoldenExample>,
    pub descriptions: LabelDescriptions,
    /// The list by which texts that have lost their letter case get it back, see [`crate::text::truecase`]; `None` where the model
    /// reads every text as it is.
    pub truecase_file: Option<PathBuf>,
    /// For requests that name none.
    pub text_rules: TextRules,
}

/// How a model's topic logits are read.
#[derive(Debug, Clone)]
pub struct TopicHead {
    /// Name of the ONNX output.
    pub output: String,
    /// What the graph has made of the logits; `None` where it gives logits.
    pub scores: Option<GraphScores>,
    /// In the order of the logits; empty where the folder has none, and they become `LABEL_0`, `LABEL_1`, …
    pub labels: Vec<TopicLabel>,
    /// For labels without a threshold, where the folder says one.
    pub default_threshold: Option<f32>,
    pub problem_type: ProblemType,
    pub pooling: Pooling,
    /// Other than the default only with [`Pooling::TokenMean`].
    pub token_pooling: TokenPooling,
    /// A text with fewer letters has no accepted topic.
    pub min_letters: usize,
    /// Logits are divided by it before softmax or sigmoid; above 0. Scores of the graph count as the logits that give them.
    pub temperature: f32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TopicLabel {
    pub label: String,
    /// The label's identifier in a published scheme, for instance `medtop:11000000`.
    pub code: Option<String>,
    /// Score from which the label is accepted, in 0..=1.
    pub threshold: f32,
    /// The label in other languages, by language tag.
    pub names: BTreeMap<String, String>,
}

/// How a model's entity logits are read.
#[derive(Debug, Clone)]
pub struct EntityHead {
    /// Name of the ONNX output.
    pub output: String,
    /// What the graph has made of the logits; `None` where it gives logits.
    pub scores: Option<GraphScores>,
    /// Tags (`O`, `B-PER`, …) in the order of the logits; empty where the folder has none.
    pub tags: Vec<String>,
    /// Names that `ressort.toml` gives to labels, by the model's own.
    pub rename: BTreeMap<String, String>,
    /// What is done where a caller names no strategy.
    pub aggregation: AggregationStrategy,
    /// What the score of a name must reach in one of its mentions, where a caller names no threshold; in 0..=1.
    pub threshold: f32,
    /// Logits are divided by it before softmax; above 0. It changes scores, and no entity.
    pub temperature: f32,
    /// Whether the mentions of a name in a document get one label; only with [`AggregationStrategy::Viterbi`].
    pub one_label_per_name: bool,
    /// Whether a token of white space before a word (a bare `▁`) is not used for the tag of the word.
    pub skips_blank_tokens: bool,
    /// The list of names whose labels are known; only with [`AggregationStrategy::Viterbi`].
    pub names_file: Option<PathBuf>,
    /// What a listed name adds to the logits of its label's tags; above 0.
    pub names_weight: f32,
}

/// What labels of topics and entities mean, by label and language tag.
pub type LabelDescriptions = BTreeMap<String, BTreeMap<String, String>>;

/// A text whose answer is known: the model must give at least this before it goes live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoldenExample {
    pub text: String,
    /// Labels that must be accepted.
    pub topics: Vec<String>,
    /// Entities that must be found, as (text, label).
    pub entities: Vec<(String, String)>,
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{path}: no such model folder; give a folder that holds config.json, tokenizer.json and an ONNX file, or the name of a model in the models folder (--models-dir){neighbours}", path = path.display())]
    NoFolder {
        path: PathBuf,
        /// The models in the same folder, and which of them is meant.
        neighbours: String,
    },
    #[error("{path}: missing; {remedy}", path = path.display())]
    Missing { path: PathBuf, remedy: &'static str },
    #[error("{path}: cannot be read", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: the file was changed while the model was being loaded; load the model again once its folder is complete", path = path.display())]
    Changed { path: PathBuf },
    #[error("{path}: {message}", path = path.display())]
    Invalid { path: PathBuf, message: String },
}

const TOKENIZER_REMEDY: &str =
    "a fast tokenizer is needed: write it with transformers, AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)";
const CONFIG_REMEDY: &str = "the folder must hold what `optimum-cli export onnx --model CHECKPOINT DIR` writes; copy the checkpoint's config.json into it";

const TRUECASE_REMEDY: &str =
    "`truecase` in ressort.toml names it; put the list of words there, or take `truecase` out";

const ONNX_REMEDY: &str =
    "the folder must hold an ONNX file, as `optimum-cli export onnx --model CHECKPOINT DIR` writes it";

impl Manifest {
    /// Reads the folder `dir`, see [`Manifest::of`].
    pub fn read(dir: &Path) -> Result<Self, ManifestError> {
        Self::of(&mut FolderFiles::new(dir))
    }

    /// Reads a folder and checks all that can be checked without running the model.
    ///
    /// # Errors
    /// Names the file at fault, the value found and what to do.
    pub fn of(files: &mut FolderFiles) -> Result<Self, ManifestError> {
        let dir = &files.dir.clone();
        if !dir.is_dir() {
            return Err(no_folder(dir));
        }
        let config = ConfigJson::read(files)?;
        let tokenizer_config = TokenizerConfigJson::read(files)?;
        let toml = RessortToml::read(files)?;
        require(&dir.join("tokenizer.json"), TOKENIZER_REMEDY)?;
        let (onnx_file, other_onnx_files) = graph::find_onnx(dir, toml.model.file.as_deref())?;
        check_given_folder(files, &onnx_file)?;
        let graph = Graph::of(&files.onnx(&onnx_file)?, &toml.model.inputs)?;
        let max_length = max_length(dir, &config, &tokenizer_config, &toml, &graph)?;
        let (topics, entities) = heads(dir, &config, &toml, &graph)?;
        // With another number of labels than of logits, the trial run says so.
        let fits = |output: &str, n_labels: usize| graph.n_logits(output).is_none_or(|n_logits| n_logits == n_labels);
        if topics.as_ref().is_none_or(|head| fits(&head.output, head.labels.len()))
            && entities.as_ref().is_none_or(|head| fits(&head.output, head.tags.len()))
        {
            toml.check_descriptions(topics.as_ref(), entities.as_ref())?;
        }
        let truecase_file =
            toml.model.truecase.as_deref().map(|file| named_file(dir, file, TRUECASE_REMEDY)).transpose()?;
        Ok(Self {
            description: toml.description.clone(),
            family: config.model_type.clone().unwrap_or_else(|| "unknown".to_owned()),
            stride: toml.model.stride.unwrap_or(max_length / 4),
            vocab_size: config.vocab_size,
            pad_token: tokenizer_config.pad_token(),
            pad_token_id: config.pad_token_id(),
            first_position: config.first_position(),
            golden: toml.golden(),
            descriptions: toml.descriptions,
            text_rules: toml.text,
            dir: dir.to_owned(),
            onnx_file,
            other_onnx_files,
            graph,
            max_length,
            topics,
            entities,
            truecase_file,
        })
    }

    pub fn tokenizer_file(&self) -> PathBuf {
        self.dir.join("tokenizer.json")
    }

    /// The tasks that this model answers.
    pub fn tasks(&self) -> Vec<Task> {
        let topics = self.topics.as_ref().map(|_| Task::Topics);
        let entities = self.entities.as_ref().map(|_| Task::Entities);
        topics.into_iter().chain(entities).collect()
    }
}

/// Whether the ONNX file at `onnx`, relative to the folder `dir`, is the one that is served.
pub fn finds_onnx(dir: &Path, onnx: &Path) -> bool {
    let toml = RessortToml::read(&mut FolderFiles::new(dir));
    toml.and_then(|toml| graph::find_onnx(dir, toml.model.file.as_deref()))
        .is_ok_and(|(found, _)| found == dir.join(onnx))
}

/// `LABEL_0`, `LABEL_1`, … as everywhere, where a folder names no labels.
pub fn default_label(index: usize) -> String {
    format!("LABEL_{index}")
}

/// Where a checkpoint's `onnx` folder was given, the file in use must lie there.
fn check_given_folder(files: &FolderFiles, onnx_file: &Path) -> Result<(), ManifestError> {
    match &files.onnx_dir {
        Some(given) if !onnx_file.starts_with(given) => Err(ManifestError::Invalid {
            path: given.clone(),
            message: format!(
                "the folder above it, whose config.json and tokenizer.json belong to it, would use {}; give {}, and name the file in its ressort.toml: [model] file = \"onnx/…\"",
                onnx_file.display(),
                files.dir.display()
            ),
        }),
        _ => Ok(()),
    }
}

fn require(path: &Path, remedy: &'static str) -> Result<(), ManifestError> {
    match path.is_file() {
        true => Ok(()),
        false => Err(ManifestError::Missing { path: path.to_owned(), remedy }),
    }
}

/// The path of a file that `ressort.toml` names, which must lie in the folder.
fn named_file(dir: &Path, file: &Path, remedy: &'static str) -> Result<PathBuf, ManifestError> {
    walk::check_inside(file, &dir.join("ressort.toml"))?;
    let path = dir.join(file);
    require(&path, remedy)?;
    Ok(path)
}

/// The longest sequence: what `ressort.toml` says, else the smaller of the position table and the tokenizer's limit.
fn max_length(
    dir: &Path,
    config: &ConfigJson,
    tokenizer_config: &TokenizerConfigJson,
    toml: &RessortToml,
    graph: &Graph,
) -> Result<usize, ManifestError> {
    const USUAL: usize = 512;
    const SHORTEST: usize = 8;
    let positions = config.max_positions();
    let found = [positions, tokenizer_config.max_length()].into_iter().flatten().min().unwrap_or(USUAL);
    let found = graph.inputs.length.map_or(found, |fixed| found.min(fixed));
    let max_length = toml.model.max_length.unwrap_or(found);
    let invalid = |message: String| ManifestError::Invalid { path: dir.join("ressort.toml"), message };
    if let Some(fixed) = graph.inputs.length.filter(|&fixed| fixed < SHORTEST || max_length > fixed) {
        return Err(ManifestError::Invalid {
            path: graph.path.clone(),
            message: format!(
                "its inputs are fixed to {fixed} tokens, and windows have {max_length}; set max_length in ressort.toml to {SHORTEST} or more and at most {fixed}, or export the graph with a dynamic sequence axis"
            ),
        });
    }
    if max_length < SHORTEST {
        return Err(invalid(format!(
            "max_length {max_length} is too short for a sentence; set it to at least {SHORTEST}, better to 128 or more"
        )));
    }
    if let Some(positions) = positions.filter(|&positions| max_length > positions) {
        return Err(invalid(format!(
            "max_length {max_length} is more than the {positions} positions of the model (config.json); set it to at most {positions}"
        )));
    }
    Ok(max_length)
}

/// Which heads the model has: those that `ressort.toml` gives an `output`, else the one that the architecture names.
fn heads(
    dir: &Path,
    config: &ConfigJson,
    toml: &RessortToml,
    graph: &Graph,
) -> Result<(Option<TopicHead>, Option<EntityHead>), ManifestError> {
    let declares = |output: Option<&String>| output.is_some();
    let two_heads = declares(toml.topics.as_ref().and_then(|head| head.output.as_ref()))
        && declares(toml.entities.as_ref().and_then(|head| head.output.as_ref()));
    let task = if two_heads { None } else { config.task(&dir.join("config.json"), toml.only_declared())? };
    let wants = |which| two_heads || task == Some(which);
    if let Some(stray) = toml.sections().into_iter().find(|&section| !wants(section)) {
        return Err(ManifestError::Invalid {
            path: dir.join("ressort.toml"),
            message: format!(
                "[{stray}] does not fit: config.json names a model for {other} alone; a model with two heads needs `output` in both [topics] and [entities], else take [{stray}] out",
                other = task.map_or("", |task| task.into_str()),
            ),
        });
    }
    let labels = if two_heads { Vec::new() } else { config.labels(&dir.join("config.json"))? };
    let topics = wants(Task::Topics).then(|| toml.topic_head(dir, config, graph, &labels)).transpose()?;
    let entities = wants(Task::Entities).then(|| toml.entity_head(dir, graph, &labels)).transpose()?;
    Ok((topics, entities))
}
