//! What the first bytes of a file tell, whoever reads it: a pointer of Git LFS in place of the file, a byte order mark.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use encoding_rs::{Encoding, UTF_8};

/// How pointers of Git LFS begin; the second is its first version's.
const POINTERS: [&[u8]; 2] = [b"version https://git-lfs", b"version https://hawser"];

/// Bytes from which a pointer is recognized.
pub const N_POINTER: usize = POINTERS[0].len();

const POINTER_REMEDY: &str = "a pointer of Git LFS and not the file itself; fetch the file with `git lfs pull`";

/// Fails where a file with this `start` is a pointer that Git LFS left in its place.
pub fn refuse_pointer(start: &[u8]) -> io::Result<()> {
    match POINTERS.iter().any(|pointer| start.starts_with(pointer)) {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, POINTER_REMEDY)),
        false => Ok(()),
    }
}

/// Fails where the file at `path` is a pointer, or cannot be read.
pub fn refuse_pointer_at(path: &Path) -> io::Result<()> {
    let mut start = Vec::with_capacity(N_POINTER);
    File::open(path)?.take(N_POINTER as u64).read_to_end(&mut start)?;
    refuse_pointer(&start)
}

/// The content of a text file in UTF-8, without the byte order mark that tells its encoding. Bytes without a mark are not
/// checked.
pub fn without_mark(bytes: &[u8]) -> Cow<'_, [u8]> {
    let (encoding, n_mark) = Encoding::for_bom(bytes).unwrap_or((UTF_8, 0));
    let content = bytes.get(n_mark..).unwrap_or_default();
    match encoding == UTF_8 {
        true => Cow::Borrowed(content),
        false => Cow::Owned(encoding.decode_without_bom_handling(content).0.into_owned().into_bytes()),
    }
}

/// The file of text at `path`, see [`without_mark`].
///
/// # Errors
/// Also where it is a pointer of Git LFS.
pub fn read_text(path: &Path) -> io::Result<String> {
    let bytes = std::fs::read(path)?;
    refuse_pointer(&bytes)?;
    let text = without_mark(&bytes).into_owned();
    String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_known_by_its_first_line() {
        for (start, is_pointer) in [
            (&b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n"[..], true),
            (b"version https://hawser.github.com/spec/v1\n", true),
            (b"version https://example.org", false),
            (b"", false),
        ] {
            assert_eq!(refuse_pointer(start).is_err(), is_pointer);
        }
    }

    #[test]
    fn a_mark_tells_the_encoding_and_goes() {
        for bytes in [&b"{}"[..], b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b"\xfe\xff\0{\0}"] {
            assert_eq!(&*without_mark(bytes), b"{}", "{bytes:?}");
        }
    }
}
