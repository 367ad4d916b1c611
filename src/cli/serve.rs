//! `ressort serve`: its arguments, and the server from start to drain.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use ressort::classify::cache::PredictionCache;
use ressort::classify::request::RequestLimits;
use ressort::http::{AdminAccess, ApiKey, App, serve};
use ressort::inference::settings::RunSettings;
use ressort::manifest::task::Task;
use ressort::models::active_file::PersistedState;
use ressort::models::registry::{ByTask, Registry, RegistryError};
use ressort::models::spec::ModelSpec;
use ressort::system::telemetry::start_metrics;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ModelArgs, RunArgs, positive};

/// How long requests under way may take once the server was told to stop.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to listen on; anything but the loopback is reachable by others
    #[arg(long, default_value = "127.0.0.1", env = "RESSORT_HOST")]
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8080, env = "RESSORT_PORT")]
    pub port: u16,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    run: RunArgs,
    /// Longest text that is read, in Unicode code points
    #[arg(long, default_value_t = RequestLimits::default().max_characters, env = "RESSORT_MAX_CHARACTERS", value_parser = positive)]
    max_characters: usize,
    /// Most documents of one request
    #[arg(long, default_value_t = RequestLimits::default().max_documents, env = "RESSORT_MAX_DOCUMENTS", value_parser = positive)]
    max_documents: usize,
    /// Largest body of a request, in bytes
    #[arg(long, default_value_t = RequestLimits::default().max_body_bytes, env = "RESSORT_MAX_BODY_BYTES", value_parser = positive)]
    max_body_bytes: usize,
    /// Longest time from a request to its answer, in seconds
    #[arg(long, default_value_t = RequestLimits::default().timeout.as_secs(), env = "RESSORT_TIMEOUT_S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout_s: u64,
    /// Memory for answers to texts that come again, in MB; 0 reads every text anew
    #[arg(long, default_value_t = 64, env = "RESSORT_CACHE_MB", value_name = "MB")]
    pub cache_mb: u64,
    /// Key that requests to /v1 must send as `Authorization: Bearer KEY`
    #[arg(long, env = "RESSORT_API_KEY", hide_env_values = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub api_key: Option<String>,
    /// File with the key that changes of models must send; without one they are taken on the loopback only
    #[arg(long, value_name = "FILE", env = "RESSORT_ADMIN_KEY_FILE")]
    pub admin_key_file: Option<PathBuf>,
    /// The same key itself
    #[arg(long, env = "RESSORT_ADMIN_KEY", hide_env_values = true, conflicts_with = "admin_key_file", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub admin_key: Option<String>,
    /// Where a switch of models is saved for the next start; default: .active.json in --models-dir
    #[arg(long = "saved-file", value_name = "FILE", env = "RESSORT_SAVED_FILE")]
    state_file: Option<PathBuf>,
    /// File to which texts are appended on which live models and the one in the shadow disagree; without it none is kept
    #[arg(long, value_name = "FILE", env = "RESSORT_SHADOW_SAMPLES")]
    pub shadow_samples: Option<PathBuf>,
}

impl ServeArgs {
    /// The models to load: those named, else those that were active when models were last switched, else the one that ships.
    pub fn models(&self, saved: Option<&PersistedState>) -> Vec<ModelSpec> {
        match saved.filter(|_| self.models.is_default()) {
            Some(saved) => saved.specs(),
            None => self.models.specs(),
        }
    }

    /// Which model answers for what: as named, else as saved, where the models are those that were saved.
    pub fn active(&self, saved: Option<&PersistedState>) -> ByTask<String> {
        let saved = saved.filter(|_| self.models.is_default()).map(PersistedState::active).unwrap_or_default();
        let named = self.models.active();
        ByTask { topics: named.topics.or(saved.topics), entities: named.entities.or(saved.entities) }
    }

    /// What a rollback brings back, where the models are those that were saved.
    pub fn previous<'s>(&self, saved: Option<&'s PersistedState>) -> Option<&'s PersistedState> {
        saved.filter(|_| self.models.is_default())?.previous.as_deref()
    }

    pub fn models_dir(&self) -> &Path {
        &self.models.models_dir
    }

    pub fn state_file(&self) -> PathBuf {
        self.state_file.clone().unwrap_or_else(|| self.models_dir().join(".active.json"))
    }

    pub fn limits(&self) -> RequestLimits {
        RequestLimits {
            max_characters: self.max_characters,
            max_documents: self.max_documents,
            max_body_bytes: self.max_body_bytes,
            timeout: Duration::from_secs(self.timeout_s),
        }
    }

    pub fn run_settings(&self) -> RunSettings {
        self.run.settings()
    }
}

pub async fn run_serve(args: &ServeArgs) -> anyhow::Result<()> {
    let metrics = start_metrics()?;
    // Before the port opens: a signal that comes early must find its handler.
    let (stop, hangup) = (stop_signal()?, signal(SignalKind::hangup())?);
    // Bound first: a port that is taken shows before a model is loaded, and no request is refused meanwhile.
    let address = (args.host, args.port);
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {}:{}; choose another with --host and --port", args.host, args.port)
    })?;
    let saved = PersistedState::read(&args.state_file())?;
    let saved = saved.as_ref();
    let registry = Registry::load(&args.models(saved), args.active(saved), &args.run_settings()).await;
    let registry = match saved {
        Some(_) => registry.with_context(|| {
            let file = args.state_file();
            format!(
                "models as last switched are not there (saved in {}; remove that file to start without)",
                file.display()
            )
        })?,
        None => registry?,
    };
    let mut app = App::new(registry, args.limits());
    app.api_key = args.api_key.as_deref().map(ApiKey::new);
    app.cache = (args.cache_mb > 0).then(|| Arc::new(PredictionCache::new(args.cache_mb * 1_000_000)));
    app.admin = admin_access(args)?;
    app.models_dir = Some(args.models_dir().to_owned());
    app.state_file = Some(args.state_file());
    app.shadow_samples = args.shadow_samples.clone();
    app.metrics = Some(metrics);
    warn_of_surprises(args, &app);
    println!("{}", listening_line(&listener, &app.registry)?);
    let app = Arc::new(app);
    tokio::spawn(reload_on_hangup(Arc::clone(&app), hangup));
    if let Some(previous) = args.previous(saved) {
        tokio::spawn(remember_previous(Arc::clone(&app), previous.clone()));
    }
    serve(listener, app, stop, PATIENCE).await?;
    Ok(())
}

/// On SIGHUP, loads the new versions of model folders that changed; one that cannot be loaded leaves the old in use.
async fn reload_on_hangup(app: Arc<App>, mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        for (name, result) in app.registry.put_changed().await {
            match result {
                Ok(model) => tracing::info!(model = name, version = model.version, "new version loaded"),
                Err(error @ RegistryError::Unreadable { .. }) => {
                    tracing::warn!(model = name, error = chain(error), "no folder to look for a new version in");
                }
                Err(error) => tracing::error!(model = name, error = chain(error), "new version refused"),
            }
        }
    }
}

/// Loads what a rollback would bring back, beside the models that serve already.
async fn remember_previous(app: Arc<App>, previous: PersistedState) {
    if let Err(error) = app.registry.remember(&previous.specs(), &previous.active()).await {
        tracing::warn!(
            error = chain(error),
            "what was active before the last switch cannot be loaded; there is nothing to roll back to"
        );
    }
}

/// A message with its causes.
fn chain(error: RegistryError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

fn admin_access(args: &ServeArgs) -> anyhow::Result<AdminAccess> {
    let from_file = args.admin_key_file.as_ref().map(|file| {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("{}: the admin key cannot be read", file.display()))?;
        let key = text.trim().to_owned();
        anyhow::ensure!(!key.is_empty(), "{}: the file is empty; put the admin key into it", file.display());
        Ok(key)
    });
    Ok(match from_file.transpose()?.or_else(|| args.admin_key.clone()) {
        Some(key) => AdminAccess::Key(ApiKey::new(key)),
        None if args.host.is_loopback() => AdminAccess::Anyone,
        None => AdminAccess::Nobody,
    })
}

fn warn_of_surprises(args: &ServeArgs, app: &App) {
    for model in app.registry.models() {
        for (provider, reason) in &model.placement.passed_over {
            tracing::info!(model = model.name, %provider, reason, "execution provider is not usable; serving on {}", model.placement.provider);
        }
    }
    if !args.host.is_loopback() && app.api_key.is_none() {
        tracing::warn!(host = %args.host, "anyone who reaches this address may use the service; set --api-key to ask for a key");
    }
}

/// One line: where, with which models for what, on which execution provider.
fn listening_line(listener: &TcpListener, registry: &Registry) -> anyhow::Result<String> {
    let active = registry.active();
    let answers = [Task::Topics, Task::Entities].into_iter().filter_map(|task| {
        let model = active.get(task)?;
        Some(format!("{task}: {} {} on {}", model.name, model.version, model.placement.provider))
    });
    let answers = answers.collect::<Vec<_>>().join(", ");
    Ok(format!("ressort {} listens on http://{} ({answers})", env!("CARGO_PKG_VERSION"), listener.local_addr()?))
}

/// Resolves when the process is asked to stop (SIGINT or SIGTERM).
fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping: requests under way are finished");
    })
}
