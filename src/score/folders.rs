//! The files that a folder or a pattern names. Folders are read each once, whatever links lead to them.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::error::ScoreError;
use crate::parts::PARTS;
use crate::system::atomic_file::folder_of;

/// Recursion in a pattern.
const ANY_FOLDERS: &str = "**";

/// Files by their names in their folders, whatever links lead to the folders. Two names of one file are two files.
#[derive(Default)]
pub struct KnownFiles {
    files: HashSet<(PathBuf, OsString)>,
    /// The folder of the last file, and its path without links.
    last: Option<(PathBuf, PathBuf)>,
}

impl KnownFiles {
    /// Whether the file is new.
    pub fn insert(&mut self, path: &Path) -> Result<bool, ScoreError> {
        let folder = folder_of(path);
        let real_folder = match self.last.take().filter(|(last, _)| last == folder) {
            Some((_, real_folder)) => real_folder,
            None => real(folder)?,
        };
        self.last = Some((folder.to_owned(), real_folder.clone()));
        Ok(self.files.insert((real_folder, path.file_name().unwrap_or_default().to_owned())))
    }
}

/// All files below `folder` that `is_wanted`, in the order of their paths, without hidden ones, pipes, and the folders of
/// unfinished runs.
pub fn files_below(folder: &Path, is_wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, ScoreError> {
    let mut files = Vec::new();
    for folder in folders_below(vec![folder.to_owned()])? {
        let entries = entries(&folder)?;
        files.extend(entries.into_iter().filter(|path| !is_hidden(path) && is_file(path) && is_wanted(path)));
    }
    files.sort();
    Ok(files)
}

/// The files that match `pattern`, in the order of their paths.
pub fn files_matching(pattern: &str) -> Result<Vec<PathBuf>, ScoreError> {
    let mut files = matches(pattern)?;
    files.retain(|path| is_file(path));
    // Recursion within recursion finds a folder on several ways. The shortest one stays.
    files.sort_by_cached_key(|path| (path.components().count(), path.clone()));
    let mut known = KnownFiles::default();
    files.retain(|path| known.insert(path).unwrap_or(true));
    files.sort();
    Ok(files)
}

/// What matches `pattern`. `glob` follows links in circles where a pattern recurses, so recursion is left to [`folders_below`].
fn matches(pattern: &str) -> Result<Vec<PathBuf>, ScoreError> {
    let Some((before, after)) = split_at_recursion(pattern) else { return glob(pattern) };
    let roots = match before {
        "" => vec![PathBuf::new()],
        before if before.chars().all(std::path::is_separator) => vec![PathBuf::from(before)],
        before => glob(before)?.into_iter().filter(|path| path.is_dir()).collect(),
    };
    let mut found = Vec::new();
    for folder in folders_below(roots)? {
        let folder = glob::Pattern::escape(&folder.to_string_lossy());
        let separator = if folder.is_empty() || folder.ends_with(std::path::is_separator) { "" } else { "/" };
        let after = if after.is_empty() { "*" } else { after };
        found.extend(matches(&format!("{folder}{separator}{after}"))?);
    }
    Ok(found)
}

/// What is before and after the first `**`, without separators next to it, except one that stands for the root.
fn split_at_recursion(pattern: &str) -> Option<(&str, &str)> {
    let is_component = |at: usize| {
        let before = pattern.get(..at).is_some_and(|part| part.is_empty() || part.ends_with(std::path::is_separator));
        let rest = pattern.get(at + ANY_FOLDERS.len()..);
        before && rest.is_some_and(|part| part.is_empty() || part.starts_with(std::path::is_separator))
    };
    let (at, _) = pattern.match_indices(ANY_FOLDERS).find(|(at, _)| is_component(*at))?;
    let (before, rest) = (pattern.get(..at)?, pattern.get(at + ANY_FOLDERS.len()..)?);
    Some((before, rest.trim_start_matches(std::path::is_separator)))
}

fn glob(pattern: &str) -> Result<Vec<PathBuf>, ScoreError> {
    // As a shell reads patterns: hidden files are named or left out.
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
    let matches =
        glob::glob_with(pattern, options).map_err(|error| ScoreError::usage(format!("{pattern}: {error}")))?;
    matches.map(|path| path.map_err(|error| ScoreError::read(pattern, io::Error::from(error)))).collect()
}

/// `roots` and the folders below them, each once, without hidden ones and those of unfinished runs.
///
/// A folder that lies there has the path where it lies. Links are followed after that, in the order of their paths. A link to
/// a folder that contains the link or a root is a circle, and not followed.
fn folders_below(roots: Vec<PathBuf>) -> Result<Vec<PathBuf>, ScoreError> {
    let real_roots = roots.iter().map(|root| real(root)).collect::<Result<Vec<_>, _>>()?;
    let (mut found, mut walked) = (Vec::new(), HashSet::new());
    let (mut folders, mut links) = (VecDeque::from(roots), VecDeque::new());
    while let Some(folder) = folders.pop_front().or_else(|| links.pop_front()) {
        let real_folder = real(&folder)?;
        if !walked.insert(real_folder.clone()) {
            continue;
        }
        for path in entries(&folder)? {
            let is_parts = path.as_os_str().to_string_lossy().ends_with(PARTS);
            if is_hidden(&path) || is_parts || !path.is_dir() {
                continue;
            }
            if !path.is_symlink() {
                folders.push_back(path);
                continue;
            }
            let target = real(&path)?;
            let is_circle = real_folder.starts_with(&target) || real_roots.iter().any(|root| root.starts_with(&target));
            if !is_circle {
                links.push_back(path);
            }
        }
        found.push(folder);
    }
    found.sort();
    Ok(found)
}

/// The path without links.
fn real(path: &Path) -> Result<PathBuf, ScoreError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    path.canonicalize().map_err(|error| ScoreError::read(&path.to_string_lossy(), error))
}

/// The paths in a folder, in order. The empty path stands for the working directory.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, ScoreError> {
    let failed = |source: io::Error| ScoreError::read(&folder.to_string_lossy(), source);
    let named = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(named).map_err(failed)?;
    let names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>().map_err(failed)?;
    let mut paths: Vec<PathBuf> = names.into_iter().map(|name| folder.join(name)).collect();
    paths.sort();
    Ok(paths)
}

/// A link that leads nowhere is a file that cannot be read, and not passed over.
fn is_file(path: &Path) -> bool {
    path.is_file() || !path.exists()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().unwrap_or_default().to_string_lossy().starts_with('.')
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Folders with a text each, and links of `(path, target)`.
    fn tree(links: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["in", "in/a", "in/a/b", "in/c", "out"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
            std::fs::write(dir.path().join(folder).join("x.txt"), "x").unwrap();
        }
        links.iter().for_each(|(link, target)| symlink(target, dir.path().join(link)).unwrap());
        dir
    }

    /// What a folder and the patterns that mean the same give, without the path of `dir`.
    fn found(dir: &tempfile::TempDir, folder: &str) -> Vec<String> {
        let at = dir.path().join(folder);
        let all = |paths: Vec<PathBuf>| {
            let name = |path: &PathBuf| path.strip_prefix(dir.path()).unwrap().to_string_lossy().into_owned();
            paths.iter().map(name).collect::<Vec<_>>()
        };
        let of_folder = all(files_below(&at, |path| path.extension().is_some()).unwrap());
        for pattern in ["**/*.txt", "**", "**/**/*"] {
            let of_pattern = all(files_matching(&format!("{}/{pattern}", at.display())).unwrap());
            assert_eq!(of_pattern, of_folder, "{pattern}");
        }
        of_folder
    }

    #[test]
    fn links_in_circles_give_each_file_once() {
        let all = ["in/a/b/x.txt", "in/a/x.txt", "in/c/x.txt", "in/x.txt"];
        for links in [
            &[][..],
            &[("in/a/loop", ".."), ("in/a/self", ".")],
            &[("in/loop", ".."), ("in/a/b/up", "../../..")],
            &[("in/a/to-c", "../c"), ("in/c/to-a", "../a")],
            &[("in/0", "a"), ("in/a/1", "../0"), ("in/a/b/2", "../../c/3"), ("in/c/3", "../a/b")],
        ] {
            assert_eq!(found(&tree(links), "in"), all, "{links:?}");
        }
    }

    #[test]
    fn links_out_of_the_folder_are_followed_once() {
        let dir =
            tree(&[("in/a/1", "../../out"), ("in/2", "../out"), ("in/3.txt", "../out/x.txt"), ("out/back", "../in")]);
        let all = ["in/2/x.txt", "in/3.txt", "in/a/b/x.txt", "in/a/x.txt", "in/c/x.txt", "in/x.txt"];
        assert_eq!(found(&dir, "in"), all);
    }

    #[test]
    fn recursion_is_a_component_of_a_pattern() {
        for (pattern, expected) in [
            ("**", Some(("", ""))),
            ("**/*.txt", Some(("", "*.txt"))),
            ("/**/x", Some(("/", "x"))),
            ("a/b*/**/c/**/d", Some(("a/b*/", "c/**/d"))),
            ("a*/b.txt", None),
            ("a**/b", None),
        ] {
            assert_eq!(split_at_recursion(pattern), expected, "{pattern}");
        }
    }
}
