//! Ressort reads German text and says which topics it is about and which persons, places and organisations it names, each
//! with a score and its exact place. It runs any transformer exported to ONNX.
//!
//! # The data path
//!
//! The code reads in the order in which a document goes through it; [`inference::pipeline`] is the path in one place.
//!
//! ```text
//! text -> normalize -> restore the case -> tokenize into windows -> schedule into batches -> run -> stitch -> decode -> prediction
//! ```
//!
//! # The rooms
//!
//! Imports point only down this list; modules on one line never import one another. `tests/it/layers.rs` holds this.
//!
//! | layer | module | job |
//! |---|---|---|
//! | 6 | `main`, `cli` | the verbs of the command line |
//! | 5 | [`http`], [`score`], [`evaluate`] | the API; batch scoring of files; models compared on labelled data |
//! | 4 | [`classify`] | the only way in: a checked text and its options become an answer; the cache; the shadow model |
//! | 3 | [`models`] | loaded models: opened, tried, named, assigned to tasks, replaced, reported on |
//! | 2 | [`inference`] | the data path of one document through one model; ONNX Runtime; the queue and its threads |
//! | 1 | [`text`], [`manifest`] | offsets, normalization, letter case; what a model folder says |
//! | 0 | [`system`] | background threads, memory, progress, logs and metrics, options given as words |
//!
//! What stands in one room only: `ort` and `tokenizers` in [`inference`], `axum` in [`http`], `prost` in
//! [`manifest`], `clap` and `anyhow` in the binary, `arrow` and `parquet` in [`score`]. Wire types (`serde`) live at the
//! edges: [`http`], [`evaluate`], [`score`], [`classify`], [`models`], [`manifest`].
//!
//! # What always holds
//!
//! - An answer does not depend on what else is in the batch. Models whose activations are quantised with ranges of the
//!   tensor at hand cannot keep this, and run one window at a time ([`manifest::Precision::depends_on_batch`]).
//! - The text of an entity is the slice of the text *as received* at its offsets, in every unit. Inside the library places
//!   are bytes ([`text::span::ByteSpan`]); only the wire knows other units.
//! - No text is dropped without a word: every token stands in a window, and an answer says how many there were.
//! - A document is decoded once, over stitched logits, so that no entity is cut or doubled where windows meet.
//! - A model that would fail on a request fails when it is loaded: [`models::load::Model::load`] runs it first.
//! - A window whose caller has gone, or whose deadline has passed, costs no run.
//! - Every document runs as a task ([`classify::classifier`]). It finishes, or meets its deadline, when nobody polls its request.
//! - Work that takes seconds beside live traffic (loading, hashing) stands below it ([`system::background`]), and a model that goes
//!   out leaves nothing behind: its memory is given back ([`system::memory`]), and no thread keeps words of its tokenizer.
//! - The text of a request is never logged. Nothing is sent anywhere; the server listens on the loopback unless told
//!   otherwise.

pub mod classify;
pub mod evaluate;
pub mod http;
pub mod inference;
pub mod manifest;
pub mod models;
pub mod score;
pub mod system;
pub mod text;
