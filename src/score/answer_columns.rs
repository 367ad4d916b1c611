//! The names that the output gives to the parts of an answer.

/// The answer's fields in JSON lines and typed columns.
pub const NESTED_NAMES: [&str; 4] = ["topics", "entities", "usage", "models"];

/// The column of the reason why a row failed, where such rows are kept.
pub const ERROR: &str = "error";

/// The column of entities that are one, where it is requested.
pub const GROUPS: &str = "groups";

/// The column that says how evidence was found, where it is requested.
pub const EVIDENCE_METHOD: &str = "evidence_method";

/// What a task of Label Studio calls the text.
pub const TASK_NAMES: [&str; 1] = ["text"];

/// The answer's columns in separated values.
pub const FLAT_NAMES: [&str; 16] = [
    "topic",
    "topic_score",
    "best_topic",
    "best_topic_score",
    "accepted_topics",
    "topics",
    "persons",
    "places",
    "organisations",
    "entities",
    "characters",
    "tokens",
    "windows",
    "truncated",
    "topics_model",
    "entities_model",
];
