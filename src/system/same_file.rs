//! Whether two paths name one file, so that what is written to one is not lost by what is written to the other.

use std::path::{Path, PathBuf};

use super::atomic_file::folder_of;
use super::file_stamp::identity;

/// Whether writing to one path replaces what is at the other. The files may not be there yet. A device replaces nothing.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    match (a.metadata(), b.metadata()) {
        // A file may have several names in its file system (hard links).
        (Ok(a_there), Ok(b_there)) => a_there.is_file() && identity(&a_there) == identity(&b_there),
        // What is there is not what is missing, but for a link to a file that is missing.
        _ => a == b || place(a).is_some_and(|place_of_a| Some(place_of_a) == place(b)),
    }
}

fn place(path: &Path) -> Option<PathBuf> {
    let target = |path: &Path| path.read_link().map(|target| folder_of(path).join(target));
    let new = |path: &Path| Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(|| new(&target(path).unwrap_or_else(|_| path.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_many_paths_and_need_not_exist() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir(path("folder")).unwrap();
        std::fs::write(path("there"), "").unwrap();
        std::os::unix::fs::symlink(path("there"), path("link")).unwrap();
        std::fs::hard_link(path("there"), path("hard")).unwrap();
        std::os::unix::fs::symlink("new", path("dangling")).unwrap();
        for (a, b, is_same) in [
            ("there", "hard", true),
            ("hard", "link", true),
            ("dangling", "new", true),
            ("dangling", "there", false),
            ("there", "link", true),
            ("there", "folder/../there", true),
            ("new", "folder/../new", true),
            ("new", "new", true),
            ("missing/new", "missing/new", true),
            ("there", "new", false),
            ("folder/new", "new", false),
        ] {
            assert_eq!(is_same_file(&path(a), &path(b)), is_same, "{a} {b}");
        }
        assert!(!is_same_file(Path::new("/dev/null"), Path::new("/dev/null")));
    }
}
