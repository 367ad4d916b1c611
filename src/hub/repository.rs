//! A repository of a hub, as it is named on the command line, and paths that stay in a folder.

use std::fmt;
use std::str::FromStr;

use super::HubError;

/// The revision that is pulled where none is named.
const DEFAULT_REVISION: &str = "main";

/// `ORG/NAME`, and a branch, tag or commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    pub id: String,
    pub revision: String,
}

impl Repository {
    /// The name without the organisation.
    pub fn name(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for Repository {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        let (id, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        let is_name = |name: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            !name.is_empty() && name.len() <= 96 && !name.starts_with(['.', '-']) && name.chars().all(is_plain)
        };
        let is_id = id.split_once('/').is_some_and(|(org, name)| is_name(org) && is_name(name));
        match is_id && stays_inside(revision) {
            true => Ok(Self { id: id.to_owned(), revision: revision.to_owned() }),
            false => Err(HubError::BadRepository(text.to_owned())),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision == DEFAULT_REVISION {
            true => write!(f, "{}", self.id),
            false => write!(f, "{}@{}", self.id, self.revision),
        }
    }
}

/// Whether `path` is relative, leads out of no folder, and can be the name of a file on every system.
pub fn stays_inside(path: &str) -> bool {
    const MAX_DEPTH: usize = 16;
    let is_name = |name: &str| {
        let is_bad = |c: char| c.is_control() || c == '\\';
        !matches!(name, "" | "." | "..") && name.len() <= 255 && !name.contains(is_bad)
    };
    path.split('/').count() <= MAX_DEPTH && path.split('/').all(is_name)
}

/// `path` in a URL: what is neither a letter, digit nor one of `-._~/` becomes `%XX`.
pub fn in_url(path: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_an_organisation_and_a_name_with_an_optional_revision() {
        for (text, id, revision) in [
            ("a/b", "a/b", "main"),
            ("dbmdz/bert-base.german_cased@v1.0", "dbmdz/bert-base.german_cased", "v1.0"),
            ("a/b@refs/pr/1", "a/b", "refs/pr/1"),
        ] {
            let expected = Repository { id: id.to_owned(), revision: revision.to_owned() };
            assert_eq!(text.parse::<Repository>().unwrap(), expected);
        }
        for text in
            ["", "b", "a/", "/b", "a/b/c", "../b", "a/..", "a/b@", "a/b@../x", "a/b@x\ny", "ä/b", "a b/c", "-a/b"]
        {
            assert!(text.parse::<Repository>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_paths_below_the_folder_stay_inside() {
        for path in ["config.json", "onnx/model.onnx", "a b", "ü/ö", ".gitattributes"] {
            assert!(stays_inside(path), "{path}");
        }
        let long = ("a".repeat(256), "a/".repeat(16) + "a");
        for path in ["", ".", "..", "/etc/passwd", "a/../b", "a//b", "a/", "a\\..\\b", "a\0", "a\nb", &long.0, &long.1]
        {
            assert!(!stays_inside(path), "{path:?}");
        }
    }

    #[test]
    fn a_path_in_a_url_keeps_its_folders() {
        assert_eq!(in_url("onnx/a b#?ü.onnx"), "onnx/a%20b%23%3F%C3%BC.onnx");
    }
}
