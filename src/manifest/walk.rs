//! The files of a model folder, found without opening any: what cannot be read to its end in a bounded time is refused here.

use std::fs::Metadata;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::ManifestError;

/// A file of a model folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderFile {
    pub path: PathBuf,
    pub n_bytes: u64,
    /// Whether its name, or that of a folder above it, begins with a dot. Such files are no part of the version.
    pub hidden: bool,
}

/// Bounds on a folder, far above those of any model of this kind.
const MAX_DEPTH: usize = 16;
const MAX_ENTRIES: usize = 100_000;
const MAX_BYTES: u64 = 1 << 36;

/// All files below `dir`, sorted by path. Links are followed, since hub caches consist of links.
///
/// # Errors
/// Names the entry: a link that leads in a circle or nowhere, a pipe, socket or device, or more than a model takes. Among
/// hidden files, which a model does not consist of, pipes and the like are allowed.
pub fn folder_files(dir: &Path) -> Result<Vec<FolderFile>, ManifestError> {
    let mut walk = Walk::default();
    walk.folder(dir, false)?;
    walk.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk.files)
}

#[derive(Default)]
struct Walk {
    files: Vec<FolderFile>,
    /// The real paths of the folders from the first to the present one.
    open: Vec<PathBuf>,
    n_entries: usize,
    n_bytes: u64,
}

impl Walk {
    fn folder(&mut self, dir: &Path, hidden: bool) -> Result<(), ManifestError> {
        let io = |source| ManifestError::Io { path: dir.to_owned(), source };
        let real = dir.canonicalize().map_err(io)?;
        if self.open.contains(&real) {
            return Err(refused(dir, "a link leads in a circle; remove it".to_owned()));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(refused(
                dir,
                format!("more than {MAX_DEPTH} folders inside each other; move the model's files up"),
            ));
        }
        self.open.push(real);
        for entry in std::fs::read_dir(dir).map_err(io)? {
            let entry = entry.map_err(io)?;
            self.n_entries += 1;
            if self.n_entries > MAX_ENTRIES {
                return Err(refused(dir, format!("more than {MAX_ENTRIES} files; give a folder that holds one model")));
            }
            let hidden = hidden || entry.file_name().to_string_lossy().starts_with('.');
            self.entry(entry.path(), hidden)?;
        }
        self.open.pop();
        Ok(())
    }

    fn entry(&mut self, path: PathBuf, hidden: bool) -> Result<(), ManifestError> {
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(_) if hidden => return Ok(()),
            Err(source) => return Err(ManifestError::Io { path, source }),
        };
        if metadata.is_dir() {
            return self.folder(&path, hidden);
        }
        if !hidden {
            check_regular(&path, &metadata)?;
            self.n_bytes = self.n_bytes.saturating_add(metadata.len());
            if self.n_bytes > MAX_BYTES {
                let limit = MAX_BYTES / 1_000_000_000;
                return Err(refused(
                    &path,
                    format!("the folder's files have more than {limit} GB; remove what is no part of the model"),
                ));
            }
        }
        self.files.push(FolderFile { path, n_bytes: metadata.len(), hidden });
        Ok(())
    }
}

/// Refuses what is no file: opening a pipe waits for a writer, and a device may have no end.
fn check_regular(path: &Path, metadata: &Metadata) -> Result<(), ManifestError> {
    match metadata.is_file() {
        true => Ok(()),
        false if metadata.is_dir() => {
            Err(refused(path, "a folder, and a file of this name is expected; remove it".to_owned()))
        }
        false => Err(refused(path, "neither a file nor a folder (a pipe, a socket or a device); remove it".to_owned())),
    }
}

fn refused(path: &Path, message: String) -> ManifestError {
    ManifestError::Invalid { path: path.to_owned(), message }
}

/// A model's files lie in its folder: only these are part of its version.
pub fn check_inside(file: &Path, named_by: &Path) -> Result<(), ManifestError> {
    let is_inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    let why = match () {
        () if !file.components().all(is_inside) => "leads out of the model folder; put the file into the folder",
        () if file.file_name().is_none() => "is no file; write the name of the file",
        () => return Ok(()),
    };
    Err(ManifestError::Invalid {
        path: named_by.to_owned(),
        message: format!("it names `{}`, which {why}", file.display()),
    })
}

/// The size of the file at `path`, unless it has more than `max_bytes`; 0 where there is none.
pub(super) fn bounded_size(path: &Path, max_bytes: u64) -> Result<u64, ManifestError> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > max_bytes => {
            let n_bytes = metadata.len();
            Err(refused(
                path,
                format!("{n_bytes} bytes, where at most {max_bytes} are read; copy the checkpoint's own file here"),
            ))
        }
        Ok(metadata) => check_regular(path, &metadata).map(|()| metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(ManifestError::Io { path: path.to_owned(), source }),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_has_no_end_is_refused_with_its_path_and_without_being_opened() {
        let special = |name: &'static str, make: fn(&Path), expected: &'static str| (name, make, expected);
        for (name, make, expected) in [
            special("loop", |path| symlink(path, path).unwrap(), "cannot be read"),
            special("circle", |path| symlink(path.parent().unwrap(), path).unwrap(), "circle"),
            special("gone", |path| symlink("/nowhere", path).unwrap(), "cannot be read"),
            special("device", |path| symlink("/dev/zero", path).unwrap(), "device"),
            special("socket", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()), "socket"),
            special(
                "pipe",
                |path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success()),
                "pipe",
            ),
            special("sparse", |path| std::fs::File::create(path).unwrap().set_len(1 << 42).unwrap(), "more than 68 GB"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("config.json"), "{}").unwrap();
            make(&dir.path().join(name));
            let error = folder_files(dir.path()).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(name), "{name}: {error}");
            if name == "circle" {
                continue;
            }
            // The same, hidden: it is not read, and so it does no harm.
            std::fs::rename(dir.path().join(name), dir.path().join(".x")).unwrap();
            let files = folder_files(dir.path()).unwrap();
            assert!(
                files.iter().filter(|file| !file.hidden).map(|file| &file.path).eq([&dir.path().join("config.json")])
            );
        }
    }

    #[test]
    fn links_to_files_and_folders_are_followed_as_hub_caches_have_them() {
        let (cache, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(cache.path().join("blob"), "12345").unwrap();
        symlink(cache.path().join("blob"), dir.path().join("model.onnx")).unwrap();
        symlink(cache.path(), dir.path().join("onnx")).unwrap();
        let file = |name: &str| FolderFile { path: dir.path().join(name), n_bytes: 5, hidden: false };
        assert_eq!(folder_files(dir.path()).unwrap(), [file("model.onnx"), file("onnx/blob")]);
    }

    #[test]
    fn links_that_multiply_the_files_end_at_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        for depth in 0..20 {
            let folder = dir.path().join(format!("f{depth}"));
            std::fs::create_dir(&folder).unwrap();
            for name in ["a", "b"] {
                symlink(dir.path().join(format!("f{}", depth + 1)), folder.join(name)).unwrap();
            }
        }
        std::fs::create_dir(dir.path().join("f20")).unwrap();
        folder_files(&dir.path().join("f0")).unwrap_err();
    }
}
