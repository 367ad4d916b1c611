//! The arguments of `ressort serve`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args};
use ressort::classify::request::RequestLimits;
use ressort::http::{
    AllowedHost, CorsOrigin, DEFAULT_REQUEST_MEMORY_MB, JobLimits, JobStore, MAX_HEAD_BYTES, ServerSettings, TlsFiles,
};
use ressort::inference::settings::RunSettings;
use ressort::models::active_file::PersistedState;
use ressort::models::model_folders::ModelFolders;
use ressort::models::registry::ByTask;
use ressort::models::spec::ModelSpec;
use ressort::system::spans::{TraceError, check_endpoint};

use super::finding::Warning;
use crate::cli::config::{ConfigError, Settings};
use crate::cli::number::{positive, seconds, whole};
use crate::cli::{ModelArgs, RunArgs, key};

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Configuration file in TOML; default: /etc/ressort/ressort.toml if it exists
    #[arg(long, value_name = "FILE", env = "RESSORT_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print the settings and where each comes from, and end
    #[arg(long)]
    pub print_config: bool,
    /// The settings as they were read.
    #[arg(skip)]
    pub settings: Settings,
    /// Address to listen on; other machines reach every address except the loopback
    #[arg(long, default_value = "127.0.0.1", env = "RESSORT_HOST", value_parser = ip_address)]
    pub host: IpAddr,
    /// Port to listen on; 0 for any free port
    #[arg(long, default_value_t = 8080, env = "RESSORT_PORT", value_parser = whole::<u16>(0..=65_535))]
    pub port: u16,
    #[command(flatten)]
    pub(super) models: ModelArgs,
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// Maximum length of a text, in Unicode code points
    #[arg(long, default_value_t = RequestLimits::default().max_characters, env = "RESSORT_MAX_CHARACTERS", value_parser = positive)]
    pub max_characters: usize,
    /// Maximum number of documents in one request
    #[arg(long, default_value_t = RequestLimits::default().max_documents, env = "RESSORT_MAX_DOCUMENTS", value_parser = positive)]
    pub max_documents: usize,
    /// Maximum size of a request body, in bytes
    #[arg(long, default_value_t = RequestLimits::default().max_body_bytes, env = "RESSORT_MAX_BODY_BYTES", value_parser = positive)]
    pub max_body_bytes: usize,
    /// Memory for the bodies, texts and answers of all requests under way, in MB; requests that do not fit wait or get 503
    #[arg(long, default_value_t = DEFAULT_REQUEST_MEMORY_MB, env = "RESSORT_REQUEST_MEMORY_MB", value_name = "MB", value_parser = whole::<u64>(8..=1_000_000))]
    pub request_memory_mb: u64,
    /// Maximum time from a request to its answer, in seconds
    #[arg(long, default_value_t = RequestLimits::default().timeout.as_secs(), env = "RESSORT_TIMEOUT_S", value_parser = seconds(1))]
    pub timeout_s: u64,
    #[command(flatten)]
    pub connections: ConnectionArgs,
    #[command(flatten)]
    pub jobs: JobArgs,
    /// Size of the cache for repeated texts, in MB; 0 disables it
    #[arg(long, default_value_t = 64, env = "RESSORT_CACHE_MB", value_name = "MB", value_parser = whole::<u64>(0..=1_000_000))]
    pub cache_mb: u64,
    /// API key: requests to /v1 and to the routes for other clients must send it as `Authorization: Bearer KEY`
    #[arg(long, env = "RESSORT_API_KEY", hide_env_values = true, value_parser = key::text)]
    pub api_key: Option<String>,
    /// Let every machine that reaches the server use it without a key
    #[arg(long, env = "RESSORT_ALLOW_ANONYMOUS", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = ArgAction::Set, hide_default_value = true, hide_possible_values = true, value_name = "true|false")]
    pub allow_anonymous: bool,
    /// Name under which clients reach a server without keys, such as that of a proxy, repeatable; `*` for every one
    #[arg(long = "allowed-host", value_name = "NAME", env = "RESSORT_ALLOWED_HOST", value_delimiter = ',')]
    pub allowed_hosts: Vec<AllowedHost>,
    /// Certificate in PEM, with those that lead to its root after it; connections are then encrypted (TLS)
    #[arg(long, value_name = "FILE", env = "RESSORT_TLS_CERTIFICATE")]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's private key in PEM; both files are read again when they change
    #[arg(long, value_name = "FILE", env = "RESSORT_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// Origin of web pages that may call the service, such as https://www.example.com, repeatable; `*` for every one
    #[arg(long = "cors-origin", value_name = "ORIGIN", env = "RESSORT_CORS_ORIGIN", value_delimiter = ',')]
    pub cors_origins: Vec<CorsOrigin>,
    /// File with the admin key, which is required to change models; without a key, only this machine may change them
    #[arg(long, value_name = "FILE", env = "RESSORT_ADMIN_KEY_FILE")]
    pub admin_key_file: Option<PathBuf>,
    /// The admin key itself
    #[arg(long, env = "RESSORT_ADMIN_KEY", hide_env_values = true, conflicts_with = "admin_key_file", value_parser = key::text)]
    pub admin_key: Option<String>,
    /// File that keeps the active models for the next start; default: .active.json in --models-dir
    #[arg(long, value_name = "FILE", env = "RESSORT_STATE_FILE")]
    pub state_file: Option<PathBuf>,
    /// The former name of `--state-file`
    #[arg(long, hide = true, value_name = "FILE", env = "RESSORT_SAVED_FILE")]
    pub saved_file: Option<PathBuf>,
    /// File for texts on which the live models and the shadow model disagree, up to 64 MB; without it no text is kept
    #[arg(long, value_name = "FILE", env = "RESSORT_SHADOW_SAMPLES")]
    pub shadow_samples: Option<PathBuf>,
    /// File with what is normal for models, which GET /v1/drift compares with, repeatable; `ressort score --baseline` writes one
    #[arg(long = "drift-baseline", value_name = "FILE", env = "RESSORT_DRIFT_BASELINE", value_delimiter = ',')]
    pub drift_baselines: Vec<PathBuf>,
    /// Collector of OpenTelemetry traces, such as http://127.0.0.1:4318; without it no trace is recorded
    #[arg(long, value_name = "URL", env = "RESSORT_OTLP_ENDPOINT", value_parser = collector)]
    pub otlp_endpoint: Option<String>,
}

/// Requests that are answered later.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// Folder that keeps jobs with their texts and results; default: .jobs in --models-dir
    #[arg(long, value_name = "DIR", env = "RESSORT_JOBS_DIR")]
    jobs_dir: Option<PathBuf>,
    /// Maximum number of jobs that are kept; 0 accepts none
    #[arg(long, default_value_t = JobLimits::default().max_jobs, env = "RESSORT_MAX_JOBS", value_parser = whole::<usize>(0..=u64::MAX))]
    max_jobs: usize,
    /// Maximum size of all jobs on the disk, in MB
    #[arg(long, default_value_t = JobLimits::default().max_bytes / 1_000_000, env = "RESSORT_MAX_JOBS_MB", value_name = "MB", value_parser = whole::<u64>(1..=1_000_000_000))]
    max_jobs_mb: u64,
    /// Time from the end of a job to its removal, in hours
    #[arg(long, default_value_t = JobLimits::default().keep.as_secs() / 3600, env = "RESSORT_KEEP_JOBS_H", value_name = "HOURS", value_parser = whole::<u64>(0..=87_600))]
    keep_jobs_h: u64,
}

/// A head that a client can send is not below it.
const MIN_HEAD_BYTES: u64 = 1_000;

/// Limits of connections.
#[derive(Debug, Args)]
pub struct ConnectionArgs {
    /// Maximum number of open connections; the default leaves 128 descriptors of `ulimit -n` for other files
    #[arg(long, default_value_t = ServerSettings::default().max_connections, env = "RESSORT_MAX_CONNECTIONS", value_parser = positive, hide_default_value = true)]
    max_connections: usize,
    /// Maximum size of the head of a request, in bytes
    #[arg(long, default_value_t = ServerSettings::default().max_head_bytes, env = "RESSORT_MAX_HEAD_BYTES", value_parser = whole::<usize>(MIN_HEAD_BYTES..=MAX_HEAD_BYTES as u64))]
    max_head_bytes: usize,
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

impl JobArgs {
    /// Where jobs are kept; `None`: none is accepted.
    pub fn store(&self, models_dir: &Path) -> Option<Arc<JobStore>> {
        let limits = JobLimits {
            max_jobs: self.max_jobs,
            max_bytes: self.max_jobs_mb * 1_000_000,
            keep: Duration::from_secs(self.keep_jobs_h * 3600),
        };
        (self.max_jobs > 0).then(|| JobStore::new(self.dir(models_dir), limits))
    }

    pub fn dir(&self, models_dir: &Path) -> PathBuf {
        self.jobs_dir.clone().unwrap_or_else(|| models_dir.join(".jobs"))
    }

    /// Whether the operator named the folder.
    pub fn is_dir_named(&self) -> bool {
        self.jobs_dir.is_some()
    }
}

/// An empty address is none, since a variable cannot be unset everywhere.
fn collector(text: &str) -> Result<String, TraceError> {
    if !text.is_empty() {
        check_endpoint(text)?;
    }
    Ok(text.to_owned())
}

impl ConnectionArgs {
    pub fn settings(&self) -> ServerSettings {
        ServerSettings {
            max_connections: ServerSettings::limited(self.max_connections),
            max_head_bytes: self.max_head_bytes,
            head_timeout: Duration::from_secs(self.head_timeout_s),
            idle_timeout: Duration::from_secs(self.idle_timeout_s),
            stall_timeout: Duration::from_secs(self.stall_timeout_s),
            read_timeout: Duration::from_secs(self.read_timeout_s),
            grace_period: Duration::from_secs(self.grace_period_s),
        }
    }

    /// Where the system allows fewer connections than were set.
    pub fn warning(&self) -> Option<Warning> {
        let (wanted, max) = (self.max_connections, self.settings().max_connections);
        (max < wanted).then(|| Warning {
            text: format!("--max-connections is {wanted}, and the limit of open files allows {max}"),
            remedy: "raise `ulimit -n`, or LimitNOFILE= in the systemd unit",
        })
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

    pub fn model_folders(&self) -> ModelFolders {
        self.models.folders()
    }

    pub fn models_dir(&self) -> PathBuf {
        self.model_folders().main
    }

    pub fn check_models_dir(&self) -> Result<(), ConfigError> {
        self.models.dir.check()
    }

    pub fn state_file(&self) -> PathBuf {
        self.state_file
            .as_ref()
            .or(self.saved_file.as_ref())
            .cloned()
            .unwrap_or_else(|| self.models_dir().join(".active.json"))
    }

    /// The files of the certificate; `None`: connections are not encrypted.
    pub fn tls(&self) -> Result<Option<TlsFiles>, ConfigError> {
        match (self.tls_certificate.clone(), self.tls_key.clone()) {
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(ConfigError::new("--tls-certificate needs --tls-key, the file of its private key")),
            (None, Some(_)) => Err(ConfigError::new("--tls-key needs --tls-certificate, the file of its certificate")),
        }
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

/// A name may lead to several addresses, and to others tomorrow.
fn ip_address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| {
        "give an IP address, such as 127.0.0.1 (this machine only) or 0.0.0.0 (every IPv4 address of this machine)"
            .to_owned()
    })
}
