//! Compares models on labelled data before one is swapped in: [`evaluate`] reads the data, lets each model answer, and
//! returns an [`EvaluationReport`].
//!
//! | file | job |
//! |---|---|
//! | [`settings`] | what is compared and how; why it fails |
//! | [`gold`], [`labels`] | labelled data in its usual formats; one vocabulary for models and data |
//! | [`speed`], [`predictions`], [`run_record`] | a model run over documents; its answers and their record, stored |
//! | [`document`], [`answers`], [`tagged`], [`tables`] | gold and predicted labels, paired up; tokens with tags made into entities |
//! | [`metrics`], [`compare`] | metrics and significance tests, as pure functions |
//! | [`model_metrics`], [`entity_errors`], [`comparison`] | the metrics of one model and its wrong entities; the differences of two |
//! | [`require`], [`expected`] | conditions that must be met; the metrics that a report will have |
//! | [`report`] | the outcome as JSON, as text and as HTML |

pub mod answers;
pub mod compare;
pub mod comparison;
pub mod document;
pub mod entity_errors;
pub mod expected;
pub mod gold;
pub mod labels;
pub mod metrics;
pub mod model_metrics;
pub mod predictions;
pub mod report;
pub mod require;
pub mod run_record;
pub mod settings;
pub mod speed;
pub mod tables;
pub mod tagged;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::inference::arithmetic::ModelArithmetic;
use crate::inference::session::{Runtime, first_in_build};
use crate::manifest::tags::entity_labels;
use crate::manifest::{Manifest, content_hash, no_folder};
use crate::models::load::{Model, resident_bytes};
use crate::models::spec::ModelSpec;
use crate::system::counted::counted;
use crate::system::progress::Progress;
use answers::{ModelAnswers, keep, restrict_labels};
use comparison::Comparison;
use document::{GoldDocument, n_overlapping};
use expected::{check_expected, check_language, check_tasks, counted_labels};
use gold::Gold;
use labels::collect_labels;
use model_metrics::ModelMetrics;
use predictions::{Store, answers_path};
use report::{DataReport, EvaluationReport};
use require::verdict;
use run_record::{PROGRAM, RunRecord, Speed};
use settings::{EvaluateError, EvaluateSettings};
use speed::run_model;

/// Lets every model answer, and compares the answers with the gold labels and with each other.
pub async fn evaluate(settings: &EvaluateSettings) -> Result<EvaluationReport, EvaluateError> {
    settings.check()?;
    check_language(settings)?;
    let gold = Gold::read(&settings.gold)?;
    let mapped: Vec<GoldDocument> =
        gold.documents.iter().map(|document| document.map_labels(|_, label| settings.map.apply(label))).collect();
    check_expected(settings, &gold, &mapped)?;
    let mut answers = Vec::new();
    for spec in &settings.models {
        answers.push(answers_of(spec, &gold, settings).await?.renamed(&settings.map));
    }
    let gold_labels = collect_labels(mapped.iter().map(GoldDocument::labels));
    let counted = counted_labels(&settings.labels, &gold_labels, answers.iter().map(|model| &model.labels))?;
    let gold_labels = restrict_labels(&gold_labels, &counted);
    let documents: Vec<GoldDocument> = mapped.iter().map(|document| document.map_labels(keep(&counted))).collect();
    let answers: Vec<ModelAnswers> = answers.into_iter().map(|model| model.restricted(&counted)).collect();
    let models: Vec<ModelMetrics> =
        answers.iter().map(|model| ModelMetrics::of(&documents, model, &gold_labels)).collect();
    check_tasks(&models, &gold_labels)?;
    let compare = |candidate| Comparison::of(&documents, [&answers[0], candidate], &counted, settings.resampling);
    Ok(EvaluationReport {
        ressort: crate::system::build_info::VERSION,
        data: data_report(settings, &gold, &documents),
        comparison: answers.iter().skip(1).map(compare).collect(),
        verdict: verdict(models.iter().map(|model| (model.name.as_str(), model)), &settings.requirements)?,
        models,
    })
}

/// The answers of a file, of an earlier run, or of the model itself.
async fn answers_of(spec: &ModelSpec, gold: &Gold, settings: &EvaluateSettings) -> Result<ModelAnswers, EvaluateError> {
    if spec.path.is_file() {
        return ModelAnswers::of_file(spec, gold, &settings.run.providers);
    }
    run_where_needed(spec, gold, settings).await?;
    ModelAnswers::read(&spec.name, &answers_path(&settings.predictions, &spec.name), gold)
}

/// Loads and runs the model, unless all its answers are stored already.
async fn run_where_needed(spec: &ModelSpec, gold: &Gold, settings: &EvaluateSettings) -> Result<(), EvaluateError> {
    if !spec.path.is_dir() {
        return Err(EvaluateError::load(spec, no_folder(&spec.path)));
    }
    let manifest = Manifest::read(&spec.path).map_err(|error| EvaluateError::load(spec, error))?;
    let arithmetic = ModelArithmetic::new(manifest.graph.integer_products, settings.run.arithmetic);
    let mut record = RunRecord {
        program: Some(PROGRAM.to_owned()),
        provider: Some(first_in_build(&settings.run.providers).to_string()),
        arithmetic: Some(arithmetic.as_str().to_owned()),
        model_version: content_hash(&spec.path).map_err(|error| EvaluateError::load(spec, error))?,
        data_version: gold.version.clone(),
        aggregation: settings.read.aggregation.map(|strategy| strategy.to_string()),
        text_rules: settings.read.text_rules.to_string(),
        label_language: settings.read.label_language.clone(),
        entity_labels: BTreeSet::new(),
        speed: None,
    };
    let (path, n) = (answers_path(&settings.predictions, &spec.name), gold.documents.len());
    let is_known = RunRecord::read(&path)?.is_some_and(|known| known.has_answers_of(&record));
    if is_known && Store::open(&path, record.clone(), gold)?.n_done == n {
        return Ok(());
    }
    let progress = Progress::start(Some(n as u64));
    let on_answer =
        |n_done: usize| progress.show(n_done as u64, &format!("{}: {n_done} of {}", spec.name, counted(n, "document")));
    // ONNX Runtime is loaded first, so that its memory does not count as the first model's.
    Runtime::get().map_err(|error| EvaluateError::load(spec, error))?;
    let before = resident_bytes();
    let model = Model::load(spec, &settings.run).await.map_err(|error| EvaluateError::load(spec, error))?;
    let model = Arc::new(model);
    // Only the loaded model knows where it runs. Answers from elsewhere are set aside.
    record.provider = Some(model.placement.provider.to_string());
    let mut store = Store::open(&path, record, gold)?;
    on_answer(store.n_done);
    let tags = model.pipeline.entities.as_ref().map_or(&[][..], |head| &head.scheme.tags);
    store.record_labels(entity_labels(tags).into_iter().map(str::to_owned).collect())?;
    let speed = run_model(&model, &gold.documents, &settings.read, &mut store, &on_answer).await?;
    let grown = before.zip(resident_bytes()).map(|(before, now)| now.saturating_sub(before));
    store.finish(speed.map(|speed| Speed { resident_bytes: grown, ..speed }))?;
    Ok(())
}

fn data_report(settings: &EvaluateSettings, gold: &Gold, counted: &[GoldDocument]) -> DataReport {
    let count = |is: fn(&GoldDocument) -> bool| gold.documents.iter().filter(|document| is(document)).count();
    let overlapping = |document: &GoldDocument| document.entities.as_deref().map_or(0, n_overlapping);
    DataReport {
        file: settings.gold.path.display().to_string(),
        version: gold.version.clone(),
        n_documents: gold.documents.len(),
        n_with_topics: count(|document| document.topics.is_some()),
        n_with_entities: count(|document| document.entities.is_some()),
        n_repeated_ids: gold.n_repeated_ids,
        n_trimmed_entities: gold.n_trimmed_entities,
        n_overlapping_entities: counted.iter().map(overlapping).sum(),
        labels: settings.labels.clone(),
    }
}
