//! The settings of an evaluation, and why it fails.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::compare::Resampling;
use super::gold::{GoldError, GoldSource};
use super::labels::{LabelError, LabelMap};
use super::predictions::answers_path;
use super::require::{RequireError, Requirement};
use super::run_record::StoreError;
use super::speed::ReadSettings;
use crate::classify::error::ClassifyError;
use crate::inference::settings::RunSettings;
use crate::models::load::LoadError;
use crate::models::spec::ModelSpec;
use crate::system::same_file::is_same_file;

#[derive(Debug, Clone)]
pub struct EvaluateSettings {
    pub gold: GoldSource,
    /// Folders of models, or files of answers. The first is the baseline.
    pub models: Vec<ModelSpec>,
    pub map: LabelMap,
    /// The labels that count; empty for all.
    pub labels: Vec<String>,
    pub read: ReadSettings,
    /// The folder in which answers are kept.
    pub predictions: PathBuf,
    pub run: RunSettings,
    pub resampling: Resampling,
    pub requirements: Vec<Requirement>,
    /// Files that were read before, by their flags.
    pub read_files: Vec<(&'static str, PathBuf)>,
    /// Files for the report, by their flags.
    pub reports: Vec<(&'static str, PathBuf)>,
}

#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error(transparent)]
    Gold(#[from] GoldError),
    #[error(transparent)]
    Labels(#[from] LabelError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Require(#[from] RequireError),
    #[error("model `{name}` cannot be evaluated")]
    Load { name: String, source: Box<LoadError> },
    #[error(transparent)]
    Language(ClassifyError),
    #[error("{flag} {file}: is also {other}, which would be lost; name another file", file = file.display())]
    SameFile { flag: &'static str, file: PathBuf, other: String },
    #[error("two models are called `{0}`; give them different names: NAME=PATH")]
    Duplicate(String),
    #[error("{path}: {n_missing} of {n} documents have no answer, the first is `{first}`; evaluate the model's folder", path = path.display())]
    Unanswered { path: PathBuf, n_missing: usize, n: usize, first: String },
    #[error("no model answers the task that the data is labelled for ({0}); use other data or models")]
    NothingToCompare(String),
}

impl EvaluateSettings {
    /// Checks what can be checked before any file is read.
    pub fn check(&self) -> Result<(), EvaluateError> {
        let mut names = BTreeSet::new();
        if let Some(spec) = self.models.iter().find(|spec| !names.insert(&spec.name)) {
            return Err(EvaluateError::Duplicate(spec.name.clone()));
        }
        self.check_files()?;
        match self.requirements.iter().find(|requirement| requirement.needs_baseline()) {
            Some(requirement) if self.models.len() < 2 => {
                Err(RequireError::NoBaseline(requirement.text.clone()).into())
            }
            _ => Ok(()),
        }
    }

    /// Refuses to write answers or a report in place of a file that is read, or that is written too.
    fn check_files(&self) -> Result<(), EvaluateError> {
        let folders = self.models.iter().filter(|spec| !spec.path.is_file());
        let answers = folders.map(|spec| ("--predictions", answers_path(&self.predictions, &spec.name)));
        let written: Vec<_> = answers.chain(self.reports.iter().cloned()).collect();
        let files = self.models.iter().filter(|spec| spec.path.is_file());
        let read: Vec<_> = [("--data", self.gold.path.clone())]
            .into_iter()
            .chain(files.map(|spec| ("--model", spec.path.clone())))
            .chain(self.read_files.iter().cloned())
            .collect();
        for (index, (flag, file)) in written.iter().enumerate() {
            let others = read.iter().chain(&written[..index]);
            if let Some((other, path)) = others.into_iter().find(|(_, other)| is_same_file(file, other)) {
                let other = format!("{other} {}", path.display());
                return Err(EvaluateError::SameFile { flag, file: file.clone(), other });
            }
        }
        Ok(())
    }
}

impl EvaluateError {
    /// Whether the command line is wrong, rather than a file or a model.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Require(_) | Self::Labels(_) | Self::Duplicate(_) | Self::Language(_) | Self::SameFile { .. }
        )
    }

    pub fn load(spec: &ModelSpec, source: impl Into<LoadError>) -> Self {
        Self::Load { name: spec.name.clone(), source: Box::new(source.into()) }
    }
}
