//! How far a run is: a bar where someone watches, a log line now and then where nobody does.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::ProgressStyle;

/// One bar at a time, for the model that is running.
pub struct ProgressBar {
    bar: indicatif::ProgressBar,
    logged: Mutex<Instant>,
}

/// Between two log lines.
const LOG_EVERY: Duration = Duration::from_secs(10);

impl ProgressBar {
    pub fn new() -> Self {
        let bar = indicatif::ProgressBar::no_length();
        if let Ok(style) =
            ProgressStyle::with_template("{msg} {wide_bar} {human_pos} of {human_len} documents, {eta} to go")
        {
            bar.set_style(style);
        }
        Self { bar, logged: Mutex::new(Instant::now()) }
    }

    /// Says that `model` has answered `n_done` of `n` documents.
    pub fn show(&self, model: &str, n_done: usize, n: usize) {
        if self.bar.message() != model {
            self.bar.reset();
            self.bar.set_message(model.to_owned());
            self.bar.set_length(n as u64);
        }
        self.bar.set_position(n_done as u64);
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bar.is_hidden() && logged.elapsed() >= LOG_EVERY {
            *logged = Instant::now();
            tracing::info!(model, "{n_done} of {n} documents are answered");
        }
    }

    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Default for ProgressBar {
    fn default() -> Self {
        Self::new()
    }
}

/// A folder for answers that nobody asked to keep, gone when dropped.
pub struct ScratchDir {
    pub path: PathBuf,
}

impl ScratchDir {
    /// Names the folder; it comes to be when something is written into it.
    pub fn new() -> Self {
        Self { path: std::env::temp_dir().join(format!("ressort-evaluate-{}", uuid::Uuid::new_v4())) }
    }
}

impl Default for ScratchDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // Most often there is none.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
