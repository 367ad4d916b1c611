//! The process around the work: background threads, memory, progress, logs and metrics, option words.

pub mod atomic_file;
pub mod background;
pub mod choice;
pub mod memory;
pub mod progress;
pub mod telemetry;
