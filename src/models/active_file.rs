//! The persisted state: which models were active, in a small file next to the models, for the next start.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::manifest::task::Task;
use crate::models::assignment::{Assignment, ByTask};
use crate::models::load::Model;
use crate::models::spec::ModelSpec;
use crate::system::atomic_file;

/// The active models by task, with the folders that they were loaded from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersistedState {
    topics: Option<PersistedModel>,
    entities: Option<PersistedModel>,
    /// The models that a rollback activates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Box<PersistedState>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PersistedModel {
    name: String,
    path: PathBuf,
    /// The version that was active. After it the folder may have been replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum PersistedStateError {
    #[error("the saved active models cannot be read")]
    Io(#[from] io::Error),
    #[error("the saved active models are damaged")]
    Damaged(#[from] serde_json::Error),
    #[error("the saved active models are damaged: they name no model")]
    Empty,
}

impl PersistedState {
    pub fn of(active: &Assignment, previous: Option<&Assignment>) -> Self {
        let previous = previous.filter(|previous| can_be_loaded(previous, active));
        Self { previous: previous.map(|previous| Box::new(Self::of_one(previous))), ..Self::of_one(active) }
    }

    fn of_one(active: &Assignment) -> Self {
        // Absolute, since the next start may have another working folder.
        let absolute = |dir: &Path| dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let persisted = |model: &Arc<Model>| PersistedModel {
            name: model.name.clone(),
            path: absolute(&model.manifest.dir),
            version: Some(model.version.clone()),
        };
        let model = |task| active.get(task).map(persisted);
        Self { topics: model(Task::Topics), entities: model(Task::Entities), previous: None }
    }

    /// The state in the file at `path`; `None` where there is no file.
    pub fn read(path: &Path) -> Result<Option<Self>, PersistedStateError> {
        let file = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => File::open(path)?,
            // Opening a pipe would wait for a writer.
            Ok(_) => return Err(not_a_file().into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text)?;
        let state: Self = serde_json::from_str(&text)?;
        let is_empty = state.topics.is_none() && state.entities.is_none();
        if is_empty { Err(PersistedStateError::Empty) } else { Ok(Some(state)) }
    }

    /// The version of the model of this name that was active; `None` where a program saved it that did not keep versions.
    pub fn version(&self, name: &str) -> Option<&str> {
        let model = self.topics.iter().chain(&self.entities).find(|model| model.name == name)?;
        model.version.as_deref()
    }

    /// Renames a file that is of no use to the next free of `NAME.unusable-1`, `NAME.unusable-2`, …, and returns its new path.
    pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
        check_is_file(path)?;
        let mut n = 1;
        loop {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".unusable-{n}"));
            let aside = PathBuf::from(name);
            if !aside.try_exists()? {
                std::fs::rename(path, &aside)?;
                return Ok(aside);
            }
            n += 1;
        }
    }

    /// Replaces the file at `path`: a crash or a power failure leaves the old state or the new one.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        check_is_file(path)?;
        atomic_file::replace(path, &serde_json::to_vec_pretty(self)?)
    }

    /// The models to load, each once.
    pub fn specs(&self) -> Vec<ModelSpec> {
        let mut specs: Vec<ModelSpec> = Vec::new();
        for PersistedModel { name, path, .. } in self.topics.iter().chain(&self.entities) {
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

/// A folder or a device that `--state-file` names by mistake must not be renamed or replaced.
fn check_is_file(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(not_a_file()),
        _ => Ok(()),
    }
}

fn not_a_file() -> io::Error {
    io::Error::other("it is not a regular file; name a file with --state-file")
}

/// More than any state takes.
const MAX_BYTES: u64 = 1 << 20;

/// Whether a restart could load `previous`. It cannot load an older version of an active model, whose folder holds the new one.
fn can_be_loaded(previous: &Assignment, active: &Assignment) -> bool {
    let replaced = |old: &Arc<Model>| active.iter().any(|new| new.name == old.name && new.version != old.version);
    !previous.iter().any(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_state_is_replaced_as_a_whole_and_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".active.json");
        let state = |name: &str| PersistedState {
            topics: Some(PersistedModel { name: name.into(), path: "/models".into(), version: None }),
            entities: None,
            previous: None,
        };
        state("old").write(&path).unwrap();
        let synced = atomic_file::observed::syncs(&path, || state("new").write(&path).unwrap());
        assert_eq!(synced.len(), 2, "the content and the folder: {synced:?}");
        assert!(synced[0].1.contains("\"old\"") && synced[1].1.contains("\"new\""), "{synced:?}");
        assert_eq!(PersistedState::read(&path).unwrap(), Some(state("new")));
    }

    #[test]
    fn what_is_no_file_is_neither_renamed_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes.txt"), "kept").unwrap();
        let state = PersistedState { topics: None, entities: None, previous: None };
        for error in [
            PersistedState::read(folder.path()).unwrap_err().to_string(),
            PersistedState::set_aside(folder.path()).unwrap_err().to_string(),
            state.write(folder.path()).unwrap_err().to_string(),
        ] {
            assert!(error.contains("not a regular file") || error.contains("cannot be read"), "{error}");
        }
        assert!(folder.path().join("notes.txt").exists());
    }

    #[test]
    fn a_state_without_models_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".active.json");
        for content in [r#"{"topics": null, "entities": null}"#, "{}"] {
            std::fs::write(&path, content).unwrap();
            assert!(PersistedState::read(&path).unwrap_err().to_string().contains("damaged"), "{content}");
        }
    }
}
