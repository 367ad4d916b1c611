//! Every metric: its name, what it counts, and whether it grows only. `docs/monitoring.md` lists the same; a test compares.

/// A metric of `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// With the unit, and `_total` for a counter.
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal $help:literal;)+) => {
        $(pub const $constant: Metric = Metric { name: $name, kind: Kind::$kind, help: $help };)+

        /// All of them, in the order of the page.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    REQUESTS = Counter "ressort_requests_total" "Requests by route and status; 499 is a client that left before its answer began, 408 one whose body did not arrive";
    REQUEST_DURATION = Histogram "ressort_request_duration_seconds" "Time from the head of a request to the head of its answer, by route; without those whose body did not arrive";
    STALLED_CONNECTIONS = Counter "ressort_stalled_connections_total" "Connections that were closed because the client did not read its answer";
    IN_FLIGHT_REQUESTS = Gauge "ressort_in_flight_requests" "Requests whose answer is not sent completely";
    OPEN_CONNECTIONS = Gauge "ressort_open_connections" "Open connections of clients";
    DOCUMENTS = Counter "ressort_documents_total" "Documents by outcome: ok, or the code of the error";
    DOCUMENTS_CACHED = Counter "ressort_documents_cached_total" "Documents that were answered from the cache";
    TOKENS = Counter "ressort_tokens_total" "Tokens that were read, without those of cached answers";
    WINDOWS = Counter "ressort_windows_total" "Windows that were read, without those of cached answers";
    MODEL_CHANGES = Counter "ressort_model_changes_total" "Changes of the models by kind (load, reload, activate, rollback, remove) and outcome (ok, refused)";
    JOBS = Counter "ressort_jobs_total" "Jobs that ended by outcome: done, failed, cancelled";
    KEPT_JOBS = Gauge "ressort_kept_jobs" "Jobs that are kept by status: queued, running, done, failed, cancelled";
    KEPT_JOBS_SIZE = Gauge "ressort_kept_jobs_bytes" "Size of the jobs on the disk";
    REQUEST_MEMORY = Gauge "ressort_request_memory_bytes" "Memory that the requests under way have reserved";
    REQUEST_MEMORY_LIMIT = Gauge "ressort_request_memory_limit_bytes" "Memory that requests may reserve (--request-memory-mb)";
    CACHE_SIZE = Gauge "ressort_cache_bytes" "Memory of the cached predictions";
    SHADOW_DOCUMENTS = Counter "ressort_shadow_documents_total" "Documents of the shadow model by outcome: agreed, disagreed, skipped, failed; the counts start again with each shadow model";
    QUEUED_WINDOWS = Gauge "ressort_queued_windows" "Windows that wait for a run";
    QUEUE_LIMIT = Gauge "ressort_queue_limit_windows" "Windows that may wait in each of the two lanes (--max-queued-windows)";
    RUNNING_BATCHES = Gauge "ressort_running_batches" "Batches that are being run";
    STREAMS = Gauge "ressort_model_streams" "Batches that can be run at the same time";
    STAGE_DURATION = Histogram "ressort_stage_duration_seconds" "Time of a stage: admit (wait for a permit), tokenize (with the wait for a thread), queue (a window waits for its run), run (a batch), decode";
    BATCHES = Counter "ressort_batches_total" "Batches that were run";
    BATCH_WINDOWS = Counter "ressort_batch_windows_total" "Windows in the batches that were run";
    BATCH_TOKENS = Counter "ressort_batch_tokens_total" "Tokens in the batches that were run by content: window (special tokens among them), padding";
    FAILED_BATCHES = Counter "ressort_failed_batches_total" "Batches that failed, after which their windows were run one by one";
    RERUN_WINDOWS = Counter "ressort_rerun_windows_total" "Windows that were run again, alone, after their batch failed";
    SESSION_PANICS = Counter "ressort_session_panics_total" "Sessions that panicked and were replaced";
    MODEL_DOCUMENTS = Counter "ressort_model_documents_total" "Documents that the model answered, those from the cache among them";
    MODEL_TOKENS = Counter "ressort_model_tokens_total" "Tokens of the documents that the model answered, those from the cache among them";
    UNKNOWN_TOKENS = Counter "ressort_unknown_tokens_total" "Of these tokens, those that stand for text which the tokenizer does not know";
    DOCUMENT_TOKENS = Histogram "ressort_document_tokens" "Length of the documents";
    TOPICS = Counter "ressort_topics_total" "Documents for which a topic was accepted, by label";
    ENTITIES = Counter "ressort_entities_total" "Entities, by label";
    TOPIC_SCORE = Histogram "ressort_topic_score_ratio" "Score of the best topic of each document";
    ENTITY_SCORE = Histogram "ressort_entity_score_ratio" "Score of each entity";
    DRIFT_DOCUMENTS = Gauge "ressort_drift_documents" "Documents of the last day, by the feature that is compared with the baseline";
    DRIFT_PSI = Gauge "ressort_drift_psi" "Population stability index of the last day against the baseline, by feature; absent with too few documents";
    DRIFT_NOISE = Gauge "ressort_drift_noise_psi" "What the index does not exceed by chance, in 999 of 1000 comparisons";
    MODEL_MEMORY = Gauge "ressort_model_memory_bytes" "By how much the process grew when the model was loaded";
    MODEL_INFO = Gauge "ressort_model_info" "1, with the execution provider of the model and the arithmetic of its integer products";
    BUILD_INFO = Gauge "ressort_build_info" "1, with the version and commit of Ressort";
    RESIDENT_MEMORY = Gauge "process_resident_memory_bytes" "Resident memory size in bytes";
    CPU_TIME = Counter "process_cpu_seconds_total" "Total user and system CPU time spent in seconds";
    OPEN_FDS = Gauge "process_open_fds" "Number of open file descriptors";
    MAX_FDS = Gauge "process_max_fds" "Maximum number of open file descriptors";
    START_TIME = Gauge "process_start_time_seconds" "Start time of the process since unix epoch in seconds";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Last words of names: base units, and things that are counted.
    const UNITS: &[&str] = &[
        "seconds",
        "bytes",
        "ratio",
        "info",
        "requests",
        "connections",
        "windows",
        "batches",
        "streams",
        "tokens",
        "fds",
        "jobs",
        "documents",
        "psi",
    ];

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for Metric { name, kind, help } in ALL {
            assert!(name.starts_with("ressort_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}: `_total` is for counters");
            let unit = name.rsplit('_').next().unwrap();
            assert!(*kind == Kind::Counter || UNITS.contains(&unit), "{name}: `{unit}` is no unit");
            assert!(!help.is_empty() && !help.contains(['\\', '\n']) && !help.ends_with('.'), "{name}: {help}");
            assert_eq!(ALL.iter().filter(|other| other.name == *name).count(), 1, "{name}");
        }
    }
}
