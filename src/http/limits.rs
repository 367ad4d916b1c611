//! The limits of connections, and their defaults.

use std::sync::Arc;
use std::time::Duration;

use crate::system::descriptors::descriptor_limit;
use crate::system::live::Live;

/// Where the limit of descriptors allows it.
const DEFAULT_MAX_CONNECTIONS: usize = 4096;

/// Limits of connections.
#[derive(Debug, Clone, Copy)]
pub struct ServerSettings {
    /// Connections that are open at the same time; at least 1.
    pub max_connections: usize,
    /// Of the head of a request; the start line and the line ends count.
    pub max_head_bytes: usize,
    /// From the first byte of a request (for a new connection: from its start) to the end of its head.
    pub head_timeout: Duration,
    /// How long a connection stays open between two requests.
    pub idle_timeout: Duration,
    /// How long a client may read nothing of an answer.
    pub stall_timeout: Duration,
    /// How long the server waits, in all, for a client to read one answer.
    pub read_timeout: Duration,
    /// From the signal to stop to the end of the last connection.
    pub grace_period: Duration,
}

impl ServerSettings {
    /// The highest number of connections up to `wanted` that the limit of descriptors allows.
    pub fn limited(wanted: usize) -> usize {
        descriptor_limit().map_or(wanted, |n| wanted.min(n_for_connections(n))).max(1)
    }
}

impl From<ServerSettings> for Arc<Live<ServerSettings>> {
    fn from(settings: ServerSettings) -> Self {
        Self::new(Live::new(settings))
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            max_connections: Self::limited(DEFAULT_MAX_CONNECTIONS),
            max_head_bytes: 65_536,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(300),
            grace_period: Duration::from_secs(30),
        }
    }
}

/// The connections that leave descriptors for models, logs and other files.
fn n_for_connections(n_descriptors: usize) -> usize {
    const FOR_OTHER_FILES: usize = 128;
    n_descriptors.saturating_sub(FOR_OTHER_FILES).max(n_descriptors / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_other_files() {
        for (n_descriptors, n) in [(64, 32), (512, 384), (1024, 896)] {
            assert_eq!(n_for_connections(n_descriptors), n, "{n_descriptors}");
        }
    }
}
