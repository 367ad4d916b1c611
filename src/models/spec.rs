//! A model to load, as an operator names it.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::manifest::checkpoint_dir;
use crate::system::choice::shortened;

/// A model to load: `[NAME=]PATH` on the command line. Without a name it is called after its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSpec {
    pub name: String,
    pub path: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelSpecError {
    #[error("`{0}` is not the name of a model: give NAME=PATH, or the path of a folder that has a name")]
    NoName(String),
    #[error("{0}; give another: NAME=PATH")]
    BadName(#[from] BadName),
}

/// A text that cannot be the name of a model, which is part of paths and addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "model name `{}` may hold letters, digits, `.`, `_` and `-` only, at most 64 of them and no dot first", shortened(.0)
)]
pub struct BadName(String);

/// Whether `name` can be the name of a model.
pub fn check_name(name: &str) -> Result<(), BadName> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_name = !name.is_empty() && !name.starts_with('.') && name.len() <= 64 && name.chars().all(is_plain);
    if is_name { Ok(()) } else { Err(BadName(name.to_owned())) }
}

impl FromStr for ModelSpec {
    type Err = ModelSpecError;

    fn from_str(text: &str) -> Result<Self, ModelSpecError> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (Some(name.to_owned()), Path::new(path)),
            None => (None, Path::new(text)),
        };
        // `models/x/.` and `.` have a name once they are looked up.
        let folder_name = || {
            let path = &checkpoint_dir(path);
            path.canonicalize()
                .ok()
                .as_deref()
                .unwrap_or(path)
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let name = name.or_else(folder_name).ok_or_else(|| ModelSpecError::NoName(text.to_owned()))?;
        check_name(&name)?;
        Ok(Self { name, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_by_hand_or_after_its_folder() {
        let spec = |name: &str, path: &str| ModelSpec { name: name.into(), path: path.into() };
        for (text, expected) in [
            ("models/ressort", spec("ressort", "models/ressort")),
            ("neu=/srv/a b", spec("neu", "/srv/a b")),
            ("models/ressort/", spec("ressort", "models/ressort/")),
        ] {
            assert_eq!(text.parse(), Ok(expected));
        }
        assert_eq!("a/b=x".parse::<ModelSpec>(), Err(BadName("a/b".into()).into()));
        assert_eq!("=x".parse::<ModelSpec>(), Err(BadName(String::new()).into()));
        assert_eq!("/".parse::<ModelSpec>(), Err(ModelSpecError::NoName("/".into())));
    }
}
