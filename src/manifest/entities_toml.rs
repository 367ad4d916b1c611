//! `[entities]` of a `ressort.toml`: how the logits of an entity head are read.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::toml_values::{all_different, clean, invalid, or_default, temperature, threshold, word};
use super::{EntityHead, Graph, ManifestError, named_file};
use crate::manifest::tags::{entity_labels, parse_tags, rename_tags};
use crate::manifest::task::{AggregationStrategy, GraphScores, Task};
use crate::system::choice::suggestion;

/// Enough to turn a doubtful reading, and little enough for a clear one to stay.
const DEFAULT_NAMES_WEIGHT: f32 = 3.0;

const MAX_NAMES_WEIGHT: f32 = 20.0;

const NAMES_REMEDY: &str = "`names` in ressort.toml names it; put the list of names there, or take `names` out";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntitiesSection {
    pub output: Option<String>,
    /// Tags (`O`, `B-PER`, …) instead of the `id2label` of the `config.json`.
    labels: Option<Vec<String>>,
    /// New names for entity types of the `config.json` (`PERSON = "PER"`), or for whole tags (`LABEL_1 = "B-PER"`).
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "word")]
    aggregation: Option<AggregationStrategy>,
    temperature: Option<f32>,
    /// Score that a name must reach.
    threshold: Option<f32>,
    #[serde(default)]
    one_label_per_name: bool,
    #[serde(default)]
    skip_blank_tokens: bool,
    /// The list of names with their labels, relative to the folder.
    pub names: Option<PathBuf>,
    names_weight: Option<f32>,
}

impl EntitiesSection {
    /// The entity head, with `labels` of the `config.json` where the section has none. `path` is that of the file.
    pub fn head(&self, path: &Path, dir: &Path, graph: &Graph, labels: &[String]) -> Result<EntityHead, ManifestError> {
        clean(path, self.labels.iter().flatten().chain(self.rename.values()).map(String::as_str))?;
        if let Some(own) = &self.labels {
            all_different(path, own.iter().map(String::as_str))?;
            if let Some((tag, meant)) = mistyped_letter(own) {
                let message =
                    format!("the label `{tag}` begins with no letter of BIO or BIOES; did you mean `{meant}`?");
                return Err(invalid(path, message));
            }
        }
        let given = self.labels.as_deref().unwrap_or(labels);
        let output = graph.head_output(self.output.as_deref(), Task::Entities, given.len())?;
        let given = &*or_default(given, graph, &output);
        let tags = match given {
            // How many there are, the trial run shows, which also renames them.
            [] => Vec::new(),
            _ => rename_tags(given, &self.rename).map_err(|name| unknown(path, &name, given))?,
        };
        let aggregation = self.aggregation.unwrap_or(AggregationStrategy::First);
        Ok(EntityHead {
            one_label_per_name: self.one_label_per_name(path, aggregation, graph.scores(&output))?,
            skips_blank_tokens: self.skip_blank_tokens,
            names_file: self.names_file(path, dir, aggregation)?,
            names_weight: self.names_weight(path)?,
            scores: graph.scores(&output),
            output,
            tags,
            rename: self.rename.clone(),
            aggregation,
            temperature: temperature(path, self.temperature)?,
            threshold: threshold(path, "[entities]", self.threshold.unwrap_or(0.0))?,
        })
    }

    fn one_label_per_name(
        &self,
        path: &Path,
        aggregation: AggregationStrategy,
        scores: Option<GraphScores>,
    ) -> Result<bool, ManifestError> {
        let needs = |what: String| {
            Err(invalid(path, format!("one_label_per_name needs {what}, or leave one_label_per_name out")))
        };
        match self.one_label_per_name {
            true if aggregation != AggregationStrategy::Viterbi => {
                needs(format!("`aggregation = \"viterbi\"`, not `{aggregation}`; set that"))
            }
            true if scores == Some(GraphScores::Sigmoid) => {
                needs("scores that sum to 1, and this graph ends in a sigmoid; export its logits".to_owned())
            }
            given => Ok(given),
        }
    }

    fn names_file(
        &self,
        path: &Path,
        dir: &Path,
        aggregation: AggregationStrategy,
    ) -> Result<Option<PathBuf>, ManifestError> {
        let Some(file) = &self.names else { return Ok(None) };
        if aggregation != AggregationStrategy::Viterbi {
            return Err(invalid(
                path,
                format!("names needs `aggregation = \"viterbi\"`, not `{aggregation}`; set that, or leave names out"),
            ));
        }
        named_file(dir, file, NAMES_REMEDY).map(Some)
    }

    fn names_weight(&self, path: &Path) -> Result<f32, ManifestError> {
        match self.names_weight.unwrap_or(DEFAULT_NAMES_WEIGHT) {
            weight if self.names.is_none() && self.names_weight.is_some() => {
                Err(invalid(path, format!("names_weight {weight} needs `names`, the file of the list of names")))
            }
            weight if weight > 0.0 && weight <= MAX_NAMES_WEIGHT => Ok(weight),
            weight => Err(invalid(
                path,
                format!(
                    "names_weight {weight} must be above 0 and at most {MAX_NAMES_WEIGHT}; {DEFAULT_NAMES_WEIGHT} is the default, and the models that ship use 6"
                ),
            )),
        }
    }
}

/// The first tag with a mistyped letter, and what was meant. Next to `B-PER`, `J-PER` is read as another type, so that each name of a
/// person ends after its first word.
fn mistyped_letter(tags: &[String]) -> Option<(&str, String)> {
    let types: HashSet<&str> = tags.iter().filter_map(|tag| tag.strip_prefix("B-")).collect();
    tags.iter().find_map(|tag| {
        let (letter, label) = tag.split_once('-')?;
        let is_mistyped = letter.chars().count() == 1 && !"BIESLUM".contains(letter) && types.contains(label);
        is_mistyped.then(|| (tag.as_str(), format!("I-{label}")))
    })
}

fn unknown(path: &Path, name: &str, known: &[String]) -> ManifestError {
    let tags = parse_tags(known);
    let suggested = suggestion(name, entity_labels(&tags).into_iter().chain(known.iter().map(String::as_str)));
    let known = known.join("`, `");
    invalid(path, format!("rename names `{name}`, which is no label of the model{suggested}; it has `{known}`"))
}
