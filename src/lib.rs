//! Ressort reads German text and returns its topics and named entities. The map of the code follows.
#![doc = include_str!("../docs/architecture.md")]

pub mod classify;
pub mod evaluate;
pub mod http;
pub mod hub;
pub mod inference;
pub mod manifest;
pub mod models;
pub mod parts;
pub mod score;
pub mod system;
pub mod text;
