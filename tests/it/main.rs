//! Tests from outside, over tiny models (`tests/models`) and stored reference values (`tests/reference`).
//!
//! Both are made by `scripts/reference`; nothing here needs a network, a GPU or Python.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod answers;
mod api;
mod changes;
mod checkpoints;
mod classify;
mod cli;
mod compat;
mod configuration;
mod connections;
mod description;
mod docs;
mod documents;
mod drift;
mod evaluate;
mod evaluate_metrics;
mod evidence;
mod folders;
mod gold;
mod graph_scores;
mod graphs;
mod groups;
mod install;
mod jobs;
mod json_lines;
mod keys;
mod labels;
mod layers;
mod metrics;
mod parity;
mod pull;
mod request_memory;
mod requests;
mod resume;
mod score;
mod score_changes;
mod score_documents;
mod score_fields;
mod score_files;
mod score_limits;
mod score_options;
mod score_parts;
mod server;
mod shadow;
mod stuck;
mod support;
mod swap;
mod text_rules;
mod tiny_graph;
mod tls;
mod traces;
mod truecase;
mod windows;
mod wire;
