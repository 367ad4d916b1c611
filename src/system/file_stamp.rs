//! Whether a file is still the one that was read.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStamp {
    pub path: PathBuf,
    pub n_bytes: u64,
    /// `None` where the file system has no such time.
    modified: Option<SystemTime>,
    /// Device and inode: a file that was renamed over another may have its length and time.
    identity: (u64, u64),
    /// Seconds and nanoseconds of the last change of the inode, which cannot be set back as `modified` can.
    changed: (i64, i64),
}

impl FileStamp {
    /// `metadata` is that of the opened file, where the file at `path` may be another by now.
    pub fn new(path: &Path, metadata: &Metadata) -> Self {
        Self {
            path: path.to_owned(),
            n_bytes: metadata.len(),
            modified: metadata.modified().ok(),
            identity: identity(metadata),
            changed: changed(metadata),
        }
    }

    /// What tells the file from another of its size and time, for a later process. The number of the device is not part of it, since
    /// it may be another after a restart of the machine.
    pub fn identity_in_words(&self) -> String {
        let ((_, inode), (seconds, nanoseconds)) = (self.identity, self.changed);
        format!("inode {inode}, content or attributes changed at {seconds}.{nanoseconds:09}")
    }

    /// Whether the file at the path is the same and was not written to since.
    pub fn is_current(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|metadata| Self::new(&self.path, &metadata) == *self)
    }
}

/// Device and inode.
#[cfg(unix)]
pub fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(unix)]
fn changed(metadata: &Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
pub fn identity(_metadata: &Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(not(unix))]
fn changed(_metadata: &Metadata) -> (i64, i64) {
    (0, 0)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_same_size_and_time_may_be_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("a"), dir.path().join("b"));
        let write = |path: &Path, content: &str| {
            std::fs::write(path, content).unwrap();
            std::fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        };
        let rewrite = || write(&path, "Ulm");
        let replace = || {
            write(&other, "Ulm");
            std::fs::rename(&other, &path).unwrap();
        };
        for change in [&rewrite as &dyn Fn(), &replace] {
            write(&path, "Rom");
            let stamp = FileStamp::new(&path, &path.metadata().unwrap());
            assert!(stamp.is_current());
            // A time stamp is as coarse as the ticks of the kernel.
            let started = std::time::Instant::now();
            while stamp.changed == changed(&path.metadata().unwrap()) {
                assert!(started.elapsed().as_secs() < 60, "the file system keeps no time of changes");
                change();
            }
            assert!(!stamp.is_current());
        }
    }
}
