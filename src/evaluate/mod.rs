//! Models compared on labelled data, before one is swapped in.

pub mod compare;
pub mod document;
pub mod gold;
pub mod labels;
pub mod metrics;
