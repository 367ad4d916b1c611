//! Values of a `ressort.toml` that several of its sections have.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use super::labels::check_label;
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

/// From what score `of` counts.
pub fn threshold(path: &Path, of: &str, given: f32) -> Result<f32, ManifestError> {
    match (0.0..=1.0).contains(&given) {
        true => Ok(given),
        false => Err(invalid(path, format!("threshold {given} of `{of}` must lie in 0 to 1"))),
    }
}

/// Refuses a key that is no language tag, such as the name of a language; `key` is that of the table.
pub fn languages<'k>(
    path: &Path,
    key: &str,
    languages: impl IntoIterator<Item = &'k String>,
) -> Result<(), ManifestError> {
    let is_tag = |tag: &String| {
        let mut subtags = tag.split('-');
        let language = subtags.next().unwrap_or_default();
        matches!(language.len(), 2 | 3)
            && language.bytes().all(|byte| byte.is_ascii_lowercase())
            && subtags.all(|subtag| !subtag.is_empty() && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    match languages.into_iter().find(|language| !is_tag(language)) {
        Some(language) => Err(invalid(
            path,
            format!("{key} has the language `{language}`; use a tag in small letters, such as `de` or `en`"),
        )),
        None => Ok(()),
    }
}

/// Refuses a label that is empty, or begins or ends with white space: readers cannot tell it from the label without.
pub fn clean<'l>(path: &Path, labels: impl IntoIterator<Item = &'l str>) -> Result<(), ManifestError> {
    labels.into_iter().try_for_each(check_label).map_err(|message| invalid(path, message))
}

/// Refuses a label that `labels` have twice.
pub fn all_different<'l>(path: &Path, labels: impl IntoIterator<Item = &'l str>) -> Result<(), ManifestError> {
    let mut known = HashSet::new();
    match labels.into_iter().find(|label| !known.insert(*label)) {
        Some(label) => Err(invalid(path, format!("two labels are called `{label}`; rename one of them"))),
        None => Ok(()),
    }
}

/// The error of the file at `path`.
pub fn invalid(path: &Path, message: String) -> ManifestError {
    ManifestError::Invalid { path: path.to_owned(), message }
}
