//! How models are loaded and run: execution providers, streams, batching.

use std::path::PathBuf;
use std::time::Duration;

use crate::inference::arithmetic::Arithmetic;
use crate::system::choice::UnknownWord;

/// Where a model may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = unknown_provider)]
pub enum Provider {
    Cuda,
    Cpu,
}

/// A GPU is meant by words that are spelled like `cpu`.
fn unknown_provider(found: &str) -> UnknownWord {
    let is_gpu = ["gpu", "nvidia"].iter().any(|word| found.eq_ignore_ascii_case(word));
    UnknownWord { meant: is_gpu.then_some("cuda"), ..UnknownWord::among::<Provider>(found) }
}

/// How models are loaded and run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSettings {
    /// In the order in which they are tried; the CPU is tried last.
    pub providers: Vec<Provider>,
    /// Refuse to serve on the CPU alone.
    pub require_gpu: bool,
    /// Sessions of one model that run at the same time, each on one thread; at least 1.
    pub n_streams: usize,
    /// Windows that may wait for a run before a request is refused; at least 1.
    pub max_queued_windows: usize,
    /// A run that takes longer is ended.
    pub run_timeout: Duration,
    pub batching: Batching,
    pub arithmetic: Arithmetic,
    /// Where `/proc` and `/sys` are found, which say how much memory a model may take: `/`.
    pub system_root: PathBuf,
}

/// Whether windows may share a run.
///
/// The same window gives the same bits in every run of one shape; in runs of another shape the last digit of a score may
/// differ. Which windows meet in a queue depends on time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "lowercase", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<Batching>)]
pub enum Batching {
    /// Those that meet in the queue do, as far as the model allows it.
    Shared,
    /// Each window runs alone, so that its scores are the same to the last bit every time.
    Alone,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            providers: vec![Provider::Cuda, Provider::Cpu],
            require_gpu: false,
            n_streams: usable_cores(),
            max_queued_windows: 1024,
            run_timeout: Duration::from_secs(30),
            batching: Batching::Shared,
            arithmetic: Arithmetic::Exact,
            system_root: "/".into(),
        }
    }
}

impl RunSettings {
    /// Runs of more than this time count as stuck, long before they are ended.
    pub fn stuck_after(&self) -> Duration {
        self.run_timeout / 3
    }
}

impl Provider {
    pub fn is_gpu(self) -> bool {
        self != Self::Cpu
    }
}

/// The cores that this process may really use (affinity and cgroup quota, not the machine's count).
pub fn usable_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_words_for_a_gpu_lead_to_its_provider() {
        for (found, end) in [
            ("gpu", "`gpu` is not one of `cuda`, `cpu`; did you mean `cuda`?"),
            ("GPU", "; did you mean `cuda`?"),
            ("nvidia", "; did you mean `cuda`?"),
            ("cud", "; did you mean `cuda`?"),
            ("cpus", "; did you mean `cpu`?"),
            ("tpu", "`tpu` is not one of `cuda`, `cpu`; did you mean `cpu`?"),
        ] {
            let message = found.parse::<Provider>().unwrap_err().to_string();
            assert!(message.ends_with(end), "{message}");
        }
    }
}
