//! What a restart finds again: which models were active, in a small file beside the models.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::manifest::task::Task;
use crate::models::load::Model;
use crate::models::registry::{Assignment, ByTask};
use crate::models::spec::ModelSpec;

/// The active models by task, with the folders that they were loaded from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersistedState {
    topics: Option<PersistedModel>,
    entities: Option<PersistedModel>,
    /// What a rollback brings back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Box<PersistedState>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PersistedModel {
    name: String,
    path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum PersistedStateError {
    #[error("{path}: the saved switch cannot be read; mend or remove the file", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}: the saved switch is damaged; remove the file to start with the default model", path = path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },
}

impl PersistedState {
    pub fn of(active: &Assignment, previous: Option<&Assignment>) -> Self {
        let previous = previous.filter(|previous| is_there(previous, active));
        Self { previous: previous.map(|previous| Box::new(Self::of_one(previous))), ..Self::of_one(active) }
    }

    fn of_one(active: &Assignment) -> Self {
        // Whole, since the next start may happen in another folder.
        let whole = |dir: &Path| dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let saved = |model: &Arc<Model>| PersistedModel { name: model.name.clone(), path: whole(&model.manifest.dir) };
        let model = |task| active.get(task).map(saved);
        Self { topics: model(Task::Topics), entities: model(Task::Entities), previous: None }
    }

    /// What was saved; `None` where nothing was.
    pub fn read(path: &Path) -> Result<Option<Self>, PersistedStateError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(PersistedStateError::Io { path: path.to_owned(), source }),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|source| PersistedStateError::Damaged { path: path.to_owned(), source })
    }

    /// Writes beside the place and renames, so that a kill leaves the old file or the new one.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("tmp");
        std::fs::write(&beside, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(beside, path)
    }

    /// The models to load, each once.
    pub fn specs(&self) -> Vec<ModelSpec> {
        let mut specs: Vec<ModelSpec> = Vec::new();
        for PersistedModel { name, path } in self.topics.iter().chain(&self.entities) {
            if !specs.iter().any(|spec| spec.name == *name) {
                specs.push(ModelSpec { name: name.clone(), path: path.clone() });
            }
        }
        specs
    }

    pub fn active(&self) -> ByTask<String> {
        let name = |model: &Option<PersistedModel>| model.as_ref().map(|model| model.name.clone());
        ByTask { topics: name(&self.topics), entities: name(&self.entities) }
    }
}

/// Whether a restart could load `previous`: not an older version of an active model, since its folder holds the new one.
fn is_there(previous: &Assignment, active: &Assignment) -> bool {
    let replaced = |old: &Arc<Model>| active.iter().any(|new| new.name == old.name && new.version != old.version);
    !previous.iter().any(replaced)
}
