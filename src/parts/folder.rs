//! Checks of the folder before anything in it is read, cut, moved or removed. Whoever may write next to the output can put another
//! folder, a link or a pipe there, which would lead the run to files that no run has written.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::path::Path;

use super::error::PartsError;
use super::{LOCK, OWN_FILES, sync_dir};
use crate::system::atomic_file::is_temporary;

/// The content of the lock file, by which a run knows that the files next to it were written by runs.
const SIGNATURE: &[u8] = b"The folder of an unfinished run of ressort. The same command resumes it.\n";

/// Whether the folder is there. Fails where it is none, or holds what no run has written under the name of a part.
pub fn is_there(dir: &Path) -> Result<bool, PartsError> {
    let Some(metadata) = metadata(dir)? else { return Ok(false) };
    if !metadata.is_dir() {
        return Err(foreign(dir, dir, format!("is {}, and a run keeps its parts in a folder", kind_of(&metadata))));
    }
    for name in OWN_FILES {
        let path = dir.join(name);
        match self::metadata(&path)?.filter(|metadata| !metadata.is_file() || n_names(metadata) > 1) {
            None => {}
            Some(metadata) => {
                let kind = kind_of(&metadata);
                return Err(foreign(&path, dir, format!("is {kind}, and a run writes plain files")));
            }
        }
    }
    let own = own_names(dir).map_err(|source| PartsError::Read { path: dir.to_owned(), source })?;
    match own.iter().find(|name| *name != LOCK) {
        Some(name) if !is_signed(dir)? => {
            Err(foreign(&dir.join(name), dir, "is a file that no run of ressort has written".to_owned()))
        }
        _ => Ok(true),
    }
}

/// Refuses a link in place of the renamed folder of a finished run, in which files are removed.
pub fn is_finished_there(dir: &Path) -> Result<bool, PartsError> {
    match metadata(dir)? {
        None => Ok(false),
        Some(metadata) if metadata.is_dir() => Ok(true),
        Some(metadata) => {
            let message = format!("is {}, and a run keeps its parts in a folder", kind_of(&metadata));
            Err(foreign(dir, dir, message))
        }
    }
}

/// Writes the signature to the lock file of a new folder. It is on the disk before any other file.
pub fn sign(dir: &Path, mut lock: &File) -> Result<(), PartsError> {
    if is_signed(dir)? {
        return Ok(());
    }
    let written = lock.set_len(0).and_then(|()| lock.write_all(SIGNATURE)).and_then(|()| lock.sync_all());
    written.map_err(|error| PartsError::write(dir.join(LOCK), error))?;
    sync_dir(dir)
}

fn is_signed(dir: &Path) -> Result<bool, PartsError> {
    let path = dir.join(LOCK);
    let mut start = Vec::new();
    match File::open(&path).and_then(|file| file.take(SIGNATURE.len() as u64).read_to_end(&mut start)) {
        Ok(_) => Ok(start == SIGNATURE),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(PartsError::Read { path, source }),
    }
}

/// Names in the folder that a run gives.
fn own_names(dir: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let names = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|name| is_own(name)).collect())
}

/// Whether a run gives this name to a file of its folder.
pub fn is_own(name: &OsStr) -> bool {
    is_temporary(name) || OWN_FILES.iter().any(|own| name == *own)
}

/// What `path` itself is, and not what a link leads to; `None` where there is nothing.
fn metadata(path: &Path) -> Result<Option<Metadata>, PartsError> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PartsError::Read { path: path.to_owned(), source }),
    }
}

fn kind_of(metadata: &Metadata) -> &'static str {
    match () {
        () if metadata.is_symlink() => "a link",
        () if metadata.is_dir() => "a folder",
        () if metadata.is_file() && n_names(metadata) > 1 => "a file that has another name too (a hard link)",
        () if metadata.is_file() => "a file",
        () => "a pipe or a device",
    }
}

#[cfg(unix)]
fn n_names(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
fn n_names(_: &Metadata) -> u64 {
    1
}

fn foreign(path: &Path, dir: &Path, message: String) -> PartsError {
    PartsError::Foreign { path: path.to_owned(), message, parts: dir.to_owned() }
}
