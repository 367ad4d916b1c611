//! `ressort serve`: its arguments, and the server from start to drain.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use ressort::classify::cache::PredictionCache;
use ressort::classify::request::RequestLimits;
use ressort::classify::samples::SampleFile;
use ressort::http::{
    AdminAccess, ApiKey, App, CorsOrigin, DEFAULT_REQUEST_MEMORY_MB, ServerSettings, cors_layer, serve,
};
use ressort::inference::settings::RunSettings;
use ressort::manifest::task::Task;
use ressort::models::active_file::PersistedState;
use ressort::models::registry::{ByTask, Registry, RegistryError, StartingModel};
use ressort::models::spec::ModelSpec;
use ressort::system::budget::MemoryBudget;
use ressort::system::printable::printable;
use ressort::system::telemetry::{keep_metrics_small, start_metrics};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ModelArgs, RunArgs, positive};

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to listen on; other machines reach every address except the loopback
    #[arg(long, default_value = "127.0.0.1", env = "RESSORT_HOST")]
    pub host: IpAddr,
    /// Port to listen on; 0 for any free port
    #[arg(long, default_value_t = 8080, env = "RESSORT_PORT")]
    pub port: u16,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    run: RunArgs,
    /// Maximum length of a text, in Unicode code points
    #[arg(long, default_value_t = RequestLimits::default().max_characters, env = "RESSORT_MAX_CHARACTERS", value_parser = positive)]
    max_characters: usize,
    /// Maximum number of documents in one request
    #[arg(long, default_value_t = RequestLimits::default().max_documents, env = "RESSORT_MAX_DOCUMENTS", value_parser = positive)]
    max_documents: usize,
    /// Maximum size of a request body, in bytes
    #[arg(long, default_value_t = RequestLimits::default().max_body_bytes, env = "RESSORT_MAX_BODY_BYTES", value_parser = positive)]
    max_body_bytes: usize,
    /// Memory for the bodies, texts and answers of all requests under way, in MB; requests that do not fit wait or get 503
    #[arg(long, default_value_t = DEFAULT_REQUEST_MEMORY_MB, env = "RESSORT_REQUEST_MEMORY_MB", value_name = "MB", value_parser = clap::value_parser!(u64).range(8..=1_000_000))]
    request_memory_mb: u64,
    /// Maximum time from a request to its answer, in seconds
    #[arg(long, default_value_t = RequestLimits::default().timeout.as_secs(), env = "RESSORT_TIMEOUT_S", value_parser = seconds(1))]
    timeout_s: u64,
    #[command(flatten)]
    connections: ConnectionArgs,
    /// Size of the cache for repeated texts, in MB; 0 disables it
    #[arg(long, default_value_t = 64, env = "RESSORT_CACHE_MB", value_name = "MB")]
    pub cache_mb: u64,
    /// API key: requests to /v1 and to the routes for other clients must send it as `Authorization: Bearer KEY`
    #[arg(long, env = "RESSORT_API_KEY", hide_env_values = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub api_key: Option<String>,
    /// Origin of web pages that may call the service, such as https://www.example.com, repeatable; `*` for every one
    #[arg(long = "cors-origin", value_name = "ORIGIN", env = "RESSORT_CORS_ORIGIN", value_delimiter = ',')]
    cors_origins: Vec<CorsOrigin>,
    /// File with the admin key, which is required to change models; without a key, only this machine may change them
    #[arg(long, value_name = "FILE", env = "RESSORT_ADMIN_KEY_FILE")]
    pub admin_key_file: Option<PathBuf>,
    /// The admin key itself
    #[arg(long, env = "RESSORT_ADMIN_KEY", hide_env_values = true, conflicts_with = "admin_key_file", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub admin_key: Option<String>,
    /// File that keeps the active models for the next start; default: .active.json in --models-dir
    #[arg(long, value_name = "FILE", env = "RESSORT_STATE_FILE")]
    state_file: Option<PathBuf>,
    /// The former name of `--state-file`
    #[arg(long, hide = true, value_name = "FILE", env = "RESSORT_SAVED_FILE")]
    saved_file: Option<PathBuf>,
    /// File for texts on which the live models and the shadow model disagree, up to 64 MB; without it no text is kept
    #[arg(long, value_name = "FILE", env = "RESSORT_SHADOW_SAMPLES")]
    pub shadow_samples: Option<PathBuf>,
}

/// Limits of connections.
#[derive(Debug, Args)]
struct ConnectionArgs {
    /// Maximum number of open connections; the default leaves 128 descriptors of `ulimit -n` for other files
    #[arg(long, default_value_t = ServerSettings::default().max_connections, env = "RESSORT_MAX_CONNECTIONS", value_parser = positive, hide_default_value = true)]
    max_connections: usize,
    /// Maximum time in which a client sends the head of a request, in seconds
    #[arg(long, default_value_t = ServerSettings::default().head_timeout.as_secs(), env = "RESSORT_HEAD_TIMEOUT_S", value_parser = seconds(1))]
    head_timeout_s: u64,
    /// Maximum time between two requests of a connection, in seconds
    #[arg(long, default_value_t = ServerSettings::default().idle_timeout.as_secs(), env = "RESSORT_IDLE_TIMEOUT_S", value_parser = seconds(1))]
    idle_timeout_s: u64,
    /// Maximum time in which a client reads nothing of its answer, in seconds
    #[arg(long, default_value_t = ServerSettings::default().stall_timeout.as_secs(), env = "RESSORT_STALL_TIMEOUT_S", value_parser = seconds(1))]
    stall_timeout_s: u64,
    /// Maximum time in which the server waits for a client to read one answer, all pauses together, in seconds
    #[arg(long, default_value_t = ServerSettings::default().read_timeout.as_secs(), env = "RESSORT_READ_TIMEOUT_S", value_parser = seconds(1))]
    read_timeout_s: u64,
    /// Maximum time from SIGTERM to the end of the process, in seconds
    #[arg(long, default_value_t = ServerSettings::default().grace_period.as_secs(), env = "RESSORT_GRACE_PERIOD_S", value_parser = seconds(0))]
    grace_period_s: u64,
}

fn seconds(min: u64) -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(min..=86_400)
}

impl ConnectionArgs {
    fn settings(&self) -> ServerSettings {
        let max_connections = ServerSettings::limited(self.max_connections);
        if max_connections < self.max_connections {
            tracing::warn!(
                max_connections,
                "--max-connections is above what the limit of open files allows; raise `ulimit -n`"
            );
        }
        ServerSettings {
            max_connections,
            head_timeout: Duration::from_secs(self.head_timeout_s),
            idle_timeout: Duration::from_secs(self.idle_timeout_s),
            stall_timeout: Duration::from_secs(self.stall_timeout_s),
            read_timeout: Duration::from_secs(self.read_timeout_s),
            grace_period: Duration::from_secs(self.grace_period_s),
        }
    }
}

impl ServeArgs {
    /// The models to load: those named, else the persisted ones, else the shipped model.
    pub fn models(&self, persisted: Option<&PersistedState>) -> Vec<ModelSpec> {
        match persisted.filter(|_| self.models.is_default()) {
            Some(persisted) => persisted.specs(),
            None => self.models.specs(),
        }
    }

    /// The model of each task: as named, else as persisted, when the persisted models are loaded.
    pub fn active(&self, persisted: Option<&PersistedState>) -> ByTask<String> {
        let persisted = persisted.filter(|_| self.models.is_default()).map(PersistedState::active).unwrap_or_default();
        let named = self.models.active();
        ByTask { topics: named.topics.or(persisted.topics), entities: named.entities.or(persisted.entities) }
    }

    pub fn models_dir(&self) -> PathBuf {
        self.models.models_dir()
    }

    pub fn state_file(&self) -> PathBuf {
        self.state_file
            .as_ref()
            .or(self.saved_file.as_ref())
            .cloned()
            .unwrap_or_else(|| self.models_dir().join(".active.json"))
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
    // Before the port opens, so that an early signal finds its handler.
    let (mut stop, hangup) = (Box::pin(stop_signal()?), signal(SignalKind::hangup())?);
    // Before the models load: a port in use is reported at once, and early requests wait in the backlog.
    let address = (args.host, args.port);
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {}:{}; choose another with --host and --port", args.host, args.port)
    })?;
    let Loaded { mut registry, starting, previous } = tokio::select! {
        loaded = load_registry(args) => loaded?,
        () = &mut stop => return Ok(()),
    };
    registry.state_file = Some(args.state_file());
    let mut app = App::new(registry, args.limits());
    app.api_key = args.api_key.as_deref().map(ApiKey::new);
    app.cache = (args.cache_mb > 0).then(|| Arc::new(PredictionCache::new(args.cache_mb * 1_000_000)));
    app.memory = MemoryBudget::new(args.request_memory_mb * 1_000_000);
    app.cors = cors_layer(&args.cors_origins);
    app.admin = admin_access(args)?;
    app.models_dir = Some(args.models_dir());
    let samples = args.shadow_samples.clone().map(SampleFile::start).transpose()?;
    app.shadow_samples = samples.map(Arc::new);
    app.metrics = Some(metrics.clone());
    warn_of_surprises(args, &app);
    println!("{}", printable(&listening_line(&listener, &app.registry)?));
    let app = Arc::new(app);
    tokio::spawn(reload_on_hangup(Arc::clone(&app), hangup));
    tokio::spawn(complete(Arc::clone(&app), starting, previous));
    tokio::spawn(keep_metrics_small(metrics));
    serve(listener, app, stop, args.connections.settings()).await;
    Ok(())
}

/// Models that answer, and what is left to load.
struct Loaded {
    registry: Registry,
    starting: Vec<StartingModel>,
    /// What a rollback activates.
    previous: Option<PersistedState>,
}

/// Loads the models of the flags or of the state file. With a state file that is of no use the server starts on its flags: a
/// service that runs on its default is better than none.
async fn load_registry(args: &ServeArgs) -> anyhow::Result<Loaded> {
    let settings = args.run_settings();
    let load = |persisted: Option<PersistedState>| {
        let (specs, active) = (args.models(persisted.as_ref()), args.active(persisted.as_ref()));
        let settings = settings.clone();
        async move {
            let previous = persisted.and_then(|persisted| persisted.previous).map(|previous| *previous);
            let (registry, starting) = Registry::start(&specs, active, &settings).await?;
            Ok::<_, RegistryError>(Loaded { registry, starting, previous })
        }
    };
    let unusable = match PersistedState::read(&args.state_file()) {
        Ok(None) => return Ok(load(None).await?),
        // The flags name models, so that the file decides nothing.
        Ok(Some(_)) if !args.models.is_default() => return Ok(load(None).await?),
        Ok(Some(persisted)) => match load(Some(persisted)).await {
            Ok(loaded) => return Ok(loaded),
            Err(error) => chain(error),
        },
        Err(error) => chain(error),
    };
    let file = args.state_file();
    match PersistedState::set_aside(&file) {
        Ok(aside) => tracing::error!(
            error = unusable, file = %file.display(), kept_as = %aside.display(),
            "the active models of the last run cannot be restored; starting on the flags"
        ),
        Err(error) => tracing::error!(
            error = unusable, file = %file.display(), %error,
            "the active models of the last run cannot be restored, and their file cannot be renamed; starting on the flags"
        ),
    }
    Ok(load(None).await?)
}

/// On SIGHUP, reloads the model folders that changed. When a new version cannot be loaded, the old one stays in use.
async fn reload_on_hangup(app: Arc<App>, mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        for (name, result) in app.registry.put_changed().await {
            match result {
                Ok(model) => tracing::info!(model = name, version = model.version, "new version loaded"),
                Err(error @ RegistryError::Unreadable { .. }) => {
                    tracing::warn!(
                        model = name,
                        error = chain(error),
                        "the model folder cannot be read, so the loaded version stays in use"
                    );
                }
                Err(error) => tracing::error!(model = name, error = chain(error), "new version refused"),
            }
        }
    }
}

/// Opens the other sessions of the models, and then loads those that a rollback activates, while the first sessions answer.
async fn complete(app: Arc<App>, starting: Vec<StartingModel>, previous: Option<PersistedState>) {
    for model in starting {
        let name = model.model.name.clone();
        if let Err(error) = model.complete().await {
            tracing::error!(
                model = name,
                error = chain(error),
                "only one session could be opened; windows run one by one"
            );
        }
    }
    if let Some(previous) = previous {
        remember_previous(app, previous).await;
    }
}

/// Loads the models that a rollback activates.
async fn remember_previous(app: Arc<App>, previous: PersistedState) {
    if let Err(error) = app.registry.remember(&previous.specs(), &previous.active()).await {
        tracing::warn!(
            error = chain(error),
            "the previously active models cannot be loaded; a rollback is not possible"
        );
    }
}

/// The message of an error and its causes.
fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

fn admin_access(args: &ServeArgs) -> anyhow::Result<AdminAccess> {
    let from_file = args.admin_key_file.as_ref().map(|file| {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("{}: the admin key cannot be read", file.display()))?;
        let key = text.trim().to_owned();
        anyhow::ensure!(!key.is_empty(), "{}: the file is empty; write the admin key into it", file.display());
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
            tracing::info!(model = model.name, %provider, reason, "execution provider is not available; serving on {}", model.placement.provider);
        }
    }
    if !args.host.is_loopback() && app.api_key.is_none() {
        tracing::warn!(host = %args.host, "every machine that reaches this address may use the service; set --api-key to require a key");
    }
}

/// One line: the address, and the model and execution provider of each task.
fn listening_line(listener: &TcpListener, registry: &Registry) -> anyhow::Result<String> {
    let active = registry.active();
    let answers = [Task::Topics, Task::Entities].into_iter().filter_map(|task| {
        let model = active.get(task)?;
        Some(format!("{task}: {} {} on {}", model.name, model.version, model.placement.provider))
    });
    let answers = answers.collect::<Vec<_>>().join(", ");
    Ok(format!("ressort {} listens on http://{} ({answers})", env!("CARGO_PKG_VERSION"), listener.local_addr()?))
}

/// Resolves on SIGINT or SIGTERM.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping; requests under way may finish");
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Serve {
        #[command(flatten)]
        args: ServeArgs,
    }

    #[test]
    fn beyond_the_loopback_models_are_changed_with_a_key_only() {
        let access = |args: &[&str]| {
            let serve = Serve::parse_from(["serve"].iter().chain(args));
            admin_access(&serve.args).unwrap()
        };
        assert!(matches!(access(&[]), AdminAccess::Anyone));
        assert!(matches!(access(&["--host", "::1"]), AdminAccess::Anyone));
        assert!(matches!(access(&["--host", "0.0.0.0"]), AdminAccess::Nobody));
        assert!(matches!(access(&["--host", "0.0.0.0", "--admin-key", "k"]), AdminAccess::Key(_)));
        assert!(matches!(access(&["--admin-key", "k"]), AdminAccess::Key(_)));
    }
}
