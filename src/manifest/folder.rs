//! The files of a model folder, each read once, and the folder's version: a hash of its content.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use prost::bytes::Bytes;
use sha2::{Digest, Sha256};

use super::ManifestError;
use super::onnx::OnnxFile;
use super::pieces::Piece;
use super::walk::folder_files;
use crate::system::choice::{shortened, suggestion};
use crate::system::file_start::{refuse_pointer_at, without_mark};
use crate::system::private_file::Mapped;

/// The files of a model folder. What is read through it is read once and kept until this is dropped, so that the version
/// belongs to the very bytes that were loaded, also where a file is replaced meanwhile.
pub struct FolderFiles {
    pub dir: PathBuf,
    /// The `onnx` folder that was given in place of `dir`, which then must hold the ONNX file.
    pub onnx_dir: Option<PathBuf>,
    contents: BTreeMap<PathBuf, Bytes>,
    onnx: Option<OnnxFile>,
}

impl FolderFiles {
    /// The files of the checkpoint that `dir` belongs to, see [`checkpoint_dir`].
    pub fn new(dir: &Path) -> Self {
        let checkpoint = checkpoint_dir(dir);
        let onnx_dir = (checkpoint != dir).then(|| checkpoint.join(ONNX_DIR));
        Self { dir: checkpoint, onnx_dir, contents: BTreeMap::new(), onnx: None }
    }

    /// The content of the file of text at `path`, which lies in the folder, in UTF-8 and without a byte order mark.
    pub fn read(&mut self, path: &Path) -> Result<Bytes, ManifestError> {
        let bytes = self.content(path)?;
        Ok(match without_mark(&bytes) {
            Cow::Borrowed(text) => bytes.slice_ref(text),
            Cow::Owned(text) => text.into(),
        })
    }

    fn content(&mut self, path: &Path) -> Result<Bytes, ManifestError> {
        if let Some(content) = self.contents.get(path) {
            return Ok(content.clone());
        }
        let content = refuse_pointer_at(path).and_then(|()| std::fs::read(path));
        let content = content.map_err(|source| ManifestError::Io { path: path.to_owned(), source })?;
        let content = Bytes::from(content);
        self.contents.insert(path.to_owned(), content.clone());
        Ok(content)
    }

    /// The ONNX file of the model.
    pub fn onnx(&mut self, path: &Path) -> Result<OnnxFile, ManifestError> {
        match &self.onnx {
            Some(file) if file.path == path => Ok(file.clone()),
            _ => Ok(self.onnx.insert(OnnxFile::read(path)?).clone()),
        }
    }

    /// The first 16 hexadecimal digits of a SHA-256 over the names and contents of all files, hidden ones left out.
    pub fn version(&self) -> Result<String, ManifestError> {
        let mut hash = Sha256::new();
        for path in folder_files(&self.dir)?.into_iter().filter(|file| !file.hidden).map(|file| file.path) {
            let name = path.strip_prefix(&self.dir).unwrap_or(&path).to_string_lossy().into_owned();
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            let hashed = match (self.contents.get(&path), self.onnx_pieces(&path)) {
                (Some(content), _) => {
                    hash.update((content.len() as u64).to_le_bytes());
                    hash.update(content);
                    Ok(())
                }
                (None, Some((pieces, private))) => hash_pieces(pieces, private, &mut hash),
                (None, None) => hash_file(&path, &mut hash),
            };
            hashed.map_err(|source| ManifestError::Io { path, source })?;
        }
        Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The content of the file at `path`, if it is part of the ONNX model, and the private file with its large pieces.
    fn onnx_pieces(&self, path: &Path) -> Option<(&[Piece], Option<&Mapped>)> {
        let onnx = self.onnx.as_ref()?;
        let index = onnx.files.iter().position(|file| file.path == path)?;
        Some((onnx.pieces.get(index)?, onnx.private.as_deref()))
    }
}

/// The name of the folder in which checkpoints of the hub keep their ONNX files.
pub const ONNX_DIR: &str = "onnx";

/// The folder of the checkpoint that `dir` belongs to: `dir` itself, or its parent where `dir` is the `onnx` folder of one and
/// lacks what the parent has.
pub fn checkpoint_dir(dir: &Path) -> PathBuf {
    let is_whole = |dir: &Path| ["config.json", "tokenizer.json"].iter().all(|name| dir.join(name).is_file());
    let real = dir.canonicalize().ok().filter(|real| real.ends_with(ONNX_DIR) && !is_whole(real));
    real.and_then(|real| real.parent().filter(|parent| is_whole(parent)).map(Path::to_owned)).unwrap_or(dir.to_owned())
}

/// The version of the folder `dir` as it is on the disk now, see [`FolderFiles::version`].
pub fn content_hash(dir: &Path) -> Result<String, ManifestError> {
    FolderFiles::new(dir).version()
}

/// The names of the folders in `dir` that have a `config.json`. The first 1000 entries of `dir` are looked at.
pub fn model_names(dir: &Path) -> impl Iterator<Item = String> {
    const MAX_ENTRIES: usize = 1000;
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().take(MAX_ENTRIES);
    let models = entries.filter(|entry| entry.path().join("config.json").is_file());
    models.filter_map(|entry| entry.file_name().into_string().ok())
}

/// The error for a missing `dir`. It names the models of the same folder, since most such paths are misspelt.
pub fn no_folder(dir: &Path) -> ManifestError {
    const MAX_NAMES: usize = 10;
    let parent = dir.parent().map(|parent| if parent == Path::new("") { Path::new(".") } else { parent });
    let names: BTreeSet<String> = parent.into_iter().flat_map(model_names).collect();
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let nearest = suggestion(&name, names.iter().map(String::as_str));
    let others = match names.len().saturating_sub(MAX_NAMES) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let listed = names.iter().take(MAX_NAMES).map(|name| shortened(name)).collect::<Vec<_>>().join(", ");
    let neighbours = match parent {
        Some(parent) if !names.is_empty() => format!("; {} has {listed}{others}{nearest}", parent.display()),
        _ => String::new(),
    };
    ManifestError::NoFolder { path: dir.to_owned(), neighbours }
}

fn hash_pieces(pieces: &[Piece], private: Option<&Mapped>, hash: &mut Sha256) -> io::Result<()> {
    hash.update(pieces.iter().map(Piece::n_bytes).sum::<u64>().to_le_bytes());
    pieces.iter().try_for_each(|piece| piece.read(private, |bytes| hash.update(bytes)))
}

fn hash_file(path: &Path, hash: &mut Sha256) -> io::Result<()> {
    let mut file = File::open(path)?;
    hash.update(file.metadata()?.len().to_le_bytes());
    io::copy(&mut file, hash).map(|_| ())
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

    #[test]
    fn the_onnx_folder_stands_for_its_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let (parent, onnx) = (dir.path().canonicalize().unwrap(), dir.path().join("onnx"));
        std::fs::create_dir(&onnx).unwrap();
        assert_eq!(checkpoint_dir(&onnx), onnx);
        for name in ["config.json", "tokenizer.json"] {
            std::fs::write(parent.join(name), "{}").unwrap();
        }
        assert_eq!((checkpoint_dir(&onnx), checkpoint_dir(&onnx.join("."))), (parent.clone(), parent.clone()));
        assert_eq!(checkpoint_dir(&parent), parent);
        assert_eq!((checkpoint_dir(Path::new("/nowhere/onnx"))), Path::new("/nowhere/onnx"));
    }

    #[test]
    fn the_version_is_that_of_the_bytes_that_were_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("model.onnx");
        std::fs::write(&file, "old").unwrap();
        let version = content_hash(dir.path()).unwrap();
        let mut files = FolderFiles::new(dir.path());
        assert_eq!(&files.read(&file).unwrap()[..], b"old");
        std::fs::write(&file, "new").unwrap();
        assert_eq!((&files.read(&file).unwrap()[..], files.version().unwrap()), (&b"old"[..], version.clone()));
        assert_ne!(content_hash(dir.path()).unwrap(), version);
    }
}
