//! The command line: what was said, as `clap` reads it, and what it means.

mod evaluate;
mod score;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ressort::config::{ModelSpec, Provider, RequestLimits, RunSettings};
use ressort::registry::ByTask;
use ressort::saved::Saved;
use ressort::telemetry::LogFormat;

pub use evaluate::EvaluateArgs;
pub use score::ScoreArgs;

/// Reads German text and returns its topics and named entities, with any transformer exported to ONNX.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    /// How log lines look on standard error; RUST_LOG says which there are
    #[arg(long, global = true, value_enum, default_value = "text", env = "RESSORT_LOG_FORMAT")]
    pub log_format: LogFormatArg,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Serve the HTTP API
    Serve(Box<ServeArgs>),
    /// Score files: read texts, write their topics and entities
    Score(Box<ScoreArgs>),
    /// Say what a model folder holds, and whether and how it would be served
    Inspect(InspectArgs),
    /// Change the models of a running server
    Models(ModelsArgs),
    /// Compare models on labelled data
    Evaluate(Box<EvaluateArgs>),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormatArg {
    Text,
    Json,
}

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
    #[arg(long, value_name = "FILE", env = "RESSORT_SAVED_FILE")]
    saved_file: Option<PathBuf>,
    /// File to which texts are appended on which live models and the one in the shadow disagree; without it none is kept
    #[arg(long, value_name = "FILE", env = "RESSORT_SHADOW_SAMPLES")]
    pub shadow_samples: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The model folder
    #[arg(value_name = "[NAME=]PATH")]
    pub model: ModelSpec,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    run: RunArgs,
}

/// Which models are loaded, and which of them answers for what.
#[derive(Debug, Args)]
struct ModelArgs {
    /// A model folder to load, repeatable; without any, the model `ressort` of --models-dir
    #[arg(long = "model", value_name = "[NAME=]PATH")]
    models: Vec<ModelSpec>,
    /// Folder of the models that ship
    #[arg(long, default_value = "models", env = "RESSORT_MODELS_DIR", value_name = "DIR")]
    models_dir: PathBuf,
    /// The model that gives topics; default: the first that can
    #[arg(long, value_name = "NAME")]
    topics: Option<String>,
    /// The model that gives entities; default: the first that can
    #[arg(long, value_name = "NAME")]
    entities: Option<String>,
}

#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// Address of the server
    #[arg(long, global = true, default_value = "http://127.0.0.1:8080", env = "RESSORT_SERVER", value_name = "URL")]
    pub server: String,
    /// The server's admin key
    #[arg(long, global = true, env = "RESSORT_ADMIN_KEY", hide_env_values = true)]
    pub admin_key: Option<String>,
    /// Print the server's answer as JSON, as happens anyway where the output is no terminal
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub change: ModelsChange,
}

#[derive(Debug, Subcommand)]
pub enum ModelsChange {
    /// What is loaded, and what is active
    List,
    /// Load a folder of the server's models folder, or its new version
    Load { name: String },
    /// Make loaded models active, both tasks at once
    Activate {
        /// The model for topics
        #[arg(long, required_unless_present = "entities")]
        topics: Option<String>,
        /// The model for entities
        #[arg(long)]
        entities: Option<String>,
    },
    /// Go back to what was active before the last switch
    Rollback,
    /// Take out a model that is not in use
    Remove { name: String },
    /// Let a loaded model read along with a share of the live traffic; without a name, report on it
    Shadow {
        name: Option<String>,
        /// Share of the documents, above 0 and at most 1
        #[arg(long, default_value_t = 0.1, requires = "name")]
        share: f64,
        /// End it
        #[arg(long, conflicts_with = "name")]
        stop: bool,
    },
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Execution providers in the order in which they are tried (cuda, cpu); the CPU stands behind them all
    #[arg(long, value_delimiter = ',', default_value = "cuda,cpu", env = "RESSORT_PROVIDERS", value_name = "LIST")]
    providers: Vec<Provider>,
    /// Fail to start rather than run on the CPU
    #[arg(long, env = "RESSORT_REQUIRE_GPU")]
    require_gpu: bool,
    /// Runs of one model at the same time on the CPU, a thread each; default: the cores that this process may use
    #[arg(long, env = "RESSORT_STREAMS", value_parser = positive)]
    streams: Option<usize>,
    /// Windows that may wait for a run before requests are refused
    #[arg(long, default_value_t = RunSettings::default().max_queued_windows, env = "RESSORT_MAX_QUEUED_WINDOWS", value_parser = positive)]
    max_queued_windows: usize,
}

impl ServeArgs {
    /// The models to load: those named, else those that were active when models were last switched, else the one that ships.
    pub fn models(&self, saved: Option<&Saved>) -> Vec<ModelSpec> {
        match saved.filter(|_| self.models.is_default()) {
            Some(saved) => saved.specs(),
            None => self.models.specs(),
        }
    }

    /// Which model answers for what: as named, else as saved, where the models are those that were saved.
    pub fn active(&self, saved: Option<&Saved>) -> ByTask<String> {
        let saved = saved.filter(|_| self.models.is_default()).map(Saved::active).unwrap_or_default();
        let named = self.models.active();
        ByTask { topics: named.topics.or(saved.topics), entities: named.entities.or(saved.entities) }
    }

    /// What a rollback brings back, where the models are those that were saved.
    pub fn previous<'s>(&self, saved: Option<&'s Saved>) -> Option<&'s Saved> {
        saved.filter(|_| self.models.is_default())?.previous.as_deref()
    }

    pub fn models_dir(&self) -> &Path {
        &self.models.models_dir
    }

    pub fn saved_file(&self) -> PathBuf {
        self.saved_file.clone().unwrap_or_else(|| self.models_dir().join(".active.json"))
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

impl InspectArgs {
    pub fn run_settings(&self) -> RunSettings {
        self.run.settings()
    }
}

impl ModelArgs {
    /// The models to load: those named, else the one that ships.
    fn specs(&self) -> Vec<ModelSpec> {
        const SHIPPED: &str = "ressort";
        match self.models.is_empty() {
            false => self.models.clone(),
            true => vec![ModelSpec { name: SHIPPED.to_owned(), path: self.models_dir.join(SHIPPED) }],
        }
    }

    fn active(&self) -> ByTask<String> {
        ByTask { topics: self.topics.clone(), entities: self.entities.clone() }
    }

    /// Whether no model was named.
    fn is_default(&self) -> bool {
        self.models.is_empty()
    }
}

impl RunArgs {
    fn settings(&self) -> RunSettings {
        RunSettings {
            providers: self.providers.clone(),
            require_gpu: self.require_gpu,
            n_streams: self.streams.unwrap_or(RunSettings::default().n_streams),
            max_queued_windows: self.max_queued_windows,
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

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(error.to_string()),
    }
}
