//! The record of a run: what its answers were made from and what they cost. It is stored with them as `NAME.run.json`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::classify::error::ClassifyError;
use crate::inference::settings::Provider;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of the program; records of older versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The execution provider that the model ran on; records of older versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Content hash of the model's folder.
    pub model_version: String,
    /// How its integer products were computed: `float`, `exact` or `saturating`; records of older versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<String>,
    /// Content hash of the labelled data.
    pub data_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregation: Option<String>,
    /// The switches of text rules, as on the command line; empty without any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text_rules: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_language: Option<String>,
    /// Entity labels that the model can give.
    pub entity_labels: BTreeSet<String>,
    /// Of the run that wrote the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
}

/// The version of this program, as records have it.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// What a model's answers cost on this machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Speed {
    /// Documents that were read for `documents_per_s`, several at a time.
    pub n_documents: usize,
    pub documents_per_s: f64,
    /// Where the model ran.
    pub execution_provider: String,
    /// Runs that happened at the same time.
    pub streams: usize,
    /// From a document to its answer, one document at a time.
    pub p50_ms: f64,
    pub p95_ms: f64,
    /// Growth of the process from before the model was loaded to after its last answer; `None` where the system does not
    /// report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: cannot be read or written", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}, line {line}: {message}; each line must be one answer of the API", path = path.display())]
    Line { path: PathBuf, line: usize, message: String },
    #[error(
        "{path}: the answers were made by {made_by}, and this is {this}; evaluate the model's folder instead of the file",
        path = path.display()
    )]
    Foreign { path: PathBuf, made_by: String, this: String },
    #[error("document `{document}`: the model cannot answer; run the same command again to resume")]
    Stopped { document: String, source: ClassifyError },
}

impl RunRecord {
    /// The record of the answers in the file at `answers`; `None` where there is none.
    pub fn read(answers: &Path) -> Result<Option<Self>, StoreError> {
        let path = Self::path(answers);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| StoreError::Line {
                line: error.line(),
                message: error.to_string(),
                path,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    pub fn write(&self, answers: &Path) -> Result<(), StoreError> {
        let path = Self::path(answers);
        let json = serde_json::to_vec_pretty(self).map_err(io::Error::from);
        json.and_then(|json| fs::write(&path, json)).map_err(|source| StoreError::Io { path, source })
    }

    /// Whether a run that is described by `other` would give the same answers.
    pub fn has_answers_of(&self, other: &Self) -> bool {
        (&self.program, &self.provider) == (&other.program, &other.provider)
            && (&self.model_version, &self.arithmetic, &self.data_version)
                == (&other.model_version, &other.arithmetic, &other.data_version)
            && (&self.aggregation, &self.text_rules, &self.label_language)
                == (&other.aggregation, &other.text_rules, &other.label_language)
    }

    /// Refuses to judge answers of another version of the program, or of an execution provider that is not among `providers`.
    pub fn check_origin(&self, answers: &Path, providers: &[Provider]) -> Result<(), StoreError> {
        let foreign =
            |made_by: String, this: String| Err(StoreError::Foreign { path: answers.to_owned(), made_by, this });
        let providers: Vec<String> = providers.iter().chain([&Provider::Cpu]).map(Provider::to_string).collect();
        match (&self.program, &self.provider) {
            (Some(program), _) if program != PROGRAM => {
                foreign(format!("ressort {program}"), format!("ressort {PROGRAM}"))
            }
            (None, _) => foreign("an earlier version of ressort".to_owned(), format!("ressort {PROGRAM}")),
            (_, Some(provider)) if !providers.contains(provider) => {
                foreign(format!("`{provider}`"), format!("a run on `{}`", providers.join("` or `")))
            }
            _ => Ok(()),
        }
    }

    fn path(answers: &Path) -> PathBuf {
        answers.with_extension("run.json")
    }
}
