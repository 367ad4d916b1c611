//! `ressort serve`: the server from start to drain.

mod access;
mod args;
mod baselines;
mod finding;
mod key_changes;
mod prepare;
mod reload;
mod restore;

use std::sync::Arc;
use std::time::Duration;

use ressort::classify::cache::PredictionCache;
use ressort::http::{AllowedHosts, App, Cors, serve};
use ressort::manifest::task::Task;
use ressort::models::active_file::PersistedState;
use ressort::models::registry::{Registry, StartingModel};
use ressort::system::budget::MemoryBudget;
use ressort::system::live::Live;
use ressort::system::telemetry::{keep_metrics_small, start_metrics};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::print;
use super::stop::stop_signal;
use access::admin_access;
pub use args::ServeArgs;
pub use baselines::NamedBaselines;
pub use finding::Finding;
use prepare::Prepared;
pub use prepare::{Report, prepare};
use reload::Running;
use restore::set_aside;
pub use restore::{Loaded, load_models};

/// How often the files of the certificate are looked at.
const TLS_INTERVAL: Duration = Duration::from_secs(5);

pub async fn run_serve(args: &ServeArgs) -> anyhow::Result<()> {
    if args.print_config {
        let settings = args.settings.clone().with_found("models_dir", &args.models_dir());
        return print::result(&settings.to_string());
    }
    let metrics = start_metrics()?;
    // Before the port opens, so that an early signal finds its handler.
    let (stopped, hangup) = (stop_signal()?, signal(SignalKind::hangup())?);
    let mut stop = Box::pin(async move {
        stopped.await;
        tracing::info!("stopping; requests under way may finish");
    });
    let prepared = prepare(args).await.into_prepared()?;
    let loaded = tokio::select! {
        loaded = load_models(args) => loaded?,
        () = &mut stop => return Ok(()),
    };
    if let Some(unusable) = &loaded.unusable {
        set_aside(args, unusable);
    }
    let Loaded { registry, starting, previous, .. } = loaded;
    let (mut app, listener) = app_of(args, registry, prepared);
    app.metrics = Some(metrics.clone());
    mention_providers(&app);
    if let Err(error) = print::result(&listening_line(&listener, &app)?) {
        tracing::warn!("{error:#}");
    }
    let (app, connections) = (Arc::new(app), Arc::new(Live::new(args.connections.settings())));
    let running = Running {
        app: Arc::clone(&app),
        connections: Arc::clone(&connections),
        host: args.host,
        settings: args.settings.clone(),
    };
    tokio::spawn(running.reload_on(hangup));
    if let Some(tls) = app.tls.clone() {
        tokio::spawn(async move { tls.follow_files(TLS_INTERVAL).await });
    }
    tokio::spawn(complete(Arc::clone(&app), starting, previous));
    tokio::spawn(keep_metrics_small(metrics));
    serve(listener, app, stop, connections).await;
    Ok(())
}

/// The state of the routes, and where they are served.
fn app_of(args: &ServeArgs, mut registry: Registry, prepared: Prepared) -> (App, TcpListener) {
    let Prepared { keys, tls, baselines, jobs, samples, listener } = prepared;
    registry.state_file = Some(args.state_file());
    baselines.warn_of_unused(&registry);
    let mut app = App::new(registry, args.limits());
    app.keys.store(Arc::new(keys));
    app.tls = tls;
    app.cache = (args.cache_mb > 0).then(|| Arc::new(PredictionCache::new(args.cache_mb * 1_000_000)));
    app.memory = MemoryBudget::new(args.request_memory_mb * 1_000_000);
    app.jobs = jobs;
    app.cors = Cors::new(args.cors_origins.clone());
    app.hosts = AllowedHosts::new(args.host, args.allowed_hosts.clone());
    app.admin = admin_access(args);
    app.model_folders = Some(args.model_folders());
    app.shadow_samples = samples.map(Arc::new);
    app.baselines.store(Arc::new(baselines.into_one()));
    (app, listener)
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
    if let Err(error) = app.registry.remember(&previous).await {
        tracing::warn!(
            error = chain(error),
            "the previously active models cannot be restored; a rollback is not possible"
        );
    }
}

/// The message of an error and its causes.
fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

fn mention_providers(app: &App) {
    for model in app.registry.models() {
        for (provider, reason) in &model.placement.passed_over {
            tracing::info!(model = model.name, %provider, reason, "execution provider is not available; serving on {}", model.placement.provider);
        }
    }
}

/// One line: the address, and the model and execution provider of each task.
fn listening_line(listener: &TcpListener, app: &App) -> anyhow::Result<String> {
    let (version, scheme) = (ressort::system::build_info::VERSION, if app.tls.is_some() { "https" } else { "http" });
    let (address, answers) = (listener.local_addr()?, active_models(&app.registry));
    Ok(format!("ressort {version} listens on {scheme}://{address} ({answers})"))
}

/// The model and execution provider of each task.
pub fn active_models(registry: &Registry) -> String {
    let active = registry.active();
    let answers = [Task::Topics, Task::Entities].into_iter().filter_map(|task| {
        let model = active.get(task)?;
        Some(format!("{task}: {} {} on {}", model.name, model.version, model.placement.provider))
    });
    answers.collect::<Vec<_>>().join(", ")
}
