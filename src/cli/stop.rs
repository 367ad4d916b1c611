//! Ctrl-C and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};

use super::{INTERRUPTED, TERMINATED};

/// Resolves on SIGINT or SIGTERM, with the exit code of a run that it stops.
pub fn stop_signal() -> std::io::Result<impl Future<Output = u8> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => INTERRUPTED,
            _ = terminate.recv() => TERMINATED,
        }
    })
}
