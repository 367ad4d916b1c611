//! A trial run of a model: loaded as the service loads it, then given a text.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ressort::inference::pipeline::PredictOptions;
use ressort::inference::scheduler::{Admission, RequestContext};
use ressort::inference::settings::{Provider, RunSettings};
use ressort::models::load::Model;
use ressort::models::report::ModelReport;
use ressort::models::spec::ModelSpec;
use ressort::system::counted::counted;
use serde_json::json;

use super::{Check, Status};

const TEXT: &str = "Brüssel (dpa) - Die EU-Kommission will Verbraucher besser vor Chemikalien in Spielzeug schützen. „Kinder müssen \
                    sicher spielen können“, sagte Kommissionspräsidentin Ursula von der Leyen am Mittwoch.";
const TIMEOUT: Duration = Duration::from_secs(60);

/// Loads a model, reads one text, and unloads it.
pub async fn load_and_run(spec: &ModelSpec, settings: &RunSettings) -> Check {
    let start = Instant::now();
    match Model::load(spec, settings).await {
        Ok(model) => run(&model, Some(start.elapsed())).await,
        Err(error) => Check::failed(&check_name(&spec.name), format!("{:#}", anyhow::Error::from(error))),
    }
}

pub fn check_name(model: &str) -> String {
    format!("model {model}")
}

/// Reads one text with a loaded model.
pub async fn run(model: &Model, loaded: Option<Duration>) -> Check {
    let (name, path) = (check_name(&model.name), &model.manifest.dir);
    // The first run warms up.
    let runs = [read(model).await, read(model).await];
    let [Ok(_), Ok((found, ran))] = runs else {
        let error = runs.into_iter().find_map(Result::err).unwrap_or_default();
        return Check::failed(&name, format!("{}: the trial run failed: {error}", path.display()));
    };
    let report = ModelReport::of(model);
    let ms = |time: Duration| (time.as_secs_f64() * 10_000.0).round() / 10.0;
    let loaded_in = loaded.map(|loaded| format!("loaded in {:.1} s; ", loaded.as_secs_f64())).unwrap_or_default();
    let finding = format!(
        "{}: {loaded_in}a text of {} characters took {} ms on {} and gave {found}\narithmetic {}",
        path.display(),
        TEXT.chars().count(),
        ms(ran),
        model.placement.provider,
        model.arithmetic,
    );
    let mut details = json!({"path": path, "run_ms": ms(ran), "found": found, "report": report});
    if let Some(loaded) = loaded {
        details["load_ms"] = json!(ms(loaded));
    }
    let check = Check::ok(&name, finding, details);
    match unused_gpu(model) {
        Some(reason) => Check {
            status: Status::Warning,
            finding: format!("{}\na GPU is there, but is not used: {reason}", check.finding),
            remedy: Some("get ONNX Runtime's CUDA build with its libraries (scripts/onnxruntime.sh --gpu) and set ORT_DYLIB_PATH to it".to_owned()),
            ..check
        },
        None => check,
    }
}

/// What was found in the text, and how long it took.
async fn read(model: &Model) -> Result<(String, Duration), String> {
    let options = PredictOptions::new(RequestContext::new(Admission::Wait, Instant::now() + TIMEOUT));
    let (text, start): (Arc<str>, _) = (TEXT.into(), Instant::now());
    let prediction = model.pipeline.predict(text, options).await.map_err(|error| error.to_string())?;
    let ran = start.elapsed();
    let topics =
        prediction.topics.map(|topics| match topics.first().and_then(|topic| model.topic_labels().get(topic.index)) {
            Some(best) => format!("the topic {}", best.label),
            None => "no topic".to_owned(),
        });
    let entities = prediction.entities.map(|entities| counted(entities.len(), "entity"));
    Ok((topics.into_iter().chain(entities).collect::<Vec<_>>().join(" and "), ran))
}

/// Why the GPU of this machine is not used, where it has one and the settings name it.
fn unused_gpu(model: &Model) -> Option<String> {
    let has_gpu = Path::new("/dev/nvidiactl").exists();
    let passed_over = model.placement.passed_over.iter().find(|(provider, _)| *provider == Provider::Cuda)?;
    has_gpu.then(|| passed_over.1.clone())
}
