//! The only way in: a checked text and its options become an answer.

pub mod answer;
pub mod cache;
pub mod request;
pub mod shadow;
