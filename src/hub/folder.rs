//! The new model folder: filled next to its final path, and renamed when it is whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;
use tempfile::TempDir;

use super::client::Hub;
use super::download::Fetched;
use super::listing::{ListedFile, Listing};
use super::selection::RepositoryLayout;
use super::{HubError, PullOrder};
use crate::manifest::finds_onnx;
use crate::system::atomic_file::{folder_of, sync_folder};

/// Says in the model folder where it came from. The name is hidden, so that the version of a model does not depend on it.
const RECORD: &str = ".pulled.json";
/// The end of the names of folders that are being filled.
const SUFFIX: &str = ".pull";

/// The content of [`RECORD`].
#[derive(Serialize)]
struct Record<'r> {
    hub: &'r str,
    repository: &'r str,
    /// As it was named.
    revision: &'r str,
    commit: &'r str,
    files: Vec<RecordedFile<'r>>,
}

#[derive(Serialize)]
struct RecordedFile<'r> {
    /// In the repository.
    path: &'r str,
    bytes: u64,
    /// SHA-256, or the id of the object in Git where it has 40 digits.
    checksum: &'r str,
}

impl<'r> RecordedFile<'r> {
    fn of(file: &'r Fetched) -> Self {
        let remote = &file.remote;
        Self { path: &remote.path, bytes: remote.n_bytes, checksum: remote.checksum.digits() }
    }
}

/// A model folder that nobody sees yet. It is removed when it is dropped.
pub struct NewFolder<'o> {
    order: &'o PullOrder,
    dir: TempDir,
    /// Held as long as the folder is being filled.
    _lock: File,
}

impl<'o> NewFolder<'o> {
    /// Refuses a name that is in use, unless it is to be replaced.
    pub fn check_name(order: &PullOrder) -> Result<(), HubError> {
        let path = order.models_dir.join(&order.name);
        match !order.force && path.symlink_metadata().is_ok() {
            true => Err(HubError::Exists(path)),
            false => Ok(()),
        }
    }

    pub fn create(order: &'o PullOrder) -> Result<Self, HubError> {
        use std::os::unix::fs::PermissionsExt;
        let at = |source| HubError::io(&order.models_dir, source);
        fs::create_dir_all(&order.models_dir).map_err(at)?;
        let prefix = format!(".{}.", order.name);
        remove_left(&order.models_dir, &prefix);
        let mut builder = tempfile::Builder::new();
        // As `mkdir` has it: temporary folders are readable by their owner alone by default.
        builder.permissions(fs::Permissions::from_mode(0o777));
        let dir = builder.prefix(&prefix).suffix(SUFFIX).tempdir_in(&order.models_dir).map_err(at)?;
        let lock = File::open(dir.path()).map_err(at)?;
        // No other process knows the folder.
        let _ = lock.try_lock();
        Ok(Self { order, dir, _lock: lock })
    }

    /// Copies the files, and names the ONNX file in `ressort.toml` where the folder would not lead to it.
    pub fn fill(&self, layout: &RepositoryLayout, files: &[Fetched], onnx: &ListedFile) -> Result<(), HubError> {
        for file in files {
            let path = self.dir.path().join(layout.inside(&file.remote.path));
            copy(&file.blob, &path).map_err(|source| HubError::io(&path, source))?;
        }
        let (dir, onnx) = (self.dir.path(), Path::new(layout.inside(&onnx.path)));
        if !finds_onnx(dir, onnx) {
            let path = dir.join("ressort.toml");
            name_onnx(&path, onnx).map_err(|source| HubError::io(&path, source))?;
        }
        Ok(())
    }

    /// Writes down where the files come from.
    pub fn record(&self, hub: &Hub, listing: &Listing, files: &[Fetched]) -> Result<(), HubError> {
        let record = Record {
            hub: hub.endpoint(),
            repository: &self.order.repository.id,
            revision: &self.order.repository.revision,
            commit: &listing.commit,
            files: files.iter().map(RecordedFile::of).collect(),
        };
        let path = self.dir.path().join(RECORD);
        let json = serde_json::to_string_pretty(&record).map_err(io::Error::from);
        let written = json.and_then(|json| write(&path, json.as_bytes()));
        written.map_err(|source| HubError::io(&path, source))
    }

    /// Gives the folder its name. A folder that had it before is replaced in one step, and removed.
    pub fn publish(self) -> Result<PathBuf, HubError> {
        let path = self.order.models_dir.join(&self.order.name);
        let at = |source| HubError::io(&path, source);
        sync_below(self.dir.path()).map_err(at)?;
        Self::check_name(self.order)?;
        match path.symlink_metadata() {
            Err(_) => fs::rename(self.dir.path(), &path).map_err(at)?,
            Ok(_) => exchange(self.dir.path(), &path).map_err(at)?,
        }
        sync_folder(&self.order.models_dir).map_err(at)?;
        // What is now under the temporary name is the old folder, or nothing.
        remove(self.dir.path());
        Ok(path)
    }
}

/// Swaps two names.
fn exchange(new: &Path, old: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        // Some file systems cannot; for a moment neither folder then has the name.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            let aside = new.with_extension("old");
            fs::rename(old, &aside)?;
            fs::rename(new, old)?;
            fs::rename(aside, new)
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes what pulls of this name left when they were killed.
fn remove_left(models_dir: &Path, prefix: &str) {
    for entry in fs::read_dir(models_dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_left = name.starts_with(prefix) && (name.ends_with(SUFFIX) || name.ends_with(".old"));
        // A pull that runs has it locked.
        let lock = || File::open(entry.path()).and_then(|folder| Ok(folder.try_lock()?));
        if is_left && lock().is_ok() {
            remove(&entry.path());
        }
    }
}

/// Removes a folder, file or link, if it is there; what stays is hidden and harms nothing.
fn remove(path: &Path) {
    let _ = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
}

/// Copies the content alone: the cache's files may be readable by one user only.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(folder_of(to))?;
    let mut file = File::create(to)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    file.sync_all()
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Puts the names in a folder and below on the disk.
fn sync_below(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_below(&entry.path())?;
        }
    }
    sync_folder(folder)
}

/// Sets `file` of `[model]` in the `ressort.toml` at `path`.
fn name_onnx(path: &Path, onnx: &Path) -> io::Result<()> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    };
    let mut toml: toml::Table = text?.trim_start_matches('\u{feff}').parse().map_err(io::Error::other)?;
    let model = toml.entry("model").or_insert_with(|| toml::Table::new().into());
    let model = model.as_table_mut().ok_or_else(|| io::Error::other("`model` is no table"))?;
    model.insert("file".to_owned(), onnx.to_string_lossy().into_owned().into());
    write(path, toml::to_string(&toml).map_err(io::Error::other)?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Choice;

    fn order(models_dir: &Path, force: bool) -> PullOrder {
        let (repository, choice) = ("a/neu".parse().unwrap(), Choice::default());
        PullOrder { repository, choice, models_dir: models_dir.to_owned(), name: "neu".to_owned(), force }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_has_its_name_only_when_it_is_whole() {
        let models = tempfile::tempdir().unwrap();
        let first = order(models.path(), false);
        let folder = NewFolder::create(&first).unwrap();
        assert!(names(models.path()).iter().all(|name| name.starts_with('.')));
        drop(folder);
        assert!(names(models.path()).is_empty());
        let folder = NewFolder::create(&first).unwrap();
        write(&folder.dir.path().join("a"), b"new").unwrap();
        assert_eq!(folder.publish().unwrap(), models.path().join("neu"));
        assert_eq!(names(models.path()), ["neu"]);
        assert!(matches!(NewFolder::check_name(&first), Err(HubError::Exists(_))));
    }

    #[test]
    fn a_folder_a_file_and_a_link_of_the_name_are_replaced_and_nothing_is_left() {
        let models = tempfile::tempdir().unwrap();
        let (forced, path) = (order(models.path(), true), models.path().join("neu"));
        let outside = tempfile::tempdir().unwrap();
        let olds: [&dyn Fn(); 3] = [
            &|| {
                fs::create_dir(&path).unwrap();
                fs::write(path.join("old"), "").unwrap();
            },
            &|| fs::write(&path, "old").unwrap(),
            &|| std::os::unix::fs::symlink(outside.path(), &path).unwrap(),
        ];
        for old in olds {
            remove(&path);
            old();
            let folder = NewFolder::create(&forced).unwrap();
            write(&folder.dir.path().join("new"), b"").unwrap();
            folder.publish().unwrap();
            assert_eq!((names(models.path()), names(&path)), (vec!["neu".to_owned()], vec!["new".to_owned()]));
        }
        assert!(outside.path().is_dir(), "what a link led to stays");
    }

    #[test]
    fn what_a_killed_pull_left_is_removed_and_what_another_fills_stays() {
        let models = tempfile::tempdir().unwrap();
        let first = order(models.path(), false);
        fs::create_dir(models.path().join(".neu.killed.pull")).unwrap();
        fs::create_dir(models.path().join(".neuer.x.pull")).unwrap();
        let running = NewFolder::create(&first).unwrap();
        let other = NewFolder::create(&first).unwrap();
        let left = names(models.path());
        assert!(left.len() == 3 && !left.contains(&".neu.killed.pull".to_owned()), "{left:?}");
        drop((running, other));
    }

    #[test]
    fn the_onnx_file_is_named_in_the_manifest_that_is_there_or_in_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ressort.toml");
        for (before, expected) in [
            (None, "[model]\nfile = \"a/b.onnx\"\n"),
            (Some("\u{feff}[model]\nfile = \"x\"\nstride = 1\n"), "[model]\nfile = \"a/b.onnx\"\nstride = 1\n"),
        ] {
            if let Some(before) = before {
                fs::write(&path, before).unwrap();
            }
            name_onnx(&path, Path::new("a/b.onnx")).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        }
    }
}
