//! The loaded models by name, and which of them answers for what. A request takes its models once, as an [`Assignment`],
//! and uses them throughout; a change is made ready beside the models in use and then shown by one atomic switch, so that no
//! request is lost and none sees half of it. What a change puts out of use is kept until the next one, for [`Registry::rollback`].

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use crate::inference::pipeline::{PredictError, PredictOptions, Prediction, Usage};
use crate::inference::settings::RunSettings;
use crate::manifest::task::{Task, Tasks};
use crate::manifest::{ManifestError, content_hash};
use crate::models::load::{LoadError, Model};
use crate::models::spec::ModelSpec;
use crate::system::background::{self, BackgroundError};
use crate::system::choice::{shortened, suggestion};

pub struct Registry {
    state: ArcSwap<State>,
    /// Held while a change is made: one at a time.
    changing: Mutex<()>,
    settings: RunSettings,
}

/// What requests see; never changed, only replaced.
#[derive(Clone, Default)]
struct State {
    models: BTreeMap<String, Arc<Model>>,
    active: Assignment,
    /// What was active before the last switch.
    previous: Option<Assignment>,
}

/// Something for each task: a model, or the name of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByTask<T> {
    pub topics: Option<T>,
    pub entities: Option<T>,
}

/// The models that answer one request.
pub type Assignment = ByTask<Arc<Model>>;

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("model `{name}` cannot be served")]
    Load { name: String, source: Box<LoadError> },
    #[error(
        "the folder of model `{name}` cannot be read, so that it stays as it was loaded; put the folder back, or take the model out (DELETE /v1/models/{name})"
    )]
    Unreadable { name: String, source: Box<ManifestError> },
    #[error("two models are called `{0}`; give them different names: NAME=PATH")]
    Duplicate(String),
    #[error(transparent)]
    Assign(#[from] AssignError),
    #[error("model `{name}` is in use ({by}); make others active first")]
    InUse { name: String, by: &'static str },
    #[error("nothing was switched yet, so there is nothing to go back to")]
    NothingBefore,
    #[error("changing models broke down")]
    Background(#[from] BackgroundError),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignError {
    #[error("no model is called `{}`; loaded are {loaded:?}{}", shortened(name), suggestion(name, loaded.iter().map(String::as_str)))]
    Unknown { name: String, loaded: Vec<String> },
    #[error("model `{name}` does not give {task}; it gives {gives}")]
    Unable { name: String, task: Task, gives: String },
    #[error("no loaded model gives {task}; load one with --model, or leave {task} out of `tasks`")]
    NotServed { task: Task },
}

impl<T> Default for ByTask<T> {
    fn default() -> Self {
        Self { topics: None, entities: None }
    }
}

impl<T> ByTask<T> {
    pub fn get(&self, task: Task) -> Option<&T> {
        match task {
            Task::Topics => self.topics.as_ref(),
            Task::Entities => self.entities.as_ref(),
        }
    }
}

impl Registry {
    /// Loads every model of `specs`, one after the other. For a task that `active` leaves open, the first that gives it.
    pub async fn load(
        specs: &[ModelSpec],
        active: ByTask<String>,
        settings: &RunSettings,
    ) -> Result<Self, RegistryError> {
        let mut models: Vec<Arc<Model>> = Vec::new();
        for spec in specs {
            if models.iter().any(|model| model.name == spec.name) {
                return Err(RegistryError::Duplicate(spec.name.clone()));
            }
            models.push(load_model(spec, settings).await?);
        }
        let first_for = |task| models.iter().find(|model| model.answers(task)).map(|model| model.name.clone());
        let active = ByTask {
            topics: active.topics.or_else(|| first_for(Task::Topics)),
            entities: active.entities.or_else(|| first_for(Task::Entities)),
        };
        let models = models.into_iter().map(|model| (model.name.clone(), model)).collect();
        let mut state = State { models, ..State::default() };
        state.active = state.assign(None, &active)?;
        Ok(Self { state: ArcSwap::from_pointee(state), changing: Mutex::default(), settings: settings.clone() })
    }

    /// All models by name.
    pub fn models(&self) -> Vec<Arc<Model>> {
        self.state.load().models.values().cloned().collect()
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

    /// Loads a model beside the others, or a new version in place of one of its name; where that one is active, the new one is
    /// from then on. If it cannot be loaded, everything stays as it is.
    pub async fn put(&self, spec: &ModelSpec) -> Result<Arc<Model>, RegistryError> {
        let _changing = self.changing.lock().await;
        let model = load_model(spec, &self.settings).await?;
        self.change(|state| {
            let active = state.active.replace(&model)?;
            state.models.insert(model.name.clone(), Arc::clone(&model));
            state.switch(active);
            Ok(())
        })
        .await?;
        Ok(model)
    }

    /// Loads anew every model whose folder holds another version now; gives each of these, and each whose folder cannot be
    /// read, with what came of it.
    pub async fn put_changed(&self) -> Vec<(String, Result<Arc<Model>, RegistryError>)> {
        let mut results = Vec::new();
        for model in self.models() {
            let spec = spec_of(&model);
            match version_now(&spec).await {
                Ok(version) if version == model.version => {}
                Ok(_) => results.push((spec.name.clone(), self.put(&spec).await)),
                Err(error) => results.push((spec.name, Err(error))),
            }
        }
        results
    }

    /// What a rollback brings back; `None` where nothing was switched yet.
    pub fn previous(&self) -> Option<Assignment> {
        self.state.load().previous.clone()
    }

    /// Loads what a rollback would have brought back before a restart, unless something was switched since.
    pub async fn remember(&self, specs: &[ModelSpec], previous: &ByTask<String>) -> Result<(), RegistryError> {
        let _changing = self.changing.lock().await;
        let mut models = Vec::new();
        for spec in specs.iter().filter(|spec| self.named(&spec.name).is_err()) {
            models.push(load_model(spec, &self.settings).await?);
        }
        self.change(|state| {
            if state.previous.is_none() {
                state.models.extend(models.into_iter().map(|model| (model.name.clone(), model)));
                state.previous = Some(state.assign(None, previous)?);
            }
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Makes models active, both at once; a task that `names` leaves open keeps its model.
    pub async fn activate(&self, names: &ByTask<String>) -> Result<Assignment, RegistryError> {
        let _changing = self.changing.lock().await;
        self.change(|state| {
            let active = state.assign(None, names)?;
            state.switch(active);
            Ok(())
        })
        .await
    }

    /// Goes back to what was active before the last switch; doing it twice undoes it.
    pub async fn rollback(&self) -> Result<Assignment, RegistryError> {
        let _changing = self.changing.lock().await;
        self.change(|state| {
            let previous = state.previous.take().ok_or(RegistryError::NothingBefore)?;
            for model in [&previous.topics, &previous.entities].into_iter().flatten() {
                state.models.insert(model.name.clone(), Arc::clone(model));
            }
            state.previous = Some(std::mem::replace(&mut state.active, previous));
            Ok(())
        })
        .await
    }

    /// Takes a model out that neither answers nor is what a rollback would bring back.
    pub async fn remove(&self, name: &str) -> Result<(), RegistryError> {
        let _changing = self.changing.lock().await;
        self.change(|state| {
            let model = state.named(name)?;
            let uses = |assignment: &Assignment| assignment.iter().any(|used| Arc::ptr_eq(used, &model));
            match () {
                () if uses(&state.active) => Err(RegistryError::InUse { name: name.to_owned(), by: "it is active" }),
                () if state.previous.as_ref().is_some_and(uses) => {
                    Err(RegistryError::InUse { name: name.to_owned(), by: "a rollback would bring it back" })
                }
                () => {
                    state.models.remove(name);
                    Ok(())
                }
            }
        })
        .await?;
        Ok(())
    }

    /// Makes a change to a copy of the state and shows it; on an error nothing changes. The caller holds `changing`.
    async fn change(
        &self,
        edit: impl FnOnce(&mut State) -> Result<(), RegistryError>,
    ) -> Result<Assignment, RegistryError> {
        let mut state = State::clone(&self.state.load());
        edit(&mut state)?;
        let active = state.active.clone();
        let before = self.state.swap(Arc::new(state));
        // Freeing a model takes tens of milliseconds, which the threads that serve requests don't have.
        let freed = tokio::task::spawn_blocking(move || drop(before)).await;
        freed.map_err(|_| BackgroundError::Broken)?;
        Ok(active)
    }
}

impl State {
    fn assign(&self, tasks: Option<Tasks>, named: &ByTask<String>) -> Result<Assignment, AssignError> {
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

    fn named(&self, name: &str) -> Result<Arc<Model>, AssignError> {
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

    /// Makes `active` active and keeps what was; a switch to what is active already is none.
    fn switch(&mut self, active: Assignment) {
        if !active.is(&self.active) {
            self.previous = Some(std::mem::replace(&mut self.active, active));
        }
    }
}

fn check_able(model: &Model, task: Task) -> Result<(), AssignError> {
    if model.answers(task) {
        return Ok(());
    }
    let gives = model.manifest.tasks().into_iter().map(|task| task.into_str()).collect::<Vec<_>>().join(" and ");
    Err(AssignError::Unable { name: model.name.clone(), task, gives })
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
    let load = Model::load(spec, settings).await;
    load.map(Arc::new).map_err(|source| RegistryError::Load { name: spec.name.clone(), source: Box::new(source) })
}

impl Assignment {
    /// `model` for every task that it gives.
    pub fn of(model: &Arc<Model>) -> Self {
        let for_task = |task| model.answers(task).then(|| Arc::clone(model));
        Self { topics: for_task(Task::Topics), entities: for_task(Task::Entities) }
    }

    /// The models, each task's own; one that gives both stands twice.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.topics.iter().chain(&self.entities)
    }

    /// Whether both tasks are answered by the very same models.
    fn is(&self, other: &Self) -> bool {
        let same = |a: &Option<Arc<Model>>, b: &Option<Arc<Model>>| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        same(&self.topics, &other.topics) && same(&self.entities, &other.entities)
    }

    /// The same with `model` in place of an older version of it, which it must be able to replace.
    fn replace(&self, model: &Arc<Model>) -> Result<Self, AssignError> {
        let renewed = |used: &Option<Arc<Model>>, task| match used {
            Some(used) if used.name == model.name => check_able(model, task).map(|()| Some(Arc::clone(model))),
            used => Ok(used.clone()),
        };
        Ok(Self { topics: renewed(&self.topics, Task::Topics)?, entities: renewed(&self.entities, Task::Entities)? })
    }

    /// Reads one document: once where one model gives both tasks, else with each of the two, side by side.
    ///
    /// The usage of two models is added up.
    pub async fn predict(&self, text: Arc<str>, options: PredictOptions) -> Result<Prediction, PredictError> {
        let both = |model: &Arc<Model>, topics, entities| {
            let pipeline = Arc::clone(&model.pipeline);
            let (text, options) = (Arc::clone(&text), PredictOptions { tasks: Tasks { topics, entities }, ..options });
            async move { pipeline.predict(text, options).await }
        };
        match (&self.topics, &self.entities) {
            (None, None) => Ok(Prediction::default()),
            (Some(model), None) => both(model, true, false).await,
            (None, Some(model)) => both(model, false, true).await,
            (Some(topics), Some(entities)) if Arc::ptr_eq(topics, entities) => both(topics, true, true).await,
            (Some(topics), Some(entities)) => {
                let (topics, entities) = tokio::try_join!(both(topics, true, false), both(entities, false, true))?;
                Ok(Prediction {
                    topics: topics.topics,
                    entities: entities.entities,
                    usage: topics.usage.plus(entities.usage),
                })
            }
        }
    }
}

impl Usage {
    fn plus(self, other: Self) -> Self {
        Self {
            n_tokens: self.n_tokens + other.n_tokens,
            n_windows: self.n_windows + other.n_windows,
            truncated: self.truncated || other.truncated,
        }
    }
}
