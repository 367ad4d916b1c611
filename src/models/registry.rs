//! The loaded models by name, and which of them is active for which task.
//!
//! A request takes its models once, as an [`Assignment`], and uses them throughout. A change is prepared while the models in use
//! answer, and then becomes visible by one atomic switch. So no request is lost, and none sees half of a change. The models that
//! a change replaces are kept until the next one, for [`Registry::rollback`].

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Mutex, MutexGuard};

use crate::inference::settings::RunSettings;
use crate::manifest::content_hash;
use crate::manifest::task::{Task, Tasks};
use crate::models::active_file::PersistedState;
pub use crate::models::assignment::{AssignError, Assignment, ByTask};
use crate::models::load::{Incomplete, LoadError, Model};
pub use crate::models::registry_error::{RegistryError, Use};
use crate::models::spec::ModelSpec;
use crate::models::state::State;
use crate::system::background::{self, BackgroundError};
use crate::system::metric_names::MODEL_CHANGES;

pub struct Registry {
    state: ArcSwap<State>,
    /// Held while a change is made and saved: one at a time, so that the file holds the last one.
    changing: Mutex<()>,
    settings: RunSettings,
    /// The file that keeps the active models for the next start.
    pub state_file: Option<PathBuf>,
    /// What a rollback activated before the restart, until [`Registry::remember`] has loaded it. So a change before it does not
    /// take it out of the file.
    pub unrestored: ArcSwapOption<PersistedState>,
}

/// A model that answers, with its other sessions left to open.
pub struct StartingModel {
    pub model: Arc<Model>,
    incomplete: Incomplete,
}

/// Under which conditions a model is removed.
pub struct Removal<'s> {
    /// Whether a model is the shadow model.
    pub is_shadow: &'s (dyn Fn(&Model) -> bool + Sync),
    /// Whether the model may be one that a rollback would activate.
    pub forget_rollback: bool,
}

/// What a change has led to.
#[derive(Clone)]
pub struct Change {
    pub before: Assignment,
    pub active: Assignment,
    /// Whether the next start restores it.
    pub saved: bool,
}

impl Registry {
    /// Loads every model of `specs` with all its sessions, one after the other. For a task that `active` leaves open, the first
    /// that gives it.
    pub async fn load(
        specs: &[ModelSpec],
        active: ByTask<String>,
        settings: &RunSettings,
    ) -> Result<Self, RegistryError> {
        let (registry, starting) = Self::start(specs, active, settings).await?;
        for model in starting {
            let name = model.model.name.clone();
            model.complete().await.map_err(load_error(name))?;
        }
        Ok(registry)
    }

    /// Like [`Registry::load`], but opens only the first session of each model. The caller opens the others with
    /// [`StartingModel::complete`].
    pub async fn start(
        specs: &[ModelSpec],
        active: ByTask<String>,
        settings: &RunSettings,
    ) -> Result<(Self, Vec<StartingModel>), RegistryError> {
        let (mut models, mut starting): (Vec<Arc<Model>>, _) = (Vec::new(), Vec::new());
        for spec in specs {
            if models.iter().any(|model| model.name == spec.name) {
                return Err(RegistryError::Duplicate(spec.name.clone()));
            }
            let (model, incomplete) = Model::start(spec, settings).await.map_err(load_error(spec.name.clone()))?;
            let model = Arc::new(model);
            starting.push(StartingModel { model: Arc::clone(&model), incomplete });
            models.push(model);
        }
        declare_changes();
        let first_for = |task| models.iter().find(|model| model.answers(task)).map(|model| model.name.clone());
        let active = ByTask {
            topics: active.topics.or_else(|| first_for(Task::Topics)),
            entities: active.entities.or_else(|| first_for(Task::Entities)),
        };
        let mut state = State::default();
        models.into_iter().for_each(|model| state.add(model));
        state.active = state.assign(None, &active)?;
        let registry = Self {
            state: ArcSwap::from_pointee(state),
            changing: Mutex::default(),
            settings: settings.clone(),
            state_file: None,
            unrestored: ArcSwapOption::empty(),
        };
        Ok((registry, starting))
    }

    /// All models by name. After a rollback an active model may have the name of a newer version; the active one comes first.
    pub fn models(&self) -> Vec<Arc<Model>> {
        let state = self.state.load();
        let mut models: Vec<Arc<Model>> = Vec::new();
        for model in state.active.iter().chain(state.models.values()) {
            if !models.iter().any(|listed| Arc::ptr_eq(listed, model)) {
                models.push(Arc::clone(model));
            }
        }
        // Stable, so that the active one stays first among those of its name.
        models.sort_by(|a, b| a.name.cmp(&b.name));
        models
    }

    /// The models that answer where a request names none.
    pub fn active(&self) -> Assignment {
        self.state.load().active.clone()
    }

    /// The models for a request: those that it names, else the active ones. Without `tasks` it gets all tasks that are served.
    pub fn assign(&self, tasks: Option<Tasks>, named: &ByTask<String>) -> Result<Assignment, AssignError> {
        self.state.load().assign(tasks, named)
    }

    /// The loaded model of this name.
    pub fn named(&self, name: &str) -> Result<Arc<Model>, AssignError> {
        self.state.load().named(name)
    }

    /// Keeps every change of models out while the guard lives.
    pub async fn hold_changes(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Loads a model in addition to the others, or a new version in place of the one of its name. If that one is active, the new
    /// one becomes active. If it cannot be loaded, everything stays as it is.
    pub async fn put(&self, spec: &ModelSpec) -> Result<(Arc<Model>, Change), RegistryError> {
        let _changing = self.changing.lock().await;
        let before = self.active();
        let model = counted("load", self.load_and_insert(spec, None).await)?;
        Ok((model, self.saved(before).await))
    }

    /// `before` is what was active before the first of several loads that a rollback undoes together. The caller holds `changing`.
    async fn load_and_insert(
        &self,
        spec: &ModelSpec,
        before: Option<&Assignment>,
    ) -> Result<Arc<Model>, RegistryError> {
        let model = load_model(spec, &self.settings).await?;
        self.change(|state| {
            state.insert(&model)?;
            if let Some(before) = before.filter(|before| !before.is(&state.active)) {
                state.previous = Some(before.clone());
            }
            Ok(())
        })
        .await?;
        Ok(model)
    }

    /// Reloads every model whose folder holds another version than when it was last loaded. So a version that was rolled back
    /// stays so. One rollback undoes all of it. Returns the result for each of these, and for each whose folder cannot be read.
    /// Nothing is saved, since the names of the active models stay.
    pub async fn put_changed(&self) -> Vec<(String, Result<Arc<Model>, RegistryError>)> {
        let _changing = self.changing.lock().await;
        let (before, mut results) = (self.active(), Vec::new());
        for model in self.models() {
            let spec = spec_of(&model);
            match version_now(&spec).await {
                Ok(version) if self.state.load().was_loaded(&model, &version) => {}
                Ok(_) => {
                    let loaded = self.load_and_insert(&spec, Some(&before)).await;
                    results.push((spec.name, counted("reload", loaded)));
                }
                Err(error) => results.push((spec.name, counted("reload", Err(error)))),
            }
        }
        if results.iter().any(|(_, loaded)| loaded.is_ok()) {
            self.save().await;
        }
        results
    }

    /// Whether the folder of `model` held another version when it was last loaded, such as one that was rolled back.
    pub fn is_of_older_folder(&self, model: &Model) -> bool {
        !self.state.load().was_loaded(model, &model.version)
    }

    /// What a rollback activates; `None` where nothing was switched yet.
    pub fn previous(&self) -> Option<Assignment> {
        self.state.load().previous.clone()
    }

    /// Loads what a rollback would have activated before a restart, unless something was switched since. A folder that holds another
    /// version now is refused: a rollback activates what was active, and nothing else.
    pub async fn remember(&self, previous: &PersistedState) -> Result<(), RegistryError> {
        let _changing = self.changing.lock().await;
        let mut models = Vec::new();
        for spec in previous.specs() {
            if self.named(&spec.name).is_err() {
                models.push(load_model(&spec, &self.settings).await?);
            }
        }
        let remembered = self
            .change(|state| {
                if state.previous.is_none() {
                    let mut changed = state.clone();
                    models.into_iter().for_each(|model| changed.add(model));
                    let assigned = changed.assign(None, &previous.active())?;
                    assigned.iter().try_for_each(|model| check_version(model, previous))?;
                    changed.previous = Some(assigned);
                    *state = changed;
                }
                Ok(())
            })
            .await;
        self.unrestored.store(None);
        remembered
    }

    /// Makes models active, both at once; a task that `names` leaves open keeps its model.
    pub async fn activate(&self, names: &ByTask<String>) -> Result<Change, RegistryError> {
        let _changing = self.changing.lock().await;
        let before = self.active();
        let activate = |state: &mut State| {
            let active = state.assign(None, names)?;
            state.switch(active);
            Ok(())
        };
        counted("activate", self.change(activate).await)?;
        Ok(self.saved(before).await)
    }

    /// Activates what was active before the last switch; doing it twice undoes it. A newer version that was loaded under such a
    /// name, and was never active, keeps the name.
    pub async fn rollback(&self) -> Result<Change, RegistryError> {
        let _changing = self.changing.lock().await;
        let before = self.active();
        let roll_back = |state: &mut State| {
            let previous = state.previous.take().ok_or(RegistryError::NothingBefore)?;
            for model in previous.iter() {
                let named = state.models.get(&model.name);
                if named.is_none_or(|named| state.active.uses(named)) {
                    state.models.insert(model.name.clone(), Arc::clone(model));
                }
            }
            state.previous = Some(std::mem::replace(&mut state.active, previous));
            Ok(())
        };
        counted("rollback", self.change(roll_back).await)?;
        Ok(self.saved(before).await)
    }

    /// Removes a model that is not in use. One that a rollback would activate is removed with `forget_rollback` only, after which
    /// there is nothing to roll back to.
    pub async fn remove(
        &self,
        name: &str,
        Removal { is_shadow, forget_rollback }: Removal<'_>,
    ) -> Result<(), RegistryError> {
        let _changing = self.changing.lock().await;
        let in_use = |by| Err(RegistryError::InUse { name: name.to_owned(), by });
        let remove = |state: &mut State| {
            let model = state.named(name)?;
            let by_rollback = state.previous.as_ref().is_some_and(|previous| previous.uses(&model));
            match () {
                () if is_shadow(&model) => return in_use(Use::Shadow),
                () if state.active.uses(&model) => return in_use(Use::Active),
                () if by_rollback && !forget_rollback => {
                    return Err(RegistryError::NeededByRollback { name: name.to_owned() });
                }
                () if by_rollback => state.previous = None,
                () => {}
            }
            state.models.remove(name);
            // An older version that is active since a rollback has the name for itself again.
            let active = state.active.iter().find(|active| active.name == name).map(Arc::clone);
            state.models.extend(active.map(|active| (name.to_owned(), active)));
            Ok(())
        };
        counted("remove", self.change(remove).await)?;
        self.save().await;
        Ok(())
    }

    /// The change from `before` to what is active now, which is saved. The caller holds `changing`.
    async fn saved(&self, before: Assignment) -> Change {
        Change { before, saved: self.save().await, active: self.active() }
    }

    /// Writes the active models to the state file, for the next start; `false` where that is not done. The caller holds `changing`.
    async fn save(&self) -> bool {
        let (active, previous) = (self.active(), self.previous());
        let unrestored = self.unrestored.load_full().filter(|_| previous.is_none());
        let Some(file) = self.state_file.clone() else { return false };
        let mut state = PersistedState::of(&active, previous.as_ref());
        state.previous = state.previous.or_else(|| unrestored.map(|previous| Box::new(previous.as_ref().clone())));
        let written = tokio::task::spawn_blocking(move || state.write(&file).map_err(|error| (file, error))).await;
        if let Ok(Err((file, error))) = &written {
            let file = file.display();
            tracing::warn!(%file, %error, "the active models cannot be saved; the next start will not restore them");
        }
        matches!(written, Ok(Ok(())))
    }

    /// Makes a change to a copy of the state and shows it; on an error nothing changes. The caller holds `changing`.
    async fn change(&self, edit: impl FnOnce(&mut State) -> Result<(), RegistryError>) -> Result<(), RegistryError> {
        let mut state = State::clone(&self.state.load());
        edit(&mut state)?;
        let before = self.state.swap(Arc::new(state));
        // Freeing a model takes tens of milliseconds, which the threads that serve requests don't have.
        let freed = tokio::task::spawn_blocking(move || drop(before)).await;
        freed.map_err(|_| BackgroundError::Broken)?;
        Ok(())
    }
}

impl StartingModel {
    /// Opens the other sessions.
    pub async fn complete(self) -> Result<(), LoadError> {
        self.incomplete.complete(&self.model).await
    }
}

/// Whether `model` has the version that was active before the restart.
fn check_version(model: &Model, previous: &PersistedState) -> Result<(), RegistryError> {
    match previous.version(&model.name).filter(|version| *version != model.version) {
        Some(version) => Err(RegistryError::PreviousReplaced {
            name: model.name.clone(),
            version: version.to_owned(),
            now: model.version.clone(),
        }),
        None => Ok(()),
    }
}

/// Puts the counters of changes on the page before there is one, so that an alert sees the first.
fn declare_changes() {
    for change in ["load", "reload", "activate", "rollback", "remove"] {
        for outcome in ["ok", "refused"] {
            metrics::counter!(MODEL_CHANGES.name, "change" => change, "outcome" => outcome).increment(0);
        }
    }
}

/// Counts a change of the models; `result` is what became of it.
fn counted<T>(change: &'static str, result: Result<T, RegistryError>) -> Result<T, RegistryError> {
    let outcome = if result.is_ok() { "ok" } else { "refused" };
    metrics::counter!(MODEL_CHANGES.name, "change" => change, "outcome" => outcome).increment(1);
    result
}

fn spec_of(model: &Model) -> ModelSpec {
    ModelSpec { name: model.name.clone(), path: model.manifest.dir.clone() }
}

/// The version of what the folder holds now.
async fn version_now(spec: &ModelSpec) -> Result<String, RegistryError> {
    let dir = spec.path.clone();
    let unreadable = |source| RegistryError::Unreadable { name: spec.name.clone(), source: Box::new(source) };
    background::run(move || content_hash(&dir)).await?.map_err(unreadable)
}

async fn load_model(spec: &ModelSpec, settings: &RunSettings) -> Result<Arc<Model>, RegistryError> {
    Model::load(spec, settings).await.map(Arc::new).map_err(load_error(spec.name.clone()))
}

fn load_error(name: String) -> impl FnOnce(LoadError) -> RegistryError {
    move |source| RegistryError::Load { name, source: Box::new(source) }
}
