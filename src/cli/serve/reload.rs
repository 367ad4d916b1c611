//! What SIGHUP does: the configuration, the certificate, the models and the baselines are read again.

use std::sync::Arc;

use ressort::http::{App, KeyRing, ServerSettings};
use ressort::models::registry::RegistryError;
use ressort::system::background;
use ressort::system::live::Live;
use tokio::signal::unix::Signal;

use super::access::key_ring;
use super::args::ServeArgs;
use super::baselines::NamedBaselines;
use super::chain;
use super::finding::Warning;
use super::key_changes::key_changes;
use crate::cli::config::Settings;
use crate::cli::{Command, ParseError, parse};

/// The settings that take effect without a restart.
const RELOADED: [&str; 17] = [
    "max_characters",
    "max_documents",
    "max_body_bytes",
    "timeout_s",
    "request_memory_mb",
    "max_connections",
    "max_head_bytes",
    "head_timeout_s",
    "idle_timeout_s",
    "stall_timeout_s",
    "read_timeout_s",
    "grace_period_s",
    "api_key",
    "admin_key",
    "admin_key_file",
    "allow_anonymous",
    BASELINES,
];

const BASELINES: &str = "drift_baseline";

/// A running server, as far as SIGHUP changes it.
pub struct Running {
    pub app: Arc<App>,
    pub connections: Arc<Live<ServerSettings>>,
    pub host: std::net::IpAddr,
    /// The settings in force.
    pub settings: Settings,
}

impl Running {
    /// Reloads at each SIGHUP. What cannot be read leaves the old state in use.
    pub async fn reload_on(mut self, mut hangup: Signal) {
        while hangup.recv().await.is_some() {
            let baselines = self.reload_settings().await;
            if let Some(tls) = &self.app.tls {
                tls.reload_logged();
            }
            let refused = self.reload_models().await;
            self.reload_folder_baselines(&refused).await;
            if let Some(baselines) = baselines {
                baselines.warn_of_unused(&self.app.registry);
                self.app.baselines.store(Arc::new(baselines.into_one()));
            }
        }
    }

    /// The baselines of the new settings, which come into force with the models that they are of.
    async fn reload_settings(&mut self) -> Option<NamedBaselines> {
        let reloaded = match parse(std::env::args_os()) {
            Ok(cli) => match cli.command {
                Command::Serve(args) => self.apply(*args).await.map(Some),
                _ => Ok(None),
            },
            Err(ParseError::Usage(error)) => Err(error.into()),
            Err(ParseError::Config(error)) => Err(error.into()),
        };
        reloaded.unwrap_or_else(|error| {
            tracing::error!(
                error = chain(error),
                "the configuration cannot be reloaded; the old one stays in use, with all of its keys"
            );
            None
        })
    }

    /// Puts new settings in force: all of them, or none where one is of no use.
    async fn apply(&mut self, mut args: ServeArgs) -> anyhow::Result<NamedBaselines> {
        let files = args.drift_baselines.clone();
        let baselines = background::run(move || NamedBaselines::read(&files)).await??;
        // Where the server listens does not change.
        args.host = self.host;
        let old_keys = self.app.keys.load_full();
        let keys = key_ring(&args, &old_keys)?;
        check_stays_closed(&args, &old_keys, &keys)?;
        let connections = args.connections.settings();
        if let Some(Warning { text, remedy }) = args.connections.warning() {
            tracing::warn!("{text}; {remedy}");
        }
        let changed_keys = key_changes(&old_keys, &keys);
        self.app.keys.store(Arc::new(keys));
        self.app.limits.set(args.limits());
        self.app.memory.set_max(args.request_memory_mb * 1_000_000);
        self.connections.set(connections);
        let (mut changed, left): (Vec<&str>, Vec<&str>) =
            args.settings.changed(&self.settings).into_iter().partition(|key| RELOADED.contains(key));
        // A file of the same name may have another content.
        if *self.app.baselines.load_full() != baselines.as_one() && !changed.contains(&BASELINES) {
            changed.push(BASELINES);
        }
        log_changes(&changed, &changed_keys, &left, args.settings.keys.len());
        self.settings.adopt(&args.settings, &RELOADED);
        Ok(baselines)
    }

    /// Reloads the model folders that changed. When a new version cannot be loaded, the old one stays in use.
    /// Returns the models whose folders hold another version than the one that answers.
    async fn reload_models(&self) -> Vec<String> {
        let mut refused = Vec::new();
        for (name, result) in self.app.registry.put_changed().await {
            if result.is_err() {
                refused.push(name.clone());
            }
            match result {
                Ok(model) => tracing::info!(model = name, version = model.version, "new version loaded"),
                Err(error @ RegistryError::Unreadable { .. }) => tracing::warn!(
                    model = name,
                    error = chain(error),
                    "the model folder cannot be read, so the loaded version stays in use"
                ),
                Err(error) => tracing::error!(model = name, error = chain(error), "new version refused"),
            }
        }
        refused
    }

    /// Reads the baselines in the folders of the models again, except where a folder holds another version.
    async fn reload_folder_baselines(&self, refused: &[String]) {
        for model in self.app.registry.models() {
            if refused.contains(&model.name) || self.app.registry.is_of_older_folder(&model) {
                continue;
            }
            if let Err(error) = model.reload_baseline().await {
                let error = chain(error);
                tracing::error!(model = model.name, error, "the baseline cannot be reloaded; the old one stays in use");
            }
        }
    }
}

/// A file that was emptied, or that is read while another program writes it, opens no server that had keys.
fn check_stays_closed(args: &ServeArgs, old: &KeyRing, new: &KeyRing) -> anyhow::Result<()> {
    let has_lost_all = new.is_empty() && !old.is_empty();
    let opens = has_lost_all || new.anyone_reads && !old.anyone_reads;
    anyhow::ensure!(
        args.allow_anonymous || !opens,
        "the last key is gone, and a reload does not open a server that had keys; replace the key by another to revoke it, or restart the server to run it without keys"
    );
    Ok(())
}

/// One line: what is in force now, and what is not yet.
fn log_changes(changed: &[&str], keys: &[String], left: &[&str], n_keys: usize) {
    let (changed, keys, needs_restart) = (list(changed, ", "), list(keys, "; "), list(left, ", "));
    match (&changed, &keys, &needs_restart) {
        (None, None, None) => tracing::info!(n_keys, "the configuration is reloaded; nothing changed"),
        (_, _, None) => tracing::info!(changed, keys, n_keys, "the configuration is reloaded"),
        _ => {
            const PART: &str = "the configuration is reloaded; some changes need a restart";
            tracing::warn!(changed, keys, n_keys, needs_restart, "{PART}");
        }
    }
}

/// `None`, which is not logged, for an empty list.
fn list(items: &[impl AsRef<str>], separator: &str) -> Option<String> {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    (!items.is_empty()).then(|| items.join(separator))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_setting_that_is_reloaded_is_a_flag() {
        let root = Cli::command();
        let serve = root.find_subcommand("serve").unwrap();
        for key in RELOADED {
            let flag = key.replace('_', "-");
            assert!(serve.get_arguments().any(|arg| arg.get_long() == Some(&flag)), "{key}");
        }
    }
}
