//! Checksums by which a hub names the content of files: SHA-256 of large files, and Git's own of small ones.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// In lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// Of the content; the hub has it for files in Git LFS.
    Sha256(String),
    /// SHA-1 of `blob LENGTH\0` and the content: the id of the object in Git.
    GitBlob(String),
}

impl Checksum {
    /// A checksum as it stands in an ETag or in a listing; `None` where it is neither kind.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().trim_start_matches("W/").trim_matches('"').to_ascii_lowercase();
        match digits.len() {
            _ if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => None,
            64 => Some(Self::Sha256(digits)),
            40 => Some(Self::GitBlob(digits)),
            _ => None,
        }
    }

    pub fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::GitBlob(digits) => digits,
        }
    }

    /// The checksum of the same kind of the file at `path`.
    pub fn of_file(&self, path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(match self {
            Self::Sha256(_) => Self::Sha256(digest(Sha256::new(), file)?),
            Self::GitBlob(_) => {
                let start = format!("blob {}\0", file.metadata()?.len());
                Self::GitBlob(digest(Sha1::new_with_prefix(start), file)?)
            }
        })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digits) => write!(f, "the SHA-256 {digits}"),
            Self::GitBlob(digits) => write!(f, "the Git id {digits}"),
        }
    }
}

fn digest<D: Digest>(mut hash: D, mut file: File) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            n_bytes => hash.update(&buffer[..n_bytes]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_sha256sum_and_git_hash_object() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "").unwrap();
        for expected in [
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
            "ce013625030ba8dba906f756967f9e9ca394464a",
        ] {
            std::fs::write(file.path(), "hello\n").unwrap();
            let checksum = Checksum::parse(expected).unwrap();
            assert_eq!(checksum.of_file(file.path()).unwrap(), checksum);
        }
    }

    #[test]
    fn an_etag_is_a_checksum_where_it_has_the_digits_of_one() {
        let (sha256, git) = ("A".repeat(64), "b".repeat(40));
        assert_eq!(Checksum::parse(&format!("\"{sha256}\"")), Some(Checksum::Sha256("a".repeat(64))));
        assert_eq!(Checksum::parse(&format!("W/\"{git}\"")), Some(Checksum::GitBlob(git.clone())));
        for other in ["", "\"abc\"", &format!("../{}", &git[3..]), &"g".repeat(64)] {
            assert_eq!(Checksum::parse(other), None, "{other}");
        }
    }
}
