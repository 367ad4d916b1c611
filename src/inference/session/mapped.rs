//! Bytes in a separate file that is mapped into memory, so that those that are not in use take no memory.
#![allow(unsafe_code, reason = "docs/architecture.md explains it")]

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::ptr::{self, NonNull};

/// Where each part begins: enough for every kind of number and for vector instructions.
const ALIGNMENT: usize = 64;

/// Linux keeps what is written at once in one piece, and maps the whole piece when any of it is read. For a table of which
/// texts use some rows, that would be megabytes around each row.
const WRITTEN_AT_ONCE: usize = 16 * 1024;

/// Parts in a file without a name, which is removed on drop. No other process can write to it, unlike the file that the
/// parts came from.
pub struct Mapped {
    start: NonNull<c_void>,
    n_bytes: usize,
}

// SAFETY: the memory is only ever read.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Writes `parts` to a temporary file, or into memory if the disk is full. Returns them with the offset of each.
    pub fn new(parts: &[&[u8]]) -> io::Result<(Self, Vec<usize>)> {
        let on_disk = tempfile::tempfile().and_then(|file| write(BufWriter::new(file), parts));
        let (file, offsets) = on_disk.or_else(|error| {
            let folder = std::env::temp_dir();
            tracing::warn!(%error, folder = %folder.display(), "the disk is too full for the weights; they are kept in memory");
            write(BufWriter::new(memory_file()?), parts)
        })?;
        let n_bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        // SAFETY: a new mapping, which nothing else refers to, over a file that no other process can open.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), n_bytes.max(1), libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
        };
        match NonNull::new(start).filter(|_| start != libc::MAP_FAILED) {
            Some(start) => Ok((Self { start, n_bytes }, offsets)),
            None => Err(io::Error::last_os_error()),
        }
    }

    /// The part that begins at `offset`.
    pub fn at(&self, offset: usize) -> NonNull<c_void> {
        assert!(offset <= self.n_bytes, "an offset that `new` returned");
        // SAFETY: within the mapping, as just checked.
        unsafe { self.start.byte_add(offset) }
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
        // SAFETY: mapped by `new` with this length; whoever reads it holds this.
        unsafe {
            libc::munmap(self.start.as_ptr(), self.n_bytes.max(1));
        }
    }
}

/// Writes `parts`, each at a multiple of the alignment. Returns the file and the offset of each.
fn write(mut file: BufWriter<File>, parts: &[&[u8]]) -> io::Result<(File, Vec<usize>)> {
    let (mut offsets, mut end) = (Vec::with_capacity(parts.len()), 0);
    for part in parts {
        let n_padding = part.len().next_multiple_of(ALIGNMENT) - part.len();
        part.chunks(WRITTEN_AT_ONCE).try_for_each(|chunk| file.write_all(chunk))?;
        file.write_all(&[0; ALIGNMENT][..n_padding])?;
        offsets.push(end);
        end += part.len() + n_padding;
    }
    Ok((file.into_inner()?, offsets))
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
    use super::*;

    fn read(mapped: &Mapped, offset: usize, n: usize) -> Vec<u8> {
        // SAFETY: the test reads within the part.
        unsafe { std::slice::from_raw_parts(mapped.at(offset).as_ptr().cast::<u8>(), n).to_vec() }
    }

    #[test]
    fn parts_are_aligned_and_come_back_after_their_memory_was_released() {
        let parts: [&[u8]; 4] = [b"one", b"", &[7; 9000], b"four"];
        let (mapped, offsets) = Mapped::new(&parts).unwrap();
        for _ in 0..2 {
            for (part, &offset) in parts.iter().zip(&offsets) {
                assert_eq!(offset % ALIGNMENT, 0);
                assert_eq!(read(&mapped, offset, part.len()), *part);
            }
            mapped.release();
        }
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
        let (mapped, offsets) = Mapped::new(&[&[1; 1 << 20]]).unwrap();
        assert_eq!(read(&mapped, offsets[0], 1 << 20), [1; 1 << 20]);
        assert_eq!(n_resident(&mapped), 1024);
        mapped.release();
        assert_eq!(n_resident(&mapped), 0);
    }

    #[test]
    fn nothing_at_all_can_be_mapped() {
        assert!(Mapped::new(&[]).is_ok());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_replaces_a_file() {
        let (file, offsets) = write(BufWriter::new(memory_file().unwrap()), &[b"one", b"two"]).unwrap();
        assert_eq!((file.metadata().unwrap().len(), offsets), (128, vec![0, 64]));
    }
}
