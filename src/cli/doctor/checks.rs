//! Checks that need no model.

use std::path::Path;

use ressort::inference::session::Runtime;
use ressort::inference::settings::usable_cores;
use ressort::models::model_folders::ModelFolders;
use ressort::system::build_info::{VERSION, commit};
use ressort::system::descriptors::descriptor_limit;
use ressort::system::memory_limits::tightest_limit;
use ressort::system::processor::features;
use serde_json::json;

use super::Check;
use crate::cli::version::{commit_in_words, processor_in_words};

pub fn program() -> Check {
    let path = std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default();
    let finding = format!("ressort {VERSION} ({path}), commit: {}", commit_in_words());
    Check::ok("program", finding, json!({"version": VERSION, "commit": commit(), "path": path}))
}

pub fn processor() -> Check {
    let details =
        json!({"architecture": std::env::consts::ARCH, "usable_cores": usable_cores(), "features": features()});
    Check::ok("processor", processor_in_words(), details)
}

pub fn runtime() -> Check {
    const NAME: &str = "ONNX Runtime";
    match Runtime::get() {
        Ok(runtime) => {
            let library = runtime.library.display().to_string();
            let finding = format!("{} at {library} ({})", runtime.version, runtime.origin);
            let details = json!({"version": runtime.version, "library": library, "origin": runtime.origin});
            Check::ok(NAME, finding, details)
        }
        Err(error) => Check::failed(NAME, error.to_string()),
    }
}

/// The limit that holds. Whether it is enough for a model shows when the model is loaded.
pub fn memory() -> Check {
    const NAME: &str = "memory";
    /// Of a small model with its answers.
    const USUAL_NEED: u64 = 300_000_000;
    let Some(limit) = tightest_limit(Path::new("/")) else {
        let finding = "the system does not say how much is available".to_owned();
        return Check::warning(NAME, finding, "watch the memory of the process yourself");
    };
    let finding = format!("{:.1} GB available; the limit that holds is {}", limit.available as f64 / 1e9, limit.name);
    match limit.available < USUAL_NEED {
        true => {
            Check::warning(NAME, finding, "raise that limit, or end other programs: a small model needs about 0.3 GB")
        }
        false => Check::ok(NAME, finding, json!({"available_bytes": limit.available, "limit": limit.name})),
    }
}

pub fn open_files() -> Check {
    const NAME: &str = "open files";
    const ENOUGH: usize = 1024;
    match descriptor_limit() {
        Some(limit) if limit < ENOUGH => Check::warning(
            NAME,
            format!("this process may open {limit} files, and each connection is one"),
            "raise `ulimit -n`, or LimitNOFILE= in the systemd unit",
        ),
        Some(usize::MAX) | None => Check::ok(NAME, "no limit is known".to_owned(), json!({"limit": null})),
        Some(limit) => Check::ok(NAME, format!("up to {limit}, one for each connection"), json!({"limit": limit})),
    }
}

/// A server may have models from elsewhere. That it has none at all shows when they are loaded.
pub fn model_folders(folders: &ModelFolders) -> Check {
    const NAME: &str = "models folder";
    let (main, others) = (folders.main.display(), &folders.others);
    let searched = others.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
    let names: Vec<String> = folders.models().into_iter().map(|spec| spec.name).collect();
    let then = if searched.is_empty() { String::new() } else { format!(", then {searched}") };
    if names.is_empty() {
        let remedy = "name the folder with --models-dir (RESSORT_MODELS_DIR), or a model with --model";
        return Check::warning(NAME, format!("no model in {main}{then}"), remedy);
    }
    let finding = format!("{main}{then}: {}", names.join(", "));
    Check::ok(NAME, finding, json!({"folder": folders.main, "others": others, "models": names}))
}
