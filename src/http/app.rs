//! The state that all routes share.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use super::browser_guard::AllowedHosts;
use super::cross_origin::Cors;
use super::jobs::store::JobStore;
use super::keys::{AdminAccess, KeyRing};
use super::tls::Tls;
use crate::classify::cache::PredictionCache;
use crate::classify::classifier::Classifier;
use crate::classify::error::ClassifyError;
use crate::classify::request::{ClassifyOptions, RequestLimits};
use crate::classify::samples::SampleFile;
use crate::classify::shadow::Shadow;
use crate::manifest::task::Tasks;
use crate::models::drift::baseline::Baselines;
use crate::models::model_folders::ModelFolders;
use crate::models::registry::{ByTask, Registry};
use crate::system::budget::MemoryBudget;
use crate::system::live::Live;

/// Memory for the requests under way, in MB: four bodies of the largest size, and the documents in them.
pub const DEFAULT_REQUEST_MEMORY_MB: u64 = 320;

/// The state that all routes share.
pub struct App {
    pub registry: Registry,
    pub limits: Live<RequestLimits>,
    /// The memory that requests under way may take.
    pub memory: Arc<MemoryBudget>,
    /// The keys that open the routes under `/v1` and those of `compat`.
    pub keys: ArcSwap<KeyRing>,
    /// When set, connections are encrypted.
    pub tls: Option<Arc<Tls>>,
    /// Predictions for repeated texts; `None`: every text is classified again.
    pub cache: Option<Arc<PredictionCache>>,
    /// Requests that are answered later; `None`: none is accepted.
    pub jobs: Option<Arc<JobStore>>,
    /// Which web pages of other origins may call the service.
    pub cors: Cors,
    /// Under which names the service answers requests without a key.
    pub hosts: AllowedHosts,
    /// Who may change models where no key may.
    pub admin: AdminAccess,
    /// The folders from which models are loaded by name.
    pub model_folders: Option<ModelFolders>,
    /// A candidate model that classifies a share of the live texts.
    pub shadow: ArcSwapOption<Shadow>,
    /// The file for texts on which live models and candidate disagree; `None`: no text is kept.
    pub shadow_samples: Option<Arc<SampleFile>>,
    /// What is normal for models, by their version, where the operator says so.
    pub baselines: ArcSwap<Baselines>,
    /// When set, `/metrics` is served.
    pub metrics: Option<PrometheusHandle>,
    /// True once the server accepts no more requests; `/health/ready` then reports it.
    pub draining: watch::Sender<bool>,
    /// True once the grace period is nearly over.
    pub cutoff: watch::Sender<bool>,
}

impl App {
    pub fn new(registry: Registry, limits: RequestLimits) -> Self {
        Self {
            registry,
            limits: Live::new(limits),
            tls: None,
            memory: MemoryBudget::new(DEFAULT_REQUEST_MEMORY_MB * 1_000_000),
            keys: ArcSwap::default(),
            cache: None,
            jobs: None,
            cors: Cors::default(),
            hosts: AllowedHosts::default(),
            admin: AdminAccess::Nobody,
            model_folders: None,
            shadow: ArcSwapOption::empty(),
            shadow_samples: None,
            baselines: ArcSwap::default(),
            metrics: None,
            draining: watch::Sender::new(false),
            cutoff: watch::Sender::new(false),
        }
    }

    /// Ends the requests under way: what is not answered yet gets 503.
    pub fn cut_off(&self) {
        self.cutoff.send_replace(true);
    }

    /// Resolves when requests under way must end.
    pub fn cutoff(&self) -> impl Future<Output = ()> + Send + use<> {
        is_true(&self.cutoff)
    }

    /// From now on the server accepts no more requests.
    pub fn start_draining(&self) {
        self.draining.send_replace(true);
    }

    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Resolves when the server accepts no more requests.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        is_true(&self.draining)
    }

    /// The classifier of a request: its models, its options, and what all requests share.
    pub fn classifier(
        &self,
        tasks: Option<Tasks>,
        models: &ByTask<String>,
        options: ClassifyOptions,
    ) -> Result<Classifier, ClassifyError> {
        let models = self.registry.assign(tasks, models)?;
        Ok(Classifier {
            options: options.for_models(&models)?,
            models,
            cache: self.cache.clone(),
            memory: Some(Arc::clone(&self.memory)),
            shadow: self.shadow.load_full(),
        })
    }
}

fn is_true(signal: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + use<> {
    let mut signal = signal.subscribe();
    async move {
        if signal.wait_for(|is_true| *is_true).await.is_err() {
            // The server is gone, and with it the signal.
            std::future::pending::<()>().await;
        }
    }
}
