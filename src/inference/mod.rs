//! The data path of one document through one model: tokens, windows, batches, logits, topics and entities.

pub mod arithmetic;
pub mod batch;
pub mod cuts;
pub mod decode;
pub mod encoded;
pub mod evidence;
pub mod pieces;
pub mod pipeline;
pub mod prediction;
pub mod scheduler;
pub mod session;
pub mod settings;
pub mod stats;
pub mod stitch;
pub mod token_mean;
pub mod tokenize;
pub mod windows;
pub mod workers;
