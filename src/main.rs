//! `ressort`: the verbs, each as a list of its steps. Exit codes: 0 done, 1 failed, 2 bad usage,
//! 3 scored but for some rows.

mod cli;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use ressort::http::{ApiKey, App, serve};
use ressort::inspect::Report;
use ressort::model::Model;
use ressort::registry::{ByTask, Registry};
use ressort::score::{ScoreError, prepare};
use ressort::task::Task;
use ressort::telemetry::{start_logging, start_metrics};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, InspectArgs, ScoreArgs, ServeArgs, Verb};

/// How long requests under way may take once the server was told to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// What `clap` ends with too.
const BAD_USAGE: u8 = 2;
const SOME_ROWS_FAILED: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(cli.log_format.into());
    match run(cli.verb) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ressort: {error:#}");
            let is_usage = error.downcast_ref::<ScoreError>().is_some_and(ScoreError::is_usage);
            if is_usage { BAD_USAGE.into() } else { ExitCode::FAILURE }
        }
    }
}

#[tokio::main]
async fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Serve(args) => run_serve(&args).await.map(|()| ExitCode::SUCCESS),
        Verb::Score(args) => run_score(&args).await,
        Verb::Inspect(args) => run_inspect(&args).await.map(|()| ExitCode::SUCCESS),
    }
}

async fn run_serve(args: &ServeArgs) -> anyhow::Result<()> {
    let metrics = start_metrics()?;
    // Bound first: a port that is taken shows before a model is loaded, and no request is refused meanwhile.
    let address = (args.host, args.port);
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {}:{}; choose another with --host and --port", args.host, args.port)
    })?;
    let registry = Registry::load(&args.models(), args.active(), &args.run_settings()).await?;
    let mut app = App::new(registry, args.limits());
    app.api_key = args.api_key.as_deref().map(ApiKey::new);
    app.metrics = Some(metrics);
    warn_of_surprises(args, &app);
    println!("{}", listening_line(&listener, &app.registry)?);
    serve(listener, Arc::new(app), stop_signal()?, PATIENCE).await?;
    Ok(())
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
    let answers = [Task::Topics, Task::Entities].into_iter().filter_map(|task| {
        let name = registry.active().get(task)?;
        let model = registry.models().find(|model| model.name == *name)?;
        Some(format!("{task}: {name} {} on {}", model.version, model.placement.provider))
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
