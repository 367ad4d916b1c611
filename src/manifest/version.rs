//! A model folder's version: a hash of its content.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ManifestError;

/// The first 16 hexadecimal digits of a SHA-256 over the names and contents of all files of `dir`, hidden ones left out.
pub fn content_hash(dir: &Path) -> Result<String, ManifestError> {
    let mut files = Vec::new();
    collect_files(dir, &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    for path in files {
        let io = |source| ManifestError::Io { path: path.clone(), source };
        let mut file = File::open(&path).map_err(io)?;
        let n_bytes = file.metadata().map_err(io)?.len();
        let name = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(n_bytes.to_le_bytes());
        io::copy(&mut file, &mut hash).map_err(io)?;
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

fn collect_files(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), ManifestError> {
    let io = |source| ManifestError::Io { path: dir.to_owned(), source };
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        match (hidden, path.is_dir()) {
            (true, _) => {}
            (false, true) => collect_files(&path, files)?,
            (false, false) => files.push(path),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_follows_names_and_contents_but_not_hidden_files() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let hash = || content_hash(dir.path()).unwrap();
        write("a", "1");
        let first = hash();
        assert_eq!(first.len(), 16);
        write(".hidden", "x");
        assert_eq!(hash(), first);
        write("a", "2");
        assert_ne!(hash(), first);
        write("a", "1");
        assert_eq!(hash(), first);
        std::fs::rename(dir.path().join("a"), dir.path().join("b")).unwrap();
        assert_ne!(hash(), first);
    }
}
