//! Which model answers each task of a request.

use std::sync::Arc;

use crate::inference::encoded::Document;
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
    #[error("no model is called `{}`; loaded are {}{}", shortened(name), loaded.join(", "), suggestion(name, loaded.iter().map(String::as_str)))]
    Unknown { name: String, loaded: Vec<String> },
    #[error("model `{name}` does not serve {task}; it serves {gives}; GET /v1/models lists what each model serves")]
    Unable { name: String, task: Task, gives: String },
    #[error("no loaded model serves {task}; load one with --model, or leave {task} out of `tasks`")]
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

    /// The same with `model` in place of another copy of it, which has the same name and version.
    pub(super) fn renew(&self, model: &Arc<Model>) -> Self {
        let renewed = |used: &Arc<Model>| {
            let is_copy = used.name == model.name && used.version == model.version;
            Arc::clone(if is_copy { model } else { used })
        };
        Self { topics: self.topics.as_ref().map(renewed), entities: self.entities.as_ref().map(renewed) }
    }

    /// Reads one document: once where one model gives both tasks, else with each of the two, side by side.
    ///
    /// The usage of two models is added up, also where they share the tokens.
    pub async fn predict(&self, document: Document, options: PredictOptions) -> Result<Prediction, PredictError> {
        let both = |model: &Arc<Model>, topics, entities| {
            let pipeline = Arc::clone(&model.pipeline);
            let (document, options) =
                (document.clone(), PredictOptions { tasks: Tasks { topics, entities }, ..options });
            async move { pipeline.predict(document, options).await }
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
                    topic_tokens: topics.topic_tokens,
                    entity_tokens: entities.entity_tokens,
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

/// Refuses a model that does not serve `task`.
pub(super) fn check_able(model: &Model, task: Task) -> Result<(), AssignError> {
    if model.answers(task) {
        return Ok(());
    }
    let gives = model.manifest.tasks().into_iter().map(|task| task.into_str()).collect::<Vec<_>>().join(" and ");
    Err(AssignError::Unable { name: model.name.clone(), task, gives })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::inference::scheduler::{Admission, Priority, RequestContext, RequestId};
    use crate::inference::settings::{Provider, RunSettings};
    use crate::manifest::text_rules::{TextRule, TextSwitch};
    use crate::models::spec::ModelSpec;

    /// A copy of a model of the tests, with a tokenizer that no other test uses.
    async fn load(folder: &Path, name: &str) -> Arc<Model> {
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name);
        let path = folder.join(name);
        std::fs::create_dir(&path).unwrap();
        for file in std::fs::read_dir(original).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), path.join(file.file_name())).unwrap();
        }
        let tokenizer = path.join("tokenizer.json");
        std::fs::write(&tokenizer, std::fs::read_to_string(&tokenizer).unwrap() + "\n\n").unwrap();
        let settings = RunSettings { providers: vec![Provider::Cpu], n_streams: 1, ..RunSettings::default() };
        Arc::new(Model::load(&ModelSpec { name: name.to_owned(), path }, &settings).await.unwrap())
    }

    #[tokio::test]
    async fn models_that_share_a_tokenizer_tokenize_a_text_once() {
        let folder = tempfile::tempdir().unwrap();
        let (topics, entities) =
            (load(folder.path(), "bert-cased-cls").await, load(folder.path(), "bert-cased-ner").await);
        let tokenizer = Arc::clone(&topics.pipeline.tokenizer);
        let n_before = tokenizer.n_calls.load(Ordering::Relaxed);
        let n_calls = || tokenizer.n_calls.load(Ordering::Relaxed) - n_before;
        let deadline = Instant::now() + Duration::from_secs(60);
        let options = PredictOptions::new(RequestContext {
            request: RequestId::next(),
            priority: Priority::Normal,
            admission: Admission::Try,
            deadline,
        });
        let both = Assignment { topics: Some(topics), entities: Some(Arc::clone(&entities)) };
        let document = Document::from("Angela Merkel (CDU) sprach in Ulm.");
        let together = both.predict(document.clone(), options).await.unwrap();
        assert_eq!(n_calls(), 1);
        // A shadow model that reads the text after the answer.
        let alone = Assignment::of(&entities);
        let nothing = Assignment { topics: None, entities: None };
        assert!(both.is(&both.clone()) && nothing.is(&nothing.clone()));
        assert!(!both.is(&alone) && !alone.is(&both) && !alone.is(&nothing) && !nothing.is(&alone));
        let later = alone.predict(document.for_later(), options).await.unwrap();
        assert_eq!((n_calls(), &later.entities), (1, &together.entities));
        let without_html = [TextSwitch { rule: TextRule::Html, is_on: false }].into_iter().collect();
        alone.predict(document, PredictOptions { text_rules: without_html, ..options }).await.unwrap();
        assert_eq!(n_calls(), 2);
        let fresh = alone.predict(Document::from("Angela Merkel (CDU) sprach in Ulm."), options).await.unwrap();
        assert_eq!((n_calls(), fresh.entities), (3, together.entities));
    }
}
