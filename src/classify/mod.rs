//! The only way from a text to an answer. [`request`] checks texts and options, [`classifier`] turns them into an [`answer`].

pub mod answer;
pub mod cache;
pub mod chosen;
pub mod classifier;
pub mod derived;
pub mod error;
pub mod fields;
pub mod groups;
pub mod kinds;
pub mod request;
pub mod samples;
pub mod shadow;
