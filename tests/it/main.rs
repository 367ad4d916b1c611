//! Tests from outside, over tiny models (`tests/models`) and stored reference values (`tests/reference`).
//!
//! Both are made by `scripts/reference`; nothing here needs a network, a GPU or Python.

mod api;
mod classify;
mod cli;
mod documents;
mod evaluate;
mod evaluate_metrics;
mod folders;
mod layers;
mod parity;
mod resume;
mod score;
mod server;
mod support;
mod swap;
mod truecase;
