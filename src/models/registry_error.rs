//! Why models are not loaded, switched or removed.

use crate::manifest::ManifestError;
use crate::models::assignment::AssignError;
use crate::models::load::LoadError;
use crate::system::background::BackgroundError;

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("model `{name}` cannot be served")]
    Load { name: String, source: Box<LoadError> },
    #[error(
        "the folder of model `{name}` cannot be read, so that it stays as it was loaded; put the folder back, or take the model out (DELETE /v1/models/{name})"
    )]
    Unreadable { name: String, source: Box<ManifestError> },
    #[error("two models are called `{0}`; give them different names: NAME=PATH")]
    Duplicate(String),
    #[error(transparent)]
    Assign(#[from] AssignError),
    #[error("model `{name}` is in use ({}); {}", .by.cause(), .by.remedy())]
    InUse { name: String, by: Use },
    #[error(
        "a rollback would activate model `{name}`; to remove it and forget the rollback, use `ressort models remove {name} --forget-rollback` (DELETE /v1/models/{name}?forget_rollback=true)"
    )]
    NeededByRollback { name: String },
    #[error("model `{name}` had the version {version} when it was last active, and its folder holds {now} now")]
    PreviousReplaced { name: String, version: String, now: String },
    #[error("there is no earlier switch to go back to; `ressort models activate` (PUT /v1/active) switches")]
    NothingBefore,
    #[error("a change of models panicked; the log says why")]
    Background(#[from] BackgroundError),
}

/// Why a model cannot be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Active,
    Shadow,
}

impl Use {
    fn cause(self) -> &'static str {
        match self {
            Self::Active => "it is active",
            Self::Shadow => "it is the shadow model",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Active => "make another active first with `ressort models activate` (PUT /v1/active)",
            Self::Shadow => "end the comparison first with `ressort models shadow --stop` (DELETE /v1/shadow)",
        }
    }
}
