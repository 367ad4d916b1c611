//! `ressort health`: whether a running server answers, for the health checks of containers.

use std::time::Duration;

use clap::Args;
use ressort::system::tls_client::tls_for;

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Address of the server
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "RESSORT_SERVER", value_name = "URL")]
    server: String,
}

/// Fails unless every model answers.
pub fn run_health(args: &HealthArgs) -> anyhow::Result<()> {
    const TIMEOUT: Duration = Duration::from_secs(4);
    let url = format!("{}/health/ready", args.server.trim_end_matches('/'));
    let config = ureq::Agent::config_builder().tls_config(tls_for(&url)).timeout_global(Some(TIMEOUT));
    let answer = config.http_status_as_error(false).build().new_agent().get(&url).call();
    let mut answer =
        answer.map_err(|error| anyhow::anyhow!("{url}: {error}; is the server running? Name it with --server"))?;
    let text = answer.body_mut().read_to_string()?;
    println!("{}", text.trim());
    anyhow::ensure!(answer.status().is_success(), "{url}: the server is not ready ({})", answer.status());
    Ok(())
}
