//! Labels of models and data brought to one vocabulary, and the figures confined to some of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

use super::document::{GoldDocument, LabelledSpan, PredictedDocument, ScoredTopic, in_order};
use crate::manifest::task::Task;

/// New names of labels, for gold and predicted alike; an empty name takes the label out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelMap {
    names: BTreeMap<String, String>,
}

/// `OLD=NEW`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub old: String,
    pub new: String,
}

/// Labels that have no counterpart on the other side, so that they can only be wrong or missed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Unmatched {
    /// The model gives them, and no document has them.
    pub only_model: Vec<String>,
    /// Documents have them, and the model never gives them.
    pub only_gold: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    #[error("`{0}` maps no label; write OLD=NEW (or OLD= to leave OLD out)")]
    Mapping(String),
    #[error("{path}: cannot be read", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}, line {line}: {source}", path = path.display())]
    Line { path: PathBuf, line: usize, source: Box<LabelError> },
    #[error("no label is called {unknown:?}; there are {known:?}")]
    Unknown { unknown: Vec<String>, known: Vec<String> },
}

impl FromStr for Mapping {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let (old, new) = text.split_once('=').ok_or_else(|| LabelError::Mapping(text.to_owned()))?;
        match old.trim() {
            "" => Err(LabelError::Mapping(text.to_owned())),
            old => Ok(Self { old: old.to_owned(), new: new.trim().to_owned() }),
        }
    }
}

impl LabelMap {
    pub fn new(mappings: impl IntoIterator<Item = Mapping>) -> Self {
        Self { names: mappings.into_iter().map(|mapping| (mapping.old, mapping.new)).collect() }
    }

    /// The mappings of a file, one a line; empty lines and lines that begin with `#` are passed over.
    pub fn read(path: &Path) -> Result<Vec<Mapping>, LabelError> {
        let text = std::fs::read_to_string(path).map_err(|source| LabelError::Io { path: path.to_owned(), source })?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let parse = |(index, line): (usize, &str)| {
            line.parse().map_err(|source| LabelError::Line {
                path: path.to_owned(),
                line: index + 1,
                source: Box::new(source),
            })
        };
        lines.map(parse).collect()
    }

    /// The label's new name; `None` where it is left out.
    pub fn apply<'l>(&'l self, label: &'l str) -> Option<&'l str> {
        Some(self.names.get(label).map_or(label, String::as_str)).filter(|label| !label.is_empty())
    }

    pub fn apply_to_gold(&self, document: &GoldDocument) -> GoldDocument {
        let topics = document.topics.as_ref();
        GoldDocument {
            id: document.id.clone(),
            text: document.text.clone(),
            topics: topics
                .map(|topics| topics.iter().filter_map(|label| self.apply(label)).map(str::to_owned).collect()),
            entities: document.entities.as_deref().map(|spans| self.apply_to_spans(spans)),
        }
    }

    /// Topics that come to have one name are one: it has the best of their scores.
    pub fn apply_to_predicted(&self, document: &PredictedDocument) -> PredictedDocument {
        let topics = document.topics.as_ref().map(|topics| {
            let mut renamed: Vec<ScoredTopic> = Vec::new();
            for topic in topics {
                let Some(label) = self.apply(&topic.label) else { continue };
                match renamed.iter_mut().find(|other| other.label == label) {
                    Some(other) => {
                        other.score = other.score.max(topic.score);
                        other.accepted |= topic.accepted;
                    }
                    None => renamed.push(ScoredTopic { label: label.to_owned(), ..*topic }),
                }
            }
            renamed
        });
        let entities = document.entities.as_deref().map(|spans| self.apply_to_spans(spans));
        PredictedDocument { topics, entities, failure: document.failure.clone() }
    }

    fn apply_to_spans(&self, spans: &[LabelledSpan]) -> Vec<LabelledSpan> {
        let rename = |span: &LabelledSpan| Some(LabelledSpan::new(span.start, span.end, self.apply(&span.label)?));
        in_order(spans.iter().filter_map(rename).collect())
    }
}

impl Unmatched {
    pub fn of(model: &BTreeSet<String>, gold: &BTreeSet<String>) -> Self {
        Self {
            only_model: model.difference(gold).cloned().collect(),
            only_gold: gold.difference(model).cloned().collect(),
        }
    }
}

/// The labels that each task is confined to, of those that were `asked` for. A task with none of them is left whole.
///
/// # Errors
/// When a label that is asked for is known to no task.
pub fn confine(
    asked: &[String],
    known: &BTreeMap<Task, BTreeSet<String>>,
) -> Result<BTreeMap<Task, BTreeSet<String>>, LabelError> {
    let unknown: Vec<String> =
        asked.iter().filter(|label| !known.values().any(|labels| labels.contains(*label))).cloned().collect();
    if !unknown.is_empty() {
        return Err(LabelError::Unknown { unknown, known: known.values().flatten().cloned().collect() });
    }
    let kept = |labels: &BTreeSet<String>| {
        let kept: BTreeSet<String> = labels.iter().filter(|label| asked.contains(label)).cloned().collect();
        if kept.is_empty() { labels.clone() } else { kept }
    };
    Ok(known.iter().map(|(task, labels)| (*task, kept(labels))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(mappings: &[&str]) -> LabelMap {
        LabelMap::new(mappings.iter().map(|mapping| mapping.parse().unwrap()))
    }

    #[test]
    fn labels_are_renamed_left_out_or_kept() {
        let map = map(&["PERSON=PER", "OTHderiv=", "Land = LOC"]);
        for (old, new) in [("PERSON", Some("PER")), ("OTHderiv", None), ("Land", Some("LOC")), ("ORG", Some("ORG"))] {
            assert_eq!(map.apply(old), new);
        }
        for bad in ["PERSON", "=PER", " =PER"] {
            assert!(bad.parse::<Mapping>().is_err(), "{bad}");
        }
    }

    #[test]
    fn topics_that_fall_together_have_the_best_score() {
        let topic = |label: &str, score, accepted| ScoredTopic { label: label.into(), score, accepted };
        let topics = vec![topic("a", 0.6, false), topic("b", 0.5, true), topic("c", 0.1, false)];
        let document = PredictedDocument { topics: Some(topics), ..Default::default() };
        let renamed = map(&["b=a"]).apply_to_predicted(&document).topics.unwrap();
        assert_eq!(renamed, [topic("a", 0.6, true), topic("c", 0.1, false)]);
    }

    #[test]
    fn some_labels_confine_their_task_and_no_other() {
        let set = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<BTreeSet<_>>();
        let known = BTreeMap::from([(Task::Topics, set(&["Sport"])), (Task::Entities, set(&["PER", "LOC"]))]);
        let confined = confine(&["PER".into()], &known).unwrap();
        assert_eq!(confined, BTreeMap::from([(Task::Topics, set(&["Sport"])), (Task::Entities, set(&["PER"]))]));
        let error = confine(&["PRE".into()], &known).unwrap_err().to_string();
        assert!(error.contains("\"PRE\"") && error.contains("\"LOC\""), "{error}");
    }
}
