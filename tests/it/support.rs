//! What the tests share: models by name, one call to read a text, reference values.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ressort::inference::pipeline::{PredictOptions, Prediction};
use ressort::inference::scheduler::Priority;
use ressort::inference::scheduler::{Admission, RequestContext, RequestId};
use ressort::inference::settings::{Provider, RunSettings};
use ressort::manifest::task::AggregationStrategy;
use ressort::models::load::{LoadError, Model};
use ressort::models::spec::ModelSpec;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

pub fn models_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/models")
}

/// The names of all test models.
pub fn model_names() -> Vec<String> {
    let entries = std::fs::read_dir(models_dir()).expect("the test models are there");
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub fn settings() -> RunSettings {
    RunSettings { providers: vec![Provider::Cpu], n_streams: 2, ..RunSettings::default() }
}

pub fn spec(name: &str) -> ModelSpec {
    ModelSpec { name: name.to_owned(), path: models_dir().join(name) }
}

pub async fn load(name: &str) -> Model {
    Model::load(&spec(name), &settings()).await.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Loads a folder that is expected to be refused, and gives the whole message.
pub async fn refusal(path: PathBuf) -> String {
    match Model::load(&ModelSpec { name: "broken".to_owned(), path }, &settings()).await {
        Ok(_) => panic!("the folder was not refused"),
        Err(error) => full_message(&error),
    }
}

fn full_message(error: &LoadError) -> String {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message += &format!(": {cause}");
        source = cause.source();
    }
    message
}

pub fn options() -> PredictOptions {
    PredictOptions::new(request_context())
}

/// The context of a new request, with a deadline that no test reaches.
pub fn request_context() -> RequestContext {
    RequestContext {
        request: RequestId::next(),
        priority: Priority::Normal,
        admission: Admission::Wait,
        deadline: Instant::now() + Duration::from_secs(120),
    }
}

pub fn aggregated(strategy: AggregationStrategy) -> PredictOptions {
    PredictOptions { aggregation: Some(strategy), ..options() }
}

pub async fn predict(model: &Model, text: &str, options: PredictOptions) -> Prediction {
    let text: Arc<str> = text.into();
    model.pipeline.predict(text, options).await.expect("the text can be read")
}

/// The entities of a prediction as (label, text).
pub fn found<'t>(prediction: &Prediction, text: &'t str) -> Vec<(String, &'t str)> {
    let entities = prediction.entities.iter().flatten();
    entities.map(|entity| (entity.label.clone(), entity.span.slice(text).expect("a slice of the text"))).collect()
}

/// Reads `tests/reference/NAME`.
pub fn reference<T: DeserializeOwned>(name: &str) -> T {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A copy of a test model that may be broken.
pub fn copy_of(model: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_files(&models_dir().join(model), folder.path());
    folder
}

pub fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_files(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub fn write(folder: &TempDir, name: &str, text: &str) {
    std::fs::write(folder.path().join(name), text).unwrap();
}

/// Changes a JSON file of a folder.
pub fn edit_json(folder: &TempDir, name: &str, edit: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) {
    let path = folder.path().join(name);
    let mut value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut value);
    std::fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}
