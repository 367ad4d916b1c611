//! Loaded models: opened, tried, named, assigned to tasks, replaced.

pub mod active_file;
pub mod assignment;
pub mod drift;
pub mod fit;
pub mod load;
mod load_error;
pub mod model_folders;
mod opening;
pub mod registry;
mod registry_error;
pub mod report;
mod sharing;
pub mod spec;
mod state;
pub mod traffic;
mod trial;
