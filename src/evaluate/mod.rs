//! Models compared on labelled data, before one is swapped in: [`evaluate`] reads the data, lets each model answer, and
//! gives a [`Report`].
//!
//! | file | job |
//! |---|---|
//! | [`gold`], [`labels`] | labelled data in its usual forms; one vocabulary for models and data |
//! | [`expected`] | what there will be to ask for, before a model runs |
//! | [`predictions`], [`speed`], [`progress`] | answers kept in files; a model run over documents; how far it is |
//! | [`document`], [`tables`] | gold and predicted, side by side |
//! | [`metrics`], [`compare`] | figures and tests, as pure functions |
//! | [`comparison`], [`require`], [`report`] | two models; conditions that must hold; what is shown |

pub mod compare;
pub mod comparison;
pub mod document;
pub mod expected;
pub mod gold;
pub mod labels;
pub mod metrics;
pub mod predictions;
pub mod progress;
pub mod report;
pub mod require;
pub mod speed;
pub mod tables;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::inference::decode::tags::entity_labels;
use crate::inference::session::Runtime;
use crate::inference::settings::RunSettings;
use crate::manifest::task::Task;
use crate::manifest::{ManifestError, content_hash};
use crate::models::load::{LoadError, Model};
use crate::models::spec::ModelSpec;
use compare::Resampling;
use comparison::Comparison;
use document::GoldDocument;
use expected::check_asked;
use gold::{Gold, GoldError, GoldSource};
use labels::{LabelError, LabelMap, confine};
use predictions::{RunRecord, Store, StoreError, StoredAnswers, answers_path};
use report::{DataReport, ModelAnswers, ModelReport, Report};
use require::{Outcome, RequireError, Requirement};
use speed::{ReadSettings, Speed, run_model, size_now};
use tables::{Labels, confine_gold, confine_predicted, labels_of, labels_of_gold};

/// What is compared, and how.
#[derive(Debug, Clone)]
pub struct EvaluateSettings {
    pub gold: GoldSource,
    /// Folders of models, or files of answers. The first is the baseline.
    pub models: Vec<ModelSpec>,
    pub map: LabelMap,
    /// The labels that the figures are confined to; empty for all.
    pub labels: Vec<String>,
    pub read: ReadSettings,
    /// The folder in which answers are kept.
    pub predictions: PathBuf,
    pub run: RunSettings,
    pub resampling: Resampling,
    pub requirements: Vec<Requirement>,
}

/// Told the model, how many documents it has answered, and how many there are.
pub type Progress<'p> = &'p (dyn Fn(&str, usize, usize) + Sync);

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
    #[error("two models are called `{0}`; give them different names: NAME=PATH")]
    Duplicate(String),
    #[error("{path}: {n_missing} of {n} documents have no answer, the first is `{first}`; evaluate the model's folder", path = path.display())]
    Unanswered { path: PathBuf, n_missing: usize, n: usize, first: String },
    #[error("no model gives what the data is labelled with ({0}); give other data or models")]
    NothingToCompare(String),
}

impl EvaluateError {
    /// Whether something was asked for that there is not.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Require(_) | Self::Labels(_) | Self::Duplicate(_))
    }
}

/// Lets every model answer, and compares the answers with the gold ones and with each other.
pub async fn evaluate(settings: &EvaluateSettings, progress: Progress<'_>) -> Result<Report, EvaluateError> {
    check_settings(settings)?;
    let gold = Gold::read(&settings.gold)?;
    let mapped: Vec<GoldDocument> =
        gold.documents.iter().map(|document| settings.map.apply_to_gold(document)).collect();
    check_asked(settings, &gold, &mapped)?;
    let mut answers = Vec::new();
    for spec in &settings.models {
        let one = answers_of(spec, &gold, settings, progress).await?;
        answers.push(renamed(one, &settings.map));
    }
    let Compared { documents, answers, looked_at, models } = reports_of(&mapped, answers, &settings.labels)?;
    let compare = |candidate| Comparison::of(&documents, [&answers[0], candidate], &looked_at, settings.resampling);
    Ok(Report {
        ressort: env!("CARGO_PKG_VERSION"),
        data: DataReport::of(settings, &gold),
        comparison: answers.iter().skip(1).map(compare).collect(),
        verdict: verdict(&models, &settings.requirements)?,
        models,
    })
}

/// Data and answers within the labels that are looked at, and the figures of each model.
struct Compared {
    documents: Vec<GoldDocument>,
    answers: Vec<ModelAnswers>,
    looked_at: Labels,
    models: Vec<ModelReport>,
}

/// The figures of each of `answers`, confined to the labels that were `asked` for; for all where none were.
fn reports_of(
    documents: &[GoldDocument],
    answers: Vec<ModelAnswers>,
    asked: &[String],
) -> Result<Compared, EvaluateError> {
    let known = answers.iter().fold(labels_of_gold(documents), |known, model| union(known, &model.labels));
    let looked_at = match asked {
        [] => known,
        labels => confine(labels, &known)?,
    };
    let documents: Vec<GoldDocument> = documents.iter().map(|document| confine_gold(document, &looked_at)).collect();
    let answers: Vec<ModelAnswers> = answers.into_iter().map(|model| confined(model, &looked_at)).collect();
    let gold_labels = labels_of_gold(&documents);
    let models: Vec<ModelReport> =
        answers.iter().map(|model| ModelReport::of(&documents, model, &gold_labels, &looked_at)).collect();
    if models.iter().all(|model| model.entities.is_none() && model.topics.is_none()) {
        let tasks: Vec<&str> = gold_labels.keys().map(|task| task.as_str()).collect();
        return Err(EvaluateError::NothingToCompare(tasks.join(" and ")));
    }
    Ok(Compared { documents, answers, looked_at, models })
}

/// What can be found wrong before anything is read.
fn check_settings(settings: &EvaluateSettings) -> Result<(), EvaluateError> {
    let mut names = BTreeSet::new();
    if let Some(spec) = settings.models.iter().find(|spec| !names.insert(&spec.name)) {
        return Err(EvaluateError::Duplicate(spec.name.clone()));
    }
    match settings.requirements.iter().find(|requirement| requirement.needs_baseline()) {
        Some(requirement) if settings.models.len() < 2 => {
            Err(RequireError::NoBaseline(requirement.text.clone()).into())
        }
        _ => Ok(()),
    }
}

/// The answers of a file, of an earlier run, or of the model itself.
async fn answers_of(
    spec: &ModelSpec,
    gold: &Gold,
    settings: &EvaluateSettings,
    progress: Progress<'_>,
) -> Result<ModelAnswers, EvaluateError> {
    if spec.path.is_file() {
        return stored_answers(spec, &spec.path, gold);
    }
    run_where_needed(spec, gold, settings, progress).await?;
    stored_answers(spec, &answers_path(&settings.predictions, &spec.name), gold)
}

/// The answers in the file at `path`, in the order of the data.
fn stored_answers(spec: &ModelSpec, path: &Path, gold: &Gold) -> Result<ModelAnswers, EvaluateError> {
    let mut stored = StoredAnswers::read(path)?;
    let missing: Vec<&GoldDocument> =
        gold.documents.iter().filter(|document| !stored.by_id.contains_key(&document.id)).collect();
    if let [first, ..] = missing.as_slice() {
        let (n_missing, n, first) = (missing.len(), gold.documents.len(), first.id.clone());
        return Err(EvaluateError::Unanswered { path: path.to_owned(), n_missing, n, first });
    }
    let documents: Vec<_> = gold.documents.iter().filter_map(|document| stored.by_id.remove(&document.id)).collect();
    let record = record_beside(path)?;
    let mut labels = labels_of(&documents);
    if let (Some(entities), Some(record)) = (labels.get_mut(&Task::Entities), &record) {
        entities.extend(record.entity_labels.iter().cloned());
    }
    Ok(ModelAnswers {
        name: spec.name.clone(),
        version: stored.model_version.or(record.as_ref().map(|record| record.model_version.clone())),
        documents,
        labels,
        speed: record.and_then(|record| record.speed),
    })
}

fn record_beside(path: &Path) -> Result<Option<RunRecord>, StoreError> {
    match (path.parent(), path.file_stem()) {
        (Some(dir), Some(stem)) => RunRecord::read(dir, &stem.to_string_lossy()),
        _ => Ok(None),
    }
}

/// Loads and runs the model, unless all its answers are there already.
async fn run_where_needed(
    spec: &ModelSpec,
    gold: &Gold,
    settings: &EvaluateSettings,
    progress: Progress<'_>,
) -> Result<(), EvaluateError> {
    let load_error = |source| EvaluateError::Load { name: spec.name.clone(), source: Box::new(source) };
    if !spec.path.is_dir() {
        return Err(load_error(ManifestError::NoFolder(spec.path.clone()).into()));
    }
    let record = RunRecord {
        model_version: content_hash(&spec.path).map_err(|error| load_error(error.into()))?,
        data_version: gold.version.clone(),
        aggregation: settings.read.aggregation.map(|strategy| strategy.to_string()),
        label_language: settings.read.label_language.clone(),
        entity_labels: BTreeSet::new(),
        speed: None,
    };
    let mut store = Store::open(&settings.predictions, &spec.name, record, gold)?;
    let n = gold.documents.len();
    progress(&spec.name, store.n_done, n);
    if store.n_done == n {
        return Ok(());
    }
    // Loads ONNX Runtime, which is no model's memory and would else count as the first one's.
    Runtime::get().map_err(|error| load_error(error.into()))?;
    let before = size_now();
    let model = Arc::new(Model::load(spec, &settings.run).await.map_err(load_error)?);
    let tags = model.pipeline.entities.as_ref().map_or(&[][..], |head| &head.scheme.tags);
    store.note_labels(entity_labels(tags).into_iter().map(str::to_owned).collect())?;
    let on_answer = |n_done| progress(&spec.name, n_done, n);
    let speed = run_model(&model, &gold.documents, &settings.read, &mut store, &on_answer).await?;
    let grown = before.zip(size_now()).map(|(before, now)| now.saturating_sub(before));
    store.finish(speed.map(|speed| Speed { resident_bytes: grown, ..speed }))?;
    Ok(())
}

fn renamed(model: ModelAnswers, map: &LabelMap) -> ModelAnswers {
    let rename = |labels: BTreeSet<String>| {
        labels.iter().filter_map(|label| map.apply(label)).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    ModelAnswers {
        documents: model.documents.iter().map(|document| map.apply_to_predicted(document)).collect(),
        labels: model.labels.into_iter().map(|(task, labels)| (task, rename(labels))).collect(),
        ..model
    }
}

fn confined(model: ModelAnswers, looked_at: &Labels) -> ModelAnswers {
    let keep = |(task, labels): (Task, BTreeSet<String>)| {
        let kept = looked_at.get(&task).map_or_else(BTreeSet::new, |all| labels.intersection(all).cloned().collect());
        (task, kept)
    };
    ModelAnswers {
        documents: model.documents.iter().map(|document| confine_predicted(document, looked_at)).collect(),
        labels: model.labels.into_iter().map(keep).collect(),
        ..model
    }
}

fn union(mut labels: Labels, others: &Labels) -> Labels {
    for (task, others) in others {
        labels.entry(*task).or_default().extend(others.iter().cloned());
    }
    labels
}

/// Every requirement for every candidate; a model that is alone is one.
fn verdict(models: &[ModelReport], requirements: &[Requirement]) -> Result<Vec<Outcome>, RequireError> {
    let json = |model: &ModelReport| serde_json::to_value(model).unwrap_or_default();
    let (baseline, candidates) = match models {
        [baseline, candidates @ ..] if !candidates.is_empty() => {
            (Some((baseline.name.as_str(), json(baseline))), candidates)
        }
        _ => (None, models),
    };
    let baseline = baseline.as_ref().map(|(name, json)| (*name, json));
    let mut outcomes = Vec::new();
    for model in candidates {
        let value = json(model);
        for requirement in requirements {
            outcomes.push(requirement.check(&model.name, &value, baseline)?);
        }
    }
    Ok(outcomes)
}

impl DataReport {
    fn of(settings: &EvaluateSettings, gold: &Gold) -> Self {
        let count = |is: fn(&GoldDocument) -> bool| gold.documents.iter().filter(|document| is(document)).count();
        Self {
            file: settings.gold.path.display().to_string(),
            version: gold.version.clone(),
            n_documents: gold.documents.len(),
            n_with_topics: count(|document| document.topics.is_some()),
            n_with_entities: count(|document| document.entities.is_some()),
            labels: settings.labels.clone(),
        }
    }
}
