//! Why a model folder cannot be served.

use std::path::PathBuf;

use crate::inference::decode::names::NameListError;
use crate::inference::session::SessionError;
use crate::inference::tokenize::TokenizeError;
use crate::manifest::ManifestError;
use crate::models::drift::baseline::BaselineError;
use crate::models::fit::FitError;
use crate::models::trial::TrialError;
use crate::system::background::BackgroundError;
use crate::text::truecase::TruecaseError;

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Fit(#[from] FitError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Tokenizer(#[from] TokenizeError),
    #[error(transparent)]
    Truecase(#[from] TruecaseError),
    #[error(transparent)]
    Names(#[from] NameListError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Trial(#[from] TrialError),
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    #[error("{path}: {message}", path = path.display())]
    Unfit { path: PathBuf, message: String },
    #[error("{path}: golden example {text:?}: {message}; the model gives a different answer, or the example is wrong", path = path.display())]
    Golden { path: PathBuf, text: String, message: String },
    #[error("a worker thread cannot be started")]
    Thread(#[from] std::io::Error),
    #[error("loading panicked; the log says why")]
    Background(#[from] BackgroundError),
}
