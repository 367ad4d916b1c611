//! Whether files can be written where they will be, which is checked before they are needed. A check leaves nothing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use super::atomic_file::folder_of;

/// Creates a file in `dir`, which must exist, and removes it.
pub fn check_dir(dir: &Path) -> io::Result<()> {
    let file = dir.join(format!(".ressort-check-{}", std::process::id()));
    File::create(&file)?;
    fs::remove_file(&file)
}

/// The same for a folder that is made when it is needed: where it does not exist, its nearest ancestor that exists counts.
pub fn check_new_dir(dir: &Path) -> io::Result<()> {
    let existing = dir.ancestors().find(|dir| dir.symlink_metadata().is_ok());
    check_dir(existing.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Whether lines can be added to a file; where it does not exist, whether it can be created in its folder.
pub fn check_file(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(_) => OpenOptions::new().append(true).open(path).map(drop),
        Err(_) => check_dir(folder_of(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_finds_what_writing_would_and_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::write(path("file"), "as it was").unwrap();
        for (dir, exists, can_be_made) in
            [("", true, true), ("new/deep", false, true), ("file", false, false), ("file/new", false, false)]
        {
            assert_eq!(check_dir(&path(dir)).is_ok(), exists, "{dir}");
            assert_eq!(check_new_dir(&path(dir)).is_ok(), can_be_made, "{dir}");
        }
        for (file, is_ok) in [("file", true), ("new", true), ("", false), ("new/file", false), ("file/new", false)] {
            assert_eq!(check_file(&path(file)).is_ok(), is_ok, "{file}");
        }
        let left: Vec<_> = std::fs::read_dir(root.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["file"]);
        assert_eq!(std::fs::read_to_string(path("file")).unwrap(), "as it was");
    }

    #[test]
    fn a_bare_name_is_in_the_working_folder() {
        assert!(check_new_dir(Path::new("no-such-folder-here")).is_ok());
        assert!(check_file(Path::new("no-such-file-here")).is_ok());
    }
}
