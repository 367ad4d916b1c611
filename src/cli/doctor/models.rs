//! The models of the server, loaded as `serve` loads them, and those that it could load by name.

use std::time::Instant;

use ressort::models::active_file::PersistedState;
use ressort::models::registry::RegistryError;
use ressort::models::spec::ModelSpec;
use serde_json::json;

use super::{Check, Status, trial};
use crate::cli::serve::{Loaded, NamedBaselines, ServeArgs, active_models, load_models};

const NAME: &str = "models";

/// Loads the models of the server together, and runs each once. Then it tries the others of the models folders, one at a time.
pub async fn check(serve: &ServeArgs, baselines: Option<&NamedBaselines>, add: &mut impl FnMut(Check)) {
    let start = Instant::now();
    let tried = match load_models(serve).await {
        Ok(loaded) => run_loaded(loaded, start, baselines, add).await,
        Err(error) => {
            let failed = match &error {
                RegistryError::Load { name, .. } => Some(name.clone()),
                _ => None,
            };
            let name = failed.as_deref().map_or(NAME.to_owned(), trial::check_name);
            add(Check::failed(&name, format!("{:#}", anyhow::Error::from(error))));
            failed.into_iter().collect()
        }
    };
    let persisted = PersistedState::read(&serve.state_file()).ok().flatten();
    let needed = serve.models(persisted.as_ref());
    let is_needed = |spec: &ModelSpec| needed.iter().any(|needed| needed.path == spec.path);
    let others = serve.model_folders().models().into_iter().filter(|spec| !is_needed(spec));
    for spec in needed.iter().cloned().chain(others).filter(|spec| !tried.contains(&spec.name)) {
        let check = trial::load_and_run(&spec, &serve.run_settings()).await;
        add(if is_needed(&spec) { check } else { optional(check) });
    }
}

/// Runs the models of a server that would start, and gives their names.
async fn run_loaded(
    loaded: Loaded,
    start: Instant,
    baselines: Option<&NamedBaselines>,
    add: &mut impl FnMut(Check),
) -> Vec<String> {
    let Loaded { registry, starting, unusable, .. } = loaded;
    let mut is_complete = Ok(());
    for model in starting {
        is_complete = is_complete.and(model.complete().await);
    }
    let took = start.elapsed();
    let finding = format!("loaded in {:.1} s ({})", took.as_secs_f64(), active_models(&registry));
    add(Check::ok(NAME, finding, json!({"load_ms": took.as_millis()})));
    if let Err(error) = is_complete {
        let finding = format!("only one session could be opened: {:#}", anyhow::Error::from(error));
        add(Check::warning(NAME, finding, "raise the memory limit of the service, or set fewer --streams"));
    }
    if let Some(error) = unusable {
        let finding = format!("the active models of the last run cannot be restored: {error}");
        let remedy = "the server starts on its flags and renames the state file; put the models back to keep them";
        add(Check::warning("state file", finding, remedy));
    }
    for (file, baseline) in baselines.into_iter().flat_map(|baselines| baselines.unused(&registry)) {
        let finding = format!("{}: no loaded model has the version of `{}` in it", file.display(), baseline.name);
        let remedy = "record it again with `ressort score --baseline` where the model has changed";
        add(Check::warning("drift baselines", finding, remedy));
    }
    let models = registry.models();
    // The time of several models is theirs together.
    let took = (models.len() == 1).then_some(took);
    for model in &models {
        add(trial::run(model, took).await);
    }
    models.iter().map(|model| model.name.clone()).collect()
}

/// A model without which the server starts.
fn optional(check: Check) -> Check {
    match check.status {
        Status::Failed => Check {
            status: Status::Warning,
            remedy: Some(
                "the server starts without it; mend or remove the folder before you load it by name".to_owned(),
            ),
            ..check
        },
        _ => check,
    }
}
