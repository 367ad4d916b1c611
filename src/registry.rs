//! The loaded models by name, and which of them answers for what. A request takes its models once, as an [`Assignment`],
//! and uses them throughout.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{ModelSpec, RunSettings};
use crate::model::{LoadError, Model};
use crate::pipeline::{PredictError, PredictOptions, Prediction, Usage};
use crate::task::{Task, Tasks};

pub struct Registry {
    models: BTreeMap<String, Arc<Model>>,
    active: ByTask<String>,
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
    #[error("two models are called `{0}`; give them different names: NAME=PATH")]
    Duplicate(String),
    #[error(transparent)]
    Assign(#[from] AssignError),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignError {
    #[error("no model is called `{name}`; loaded are {loaded:?}")]
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
            let load = Model::load(spec, settings).await;
            models.push(Arc::new(
                load.map_err(|source| RegistryError::Load { name: spec.name.clone(), source: Box::new(source) })?,
            ));
        }
        let first_for = |task| models.iter().find(|model| model.answers(task)).map(|model| model.name.clone());
        let active = ByTask {
            topics: active.topics.or_else(|| first_for(Task::Topics)),
            entities: active.entities.or_else(|| first_for(Task::Entities)),
        };
        let registry = Self { models: models.into_iter().map(|model| (model.name.clone(), model)).collect(), active };
        registry.assign(None, &ByTask::default())?;
        Ok(registry)
    }

    /// All models by name.
    pub fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.values()
    }

    /// The names of the models that answer where a request names none.
    pub fn active(&self) -> &ByTask<String> {
        &self.active
    }

    /// The models for a request: those that it names, else the active ones. Without `tasks` it gets all tasks that are served.
    pub fn assign(&self, tasks: Option<Tasks>, named: &ByTask<String>) -> Result<Assignment, AssignError> {
        let model_for = |task: Task| match named.get(task).or(self.active.get(task)) {
            Some(name) if tasks.is_none_or(|tasks| tasks.contains(task)) => self.model(name, task).map(Some),
            None if tasks.is_some_and(|tasks| tasks.contains(task)) => Err(AssignError::NotServed { task }),
            _ => Ok(None),
        };
        Ok(ByTask { topics: model_for(Task::Topics)?, entities: model_for(Task::Entities)? })
    }

    fn model(&self, name: &str, task: Task) -> Result<Arc<Model>, AssignError> {
        let model = self.models.get(name).ok_or_else(|| AssignError::Unknown {
            name: name.to_owned(),
            loaded: self.models.keys().cloned().collect(),
        })?;
        if !model.answers(task) {
            let gives = model.manifest.tasks().into_iter().map(Task::as_str).collect::<Vec<_>>().join(" and ");
            return Err(AssignError::Unable { name: name.to_owned(), task, gives });
        }
        Ok(Arc::clone(model))
    }
}

impl Assignment {
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
