//! Which model answers each task of a request.

use std::sync::Arc;

use crate::inference::pipeline::{PredictError, PredictOptions, Prediction, Usage};
use crate::manifest::task::{Task, Tasks};
use crate::models::load::Model;
use crate::system::choice::{shortened, suggestion};

/// Something for each task: a model, or the name of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByTask<T> {
    pub topics: Option<T>,
    pub entities: Option<T>,
}

/// The models that answer one request.
pub type Assignment = ByTask<Arc<Model>>;

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

    /// Whether this very model answers a task.
    pub(super) fn uses(&self, model: &Arc<Model>) -> bool {
        self.iter().any(|used| Arc::ptr_eq(used, model))
    }

    /// Whether both tasks are answered by the very same models.
    pub(super) fn is(&self, other: &Self) -> bool {
        let same = |a: &Option<Arc<Model>>, b: &Option<Arc<Model>>| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        same(&self.topics, &other.topics) && same(&self.entities, &other.entities)
    }

    /// The same with `model` in place of an older version of it, which it must be able to replace.
    pub(super) fn replace(&self, model: &Arc<Model>) -> Result<Self, AssignError> {
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
                    evidence: topics.evidence,
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
            n_evidence_windows: self.n_evidence_windows + other.n_evidence_windows,
            truncated: self.truncated || other.truncated,
        }
    }
}

/// Refuses a model that does not give `task`.
pub(super) fn check_able(model: &Model, task: Task) -> Result<(), AssignError> {
    if model.answers(task) {
        return Ok(());
    }
    let gives = model.manifest.tasks().into_iter().map(|task| task.into_str()).collect::<Vec<_>>().join(" and ");
    Err(AssignError::Unable { name: model.name.clone(), task, gives })
}
