//! `GET /v1/drift`: the documents of the last day against the baseline of each model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::description::problems::KeyProblems;
use crate::models::drift::baseline::{Baselines, ModelBaseline};
use crate::models::drift::psi::{MIN_DOCUMENTS, MODERATE, SHIFTED, Sample, Stability, Verdict, stability};
use crate::models::drift::{Feature, Samples, WINDOW};
use crate::models::load::Model;

/// What the documents of the last day are like.
#[derive(Debug, Serialize, ToSchema)]
pub struct DriftReport {
    window_hours: u64,
    /// Documents that a comparison needs, in the window and in the baseline.
    min_documents: u64,
    thresholds: Thresholds,
    models: Vec<ModelDrift>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Thresholds {
    moderate: f64,
    shifted: f64,
}

#[derive(Debug, Serialize, ToSchema)]
struct ModelDrift {
    name: String,
    version: String,
    /// Whether there is a baseline of this version.
    has_baseline: bool,
    /// By feature: `topics`, `entities`, `topic_scores`, `entity_scores`, `length`, `unknown_tokens`.
    features: BTreeMap<&'static str, FeatureDrift>,
}

#[derive(Debug, Serialize, ToSchema)]
struct FeatureDrift {
    /// `no_baseline`, `too_few_documents`, `stable`, `moderate` or `shifted`.
    status: &'static str,
    /// The population stability index.
    psi: Option<f64>,
    /// What the index does not exceed by chance, in 999 of 1000 comparisons.
    noise: Option<f64>,
    documents: u64,
    baseline_documents: u64,
    bins: BTreeMap<String, BinShares>,
}

/// Shares of the documents, in 0..=1.
#[derive(Debug, Serialize, ToSchema)]
struct BinShares {
    live: f64,
    baseline: Option<f64>,
}

/// One feature of one model, compared.
pub struct Compared {
    pub feature: Feature,
    pub live: Sample,
    pub baseline: Option<Sample>,
    /// `None` without a baseline, and where there are too few documents.
    pub stability: Option<Stability>,
}

impl Compared {
    fn new(feature: Feature, live: Sample, baseline: Option<Sample>) -> Self {
        let stability = baseline.as_ref().and_then(|baseline| stability(&live, baseline));
        Self { feature, live, baseline, stability }
    }

    fn verdict(&self) -> Verdict {
        if self.baseline.is_none() { Verdict::NoBaseline } else { Verdict::of(self.stability) }
    }
}

/// `GET /v1/drift`
#[utoipa::path(
    get, path = "/v1/drift", operation_id = "get_drift", tag = "models",
    summary = "Compares the documents of the last day with a baseline",
    responses((status = 200, description = "The comparison of each model", body = DriftReport), KeyProblems)
)]
pub async fn drift(State(app): State<Arc<App>>) -> Json<DriftReport> {
    let (models, baselines) = (app.registry.models(), app.baselines.load());
    Json(DriftReport {
        window_hours: WINDOW.as_secs() / 3600,
        min_documents: MIN_DOCUMENTS,
        thresholds: Thresholds { moderate: MODERATE, shifted: SHIFTED },
        models: models.iter().map(|model| ModelDrift::of(model, &baselines)).collect(),
    })
}

/// `GET /v1/drift/baseline`
#[utoipa::path(
    get, path = "/v1/drift/baseline", operation_id = "get_drift_baseline", tag = "models",
    summary = "Gives the documents of the last day as a baseline for the days that follow",
    responses((status = 200, description = "A file for --drift-baseline", body = Baselines), KeyProblems)
)]
pub async fn baseline(State(app): State<Arc<App>>) -> Json<Baselines> {
    let now = Instant::now();
    let models = app.registry.models();
    let of = |model: &Arc<Model>| ModelBaseline::new(&model.name, &model.version, &model.traffic.recent.last_day(now));
    Json(Baselines { models: models.iter().map(of).collect() })
}

/// The features of `model`, those of the last day against those of its baseline.
pub fn compare(model: &Model, baselines: &Baselines) -> Vec<Compared> {
    let baseline = baseline_of(model, baselines);
    let live = model.traffic.recent.last_day(Instant::now());
    let features: BTreeSet<Feature> = live.keys().chain(baseline.iter().flat_map(|it| it.keys())).copied().collect();
    let compared = |feature: Feature| {
        let of = |samples: &Samples| samples.get(&feature).cloned().unwrap_or_default();
        Compared::new(feature, of(&live), baseline.as_deref().map(of))
    };
    features.into_iter().map(compared).collect()
}

/// The baseline that the operator named for this version, else that of the model's folder.
fn baseline_of(model: &Model, baselines: &Baselines) -> Option<Arc<Samples>> {
    baselines.of_version(&model.version).map(Arc::new).or_else(|| model.baseline())
}

impl ModelDrift {
    fn of(model: &Model, baselines: &Baselines) -> Self {
        let features = compare(model, baselines);
        Self {
            name: model.name.clone(),
            version: model.version.clone(),
            has_baseline: baseline_of(model, baselines).is_some(),
            features: features.iter().map(|it| (it.feature.into_str(), FeatureDrift::of(it))).collect(),
        }
    }
}

impl FeatureDrift {
    fn of(compared: &Compared) -> Self {
        let Compared { live, baseline, .. } = compared;
        let stability = compared.stability;
        let names = live.bins.keys().chain(baseline.iter().flat_map(|baseline| baseline.bins.keys()));
        let shares = |bin: &String| BinShares {
            live: live.share(bin),
            baseline: baseline.as_ref().map(|baseline| baseline.share(bin)),
        };
        Self {
            status: compared.verdict().into_str(),
            psi: stability.map(|it| it.psi),
            noise: stability.map(|it| it.noise),
            documents: live.n_documents,
            baseline_documents: baseline.as_ref().map_or(0, |baseline| baseline.n_documents),
            bins: names.map(|bin| (bin.clone(), shares(bin))).collect(),
        }
    }
}
