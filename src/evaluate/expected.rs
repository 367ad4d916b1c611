//! The metrics that a report will have, known from the data and the models' folders before any model runs. A requirement
//! for another metric, or a label that does not exist, is refused at once and not after the last answer.

use std::collections::BTreeSet;

use super::answers::{ModelAnswers, keep, rename_labels, restrict_labels};
use super::document::GoldDocument;
use super::gold::Gold;
use super::labels::{LabelsByTask, choose_labels, collect_labels};
use super::model_metrics::ModelMetrics;
use super::require::verdict;
use super::run_record::Speed;
use super::settings::{EvaluateError, EvaluateSettings};
use super::speed::ReadSettings;
use crate::classify::error::ClassifyError;
use crate::classify::request::{find_language, label_languages};
use crate::manifest::tags::{entity_labels, parse_tags};
use crate::manifest::task::Task;
use crate::manifest::{EntityHead, Manifest, TopicHead, TopicLabel};
use crate::models::spec::ModelSpec;

/// Checks the labels and metrics of `settings` against those that the report will have; `mapped` are the documents under
/// their new labels. Nothing is checked where a model's folder does not name its labels.
pub fn check_expected(settings: &EvaluateSettings, gold: &Gold, mapped: &[GoldDocument]) -> Result<(), EvaluateError> {
    if settings.requirements.is_empty() && settings.labels.is_empty() {
        return Ok(());
    }
    let mut models = Vec::new();
    for spec in &settings.models {
        let Some((labels, speed)) = expected_answers(spec, gold, settings)? else { return Ok(()) };
        models.push((spec.name.as_str(), rename_labels(&labels, &settings.map), speed));
    }
    let gold_labels = collect_labels(mapped.iter().map(GoldDocument::labels));
    let counted = counted_labels(&settings.labels, &gold_labels, models.iter().map(|(_, labels, _)| labels))?;
    let gold_labels = restrict_labels(&gold_labels, &counted);
    let documents: Vec<GoldDocument> = mapped.iter().map(|document| document.map_labels(keep(&counted))).collect();
    let outline = |(name, labels, speed)| {
        ModelMetrics::outline(name, &documents, &restrict_labels(&labels, &counted), &gold_labels, speed)
    };
    let metrics: Vec<ModelMetrics> = models.into_iter().map(outline).collect();
    check_tasks(&metrics, &gold_labels)?;
    verdict(metrics.iter().map(|model| (model.name.as_str(), model)), &settings.requirements)?;
    Ok(())
}

/// The labels that count: those of data and models, or the chosen ones of them.
pub fn counted_labels<'l>(
    chosen: &[String],
    gold: &LabelsByTask,
    models: impl Iterator<Item = &'l LabelsByTask>,
) -> Result<LabelsByTask, EvaluateError> {
    let mut known = gold.clone();
    for (task, labels) in models.flatten() {
        known.entry(*task).or_default().extend(labels.iter().cloned());
    }
    if chosen.is_empty() { Ok(known) } else { Ok(choose_labels(chosen, &known)?) }
}

/// Fails where no model answers a task that the data is labelled for.
pub fn check_tasks(models: &[ModelMetrics], gold_labels: &LabelsByTask) -> Result<(), EvaluateError> {
    if models.iter().any(|model| model.entities.is_some() || model.topics.is_some()) {
        return Ok(());
    }
    let tasks: Vec<&str> = gold_labels.keys().map(|task| task.into_str()).collect();
    Err(EvaluateError::NothingToCompare(tasks.join(" and ")))
}

/// Labels and speed of a file of answers or a model's folder; `None` where the folder does not name its labels.
fn expected_answers(
    spec: &ModelSpec,
    gold: &Gold,
    EvaluateSettings { read, run, .. }: &EvaluateSettings,
) -> Result<Option<(LabelsByTask, Option<Speed>)>, EvaluateError> {
    if spec.path.is_file() {
        let answers = ModelAnswers::of_file(spec, gold, &run.providers)?;
        return Ok(Some((answers.labels, answers.speed)));
    }
    let manifest = Manifest::read(&spec.path).map_err(|error| EvaluateError::load(spec, error))?;
    let topics = manifest.topics.as_ref().map(|head| (Task::Topics, topic_names(head, read)));
    let entities = manifest.entities.as_ref().map(|head| (Task::Entities, entity_names(head)));
    let labels: LabelsByTask = topics.into_iter().chain(entities).collect();
    let speed = Speed { resident_bytes: Some(0), ..Speed::default() };
    Ok(labels.values().all(|labels| !labels.is_empty()).then_some((labels, Some(speed))))
}

/// Refuses a language in which no model names its topics. Answers from files have the names that they have.
pub fn check_language(settings: &EvaluateSettings) -> Result<(), EvaluateError> {
    let Some(tag) = &settings.read.label_language else { return Ok(()) };
    let mut known = BTreeSet::new();
    for spec in settings.models.iter().filter(|spec| spec.path.is_dir()) {
        let manifest = Manifest::read(&spec.path).map_err(|error| EvaluateError::load(spec, error))?;
        let labels = manifest.topics.as_ref().map_or(&[][..], |head| &head.labels);
        if find_language(&label_languages(labels), tag).is_some() {
            return Ok(());
        }
        known.extend(label_languages(labels).into_iter().map(str::to_owned));
    }
    let has_folders = settings.models.iter().any(|spec| spec.path.is_dir());
    let unknown = || ClassifyError::LabelLanguage { tag: tag.clone(), known: known.into_iter().collect() };
    if has_folders { Err(EvaluateError::Language(unknown())) } else { Ok(()) }
}

fn topic_names(head: &TopicHead, read: &ReadSettings) -> BTreeSet<String> {
    let known = label_languages(&head.labels);
    let language = read.label_language.as_ref().and_then(|tag| find_language(&known, tag));
    let name = |label: &TopicLabel| language.and_then(|tag| label.names.get(tag)).unwrap_or(&label.label).clone();
    head.labels.iter().map(name).collect()
}

fn entity_names(head: &EntityHead) -> BTreeSet<String> {
    entity_labels(&parse_tags(&head.tags)).into_iter().map(str::to_owned).collect()
}
