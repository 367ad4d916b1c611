//! The command line: one file for each command, with its arguments and its runner.
//!
//! Exit codes: 0 done, 1 failed, 2 bad usage, 3 some rows could not be scored, 4 a requirement of `evaluate` is not met, 130
//! stopped by Ctrl-C, 143 by SIGTERM.

mod client;
mod completions;
mod config;
mod doctor;
mod evaluate;
mod health;
mod help;
mod inspect;
mod key;
mod models;
mod number;
pub mod print;
mod pull;
mod score;
mod serve;
mod stop;
mod version;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use ressort::evaluate::settings::EvaluateError;
use ressort::inference::arithmetic::Arithmetic;
use ressort::inference::settings::{Provider, RunSettings};
use ressort::models::model_folders::{DEFAULT_MODELS_DIR, ModelFolders, SHIPPED};
use ressort::models::registry::ByTask;
use ressort::models::spec::ModelSpec;
use ressort::score::ScoreError;
use ressort::system::telemetry::{LogFormat, Verbosity};

pub use config::{ParseError, parse};
use number::{positive, seconds};
pub use version::show;

const SUCCESS: u8 = 0;
const FAILURE: u8 = 1;
/// The code that `clap` uses too.
const BAD_USAGE: u8 = 2;
const SOME_ROWS_FAILED: u8 = 3;
const REQUIREMENT_NOT_MET: u8 = 4;
/// As shells number the end by SIGINT.
const INTERRUPTED: u8 = 130;
/// The same for SIGTERM.
const TERMINATED: u8 = 143;

/// Reads German text and returns its topics and named entities, with any transformer exported to ONNX.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    /// Format of the log lines on standard error; RUST_LOG filters them
    #[arg(long, global = true, value_enum, default_value = "text", env = "RESSORT_LOG_FORMAT")]
    pub log_format: LogFormatArg,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP API
    #[command(mut_args(help::shown), after_help = help::MORE, after_long_help = help::SERVE)]
    Serve(Box<serve::ServeArgs>),
    /// Score files: read texts, write their topics and entities
    #[command(mut_args(help::shown), after_help = help::MORE, after_long_help = help::SCORE)]
    Score(Box<score::ScoreArgs>),
    /// Describe a model folder, and whether and how it would be served
    #[command(mut_args(help::shown), after_help = help::MORE, after_long_help = help::INSPECT)]
    Inspect(inspect::InspectArgs),
    /// Bring a model from a Hugging Face hub into a model folder
    #[command(mut_args(help::shown), after_help = help::MORE, after_long_help = help::PULL)]
    Pull(pull::PullArgs),
    /// Change the models of a running server
    #[command(mut_args(help::shown), after_help = help::MORE, after_long_help = help::MODELS)]
    Models(models::ModelsArgs),
    /// Tell whether a running server answers, for health checks
    #[command(mut_args(help::shown), after_help = help::MORE, after_long_help = help::HEALTH)]
    Health(health::HealthArgs),
    /// Make keys for clients of a server
    #[command(mut_args(help::shown), after_help = help::MORE, after_long_help = help::KEY)]
    Key(key::KeyArgs),
    /// Compare models on labelled data
    #[command(mut_args(help::shown), after_help = help::MORE, after_long_help = help::EVALUATE)]
    Evaluate(Box<evaluate::EvaluateArgs>),
    /// Check what the service needs on this machine, and run each model once
    #[command(mut_args(help::shown), after_help = help::MORE, after_long_help = help::DOCTOR)]
    Doctor(doctor::DoctorArgs),
    /// Print the completions for a shell
    #[command(mut_args(help::shown), after_help = help::MORE, after_long_help = help::COMPLETIONS)]
    Completions(completions::CompletionsArgs),
    /// Write the manual pages
    #[command(mut_args(help::shown), after_help = help::MORE, after_long_help = help::MAN)]
    Man(completions::ManArgs),
}

impl Command {
    pub async fn run(self) -> anyhow::Result<u8> {
        match self {
            Self::Serve(args) => serve::run_serve(&args).await?,
            Self::Score(args) => return score::run_score(&args).await,
            Self::Inspect(args) => inspect::run_inspect(&args).await?,
            Self::Pull(args) => pull::run_pull(&args)?,
            Self::Models(args) => models::run_models(&args)?,
            Self::Health(args) => health::run_health(&args)?,
            Self::Key(args) => key::run_key(&args)?,
            Self::Evaluate(args) => return evaluate::run_evaluate(&args).await,
            Self::Doctor(args) => return doctor::run_doctor(&args).await,
            Self::Completions(args) => completions::run_completions(&args)?,
            Self::Man(args) => completions::run_man(&args)?,
        }
        Ok(SUCCESS)
    }

    /// Where spans are exported to.
    pub fn collector(&self) -> Option<&str> {
        match self {
            Self::Serve(args) => args.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()),
            _ => None,
        }
    }

    /// How much is logged.
    pub fn verbosity(&self) -> Verbosity {
        match self {
            Self::Score(args) if args.quiet => Verbosity::Quiet,
            // Its report says what a log would.
            Self::Doctor(_) => Verbosity::Quiet,
            _ => Verbosity::Normal,
        }
    }
}

/// The exit code of a run that ended with `error`.
pub fn exit_code_of(error: &anyhow::Error) -> u8 {
    let is_usage = error.downcast_ref::<ScoreError>().is_some_and(ScoreError::is_usage)
        || error.downcast_ref::<EvaluateError>().is_some_and(EvaluateError::is_usage)
        || error.is::<config::ConfigError>();
    if is_usage { BAD_USAGE } else { FAILURE }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormatArg {
    Text,
    Json,
}

/// Which models are loaded, and which of them answers for what.
#[derive(Debug, Args)]
struct ModelArgs {
    /// A model folder to load, or the name of a model in --models-dir, repeatable; default: the model `ressort`
    #[arg(long = "model", value_name = "[NAME=]PATH", env = "RESSORT_MODEL")]
    models: Vec<ModelSpec>,
    #[command(flatten)]
    dir: ModelsDirArg,
    /// The model that answers topics; default: the first that can
    #[arg(long, value_name = "NAME", env = "RESSORT_TOPICS")]
    topics: Option<String>,
    /// The model that answers entities; default: the first that can
    #[arg(long, value_name = "NAME", env = "RESSORT_ENTITIES")]
    entities: Option<String>,
}

#[derive(Debug, Args)]
struct ModelsDirArg {
    /// Folder in which models are found by name; default: `models` in the working folder, else next to the program or above it,
    /// else that of the package (/usr/share/ressort/models)
    #[arg(long, default_value = DEFAULT_MODELS_DIR, hide_default_value = true, env = "RESSORT_MODELS_DIR", value_name = "DIR")]
    models_dir: PathBuf,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Execution providers in the order in which they are tried (cuda, cpu); the CPU is always the last resort
    #[arg(long, value_delimiter = ',', default_value = "cuda,cpu", env = "RESSORT_PROVIDERS", value_name = "LIST")]
    providers: Vec<Provider>,
    /// Fail to start rather than run on the CPU
    #[arg(long, env = "RESSORT_REQUIRE_GPU", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = ArgAction::Set, hide_default_value = true, hide_possible_values = true, value_name = "true|false")]
    require_gpu: bool,
    /// Parallel runs of one model on the CPU, one thread each; default: the cores that this process may use
    #[arg(long, env = "RESSORT_STREAMS", default_value_t = RunSettings::default().n_streams, hide_default_value = true, value_parser = positive)]
    streams: usize,
    /// Windows that may wait for a run before requests are refused
    #[arg(long, default_value_t = RunSettings::default().max_queued_windows, env = "RESSORT_MAX_QUEUED_WINDOWS", value_parser = positive)]
    max_queued_windows: usize,
    /// Maximum time of one run of a model, in seconds; a run that takes longer is ended
    #[arg(long, default_value_t = RunSettings::default().run_timeout.as_secs(), env = "RESSORT_RUN_TIMEOUT_S", value_parser = seconds(1))]
    run_timeout_s: u64,
    /// How int8 models multiply on processors that would clip sums: `exact` gives the same scores everywhere, `fast` is up to
    /// 18% faster there
    #[arg(long, default_value_t = Arithmetic::Exact, env = "RESSORT_ARITHMETIC", value_name = "exact|fast")]
    arithmetic: Arithmetic,
}

impl ModelArgs {
    /// The models to load: those named, else the one that ships.
    fn specs(&self) -> Vec<ModelSpec> {
        let folders = self.folders();
        match self.models.is_empty() {
            false => folders.resolve_all(&self.models),
            true => vec![ModelSpec { name: SHIPPED.to_owned(), path: folders.find(SHIPPED) }],
        }
    }

    /// Where models are found by name.
    fn folders(&self) -> ModelFolders {
        self.dir.folders()
    }

    fn active(&self) -> ByTask<String> {
        ByTask { topics: self.topics.clone(), entities: self.entities.clone() }
    }

    /// Whether no model was named.
    fn is_default(&self) -> bool {
        self.models.is_empty()
    }
}

/// The files of those flags that are given.
fn given(files: &[(&'static str, &Option<PathBuf>)]) -> Vec<(&'static str, PathBuf)> {
    files.iter().filter_map(|(flag, file)| Some((*flag, (*file).clone()?))).collect()
}

impl ModelsDirArg {
    /// # Errors
    /// If the named models folder does not exist. Without this check the models that ship are used, and nothing says so.
    fn check(&self) -> Result<(), config::ConfigError> {
        let dir = &self.models_dir;
        match dir.is_dir() || dir == Path::new(DEFAULT_MODELS_DIR) {
            true => Ok(()),
            false => Err(config::ConfigError::new(format!(
                "--models-dir {}: no such folder; name one that is there, create it, or leave the setting out for the models that ship",
                dir.display()
            ))),
        }
    }

    fn folders(&self) -> ModelFolders {
        ModelFolders::search(&self.models_dir)
    }
}

impl RunArgs {
    fn settings(&self) -> RunSettings {
        RunSettings {
            providers: self.providers.clone(),
            require_gpu: self.require_gpu,
            n_streams: self.streams,
            max_queued_windows: self.max_queued_windows,
            run_timeout: Duration::from_secs(self.run_timeout_s),
            arithmetic: self.arithmetic,
            ..RunSettings::default()
        }
    }
}

impl From<LogFormatArg> for LogFormat {
    fn from(format: LogFormatArg) -> Self {
        match format {
            LogFormatArg::Text => Self::Text,
            LogFormatArg::Json => Self::Json,
        }
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [b'\\', b't'] => Ok(b'\t'),
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => Err("give one ASCII character that is no letter, digit, quote or line end, or \\t".to_owned()),
    }
}
