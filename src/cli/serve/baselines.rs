//! The files of `--drift-baseline`.

use std::path::{Path, PathBuf};

use ressort::models::drift::baseline::{BaselineError, Baselines, ModelBaseline};
use ressort::models::registry::Registry;

/// The baselines of each file.
pub struct NamedBaselines(Vec<(PathBuf, Baselines)>);

impl NamedBaselines {
    /// # Errors
    /// When one of the files is no baseline.
    pub fn read(files: &[PathBuf]) -> Result<Self, BaselineError> {
        let read = |file: &PathBuf| Ok((file.clone(), Baselines::read(file)?));
        files.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Mentions each baseline that is of no loaded model: it may be of one that is loaded later.
    pub fn warn_of_unused(&self, registry: &Registry) {
        for (file, ModelBaseline { name, version, .. }) in self.unused(registry) {
            tracing::warn!(file = %file.display(), model = name, version, "no loaded model has the version of this baseline");
        }
    }

    /// The baselines that are of no loaded model, with their files.
    pub fn unused(&self, registry: &Registry) -> Vec<(&Path, &ModelBaseline)> {
        let models = registry.models();
        let all = self.0.iter().flat_map(|(file, baselines)| baselines.models.iter().map(|one| (file.as_path(), one)));
        all.filter(|(_, baseline)| !models.iter().any(|model| model.version == baseline.version)).collect()
    }

    pub fn as_one(&self) -> Baselines {
        Baselines { models: self.0.iter().flat_map(|(_, baselines)| baselines.models.clone()).collect() }
    }

    /// The baselines of all files.
    pub fn into_one(self) -> Baselines {
        Baselines { models: self.0.into_iter().flat_map(|(_, baselines)| baselines.models).collect() }
    }
}
