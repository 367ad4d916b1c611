//! Logs to standard error, metrics for `/metrics`. Texts are never part of either.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::histogram::DURATION_BUCKETS;
use super::metric_names::{
    ALL, DOCUMENTS, DOCUMENTS_CACHED, IN_FLIGHT_REQUESTS, Kind, Metric, OPEN_CONNECTIONS, STALLED_CONNECTIONS, TOKENS,
    WINDOWS,
};
use super::spans::{SPANS, TraceError, export_layer};

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

/// Sends log lines to standard error, filtered by `RUST_LOG`, and spans to the collector at `traces`, if there is one.
///
/// # Errors
/// When `traces` is no address of a collector. The lines are logged all the same.
pub fn start_logging(format: LogFormat, verbosity: Verbosity, traces: Option<&str>) -> Result<(), TraceError> {
    let default = if verbosity == Verbosity::Quiet { QUIET_FILTER } else { DEFAULT_FILTER };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    // Otherwise a reader of the log that has gone would end threads: the error is printed, and printing panics.
    let lines = lines.log_internal_errors(false);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let (exported, refused) = match traces.map(export_layer).transpose() {
        Ok(layer) => (layer, Ok(())),
        Err(error) => (None, Err(error)),
    };
    tracing_subscriber::registry().with(exported).with(lines.with_filter(for_lines(filter))).init();
    std::panic::set_hook(Box::new(log_panic));
    refused
}

/// What of `filter` becomes lines: not the spans, which are for the collector.
///
/// The hint lets libraries drop a message before they make it. Without it, the tokenizers library would make several for each
/// character.
fn for_lines<S>(filter: EnvFilter) -> impl Filter<S> {
    filter.and(filter_fn(|metadata| metadata.target() != SPANS).with_max_level_hint(LevelFilter::TRACE))
}

/// Logs where a thread panicked. A message that was put together may quote a text, so that only fixed messages are logged.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload().downcast_ref::<&'static str>().copied();
    let location = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    // Empty unless RUST_BACKTRACE is set.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        location,
        thread = thread.name(),
        reason = message.unwrap_or("withheld, since it may quote a text"),
        backtrace,
        "a thread panicked"
    );
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
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)?
        .install_recorder()?;
    for Metric { name, kind, help } in ALL {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *help),
            Kind::Histogram => metrics::describe_histogram!(*name, *help),
        }
    }
    // They are on the page before there is anything to count, so that a rate over them sees the first event.
    for counter in [STALLED_CONNECTIONS, DOCUMENTS_CACHED, TOKENS, WINDOWS] {
        metrics::counter!(counter.name).increment(0);
    }
    for gauge in [IN_FLIGHT_REQUESTS, OPEN_CONNECTIONS] {
        metrics::gauge!(gauge.name).set(0.0);
    }
    metrics::counter!(DOCUMENTS.name, "outcome" => "ok").increment(0);
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::memory::held;

    #[test]
    fn messages_below_the_level_of_the_filter_are_never_made() {
        let hint = |filter| Filter::<tracing_subscriber::Registry>::max_level_hint(&for_lines(EnvFilter::new(filter)));
        assert_eq!(hint(DEFAULT_FILTER), Some(LevelFilter::INFO));
        assert_eq!(hint(QUIET_FILTER), Some(LevelFilter::WARN));
        assert_eq!(hint("warn,tokenizers=trace"), Some(LevelFilter::TRACE));
    }

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
