//! `ressort serve`: the server from start to drain.

mod access;
mod args;
mod baselines;
mod reload;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ressort::classify::cache::PredictionCache;
use ressort::classify::samples::SampleFile;
use ressort::http::{AllowedHosts, App, Cors, KeyRing, Tls, serve};
use ressort::manifest::task::Task;
use ressort::models::active_file::PersistedState;
use ressort::models::registry::{Registry, RegistryError, StartingModel};
use ressort::system::budget::MemoryBudget;
use ressort::system::live::Live;
use ressort::system::printable::printable;
use ressort::system::telemetry::{keep_metrics_small, start_metrics};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::config::misspelt_variables;
use super::stop::stop_signal;
use access::{admin_access, key_ring};
pub use args::ServeArgs;
use baselines::NamedBaselines;
use reload::Running;

/// How often the files of the certificate are looked at.
const TLS_INTERVAL: Duration = Duration::from_secs(5);

pub async fn run_serve(args: &ServeArgs) -> anyhow::Result<()> {
    if args.print_config {
        print!("{}", printable(&args.settings.to_string()));
        return Ok(());
    }
    let keys = key_ring(args, &KeyRing::default())?;
    let tls = args.tls()?.map(Tls::load).transpose()?.map(Arc::new);
    misspelt_variables().iter().for_each(|hint| tracing::warn!("{hint}"));
    let metrics = start_metrics()?;
    // Before the port opens, so that an early signal finds its handler.
    let (stopped, hangup) = (stop_signal()?, signal(SignalKind::hangup())?);
    let mut stop = Box::pin(async move {
        stopped.await;
        tracing::info!("stopping; requests under way may finish");
    });
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
    app.keys.store(Arc::new(keys));
    app.tls = tls.clone();
    app.cache = (args.cache_mb > 0).then(|| Arc::new(PredictionCache::new(args.cache_mb * 1_000_000)));
    app.memory = MemoryBudget::new(args.request_memory_mb * 1_000_000);
    app.jobs = args.jobs.store(&args.models_dir());
    app.cors = Cors::new(args.cors_origins.clone());
    app.hosts = AllowedHosts::new(args.host, args.allowed_hosts.clone());
    app.admin = admin_access(args);
    app.model_folders = Some(args.model_folders());
    let samples = args.shadow_samples.clone().map(SampleFile::start).transpose()?;
    app.shadow_samples = samples.map(Arc::new);
    let baselines = NamedBaselines::read(&args.drift_baselines)?;
    baselines.warn_of_unused(&app.registry);
    app.baselines.store(Arc::new(baselines.into_one()));
    app.metrics = Some(metrics.clone());
    warn_of_surprises(args, &app);
    println!("{}", printable(&listening_line(&listener, &app)?));
    let (app, connections) = (Arc::new(app), Arc::new(Live::new(args.connections.settings())));
    let running = Running {
        app: Arc::clone(&app),
        connections: Arc::clone(&connections),
        host: args.host,
        settings: args.settings.clone(),
    };
    tokio::spawn(running.reload_on(hangup));
    if let Some(tls) = tls {
        tokio::spawn(async move { tls.follow_files(TLS_INTERVAL).await });
    }
    tokio::spawn(complete(Arc::clone(&app), starting, previous));
    tokio::spawn(keep_metrics_small(metrics));
    serve(listener, app, stop, connections).await;
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

fn warn_of_surprises(args: &ServeArgs, app: &App) {
    for model in app.registry.models() {
        for (provider, reason) in &model.placement.passed_over {
            tracing::info!(model = model.name, %provider, reason, "execution provider is not available; serving on {}", model.placement.provider);
        }
    }
    if !args.host.is_loopback() && app.keys.load().anyone_reads {
        tracing::warn!(host = %args.host, "every machine that reaches this address may use the service (--allow-anonymous)");
    }
}

/// One line: the address, and the model and execution provider of each task.
fn listening_line(listener: &TcpListener, app: &App) -> anyhow::Result<String> {
    let active = app.registry.active();
    let answers = [Task::Topics, Task::Entities].into_iter().filter_map(|task| {
        let model = active.get(task)?;
        Some(format!("{task}: {} {} on {}", model.name, model.version, model.placement.provider))
    });
    let answers = answers.collect::<Vec<_>>().join(", ");
    let (version, scheme) = (ressort::system::build_info::VERSION, if app.tls.is_some() { "https" } else { "http" });
    Ok(format!("ressort {version} listens on {scheme}://{} ({answers})", listener.local_addr()?))
}
