//! Which figures there will be: told from the data and the models' folders before any model runs, so that a requirement for a
//! figure that there will not be, or labels that nobody has, are refused at once and not after the last answer.

use std::collections::BTreeSet;

use super::document::{GoldDocument, LabelledSpan, PredictedDocument, ScoredTopic};
use super::report::ModelAnswers;
use super::speed::{ReadSettings, Speed};
use super::tables::Labels;
use super::{EvaluateError, EvaluateSettings, renamed, reports_of, stored_answers, verdict};
use crate::evaluate::gold::Gold;
use crate::inference::decode::tags::{entity_labels, parse_tags};
use crate::manifest::task::{AggregationStrategy, Task};
use crate::manifest::{EntityHead, Manifest, TopicHead, TopicLabel};
use crate::models::spec::ModelSpec;

/// Holds the labels and figures that are asked for against those that there will be. A model whose folder doesn't name its
/// labels leaves that open.
pub fn check_asked(settings: &EvaluateSettings, gold: &Gold, mapped: &[GoldDocument]) -> Result<(), EvaluateError> {
    if settings.requirements.is_empty() && settings.labels.is_empty() {
        return Ok(());
    }
    let mut answers = Vec::new();
    for spec in &settings.models {
        match expected_answers(spec, gold, settings)? {
            Some(expected) => answers.push(renamed(expected, &settings.map)),
            None => return Ok(()),
        }
    }
    let compared = reports_of(mapped, answers, &settings.labels)?;
    verdict(&compared.models, &settings.requirements)?;
    Ok(())
}

/// The answers of a file; those of a folder as if it answered what the data is labelled with. `None` where the folder does not
/// name its labels.
fn expected_answers(
    spec: &ModelSpec,
    gold: &Gold,
    settings: &EvaluateSettings,
) -> Result<Option<ModelAnswers>, EvaluateError> {
    if spec.path.is_file() {
        return stored_answers(spec, &spec.path, gold).map(Some);
    }
    let manifest = Manifest::read(&spec.path)
        .map_err(|source| EvaluateError::Load { name: spec.name.clone(), source: Box::new(source.into()) })?;
    Ok(labels_of_folder(&manifest, &settings.read).map(|labels| ModelAnswers {
        name: spec.name.clone(),
        version: None,
        documents: gold.documents.iter().map(|document| as_labelled(document, &labels)).collect(),
        labels,
        speed: Some(Speed { resident_bytes: Some(0), ..Speed::default() }),
    }))
}

fn labels_of_folder(manifest: &Manifest, read: &ReadSettings) -> Option<Labels> {
    let topics = manifest.topics.as_ref().map(|head| (Task::Topics, topic_names(head, read)));
    let entities = manifest.entities.as_ref().map(|head| (Task::Entities, entity_names(head, read)));
    let labels: Labels = topics.into_iter().chain(entities).collect();
    labels.values().all(|labels| !labels.is_empty()).then_some(labels)
}

fn topic_names(head: &TopicHead, read: &ReadSettings) -> BTreeSet<String> {
    let language = read.label_language.as_ref();
    let name = |label: &TopicLabel| language.and_then(|tag| label.names.get(tag)).unwrap_or(&label.label).clone();
    head.labels.iter().map(name).collect()
}

fn entity_names(head: &EntityHead, read: &ReadSettings) -> BTreeSet<String> {
    match read.aggregation.unwrap_or(head.aggregation) {
        AggregationStrategy::None => head.tags.iter().filter(|tag| *tag != "O").cloned().collect(),
        _ => entity_labels(&parse_tags(&head.tags)).into_iter().map(str::to_owned).collect(),
    }
}

/// The gold labels as the answer of a model that gives `labels`, each of which it gives once more.
fn as_labelled(document: &GoldDocument, labels: &Labels) -> PredictedDocument {
    let topic = |label: &String| ScoredTopic { label: label.clone(), score: 1.0, accepted: true };
    let topics = labels.get(&Task::Topics).map(|_| document.topics.iter().flatten().map(topic).collect());
    let entities = labels.get(&Task::Entities).map(|names| {
        let once = names.iter().map(|name| LabelledSpan::new(0, 0, name));
        document.entities.iter().flatten().cloned().chain(once).collect()
    });
    PredictedDocument { topics, entities, failure: None }
}
