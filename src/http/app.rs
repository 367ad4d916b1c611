//! The state that all routes share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwapOption;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use super::keys::{AdminAccess, ApiKey};
use crate::classify::cache::PredictionCache;
use crate::classify::request::RequestLimits;
use crate::classify::samples::SampleFile;
use crate::classify::shadow::Shadow;
use crate::models::registry::Registry;
use crate::system::budget::MemoryBudget;

/// Memory for the requests under way, in MB: four bodies of the largest size, and the documents in them.
pub const DEFAULT_REQUEST_MEMORY_MB: u64 = 320;

/// The state that all routes share.
pub struct App {
    pub registry: Registry,
    pub limits: RequestLimits,
    /// The memory that requests under way may take.
    pub memory: Arc<MemoryBudget>,
    /// When set, the routes under `/v1` and those of `compat` require it.
    pub api_key: Option<ApiKey>,
    /// Predictions for repeated texts; `None`: every text is classified anew.
    pub cache: Option<Arc<PredictionCache>>,
    /// Who may change models.
    pub admin: AdminAccess,
    /// The folder from which models are loaded by name.
    pub models_dir: Option<PathBuf>,
    /// A candidate model that classifies a share of the live texts.
    pub shadow: ArcSwapOption<Shadow>,
    /// The file for texts on which live models and candidate disagree; `None`: no text is kept.
    pub shadow_samples: Option<Arc<SampleFile>>,
    /// When set, `/metrics` is served.
    pub metrics: Option<PrometheusHandle>,
    /// Set when the server stops accepting requests; `/health/ready` then reports it.
    pub draining: AtomicBool,
    /// True once the grace period is nearly over.
    pub cutoff: watch::Sender<bool>,
}

impl App {
    pub fn new(registry: Registry, limits: RequestLimits) -> Self {
        Self {
            registry,
            limits,
            memory: MemoryBudget::new(DEFAULT_REQUEST_MEMORY_MB * 1_000_000),
            api_key: None,
            cache: None,
            admin: AdminAccess::Nobody,
            models_dir: None,
            shadow: ArcSwapOption::empty(),
            shadow_samples: None,
            metrics: None,
            draining: AtomicBool::new(false),
            cutoff: watch::Sender::new(false),
        }
    }

    /// Ends the requests under way: what is not answered yet gets 503.
    pub fn cut_off(&self) {
        self.cutoff.send_replace(true);
    }

    /// Resolves when requests under way must end.
    pub fn cutoff(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut cutoff = self.cutoff.subscribe();
        async move {
            if cutoff.wait_for(|is_over| *is_over).await.is_err() {
                // The server is gone, and with it the signal.
                std::future::pending::<()>().await;
            }
        }
    }
}
