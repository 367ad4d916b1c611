//! What a registry holds at one moment: the loaded models, which of them answer, and what a rollback activates.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::manifest::task::{Task, Tasks};
use crate::models::assignment::{AssignError, Assignment, ByTask, check_able};
use crate::models::load::Model;

/// What requests see; never changed, only replaced.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) models: BTreeMap<String, Arc<Model>>,
    pub(super) active: Assignment,
    /// What was active before the last switch.
    pub(super) previous: Option<Assignment>,
    /// The version of each model folder when it was last loaded. After a rollback an older one may be active.
    folders: BTreeMap<PathBuf, String>,
}

impl State {
    pub(super) fn assign(&self, tasks: Option<Tasks>, named: &ByTask<String>) -> Result<Assignment, AssignError> {
        let model_for = |task: Task| {
            let wanted = tasks.is_none_or(|tasks| tasks.contains(task));
            match (named.get(task), self.active.get(task)) {
                _ if !wanted => Ok(None),
                (Some(name), _) => self.able(name, task).map(Some),
                (None, Some(model)) => Ok(Some(Arc::clone(model))),
                (None, None) if tasks.is_some() => Err(AssignError::NotServed { task }),
                (None, None) => Ok(None),
            }
        };
        Ok(ByTask { topics: model_for(Task::Topics)?, entities: model_for(Task::Entities)? })
    }

    pub(super) fn named(&self, name: &str) -> Result<Arc<Model>, AssignError> {
        self.models.get(name).cloned().ok_or_else(|| AssignError::Unknown {
            name: name.to_owned(),
            loaded: self.models.keys().cloned().collect(),
        })
    }

    fn able(&self, name: &str, task: Task) -> Result<Arc<Model>, AssignError> {
        let model = self.named(name)?;
        check_able(&model, task)?;
        Ok(model)
    }

    /// Adds a model. It takes the place of that of its name, also as the active one. A model of the same version is the same
    /// model: there is no switch, and a rollback still has its target.
    pub(super) fn insert(&mut self, model: &Arc<Model>) -> Result<(), AssignError> {
        let active = self.active.replace(model)?;
        self.active = self.active.renew(model);
        self.previous = self.previous.take().map(|previous| previous.renew(model));
        self.switch(active);
        self.add(Arc::clone(model));
        Ok(())
    }

    /// Adds a model that is not active.
    pub(super) fn add(&mut self, model: Arc<Model>) {
        self.folders.insert(model.manifest.dir.clone(), model.version.clone());
        self.models.insert(model.name.clone(), model);
    }

    /// Whether the folder of `model` held this version when it was last loaded.
    pub(super) fn was_loaded(&self, model: &Model, version: &str) -> bool {
        self.folders.get(&model.manifest.dir).is_some_and(|loaded| loaded == version)
    }

    /// Makes `active` active and keeps what was; a switch to what is active already is none.
    pub(super) fn switch(&mut self, active: Assignment) {
        if !active.is(&self.active) {
            self.previous = Some(std::mem::replace(&mut self.active, active));
        }
    }
}
