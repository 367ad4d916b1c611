//! Bytes in a private file that is mapped into memory, so that those that are not in use take no memory.
#![allow(unsafe_code, reason = "docs/architecture.md explains it")]

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

/// Where each part begins: enough for every kind of number and for vector instructions.
const ALIGNMENT: u64 = 64;

/// Linux caches what one call writes as one piece, and maps the whole piece when a byte of it is read. Texts use single
/// rows of the embedding table, so small pieces keep the other rows out of memory.
const WRITTEN_AT_ONCE: usize = 16 * 1024;

/// Read at once, so that a part stays in the processor's cache while it is copied.
const READ_AT_ONCE: usize = 16 * WRITTEN_AT_ONCE;

/// The name of the file in its folder.
pub const FILE_NAME: &str = "weights";
const FOLDER_PREFIX: &str = "ressort-weights-";

/// Younger files are spared: another process may have created one that it has not locked yet.
const MIN_ABANDONED_AGE: Duration = Duration::from_secs(600);

/// The folders of this process that exist. When a process ends, what its threads hold is not dropped.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes the names of all private files. For the end of the process, while a model may still be loading.
pub fn remove_all_names() {
    for folder in folders().drain(..) {
        let _ = std::fs::remove_dir_all(folder);
    }
}

fn folders() -> MutexGuard<'static, Vec<PathBuf>> {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folder of one file, removed when this is dropped or the process ends.
struct Folder(TempDir);

impl Folder {
    fn new(temporary: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(FOLDER_PREFIX).tempdir_in(temporary)?;
        folders().push(folder.path().to_owned());
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        folders().retain(|folder| folder != self.0.path());
    }
}

/// A file that is being written. No other user can open it.
pub struct PrivateFile {
    file: File,
    /// `None` where the file is in memory and has no name.
    folder: Option<Folder>,
    n_bytes: u64,
    buffer: Vec<u8>,
}

impl PrivateFile {
    /// An empty file in the folder for temporary files, or in memory if no file can be made there.
    pub fn new() -> io::Result<Self> {
        let temporary = std::env::temp_dir();
        remove_abandoned(&temporary);
        let (file, folder) = match named_file(&temporary) {
            Ok((file, folder)) => (file, Some(folder)),
            Err(error) => (in_memory(&error)?, None),
        };
        Ok(Self { file, folder, n_bytes: 0, buffer: vec![0; READ_AT_ONCE] })
    }

    /// Appends the next `n_bytes` of `source` and returns their offset, a multiple of the alignment.
    ///
    /// # Errors
    /// `UnexpectedEof` where `source` ends before.
    pub fn append(&mut self, source: &mut impl Read, n_bytes: u64) -> io::Result<u64> {
        let (start, mut n_left) = (self.n_bytes.next_multiple_of(ALIGNMENT), n_bytes);
        self.n_bytes = start;
        while n_left > 0 {
            let n = usize::try_from(n_left).unwrap_or(READ_AT_ONCE).min(READ_AT_ONCE);
            source.read_exact(&mut self.buffer[..n])?;
            for at in (0..n).step_by(WRITTEN_AT_ONCE) {
                self.write(at, n.min(at + WRITTEN_AT_ONCE))?;
            }
            n_left -= n as u64;
        }
        Ok(start)
    }

    /// Writes a part of the buffer. A disk that is full is replaced by memory.
    fn write(&mut self, from: usize, to: usize) -> io::Result<()> {
        let written = self.file.write_all_at(&self.buffer[from..to], self.n_bytes);
        if let Err(error) = written {
            if self.folder.is_none() {
                return Err(error);
            }
            let memory = in_memory(&error)?;
            copy(&self.file, &memory, self.n_bytes.min(self.file.metadata()?.len()))?;
            (self.file, self.folder) = (memory, None);
            self.file.write_all_at(&self.buffer[from..to], self.n_bytes)?;
        }
        self.n_bytes += (to - from) as u64;
        Ok(())
    }

    /// The content, mapped into memory.
    pub fn map(self) -> io::Result<Mapped> {
        let n_bytes = usize::try_from(self.n_bytes).map_err(io::Error::other)?;
        // SAFETY: a new mapping, which nothing else refers to, over a file that no other user can open.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), n_bytes.max(1), libc::PROT_READ, libc::MAP_PRIVATE, self.file.as_raw_fd(), 0)
        };
        match NonNull::new(start).filter(|_| start != libc::MAP_FAILED) {
            Some(start) => Ok(Mapped { start, n_bytes, file: self.file, folder: Mutex::new(self.folder) }),
            None => Err(io::Error::last_os_error()),
        }
    }
}

/// The content of a private file. The file is removed with it at the latest, see [`Mapped::remove_name`].
pub struct Mapped {
    start: NonNull<c_void>,
    n_bytes: usize,
    file: File,
    folder: Mutex<Option<Folder>>,
}

// SAFETY: the memory is only ever read.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: mapped by `map` with this length, for as long as this lives; nobody writes to the file any more.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast::<u8>(), self.n_bytes) }
    }
}

impl Mapped {
    /// The folder in which the file can be opened as [`FILE_NAME`]; `None` where it has no name (any more).
    pub fn folder(&self) -> Option<PathBuf> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|folder| folder.path().to_owned())
    }

    /// Removes the file's name. Its content stays until this is dropped, and goes with the process, however that ends.
    pub fn remove_name(&self) {
        drop(self.folder.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Copies the bytes from `offset` on into `buffer`, without the memory that reading them through the mapping takes.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    /// Releases the memory; what is read again comes from the file.
    pub fn release(&self) {
        // SAFETY: the mapping is never written to, so that nothing is lost.
        unsafe {
            libc::madvise(self.start.as_ptr(), self.n_bytes, libc::MADV_DONTNEED);
        }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length; whoever reads it holds this.
        unsafe {
            libc::munmap(self.start.as_ptr(), self.n_bytes.max(1));
        }
    }
}

/// A new file in a new folder that only this user can open. The lock says that a process uses it.
fn named_file(temporary: &Path) -> io::Result<(File, Folder)> {
    let folder = Folder::new(temporary)?;
    let file = File::options().read(true).write(true).create_new(true).open(folder.path().join(FILE_NAME))?;
    file.try_lock()?;
    Ok((file, folder))
}

/// Removes what processes left that were killed while they loaded a model.
fn remove_abandoned(temporary: &Path) {
    let entries = std::fs::read_dir(temporary).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(FOLDER_PREFIX)) {
        let file = File::open(entry.path().join(FILE_NAME));
        if file.is_ok_and(|file| is_old(&file) && file.try_lock().is_ok()) {
            // Where it cannot be removed, it is another user's.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn is_old(file: &File) -> bool {
    let age = file.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age >= MIN_ABANDONED_AGE)
}

/// Copies the first `n_bytes` of one file to another.
fn copy(from: &File, to: &File, n_bytes: u64) -> io::Result<()> {
    let mut buffer = [0; WRITTEN_AT_ONCE];
    let mut offset = 0;
    while offset < n_bytes {
        let n = buffer.len().min(usize::try_from(n_bytes - offset).unwrap_or(WRITTEN_AT_ONCE));
        from.read_exact_at(&mut buffer[..n], offset)?;
        to.write_all_at(&buffer[..n], offset)?;
        offset += n as u64;
    }
    Ok(())
}

fn in_memory(error: &io::Error) -> io::Result<File> {
    let folder = std::env::temp_dir();
    tracing::warn!(%error, folder = %folder.display(), "the weights cannot be written to the disk; they are kept in memory");
    memory_file()
}

/// A file in memory.
#[cfg(target_os = "linux")]
fn memory_file() -> io::Result<File> {
    // SAFETY: the name ends with a zero, and the descriptor is new and owned by the file alone.
    unsafe {
        match libc::memfd_create(c"weights".as_ptr(), libc::MFD_CLOEXEC) {
            -1 => Err(io::Error::last_os_error()),
            descriptor => Ok(File::from_raw_fd(descriptor)),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn memory_file() -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    /// A file with `parts`, and the range of each.
    fn mapped(mut file: PrivateFile, parts: &[&[u8]]) -> (Mapped, Vec<std::ops::Range<usize>>) {
        let ranges = parts.iter().map(|part| {
            let start = file.append(&mut &part[..], part.len() as u64).unwrap();
            assert_eq!(start % ALIGNMENT, 0);
            let start = usize::try_from(start).unwrap();
            start..start + part.len()
        });
        let ranges = ranges.collect();
        (file.map().unwrap(), ranges)
    }

    #[test]
    fn parts_come_back_after_their_memory_and_their_name_are_gone() {
        let large: Vec<u8> = (0..3 * READ_AT_ONCE + 5).map(|n| n as u8).collect();
        let parts: [&[u8]; 4] = [b"one", b"", &large, b"four"];
        let (mapped, ranges) = mapped(PrivateFile::new().unwrap(), &parts);
        let file = mapped.folder().unwrap().join(FILE_NAME);
        assert_eq!(std::fs::read(&file).unwrap(), mapped.as_ref());
        for _ in 0..2 {
            for (part, range) in parts.iter().zip(&ranges) {
                let mut read = vec![0; part.len()];
                mapped.read_exact_at(&mut read, range.start as u64).unwrap();
                assert_eq!((&mapped.as_ref()[range.clone()], &read[..]), (*part, *part));
            }
            mapped.release();
            mapped.remove_name();
            assert!(mapped.folder().is_none() && !file.parent().unwrap().exists());
        }
    }

    #[test]
    fn a_source_that_ends_early_is_an_error() {
        let error = PrivateFile::new().unwrap().append(&mut &b"1234"[..], 5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn only_an_old_file_that_no_process_uses_is_abandoned() {
        let temporary = tempfile::tempdir().unwrap();
        let (file, folder) = named_file(temporary.path()).unwrap();
        file.set_modified(SystemTime::now() - MIN_ABANDONED_AGE).unwrap();
        remove_abandoned(temporary.path());
        assert!(folder.path().join(FILE_NAME).exists(), "the file is in use");
        file.set_modified(SystemTime::now()).unwrap();
        drop(file);
        remove_abandoned(temporary.path());
        assert!(folder.path().join(FILE_NAME).exists(), "the file may be about to be locked");
        let file = File::options().write(true).open(folder.path().join(FILE_NAME)).unwrap();
        file.set_modified(SystemTime::now() - MIN_ABANDONED_AGE).unwrap();
        drop(file);
        remove_abandoned(temporary.path());
        assert!(!folder.path().exists());
    }

    /// Kilobytes of the mapping that are in memory.
    #[cfg(target_os = "linux")]
    fn n_resident(mapped: &Mapped) -> usize {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let begin = format!("{:x}-", mapped.start.as_ptr().addr());
        let mut lines = maps.lines().skip_while(|line| !line.starts_with(&begin));
        let resident = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
        resident.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_released_takes_no_memory() {
        let (mapped, ranges) = mapped(PrivateFile::new().unwrap(), &[&[1; 1 << 20]]);
        assert_eq!(mapped.as_ref()[ranges[0].clone()], [1; 1 << 20]);
        assert_eq!(n_resident(&mapped), 1024);
        mapped.release();
        assert_eq!(n_resident(&mapped), 0);
    }

    #[test]
    fn nothing_at_all_can_be_mapped() {
        assert!(PrivateFile::new().unwrap().map().unwrap().as_ref().is_empty());
    }

    /// A file that refuses to be written to stands for a disk that is full.
    #[test]
    #[cfg(target_os = "linux")]
    fn memory_replaces_a_disk_that_is_full() {
        let mut file = PrivateFile::new().unwrap();
        file.append(&mut &[1; 20_000][..], 20_000).unwrap();
        file.file = File::open(file.folder.as_ref().unwrap().path().join(FILE_NAME)).unwrap();
        let (mapped, ranges) = mapped(file, &[b"two"]);
        assert!(mapped.folder().is_none());
        assert_eq!((&mapped.as_ref()[..20_000], &mapped.as_ref()[ranges[0].clone()]), (&[1; 20_000][..], &b"two"[..]));
    }
}
