//! The process around the work: background threads, memory, descriptors, starts and stamps of files, private files, progress,
//! tables, logs and metrics, TLS of requests, option words, numbers in messages, build and processor.

pub mod atomic_file;
pub mod background;
pub mod budget;
pub mod build_info;
pub mod choice;
pub mod counted;
pub mod descriptors;
pub mod exposition;
pub mod file_stamp;
pub mod file_start;
pub mod histogram;
pub mod library_telemetry;
pub mod live;
pub mod memory;
pub mod memory_limits;
pub mod metric_names;
pub mod panics;
pub mod printable;
pub mod private_file;
pub mod process;
pub mod processor;
pub mod progress;
pub mod same_file;
pub mod spans;
pub mod table;
pub mod telemetry;
pub mod tls_client;
pub mod writable;
