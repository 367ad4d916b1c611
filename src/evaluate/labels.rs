//! One vocabulary for the labels of models and data, and the choice of labels that count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

use super::document::DocumentLabels;
use crate::manifest::task::Task;
use crate::system::file_start::read_text;

/// Labels of each task; a task without labels may be present.
pub type LabelsByTask = BTreeMap<Task, BTreeSet<String>>;

/// New names of labels, for gold and predicted ones; an empty name removes the label.
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

/// Labels without a counterpart on the other side. They can only be wrong or missed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Unmatched {
    /// The model gives them, and no document has them.
    pub only_model: Vec<String>,
    /// Documents have them, and the model never gives them.
    pub only_gold: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    #[error("`{0}` is not a mapping; write OLD=NEW (or OLD= to leave OLD out)")]
    Mapping(String),
    #[error("{path}: cannot be read", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}, line {line}", path = path.display())]
    Line { path: PathBuf, line: usize, source: Box<LabelError> },
    #[error("no label is called {}; there are {}", in_ticks(unknown), in_ticks(known))]
    Unknown { unknown: Vec<String>, known: Vec<String> },
}

impl FromStr for Mapping {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        match text.split_once('=').map(|(old, new)| (old.trim(), new.trim())) {
            None | Some(("", _)) => Err(LabelError::Mapping(text.to_owned())),
            Some((old, new)) => Ok(Self { old: old.to_owned(), new: new.to_owned() }),
        }
    }
}

impl LabelMap {
    pub fn new(mappings: impl IntoIterator<Item = Mapping>) -> Self {
        Self { names: mappings.into_iter().map(|mapping| (mapping.old, mapping.new)).collect() }
    }

    /// The mappings of a file, one a line; empty lines and lines that begin with `#` are skipped.
    pub fn read(path: &Path) -> Result<Vec<Mapping>, LabelError> {
        let text = read_text(path).map_err(|source| LabelError::Io { path: path.to_owned(), source })?;
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
}

impl Unmatched {
    pub fn of(model: &BTreeSet<String>, gold: &BTreeSet<String>) -> Self {
        Self {
            only_model: model.difference(gold).cloned().collect(),
            only_gold: gold.difference(model).cloned().collect(),
        }
    }
}

/// All labels of some documents.
pub fn collect_labels<'d>(documents: impl IntoIterator<Item = DocumentLabels<'d>>) -> LabelsByTask {
    let mut all = LabelsByTask::new();
    for (task, labels) in documents.into_iter().flatten() {
        if let Some(labels) = labels {
            all.entry(task).or_default().extend(labels.into_iter().map(str::to_owned));
        }
    }
    all
}

fn in_ticks(labels: &[String]) -> String {
    labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ")
}

/// A list of labels was split at its commas, and a label may have some (`Justiz, Kriminalität`).
fn whole_labels(parts: &[String], known: &LabelsByTask) -> Vec<String> {
    let is_known = |label: &str| known.values().any(|labels| labels.contains(label));
    let mut whole = Vec::new();
    let mut start = 0;
    while start < parts.len() {
        let longest = (start + 1..=parts.len()).rev().map(|end| (end, parts[start..end].join(",").trim().to_owned()));
        let (end, label) = longest
            .into_iter()
            .find(|(_, label)| is_known(label))
            .unwrap_or_else(|| (start + 1, parts[start].trim().to_owned()));
        whole.push(label);
        start = end;
    }
    whole
}

/// The labels that count for each task: those of `chosen`. A task without a chosen label keeps all of its labels.
///
/// # Errors
/// When no task has one of the chosen labels.
pub fn choose_labels(chosen: &[String], known: &LabelsByTask) -> Result<LabelsByTask, LabelError> {
    let chosen = &whole_labels(chosen, known);
    let unknown: Vec<String> =
        chosen.iter().filter(|label| !known.values().any(|labels| labels.contains(*label))).cloned().collect();
    if !unknown.is_empty() {
        return Err(LabelError::Unknown { unknown, known: known.values().flatten().cloned().collect() });
    }
    let kept = |labels: &BTreeSet<String>| {
        let kept: BTreeSet<String> = labels.iter().filter(|label| chosen.contains(label)).cloned().collect();
        if kept.is_empty() { labels.clone() } else { kept }
    };
    Ok(known.iter().map(|(task, labels)| (*task, kept(labels))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_renamed_left_out_or_kept() {
        let map = LabelMap::new(["PERSON=PER", "OTHderiv=", "Land = LOC"].map(|mapping| mapping.parse().unwrap()));
        for (old, new) in [("PERSON", Some("PER")), ("OTHderiv", None), ("Land", Some("LOC")), ("ORG", Some("ORG"))] {
            assert_eq!(map.apply(old), new);
        }
        for bad in ["PERSON", "=PER", " =PER"] {
            assert!(bad.parse::<Mapping>().is_err(), "{bad}");
        }
    }

    #[test]
    fn chosen_labels_narrow_their_task_and_no_other() {
        let set = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<BTreeSet<_>>();
        let known = BTreeMap::from([(Task::Topics, set(&["Sport"])), (Task::Entities, set(&["PER", "LOC"]))]);
        let with_commas = BTreeMap::from([(Task::Topics, set(&["Justiz, Kriminalität", "Justiz", "Sport"]))]);
        for (parts, labels) in [
            (vec!["Justiz", " Kriminalität", " Sport"], vec!["Justiz, Kriminalität", "Sport"]),
            (vec!["Justiz", "Sport"], vec!["Justiz", "Sport"]),
            (vec!["Sport", "Justiz", " Kriminalität"], vec!["Justiz, Kriminalität", "Sport"]),
        ] {
            let parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
            assert_eq!(choose_labels(&parts, &with_commas).unwrap()[&Task::Topics], set(&labels));
        }
        let chosen = choose_labels(&["PER".into()], &known).unwrap();
        assert_eq!(chosen, BTreeMap::from([(Task::Topics, set(&["Sport"])), (Task::Entities, set(&["PER"]))]));
        let error = choose_labels(&["PRE".into()], &known).unwrap_err().to_string();
        assert!(error.contains("called `PRE`;") && error.ends_with("`LOC`, `PER`"), "{error}");
    }
}
