//! Logs to standard error, metrics for `/metrics`. Texts are never part of either.

use std::io::IsTerminal;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// How much is logged where `RUST_LOG` says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    Normal,
    /// Warnings and errors.
    Quiet,
}

/// What is logged where `RUST_LOG` says nothing. ONNX Runtime speaks of ordinary things as warnings.
const DEFAULT_FILTER: &str = "info,ort=error";

const QUIET_FILTER: &str = "warn,ort=error";

/// Seconds; from a short text on an idle machine to a long one in a full queue.
const DURATION_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Sends log lines to standard error, filtered by `RUST_LOG`.
pub fn start_logging(format: LogFormat, verbosity: Verbosity) {
    let default = if verbosity == Verbosity::Quiet { QUIET_FILTER } else { DEFAULT_FILTER };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// Sums up what was recorded, at intervals, for as long as it is polled. The recorder keeps each duration until then.
pub async fn keep_metrics_small(metrics: PrometheusHandle) {
    const INTERVAL: Duration = Duration::from_secs(5);
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        interval.tick().await;
        metrics.run_upkeep();
    }
}

/// Collects this process's metrics from now on; the handle renders them for Prometheus.
///
/// # Errors
/// When metrics are collected already.
pub fn start_metrics() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)?
        .install_recorder()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::memory::held;

    #[test]
    fn durations_that_nobody_scrapes_are_summed_up() {
        const N_ROUNDS: isize = 20;
        let recorder = PrometheusBuilder::new().set_buckets(&DURATION_BUCKETS).unwrap().build_recorder();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        metrics::with_local_recorder(&recorder, || {
            let record = || (0..10_000).for_each(|_| metrics::histogram!("wait_seconds").record(0.1));
            let before = held::bytes();
            record();
            let of_one_round = held::bytes() - before;
            for _ in 0..N_ROUNDS {
                record();
                // The first tick of an interval comes at once.
                let upkeep = keep_metrics_small(recorder.handle());
                runtime.block_on(async { tokio::time::timeout(Duration::from_millis(5), upkeep).await.unwrap_err() });
            }
            let in_the_end = held::bytes() - before;
            assert!(in_the_end < N_ROUNDS / 2 * of_one_round, "{of_one_round} and {in_the_end} bytes");
        });
    }
}
