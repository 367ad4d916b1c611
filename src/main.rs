//! `ressort`: the verbs, each as a list of its steps. Exit codes: 0 done, 1 failed, 2 bad usage, 3 scored but for some
//! rows, 4 a requirement of `evaluate` fell short.

mod cli;
mod remote;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use ressort::cache::PredictionCache;
use ressort::config::usable_cores;
use ressort::evaluate::progress::{ProgressBar, ScratchDir};
use ressort::evaluate::report::html::page;
use ressort::evaluate::{EvaluateError, evaluate};
use ressort::http::{AdminAccess, ApiKey, App, serve};
use ressort::inspect::Report;
use ressort::memory::tame_allocator;
use ressort::model::Model;
use ressort::registry::{ByTask, Registry, RegistryError};
use ressort::saved::Saved;
use ressort::score::{ScoreError, prepare};
use ressort::task::Task;
use ressort::telemetry::{start_logging, start_metrics};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{Cli, EvaluateArgs, InspectArgs, ModelsArgs, ScoreArgs, ServeArgs, Verb};

/// How long requests under way may take once the server was told to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// Exit code where a requirement of `evaluate` is not met.
const FELL_SHORT: u8 = 4;

/// What `clap` ends with too.
const BAD_USAGE: u8 = 2;
const SOME_ROWS_FAILED: u8 = 3;

fn main() -> ExitCode {
    tame_allocator();
    let cli = Cli::parse();
    start_logging(cli.log_format.into());
    match start_runtime().and_then(|runtime| runtime.block_on(run(cli.verb))) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ressort: {error:#}");
            let is_usage = error.downcast_ref::<ScoreError>().is_some_and(ScoreError::is_usage)
                || error.downcast_ref::<EvaluateError>().is_some_and(EvaluateError::is_usage);
            if is_usage { BAD_USAGE.into() } else { ExitCode::FAILURE }
        }
    }
}

/// Documents are read and decoded on threads beside those that answer. More of them than keep the cores busy do nothing but take
/// memory, and under load time from the runs.
fn start_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.enable_all().max_blocking_threads(2 * usable_cores()).build()?)
}

async fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Serve(args) => run_serve(&args).await?,
        Verb::Score(args) => return run_score(&args).await,
        Verb::Inspect(args) => run_inspect(&args).await?,
        Verb::Models(args) => run_models(&args)?,
        Verb::Evaluate(args) => return run_evaluate(&args).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_serve(args: &ServeArgs) -> anyhow::Result<()> {
    let metrics = start_metrics()?;
    // Before the port opens: a signal that comes early must find its handler.
    let (stop, hangup) = (stop_signal()?, signal(SignalKind::hangup())?);
    // Bound first: a port that is taken shows before a model is loaded, and no request is refused meanwhile.
    let address = (args.host, args.port);
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {}:{}; choose another with --host and --port", args.host, args.port)
    })?;
    let saved = Saved::read(&args.saved_file())?;
    let saved = saved.as_ref();
    let registry = Registry::load(&args.models(saved), args.active(saved), &args.run_settings()).await;
    let registry = match saved {
        Some(_) => registry.with_context(|| {
            let file = args.saved_file();
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
    app.saved_file = Some(args.saved_file());
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
async fn remember_previous(app: Arc<App>, previous: Saved) {
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

async fn run_score(args: &ScoreArgs) -> anyhow::Result<ExitCode> {
    // Before the models: what is wrong with the files shows at once.
    let prepared = prepare(args.job())?;
    let registry = Registry::load(&args.models(), args.active(), &args.run_settings()).await?;
    let models = registry.assign(args.tasks(), &ByTask::default())?;
    let summary = prepared.run(models).await?;
    eprint!("{summary}");
    if let Some(path) = &args.summary {
        let json = serde_json::to_string_pretty(&summary)? + "\n";
        std::fs::write(path, json).with_context(|| format!("{}: the summary cannot be written", path.display()))?;
    }
    Ok(if summary.counts.errors > 0 { SOME_ROWS_FAILED.into() } else { ExitCode::SUCCESS })
}

async fn run_inspect(args: &InspectArgs) -> anyhow::Result<()> {
    let load = Model::load(&args.model, &args.run_settings()).await.map_err(anyhow::Error::from);
    if args.json {
        let report = match &load {
            Ok(model) => serde_json::json!({"servable": true, "model": Report::of(model)}),
            Err(error) => serde_json::json!({"servable": false, "error": format!("{error:#}")}),
        };
        println!("{report:#}");
    }
    let model = load.with_context(|| format!("{} would not be served", args.model.path.display()))?;
    if !args.json {
        println!("{}would be served", Report::of(&model));
    }
    Ok(())
}

/// For people on a terminal in words; for programs as the server's answer.
fn run_models(args: &ModelsArgs) -> anyhow::Result<()> {
    let answer = remote::change_models(args)?;
    let in_words = remote::in_words(args, &answer).filter(|_| !args.json && std::io::stdout().is_terminal());
    println!("{}", in_words.unwrap_or_else(|| format!("{answer:#}")));
    Ok(())
}

async fn run_evaluate(args: &EvaluateArgs) -> anyhow::Result<ExitCode> {
    let scratch = ScratchDir::new();
    let progress = ProgressBar::new();
    let report = evaluate(&args.settings(&scratch.path)?, &|model, n_done, n| progress.show(model, n_done, n)).await?;
    progress.clear();
    print!("{report}");
    if let Some(file) = &args.json {
        write_report(file, &format!("{:#}\n", serde_json::to_value(&report)?))?;
    }
    if let Some(file) = &args.html {
        write_report(file, &page(&report))?;
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(FELL_SHORT) })
}

fn write_report(file: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(file, text)
    };
    write().with_context(|| format!("cannot write {}; give another place", file.display()))?;
    println!("\nreport: {}", file.display());
    Ok(())
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
