//! Files that are replaced as a whole: after a crash or a power failure a reader finds the old content or the new one.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Replaces the file at `path` with `content`, which is on the disk when this returns.
///
/// The content goes to a temporary file in the same folder first, since a rename is atomic only within one file system.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = temporary_file(folder)?;
    file.write_all(content)?;
    // Before the rename, or a power failure could leave the new name on an empty file.
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(folder)
}

/// Puts the names of the files in `folder` on the disk: a rename or a new file is durable only after this.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder in which `path` lies; `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As `File::create` has it: temporary files are readable by their owner alone by default.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.prefix(".").suffix(".tmp").tempfile_in(folder)
}

/// Records which files each thread forces to the disk. The test binary has its own `fsync`, which std calls: without it no test
/// could tell that a call is missing.
#[cfg(all(test, target_os = "linux"))]
#[allow(unsafe_code, reason = "docs/architecture.md explains it")]
pub(crate) mod synced {
    use std::cell::RefCell;
    use std::path::PathBuf;

    thread_local! {
        static PATHS: RefCell<Vec<(PathBuf, String)>> = const { RefCell::new(Vec::new()) };
        static WATCHED: RefCell<PathBuf> = const { RefCell::new(PathBuf::new()) };
    }

    /// Runs `work` and gives the files and folders that it forced to the disk, each with what the file `watched` held then.
    pub(crate) fn during(watched: &std::path::Path, work: impl FnOnce()) -> Vec<(PathBuf, String)> {
        PATHS.take();
        WATCHED.set(watched.to_owned());
        work();
        PATHS.take()
    }

    // SAFETY: has the signature of the function that it replaces.
    #[unsafe(no_mangle)]
    extern "C" fn fsync(descriptor: libc::c_int) -> libc::c_int {
        let path = std::fs::read_link(format!("/proc/self/fd/{descriptor}")).unwrap_or_default();
        let content = std::fs::read_to_string(WATCHED.with_borrow(PathBuf::clone)).unwrap_or_default();
        PATHS.with_borrow_mut(|paths| paths.push((path, content)));
        // SAFETY: the kernel checks the descriptor.
        unsafe { libc::syscall(libc::SYS_fsync, descriptor) as libc::c_int }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_content_is_on_the_disk_before_its_name_and_the_name_before_the_return() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let path = folder.join("state.json");
        std::fs::write(&path, "old").unwrap();
        let synced = synced::during(&path, || replace(&path, b"new").unwrap());
        let [(file, before), (synced_folder, after)] = &synced[..] else { panic!("{synced:?}") };
        assert_eq!((file.parent(), file == &path), (Some(&*folder), false), "a temporary file in the same folder");
        assert_eq!((before.as_str(), after.as_str()), ("old", "new"));
        assert_eq!(*synced_folder, folder);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "the temporary file stays");
    }

    #[test]
    fn a_replacement_that_fails_leaves_the_old_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("folder");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("inside"), "old").unwrap();
        assert!(replace(&path, b"new").is_err());
        assert_eq!(std::fs::read_to_string(path.join("inside")).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    #[cfg(unix)]
    fn others_may_read_the_file_as_one_that_was_created() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        File::create(folder.path().join("created")).unwrap();
        replace(&folder.path().join("replaced"), b"").unwrap();
        assert_eq!(mode("replaced"), mode("created"));
    }

    #[test]
    fn a_bare_name_lies_in_the_working_folder() {
        for (path, folder) in [("name", "."), ("a/name", "a"), ("/name", "/")] {
            assert_eq!(folder_of(Path::new(path)), Path::new(folder));
        }
    }
}
