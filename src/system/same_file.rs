//! Whether two paths name one file, so that what is written to one is not lost by what is written to the other.

use std::path::{Path, PathBuf};

use super::atomic_file::folder_of;

/// Whether writing to one path replaces what is at the other. The files may not be there yet. A device replaces nothing.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    let is_device = a.exists() && !a.is_file() && !a.is_dir();
    !is_device && (a == b || place(a).is_some_and(|place_of_a| Some(place_of_a) == place(b)))
}

fn place(path: &Path) -> Option<PathBuf> {
    let new = || Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(new)
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
        for (a, b, is_same) in [
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
