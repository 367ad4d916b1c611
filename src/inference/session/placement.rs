//! On which execution provider a model runs.

use ort::ep::{self, ExecutionProvider as _};

use super::ort_session::{OrtSession, SessionOptions};
use super::runtime::{Runtime, SessionError};
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

/// The first of `providers` that this build of ONNX Runtime has; the CPU where there is none. The device may still be missing.
pub fn first_in_build(providers: &[Provider]) -> Provider {
    let is_in_build = |provider: &Provider| match provider {
        Provider::Cpu => true,
        Provider::Cuda => Runtime::get().is_ok() && ep::CUDA::is_available().unwrap_or(false),
    };
    providers.iter().copied().find(is_in_build).unwrap_or(Provider::Cpu)
}

/// Finds the first of the providers, in the order of the settings, on which the model runs; the CPU comes after all of them.
///
/// Where a GPU is required, the CPU is passed over wherever it stands.
pub fn place(manifest: &Manifest, model: &SharedModel, settings: &RunSettings) -> Result<Placement, SessionError> {
    let mut passed_over = Vec::new();
    let arithmetic = ModelArithmetic::new(manifest.graph.integer_products, settings.arithmetic);
    for provider in before_the_cpu(settings) {
        let options = SessionOptions { provider, arithmetic, n_threads: 1, timeout: settings.run_timeout };
        match OrtSession::open(manifest, options, model) {
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

/// The providers that are tried before the CPU.
fn before_the_cpu(settings: &RunSettings) -> impl Iterator<Item = Provider> + use<'_> {
    let providers = settings.providers.iter().copied();
    providers.take_while(|provider| provider.is_gpu() || settings.require_gpu).filter(|provider| provider.is_gpu())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_tried_in_the_order_given() {
        use Provider::{Cpu, Cuda};
        for (providers, require_gpu, expected) in [
            (&[Cuda, Cpu][..], false, &[Cuda][..]),
            (&[Cpu, Cuda], false, &[]),
            (&[Cuda], false, &[Cuda]),
            (&[Cpu], false, &[]),
            (&[Cpu, Cuda], true, &[Cuda]),
        ] {
            let settings = RunSettings { providers: providers.to_vec(), require_gpu, ..RunSettings::default() };
            assert_eq!(before_the_cpu(&settings).collect::<Vec<_>>(), expected, "{providers:?}");
        }
    }
}
