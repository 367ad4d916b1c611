//! What SIGHUP does: the configuration, the certificate and the models are read again.

use std::sync::Arc;

use ressort::http::{App, ServerSettings};
use ressort::models::registry::RegistryError;
use ressort::system::live::Live;
use tokio::signal::unix::Signal;

use super::access::key_ring;
use super::args::ServeArgs;
use super::chain;
use crate::cli::config::Settings;
use crate::cli::{Command, ParseError, parse};

/// The settings that take effect without a restart.
const RELOADED: [&str; 15] = [
    "max_characters",
    "max_documents",
    "max_body_bytes",
    "timeout_s",
    "request_memory_mb",
    "max_connections",
    "head_timeout_s",
    "idle_timeout_s",
    "stall_timeout_s",
    "read_timeout_s",
    "grace_period_s",
    "api_key",
    "admin_key",
    "admin_key_file",
    "allow_anonymous",
];

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
            self.reload_settings();
            if let Some(tls) = &self.app.tls {
                tls.reload_logged();
            }
            self.reload_models().await;
        }
    }

    fn reload_settings(&mut self) {
        let reloaded = match parse(std::env::args_os()) {
            Ok(cli) => match cli.command {
                Command::Serve(args) => self.apply(*args),
                _ => Ok(()),
            },
            Err(ParseError::Usage(error)) => Err(error.into()),
            Err(ParseError::Config(error)) => Err(error.into()),
        };
        if let Err(error) = reloaded {
            tracing::error!(error = chain(error), "the configuration cannot be reloaded; the old one stays in use");
        }
    }

    /// Puts new settings in force: all of them, or none where one is of no use.
    fn apply(&mut self, mut args: ServeArgs) -> anyhow::Result<()> {
        // Where the server listens does not change.
        args.host = self.host;
        let keys = key_ring(&args, &self.app.keys.load())?;
        let connections = args.connections.settings();
        self.app.keys.store(Arc::new(keys));
        self.app.limits.set(args.limits());
        self.app.memory.set_max(args.request_memory_mb * 1_000_000);
        self.connections.set(connections);
        let (changed, left): (Vec<&str>, Vec<&str>) =
            args.settings.changed(&self.settings).into_iter().partition(|key| RELOADED.contains(key));
        match left.is_empty() {
            true => tracing::info!(
                changed = changed.join(", "),
                n_keys = args.settings.keys.len(),
                "the configuration is reloaded"
            ),
            false => tracing::warn!(
                changed = changed.join(", "),
                n_keys = args.settings.keys.len(),
                needs_restart = left.join(", "),
                "the configuration is reloaded; some changes need a restart"
            ),
        }
        self.settings.adopt(&args.settings, &RELOADED);
        Ok(())
    }

    /// Reloads the model folders that changed. When a new version cannot be loaded, the old one stays in use.
    async fn reload_models(&self) {
        for (name, result) in self.app.registry.put_changed().await {
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
    }
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
            assert!(serve.get_arguments().any(|arg| arg.get_id() == key), "{key}");
        }
    }
}
