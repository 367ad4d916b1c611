//! `GET /metrics`: what was recorded, and what is read at the moment of the scrape.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::app::App;
use super::description::problems::PageProblems;
use super::drift::compare;
use super::error::{Code, Problem, ProblemBody};
use super::jobs::job::JobStatus;
use crate::inference::stats::RunStats;
use crate::models::drift::baseline::Baselines;
use crate::models::load::Model;
use crate::system::build_info::{VERSION, commit};
use crate::system::descriptors::descriptor_limit;
use crate::system::exposition::Exposition;
use crate::system::histogram::Histogram;
use crate::system::metric_names::{self as names, Metric};
use crate::system::process::ProcessUse;

/// `/metrics`, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", operation_id = "get_metrics", tag = "service", summary = "Metrics for Prometheus", security(()),
    responses(
        (status = 200, description = "The text format of Prometheus", body = String, content_type = "text/plain"),
        (status = 404, description = "`not_found`: This server collects no metrics", body = ProblemBody, content_type = "application/problem+json"),
        PageProblems,
    )
)]
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
    let Some(handle) = &app.metrics else {
        return Problem::new(Code::NotFound, "this server collects no metrics").into_response();
    };
    let mut page = Exposition::default();
    write_service(&mut page, &app);
    let models = app.registry.models();
    write_models(&mut page, &models);
    write_drift(&mut page, &models, &app.baselines.load());
    write_process(&mut page);
    ([(CONTENT_TYPE, TEXT_FORMAT)], handle.render() + &page.into_text()).into_response()
}

fn write_service(page: &mut Exposition, app: &App) {
    page.family(&names::REQUEST_MEMORY).sample(&[], app.memory.n_used());
    page.family(&names::REQUEST_MEMORY_LIMIT).sample(&[], app.memory.max());
    page.family(&names::CACHE_SIZE).sample(&[], app.cache.as_ref().map_or(0, |cache| cache.n_bytes()));
    page.family(&names::BUILD_INFO).sample(&[("version", VERSION), ("commit", commit().unwrap_or_default())], 1);
    if let Some(store) = &app.jobs {
        let jobs: Vec<JobStatus> = store.all().iter().map(|job| job.read(|state| state.status)).collect();
        let mut kept = page.family(&names::KEPT_JOBS);
        for status in JobStatus::ALL {
            let n_jobs = jobs.iter().filter(|other| **other == status).count();
            kept.sample(&[("status", &status.to_string())], n_jobs as u64);
        }
        page.family(&names::KEPT_JOBS_SIZE).sample(&[], store.n_bytes());
    }
    let mut documents = page.family(&names::SHADOW_DOCUMENTS);
    if let Some(shadow) = app.shadow.load_full() {
        for (outcome, n) in shadow.outcomes() {
            documents.sample(&[&labels(&shadow.model)[..], &[("outcome", outcome)]].concat(), n);
        }
    }
}

/// The metrics of loaded models. They are not recorded, so that those of a removed model are gone at once.
fn write_models(page: &mut Exposition, models: &[Arc<Model>]) {
    for (metric, value) in NUMBERS {
        let mut family = page.family(metric);
        models.iter().for_each(|model| family.sample(&labels(model), value(model)));
    }
    for (metric, value) in COUNTERS {
        let mut family = page.family(metric);
        models.iter().for_each(|model| family.sample(&labels(model), value(model).load(Ordering::Relaxed)));
    }
    for (metric, histogram) in HISTOGRAMS {
        let mut family = page.family(metric);
        models.iter().for_each(|model| family.histogram(&labels(model), histogram(model)));
    }
    let mut tokens = page.family(&names::BATCH_TOKENS);
    for model in models {
        let stats = stats(model);
        for (content, n) in [("window", &stats.n_window_tokens), ("padding", &stats.n_padding_tokens)] {
            tokens.sample(&with(model, ("content", content)), n.load(Ordering::Relaxed));
        }
    }
    let mut stages = page.family(&names::STAGE_DURATION);
    for model in models {
        for (stage, times) in stats(model).stages() {
            stages.histogram(&with(model, ("stage", stage.into_str())), times);
        }
    }
    let mut topics = page.family(&names::TOPICS);
    for model in models {
        model.traffic.topics().for_each(|(label, n)| topics.sample(&with(model, ("label", label)), n));
    }
    let mut entities = page.family(&names::ENTITIES);
    for model in models {
        model.traffic.entities().for_each(|(label, n)| entities.sample(&with(model, ("label", label)), n));
    }
    let mut info = page.family(&names::MODEL_INFO);
    for model in models {
        let provider = model.placement.provider.to_string();
        let arithmetic = ("arithmetic", model.arithmetic.as_str());
        info.sample(&[&with(model, arithmetic)[..], &[("provider", &provider)]].concat(), 1);
    }
}

/// A metric, and how it is read.
type Number = (&'static Metric, fn(&Model) -> u64);
/// A metric, and what holds it.
type Part<T> = (&'static Metric, fn(&Model) -> &T);

/// The comparison with the baselines, as far as there are enough documents.
fn write_drift(page: &mut Exposition, models: &[Arc<Model>], baselines: &Baselines) {
    let compared = models.iter().flat_map(|model| compare(model, baselines).into_iter().map(move |it| (model, it)));
    let compared: Vec<_> = compared.collect();
    let stable = || compared.iter().filter_map(|(model, it)| Some((model, it.feature.into_str(), it.stability?)));
    let mut documents = page.family(&names::DRIFT_DOCUMENTS);
    for (model, it) in &compared {
        documents.sample(&with(model, ("feature", it.feature.into_str())), it.live.n_documents);
    }
    let mut psi = page.family(&names::DRIFT_PSI);
    stable().for_each(|(model, feature, it)| psi.sample(&with(model, ("feature", feature)), it.psi));
    let mut noise = page.family(&names::DRIFT_NOISE);
    stable().for_each(|(model, feature, it)| noise.sample(&with(model, ("feature", feature)), it.noise));
}

const NUMBERS: [Number; 7] = [
    (&names::QUEUED_WINDOWS, |model| model.pipeline.scheduler.n_waiting() as u64),
    (&names::QUEUE_LIMIT, |model| model.pipeline.scheduler.n_permits() as u64),
    (&names::RUNNING_BATCHES, |model| model.pipeline.scheduler.n_running() as u64),
    (&names::STREAMS, |model| model.n_streams as u64),
    (&names::FAILED_BATCHES, |model| model.pipeline.scheduler.n_failed_batches() as u64),
    (&names::SESSION_PANICS, |model| model.pipeline.scheduler.n_panics() as u64),
    (&names::MODEL_MEMORY, |model| model.resident_bytes().unwrap_or_default()),
];

const COUNTERS: [Part<AtomicU64>; 6] = [
    (&names::BATCHES, |model| &stats(model).n_batches),
    (&names::BATCH_WINDOWS, |model| &stats(model).n_windows),
    (&names::RERUN_WINDOWS, |model| &stats(model).n_rerun_windows),
    (&names::MODEL_DOCUMENTS, |model| &model.traffic.n_documents),
    (&names::MODEL_TOKENS, |model| &model.traffic.n_tokens),
    (&names::UNKNOWN_TOKENS, |model| &model.traffic.n_unknown_tokens),
];

const HISTOGRAMS: [Part<Histogram>; 3] = [
    (&names::DOCUMENT_TOKENS, |model| &model.traffic.lengths),
    (&names::TOPIC_SCORE, |model| &model.traffic.topic_scores),
    (&names::ENTITY_SCORE, |model| &model.traffic.entity_scores),
];

fn stats(model: &Model) -> &RunStats {
    model.pipeline.scheduler.stats()
}

fn labels(model: &Model) -> [(&str, &str); 2] {
    [("model", &model.name), ("version", &model.version)]
}

fn with<'m>(model: &'m Model, label: (&'m str, &'m str)) -> [(&'m str, &'m str); 3] {
    let [name, version] = labels(model);
    [name, version, label]
}

/// The metrics that every exporter of Prometheus has, as far as the system gives them.
fn write_process(page: &mut Exposition) {
    let process = ProcessUse::now();
    let limit = descriptor_limit().map(|limit| limit as f64);
    let values = [
        (&names::RESIDENT_MEMORY, process.resident_bytes.map(|bytes| bytes as f64)),
        (&names::CPU_TIME, process.cpu_time.map(|time| time.as_secs_f64())),
        (&names::OPEN_FDS, process.open_files.map(|n| n as f64)),
        (&names::MAX_FDS, limit),
        (&names::START_TIME, process.started.map(|time| time.as_secs_f64())),
    ];
    for (metric, value) in values {
        if let Some(value) = value {
            page.family(metric).sample(&[], value);
        }
    }
}
