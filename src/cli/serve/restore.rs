//! The models that a server starts with: those of the flags, else those of the state file, else the one that ships.

use std::sync::Arc;

use ressort::manifest::task::Task;
use ressort::models::active_file::PersistedState;
use ressort::models::registry::{Registry, RegistryError, StartingModel};

use super::args::ServeArgs;
use super::chain;

/// Models that answer, and what is left to load.
pub struct Loaded {
    pub registry: Registry,
    pub starting: Vec<StartingModel>,
    /// What a rollback activates.
    pub previous: Option<PersistedState>,
    /// Why the state file is of no use, where it is not. The models are then those of the flags.
    pub unusable: Option<String>,
}

/// Loads the models of the flags or of the state file. With a state file that is of no use the server starts on its flags: a
/// service that runs on its default is better than none.
pub async fn load_models(args: &ServeArgs) -> Result<Loaded, RegistryError> {
    let unusable = match PersistedState::read(&args.state_file()) {
        Ok(None) => return load(args, None).await,
        // The flags name models, so that the file decides nothing.
        Ok(Some(_)) if !args.models.is_default() => return load(args, None).await,
        Ok(Some(persisted)) => match load(args, Some(persisted.clone())).await {
            Ok(loaded) => {
                log_restored(args, &loaded.registry, &persisted);
                return Ok(loaded);
            }
            Err(error) => chain(error),
        },
        Err(error) => chain(error),
    };
    Ok(Loaded { unusable: Some(unusable), ..load(args, None).await? })
}

/// The state file takes the place of the default, which is all that the command line shows.
fn log_restored(args: &ServeArgs, registry: &Registry, persisted: &PersistedState) {
    let active = registry.active();
    for model in active.iter() {
        if let Some(before) = persisted.version(&model.name).filter(|before| *before != model.version) {
            tracing::warn!(
                model = model.name,
                version = model.version,
                version_before = before,
                "the folder of a restored model holds another version than was active before the restart"
            );
        }
    }
    let name = |task| active.get(task).map(|model| model.name.as_str());
    tracing::info!(
        topics = name(Task::Topics), entities = name(Task::Entities), file = %args.state_file().display(),
        "the active models of the last run are restored from the state file; --model takes precedence over it"
    );
}

async fn load(args: &ServeArgs, persisted: Option<PersistedState>) -> Result<Loaded, RegistryError> {
    let (specs, active) = (args.models(persisted.as_ref()), args.active(persisted.as_ref()));
    let previous = persisted.and_then(|persisted| persisted.previous).map(|previous| *previous);
    let (registry, starting) = Registry::start(&specs, active, &args.run_settings()).await?;
    registry.unrestored.store(previous.clone().map(Arc::new));
    Ok(Loaded { registry, starting, previous, unusable: None })
}

/// Renames a state file that is of no use, so that the next switch does not overwrite it.
pub fn set_aside(args: &ServeArgs, unusable: &str) {
    let file = args.state_file();
    match PersistedState::set_aside(&file) {
        Ok(aside) => tracing::error!(
            error = unusable, file = %file.display(), kept_as = %aside.display(),
            "the active models of the last run cannot be restored; starting on the flags"
        ),
        Err(error) => tracing::error!(
            error = unusable, file = %file.display(), %error,
            "the active models of the last run cannot be restored, and their file cannot be renamed; starting on the flags"
        ),
    }
}
