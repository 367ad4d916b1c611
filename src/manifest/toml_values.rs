//! Values of a `ressort.toml` that several of its sections have.

use std::borrow::Cow;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use super::{Graph, ManifestError, default_label};

/// Reads an enum by its word.
pub fn word<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: Display,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

/// `labels`, or where there are none, the default labels of the logits that the graph says it has.
pub fn or_default<'l>(labels: &'l [String], graph: &Graph, output: &str) -> Cow<'l, [String]> {
    match graph.n_logits(output).filter(|_| labels.is_empty()) {
        Some(n_logits) => (0..n_logits).map(default_label).collect(),
        None => Cow::Borrowed(labels),
    }
}

/// What a head's logits are divided by.
pub fn temperature(path: &Path, given: Option<f32>) -> Result<f32, ManifestError> {
    match given.unwrap_or(1.0) {
        temperature if temperature.is_finite() && temperature > 0.0 => Ok(temperature),
        temperature => {
            Err(invalid(path, format!("temperature {temperature} must be above 0; 1.0 leaves scores as they are")))
        }
    }
}

/// The error of the file at `path`.
pub fn invalid(path: &Path, message: String) -> ManifestError {
    ManifestError::Invalid { path: path.to_owned(), message }
}
