//! Files that are replaced as a whole: after a crash or a power failure a reader finds the old content or the new one.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

const PREFIX: &str = ".";
const SUFFIX: &str = ".tmp";

/// Replaces the file at `path` with `content`, which is on the disk when this returns.
///
/// The content goes to a temporary file in the same folder first, since a rename is atomic only within one file system.
///
/// A device or a pipe (`/dev/null`, `/dev/stdout`) is written to: a rename would put a file in its place.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    if path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        return std::fs::OpenOptions::new().write(true).open(path)?.write_all(content);
    }
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

/// Whether [`replace`] gives such names to temporary files. A killed process does not remove its temporary file.
pub fn is_temporary(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
}

fn temporary_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As `File::create` has it: temporary files are readable by their owner alone by default.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.prefix(PREFIX).suffix(SUFFIX).tempfile_in(folder)
}

/// Lets tests watch the system calls on which durability rests. The test binary has its own `fsync`, `rename` and `unlink`, which
/// std calls: without them no test could tell that a call is missing.
#[cfg(all(test, target_os = "linux"))]
#[allow(unsafe_code, reason = "docs/architecture.md explains it")]
pub(crate) mod observed {
    use std::cell::RefCell;
    use std::path::{Path, PathBuf};
    use std::rc::Rc;

    type Observer = Rc<dyn Fn(Option<&Path>)>;

    thread_local! {
        static OBSERVER: RefCell<Option<Observer>> = const { RefCell::new(None) };
    }

    /// Runs `work`, and calls `observer` before each of these calls of this thread: with the file or folder that is about to
    /// be synced, with `None` before a rename or a removal.
    ///
    /// Nothing is forced to the disk meanwhile, which would only make tests slow.
    pub(crate) fn during<T>(observer: impl Fn(Option<&Path>) + 'static, work: impl FnOnce() -> T) -> T {
        OBSERVER.set(Some(Rc::new(observer)));
        let result = work();
        OBSERVER.set(None);
        result
    }

    /// Runs `work` and gives the files and folders that it synced, each with what the file `watched` held before.
    pub(crate) fn syncs(watched: &Path, work: impl FnOnce()) -> Vec<(PathBuf, String)> {
        let syncs = Rc::new(RefCell::new(Vec::new()));
        let (observer, watched) = (Rc::clone(&syncs), watched.to_owned());
        let record = move |synced: Option<&Path>| {
            let content = || std::fs::read_to_string(&watched).unwrap_or_default();
            observer.borrow_mut().extend(synced.map(|path| (path.to_owned(), content())));
        };
        during(record, work);
        syncs.take()
    }

    fn observe(synced: Option<&Path>) -> bool {
        // A clone, since the observer may make such calls too.
        let observer = OBSERVER.with_borrow(Option::clone);
        observer.inspect(|observer| observer(synced)).is_some()
    }

    // SAFETY: each has the signature of the function that it replaces.
    #[unsafe(no_mangle)]
    extern "C" fn fsync(descriptor: libc::c_int) -> libc::c_int {
        if observe(std::fs::read_link(format!("/proc/self/fd/{descriptor}")).ok().as_deref()) {
            return 0;
        }
        // SAFETY: the kernel checks the arguments.
        unsafe { libc::syscall(libc::SYS_fsync, descriptor) as libc::c_int }
    }

    #[unsafe(no_mangle)]
    extern "C" fn rename(from: *const libc::c_char, to: *const libc::c_char) -> libc::c_int {
        observe(None);
        // SAFETY: the kernel checks the arguments.
        unsafe { libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) as libc::c_int }
    }

    #[unsafe(no_mangle)]
    extern "C" fn unlink(path: *const libc::c_char) -> libc::c_int {
        observe(None);
        // SAFETY: the kernel checks the arguments.
        unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, 0) as libc::c_int }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read_to_string(pipe).unwrap()
        });
        replace(&pipe, b"new").unwrap();
        // First, since the reader of a pipe that was replaced waits for ever.
        assert!(!pipe.metadata().unwrap().is_file());
        assert_eq!(reader.join().unwrap(), "new");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_content_is_on_the_disk_before_its_name_and_the_name_before_the_return() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let path = folder.join("state.json");
        std::fs::write(&path, "old").unwrap();
        let synced = observed::syncs(&path, || replace(&path, b"new").unwrap());
        let [(file, before), (synced_folder, after)] = &synced[..] else { panic!("{synced:?}") };
        assert_eq!((file.parent(), file == &path), (Some(&*folder), false), "a temporary file in the same folder");
        assert_eq!((before.as_str(), after.as_str()), ("old", "new"));
        assert_eq!(*synced_folder, folder);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "the temporary file stays");
    }

    #[test]
    #[cfg(unix)]
    fn who_reads_the_old_file_meanwhile_reads_it_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        std::fs::write(&path, "old content").unwrap();
        let old = File::open(&path).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(io::read_to_string(old).unwrap(), "old content");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
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
