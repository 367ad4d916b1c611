//! The answers of one model to all documents, read from its file and brought to the labels that count.

use std::collections::BTreeSet;
use std::path::Path;

use super::document::{GoldDocument, PredictedDocument};
use super::gold::Gold;
use super::labels::{LabelMap, LabelsByTask, collect_labels};
use super::predictions::StoredAnswers;
use super::run_record::{RunRecord, Speed};
use super::settings::EvaluateError;
use crate::inference::settings::Provider;
use crate::manifest::task::Task;
use crate::models::spec::ModelSpec;

#[derive(Debug, Clone, PartialEq)]
pub struct ModelAnswers {
    pub name: String,
    pub version: Option<String>,
    /// In the order of the data.
    pub documents: Vec<PredictedDocument>,
    /// What the model can give, by task; a task that it cannot do is missing.
    pub labels: LabelsByTask,
    pub speed: Option<Speed>,
}

impl ModelAnswers {
    /// The answers in a file that stands for a model; `providers` are those that the run may use.
    pub fn of_file(spec: &ModelSpec, gold: &Gold, providers: &[Provider]) -> Result<Self, EvaluateError> {
        if let Some(record) = RunRecord::read(&spec.path)? {
            record.check_origin(&spec.path, providers)?;
        }
        Self::read(&spec.name, &spec.path, gold)
    }

    /// The answers of model `name` in the file at `path`.
    pub fn read(name: &str, path: &Path, gold: &Gold) -> Result<Self, EvaluateError> {
        let mut stored = StoredAnswers::read(path, gold)?;
        let missing: Vec<&GoldDocument> =
            gold.documents.iter().filter(|document| !stored.by_id.contains_key(&document.id)).collect();
        if let [first, ..] = missing.as_slice() {
            let (n_missing, n, first) = (missing.len(), gold.documents.len(), first.id.clone());
            return Err(EvaluateError::Unanswered { path: path.to_owned(), n_missing, n, first });
        }
        let documents: Vec<_> =
            gold.documents.iter().filter_map(|document| stored.by_id.remove(&document.id)).collect();
        let record = RunRecord::read(path)?;
        let mut labels = collect_labels(documents.iter().map(PredictedDocument::labels));
        if let (Some(entities), Some(record)) = (labels.get_mut(&Task::Entities), &record) {
            entities.extend(record.entity_labels.iter().cloned());
        }
        Ok(Self {
            name: name.to_owned(),
            version: stored.model_version.or(record.as_ref().map(|record| record.model_version.clone())),
            documents,
            labels,
            speed: record.and_then(|record| record.speed),
        })
    }

    pub fn renamed(self, map: &LabelMap) -> Self {
        let documents = self.documents.iter().map(|document| document.map_labels(|_, label| map.apply(label)));
        Self { documents: documents.collect(), labels: rename_labels(&self.labels, map), ..self }
    }

    /// The answers with the labels of `counted` only.
    pub fn restricted(self, counted: &LabelsByTask) -> Self {
        let documents = self.documents.iter().map(|document| document.map_labels(keep(counted)));
        Self { documents: documents.collect(), labels: restrict_labels(&self.labels, counted), ..self }
    }
}

/// The labels under their new names.
pub fn rename_labels(labels: &LabelsByTask, map: &LabelMap) -> LabelsByTask {
    let rename = |labels: &BTreeSet<String>| {
        labels.iter().filter_map(|label| map.apply(label)).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    labels.iter().map(|(task, labels)| (*task, rename(labels))).collect()
}

/// Those of `labels` that `counted` has too, by task.
pub fn restrict_labels(labels: &LabelsByTask, counted: &LabelsByTask) -> LabelsByTask {
    let kept = |(task, labels): (&Task, &BTreeSet<String>)| {
        (*task, counted.get(task).map(|counted| labels & counted).unwrap_or_default())
    };
    labels.iter().map(kept).collect()
}

/// Keeps a label that counts for its task, and removes all others.
pub fn keep<'l>(counted: &'l LabelsByTask) -> impl Fn(Task, &'l str) -> Option<&'l str> {
    |task, label| counted.get(&task).is_some_and(|labels| labels.contains(label)).then_some(label)
}
