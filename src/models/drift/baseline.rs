//! The file with the baselines of models: what `ressort score --baseline` and `GET /v1/drift/baseline` write, and the server
//! compares with.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::psi::Sample;
use super::{Feature, Samples};

/// Baselines of one or more models.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Baselines {
    pub models: Vec<ModelBaseline>,
}

/// What a model answered on the documents of a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelBaseline {
    pub name: String,
    /// Another version answers otherwise, so that the baseline does not hold for it.
    pub version: String,
    /// By feature.
    pub features: BTreeMap<String, BaselineSample>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BaselineSample {
    pub documents: u64,
    /// Documents by bin; one with two labels counts half for each.
    pub bins: BTreeMap<String, f64>,
}

/// The name of the file in the folder of a model. A hidden file is no part of the version.
pub const FOLDER_FILE: &str = ".baseline.json";
/// A model with ten thousand labels has a baseline of one megabyte.
const MAX_BYTES: u64 = 64_000_000;

#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    #[error("{path}: the baseline cannot be read; record one with `ressort score --baseline FILE`", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}: this is not a baseline; record one with `ressort score --baseline FILE`", path = path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{path}: {message}; record the baseline again with `ressort score --baseline FILE`", path = path.display())]
    Invalid { path: PathBuf, message: String },
}

impl Baselines {
    /// # Errors
    /// When the file cannot be read, or its numbers are no numbers of documents.
    pub fn read(path: &Path) -> Result<Self, BaselineError> {
        let mut json = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut json));
        let n_bytes = read.map_err(|source| BaselineError::Io { path: path.to_owned(), source })? as u64;
        let invalid = |message| BaselineError::Invalid { path: path.to_owned(), message };
        if n_bytes > MAX_BYTES {
            return Err(invalid(format!(
                "a baseline has at most {} MB, and this file has more",
                MAX_BYTES / 1_000_000
            )));
        }
        let baselines: Self =
            serde_json::from_slice(&json).map_err(|source| BaselineError::Json { path: path.to_owned(), source })?;
        for model in &baselines.models {
            model.samples().map_err(|message| invalid(format!("model `{}`: {message}", model.name)))?;
        }
        Ok(baselines)
    }

    /// The baseline that the folder of a model has for this version of it.
    pub fn in_folder(dir: &Path, version: &str) -> Result<Option<Samples>, BaselineError> {
        let path = dir.join(FOLDER_FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let samples = Self::read(&path)?.of_version(version);
        if samples.is_none() {
            tracing::warn!(file = %path.display(), version, "the baseline is of another version of the model; record it again");
        }
        Ok(samples)
    }

    /// The baseline of a model of this version.
    pub fn of_version(&self, version: &str) -> Option<Samples> {
        // `read` has checked it.
        self.models.iter().find(|baseline| baseline.version == version)?.samples().ok()
    }
}

impl ModelBaseline {
    pub fn new(name: &str, version: &str, samples: &Samples) -> Self {
        let sample = |(feature, sample): (&Feature, &Sample)| {
            (feature.to_string(), BaselineSample { documents: sample.n_documents, bins: sample.bins.clone() })
        };
        Self { name: name.to_owned(), version: version.to_owned(), features: samples.iter().map(sample).collect() }
    }

    fn samples(&self) -> Result<Samples, String> {
        let sample = |(name, BaselineSample { documents, bins }): (&String, &BaselineSample)| {
            let feature: Feature = name.parse().map_err(|_| format!("the feature `{name}` is not known"))?;
            if bins.values().any(|weight| !weight.is_finite() || *weight < 0.0) {
                return Err(format!("`{name}` has a bin that is no number of documents"));
            }
            Ok((feature, Sample { n_documents: *documents, bins: bins.clone() }))
        };
        self.features.iter().map(sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_may_be_empty_and_must_be_a_number_of_documents() {
        let samples = |weight: f64| {
            let bins = [("Sport".to_owned(), weight)].into();
            let sample = BaselineSample { documents: 3, bins };
            let features = [("topics".to_owned(), sample)].into();
            ModelBaseline { name: "m".to_owned(), version: "1".to_owned(), features }.samples()
        };
        assert_eq!(samples(0.0).unwrap()[&Feature::Topics].bins["Sport"], 0.0);
        assert_eq!(samples(2.5).unwrap()[&Feature::Topics].n_documents, 3);
        for weight in [-0.5, f64::NAN, f64::INFINITY] {
            assert!(samples(weight).unwrap_err().contains("topics"), "{weight}");
        }
    }
}
