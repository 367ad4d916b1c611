//! On which execution provider a model runs.

use super::ort_session::{OrtSession, SessionOptions};
use super::runtime::SessionError;
use super::shared_model::SharedModel;
use crate::inference::arithmetic::ModelArithmetic;
use crate::inference::settings::{Provider, RunSettings};
use crate::manifest::Manifest;

/// The provider of a model, and how it was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub provider: Provider,
    /// Providers that were tried before it, and why each was not used.
    pub passed_over: Vec<(Provider, String)>,
}

/// Finds the first of `providers` on which the model runs; the CPU comes after all of them.
pub fn place(manifest: &Manifest, model: &SharedModel, settings: &RunSettings) -> Result<Placement, SessionError> {
    let mut passed_over = Vec::new();
    let arithmetic = ModelArithmetic::new(manifest.graph.integer_products, settings.arithmetic);
    for &provider in settings.providers.iter().filter(|&&provider| provider != Provider::Cpu) {
        match OrtSession::open(manifest, SessionOptions { provider, arithmetic, n_threads: 1 }, model) {
            Ok(_) => return Ok(Placement { provider, passed_over }),
            Err(SessionError::Load { message, .. }) => passed_over.push((provider, message)),
            Err(error) => passed_over.push((provider, error.to_string())),
        }
    }
    if settings.require_gpu {
        let mut reasons: Vec<String> =
            passed_over.iter().map(|(provider, reason)| format!("{provider}: {reason}")).collect();
        if reasons.is_empty() {
            reasons.push("no GPU provider is among those requested".to_owned());
        }
        return Err(SessionError::NoGpu(reasons));
    }
    Ok(Placement { provider: Provider::Cpu, passed_over })
}
