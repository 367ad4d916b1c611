//! What `serve` needs before its models load, in steps. `ressort doctor` reports the same steps, so that it cannot approve what `serve`
//! refuses: a new need of `serve` is a field of [`Prepared`], and only a step gives it.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use ressort::classify::samples::SampleFile;
use ressort::http::{AdminAccess, JobStore, KeyRing, Tls};
use ressort::system::atomic_file::folder_of;
use ressort::system::counted::counted;
use ressort::system::writable::{check_dir, check_file, check_new_dir};
use serde_json::json;
use tokio::net::TcpListener;

use super::access::{admin_access, key_ring};
use super::args::ServeArgs;
use super::baselines::NamedBaselines;
use super::finding::{Finding, Warning};
use crate::cli::config::misspelt_variables;

/// What the server is made of, besides its models.
pub struct Prepared {
    pub keys: KeyRing,
    pub tls: Option<Arc<Tls>>,
    pub baselines: NamedBaselines,
    pub jobs: Option<Arc<JobStore>>,
    pub samples: Option<SampleFile>,
    pub listener: TcpListener,
}

/// What became of all steps.
pub struct Preparation {
    reports: Vec<Report>,
    prepared: Option<Prepared>,
}

/// What became of one step.
pub struct Report {
    pub name: &'static str,
    /// The error is the one with which `serve` ends.
    pub outcome: anyhow::Result<Finding>,
}

/// Runs all steps, also after one has failed.
pub async fn prepare(args: &ServeArgs) -> Preparation {
    let mut steps = Steps(Vec::new());
    steps.take("configuration", configuration(args).map(|finding| ((), finding)));
    let keys = steps.take("keys", keys(args));
    let tls = steps.take("TLS", tls(args));
    let baselines = steps.take("drift baselines", baselines(args));
    let jobs = steps.take("jobs folder", jobs(args));
    let samples = steps.take("shadow samples", samples(args));
    steps.take("state file", Ok(((), state_file(args))));
    steps.take("connections", Ok(((), connections(args))));
    // Last, so that no client is accepted by a server that will not start.
    let listener = steps.take("address", address(args).await);
    let prepared = || {
        Some(Prepared {
            keys: keys?,
            tls: tls?,
            baselines: baselines?,
            jobs: jobs?,
            samples: samples?,
            listener: listener?,
        })
    };
    Preparation { prepared: prepared(), reports: steps.0 }
}

impl Preparation {
    /// What was found, and what was prepared where no step failed.
    pub fn into_parts(self) -> (Vec<Report>, Option<Prepared>) {
        (self.reports, self.prepared)
    }

    /// Logs the warnings and gives what was prepared.
    ///
    /// # Errors
    /// That of the first step that failed.
    pub fn into_prepared(self) -> anyhow::Result<Prepared> {
        for report in self.reports {
            for Warning { text, remedy } in report.outcome?.warnings {
                tracing::warn!("{text}; {remedy}");
            }
        }
        self.prepared.context("a step of the start is missing; report this as a bug")
    }
}

struct Steps(Vec<Report>);

impl Steps {
    fn take<T>(&mut self, name: &'static str, result: anyhow::Result<(T, Finding)>) -> Option<T> {
        let (value, outcome) = match result {
            Ok((value, finding)) => (Some(value), Ok(finding)),
            Err(error) => (None, Err(error)),
        };
        self.0.push(Report { name, outcome });
        value
    }
}

/// The settings are read already.
fn configuration(args: &ServeArgs) -> anyhow::Result<Finding> {
    args.check_models_dir()?;
    let text = match &args.settings.file {
        Some(file) => {
            format!("{} is read; `ressort serve --print-config` shows all values and their origins", file.display())
        }
        None => "no file; flags and environment variables only".to_owned(),
    };
    let misspelt = misspelt_variables().into_iter();
    let warnings = misspelt.map(|text| Warning { text, remedy: "correct the name of the variable" }).collect();
    Ok(Finding { text, warnings, details: json!({"file": args.settings.file}) })
}

fn keys(args: &ServeArgs) -> anyhow::Result<(KeyRing, Finding)> {
    let keys = key_ring(args, &KeyRing::default())?;
    let readers = if keys.anyone_reads { "none is needed to read texts" } else { "each request needs one" };
    let admin = match (keys.has_admin(), admin_access(args)) {
        (true, _) => "models are changed with an admin key",
        (false, AdminAccess::Anyone) => "every client of this machine may change models",
        (false, AdminAccess::Nobody) => "nobody may change models, since there is no admin key",
    };
    let open = (!args.host.is_loopback() && keys.anyone_reads).then(|| Warning {
        text: format!("every machine that reaches {} may use the service (--allow-anonymous)", args.host),
        remedy: "set a key where that is not meant",
    });
    Ok((keys, Finding::new(format!("{readers}; {admin}")).with(open)))
}

fn tls(args: &ServeArgs) -> anyhow::Result<(Option<Arc<Tls>>, Finding)> {
    let Some(files) = args.tls()? else {
        return Ok((None, Finding::new("no certificate, so that connections are not encrypted")));
    };
    let finding = format!("{} with its key {}", files.certificate.display(), files.key.display());
    Ok((Some(Arc::new(Tls::load(files)?)), Finding::new(finding)))
}

fn baselines(args: &ServeArgs) -> anyhow::Result<(NamedBaselines, Finding)> {
    let baselines = NamedBaselines::read(&args.drift_baselines)?;
    let finding = match args.drift_baselines.len() {
        0 => "no file; those in the folders of models hold".to_owned(),
        n => format!("{} read", counted(n, "file")),
    };
    Ok((baselines, Finding::new(finding)))
}

/// A folder that the operator named must be usable. The default one is in the models folder, which may be read-only on purpose.
fn jobs(args: &ServeArgs) -> anyhow::Result<(Option<Arc<JobStore>>, Finding)> {
    let models_dir = args.models_dir();
    let Some(store) = args.jobs.store(&models_dir) else {
        return Ok((None, Finding::new("no job is accepted (--max-jobs 0)")));
    };
    let dir = args.jobs.dir(&models_dir);
    let text = format!("{} can be written", dir.display());
    let unusable = |error: &io::Error| {
        format!("jobs cannot be kept, since their folder {} cannot be written: {error}", dir.display())
    };
    const REMEDY: &str =
        "name a folder that the service may write with --jobs-dir, or accept no jobs with --max-jobs 0";
    let finding = match check_new_dir(&dir) {
        // The other one may be the one that this one replaces, so that it waits.
        Ok(()) if store.is_in_use() => Finding::new("jobs are refused while another server runs").with(Some(Warning {
            text: format!("jobs are refused, since another server uses their folder {}", dir.display()),
            remedy: "stop the other server, or name another folder with --jobs-dir",
        })),
        Ok(()) => Finding::new(text),
        Err(error) if args.jobs.is_dir_named() => {
            return Err(anyhow!("{}; {REMEDY}", unusable(&error)));
        }
        Err(error) => Finding::new("requests are answered, and jobs are refused")
            .with(Some(Warning { text: unusable(&error), remedy: REMEDY })),
    };
    Ok((Some(store), finding))
}

fn samples(args: &ServeArgs) -> anyhow::Result<(Option<SampleFile>, Finding)> {
    let Some(file) = &args.shadow_samples else { return Ok((None, Finding::new("no text is kept"))) };
    check_file(file).with_context(|| {
        format!("{}: the samples of the shadow model cannot be written; name another --shadow-samples", file.display())
    })?;
    Ok((Some(SampleFile::start(file.clone())?), Finding::new(format!("{} can be written", file.display()))))
}

/// A server whose switches are lost at the next start is better than none.
fn state_file(args: &ServeArgs) -> Finding {
    let file = args.state_file();
    match check_dir(folder_of(&file)) {
        Ok(()) => Finding::new(format!("{} can be written", file.display())).details(json!({"path": file})),
        Err(error) => Finding::new("models can be switched until the next start").with(Some(Warning {
            text: format!(
                "the state file {} cannot be written: {error}; a switch of models is lost at the next start",
                file.display()
            ),
            remedy: "name a file in a folder that the service may write with --state-file",
        })),
    }
}

fn connections(args: &ServeArgs) -> Finding {
    let max = args.connections.settings().max_connections;
    Finding::new(format!("up to {max} at the same time")).with(args.connections.warning())
}

/// Binds the port before the models load: a port in use is reported at once, and early requests wait in the backlog.
async fn address(args: &ServeArgs) -> anyhow::Result<(TcpListener, Finding)> {
    let address = format!("{}:{}", args.host, args.port);
    let listener = TcpListener::bind((args.host, args.port)).await.map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => {
                "another program listens there, perhaps a server that runs already; stop it, or choose another --port"
            }
            ErrorKind::AddrNotAvailable => "this machine has no such address; choose another --host",
            ErrorKind::PermissionDenied => {
                "this user may not; choose a --port above 1023, or grant the right (AmbientCapabilities=CAP_NET_BIND_SERVICE in a systemd unit)"
            }
            _ => "choose another with --host and --port",
        };
        anyhow!("cannot listen on {address}: {remedy} ({error})")
    })?;
    let details = json!({"address": address, "free": true});
    Ok((listener, Finding::new(format!("{address} is free")).details(details)))
}
