//! `ressort health`: whether a running server answers, for the health checks of containers.

use std::time::Duration;

use clap::Args;

use super::client::Call;
use super::print;

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Address of the server
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "RESSORT_SERVER", value_name = "URL")]
    server: String,
}

/// Fails unless every model answers.
pub fn run_health(args: &HealthArgs) -> anyhow::Result<()> {
    const TIMEOUT: Duration = Duration::from_secs(4);
    let (method, path, timeout) = ("GET", "/health/ready", Some(TIMEOUT));
    let answer = Call { server: &args.server, method, path, key: None, body: String::new(), timeout }.send()?;
    print::result(answer.text.trim())?;
    anyhow::ensure!(answer.is_success(), "{}: the server is not ready ({})", answer.url, answer.status);
    Ok(())
}
