//! Ressort reads German text and says which topics it is about and which persons, places and organisations it names, each
//! with a score and its exact place. It runs any transformer exported to ONNX.
//!
//! # The data path
//!
//! The code reads in the order in which a document goes through it; [`pipeline`] is the path in one place.
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
//! | 11 | `main`, `cli`, `remote` | the verbs of the command line; changing the models of a running server with it |
//! | 10 | [`http`], [`evaluate`], [`score`] | the API: routes, wire types, errors as callers see them; models compared on labelled data; batch scoring of files |
//! | 9 | [`shadow`] | a candidate that reads along, compared and counted |
//! | 8 | [`answer`], [`cache`], [`saved`] | an answer as it is written, by the API and into files; answers kept for texts that come again; what a restart finds again |
//! | 7 | [`registry`], [`inspect`] | loaded models by name and task; what a model is, as a report |
//! | 6 | [`model`] | a folder made ready to serve, and refused where something is wrong with it |
//! | 5 | [`pipeline`] | the data path for one document and one model |
//! | 4 | [`session`], [`scheduler`], [`stitch`], [`decode`] | ONNX Runtime; the queue and its threads; windows back to a document; logits to topics and entities |
//! | 3 | [`batch`] | windows side by side as tensors; the seam [`batch::Run`] behind which a run happens |
//! | 2 | [`tokenize`] | text to tokens to overlapping windows |
//! | 1 | [`normalize`], [`truecase`], [`manifest`], [`config`] | what the tokenizer sees, and the way back; the letter case of a text that has lost its own; what a model folder says; what an operator sets |
//! | 0 | [`span`], [`task`], [`telemetry`], [`memory`], [`background`] | places, the words of a task, logs and metrics, freed memory, work that yields |
//!
//! What stands in one room only: `ort` in [`session`], `tokenizers` in [`tokenize`], `axum` in [`http`], `prost` in
//! [`manifest`], `clap` and `anyhow` in the binary, `arrow` and `parquet` in [`score`]. Wire types (`serde`) live at the
//! edges: [`http`], [`evaluate`], [`score`], [`answer`], [`saved`], [`shadow`], [`inspect`], [`manifest`].
//!
//! # What always holds
//!
//! - An answer does not depend on what else is in the batch. Models whose activations are quantised with ranges of the
//!   tensor at hand cannot keep this, and run one window at a time ([`manifest::Precision::depends_on_batch`]).
//! - The text of an entity is the slice of the text *as received* at its offsets, in every unit. Inside the library places
//!   are bytes ([`span::ByteSpan`]); only the wire knows other units.
//! - No text is dropped without a word: every token stands in a window, and an answer says how many there were.
//! - A document is decoded once, over stitched logits, so that no entity is cut or doubled where windows meet.
//! - A model that would fail on a request fails when it is loaded: [`model::Model::load`] runs it first.
//! - A window whose caller has gone, or whose deadline has passed, costs no run.
//! - Work that takes seconds beside live traffic (loading, hashing) stands below it ([`background`]), and a model that goes
//!   out leaves nothing behind: its memory is given back ([`memory`]), and no thread keeps words of its tokenizer.
//! - The text of a request is never logged. Nothing is sent anywhere; the server listens on the loopback unless told
//!   otherwise.

pub mod answer;
pub mod background;
pub mod batch;
pub mod cache;
pub mod config;
pub mod decode;
pub mod evaluate;
pub mod http;
pub mod inspect;
pub mod manifest;
pub mod memory;
pub mod model;
pub mod normalize;
pub mod pipeline;
pub mod registry;
pub mod saved;
pub mod scheduler;
pub mod score;
pub mod session;
pub mod shadow;
pub mod span;
pub mod stitch;
pub mod task;
pub mod telemetry;
pub mod tokenize;
pub mod truecase;
