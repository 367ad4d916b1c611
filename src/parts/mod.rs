//! The folder `OUT.parts`, in which a run keeps what it has written until the output is whole. Runs over files and jobs of the API
//! use it.
//!
//! A chunk of rows and errors is appended and forced to the disk, then the checkpoint is replaced in one step. Bytes after
//! the lengths in the checkpoint were written by a process that died, and the next process cuts them off. So a row is
//! neither lost nor doubled, whenever a process is killed or the power fails. `crash_tests` tries every such moment.

mod checkpoint;
mod content;
mod error;
mod folder;
mod paths;
mod plan;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

pub use checkpoint::{Checkpoint, Position};
use checkpoint::{has_saved, read_checkpoint, write_checkpoint};
use content::{check_whole, crc_of, extended, open_files};
pub use error::{PartsError, listed};
use folder::{is_finished_there, is_own, is_there, sign};
use paths::finished_dir;
pub use paths::{PARTS, errors_path, parts_dir};
pub use plan::Difference;
use plan::differences;

use crate::system::atomic_file::{self, folder_of, is_temporary, sync_folder};

/// What becomes of what an earlier process has saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SavedRows {
    /// It is continued, if the plan is the same.
    Resume,
    /// It is continued, if the plan differs in these fields only.
    ResumeAccepting(&'static [&'static str]),
    Remove,
}

/// The folder, locked by this process.
pub struct Parts<C> {
    dir: PathBuf,
    output: PathBuf,
    /// Where rows and errors are appended; `None` when the output is whole.
    files: Option<(File, File)>,
    pub checkpoint: Checkpoint<C>,
    /// Released by the system when the process ends, however it ends.
    _lock: File,
}

// No name has an extension of a format, so that a folder that is an input does not offer these files as sources.
const PLAN: &str = "plan.json";
const CHECKPOINT: &str = "checkpoint.json";
const ROWS: &str = "rows";
const ERRORS: &str = "errors";
const ASSEMBLED: &str = "assembled";
const LOCK: &str = "lock";

const OWN_FILES: [&str; 6] = [PLAN, CHECKPOINT, ROWS, ERRORS, ASSEMBLED, LOCK];

impl<C: Clone + Default + Serialize + DeserializeOwned> Parts<C> {
    /// Opens the folder of `output`: a new one, or that of an earlier process with the same `plan`.
    pub fn open(output: &Path, plan: &Value, saved: SavedRows) -> Result<Self, PartsError> {
        let dir = parts_dir(output);
        std::fs::create_dir(&dir)
            .and_then(|()| sync_folder(folder_of(&dir)))
            .or_else(ignore(io::ErrorKind::AlreadyExists))
            .map_err(|error| PartsError::write(&dir, error))?;
        is_there(&dir)?;
        let lock = lock(&dir)?;
        sign(&dir, &lock)?;
        remove_finished(&finished_dir(output))?;
        remove_temporary_files(&dir).map_err(|error| PartsError::write(&dir, error))?;
        let known = if saved == SavedRows::Remove { None } else { saved_plan(&dir)? };
        match known {
            Some(known) => {
                check_same(&dir, &known, plan, saved)?;
                // The next process compares with what was accepted now.
                if known != *plan {
                    write_json(&dir, PLAN, plan)?;
                }
            }
            None => start(&dir, plan)?,
        }
        let mut checkpoint: Checkpoint<C> = read_checkpoint(&dir)?.unwrap_or_default();
        let files = match &checkpoint.whole {
            Some(whole) => {
                check_whole(&dir, whole, &checkpoint)?;
                None
            }
            None => Some(open_files(&dir, &mut checkpoint)?),
        };
        sync_dir(&dir)?;
        Ok(Self { dir, output: output.to_owned(), files, checkpoint, _lock: lock })
    }

    pub fn errors_path(&self) -> PathBuf {
        self.dir.join(ERRORS)
    }

    /// Adds a chunk, which is on the disk and part of the checkpoint when this returns.
    pub fn append(&mut self, rows: &[u8], errors: &[u8], position: Position, counts: &C) -> Result<(), PartsError> {
        if let Some((rows_file, errors_file)) = &mut self.files {
            add(rows_file, rows).map_err(|error| PartsError::write(self.dir.join(ROWS), error))?;
            add(errors_file, errors).map_err(|error| PartsError::write(self.dir.join(ERRORS), error))?;
        }
        self.checkpoint.rows_bytes += rows.len() as u64;
        self.checkpoint.errors_bytes += errors.len() as u64;
        self.checkpoint.rows_crc = self.checkpoint.rows_crc.map(|crc| extended(crc, rows));
        self.checkpoint.errors_crc = self.checkpoint.errors_crc.map(|crc| extended(crc, errors));
        self.checkpoint.position = position;
        self.checkpoint.counts = counts.clone();
        write_checkpoint(&self.dir, &self.checkpoint)
    }

    /// Completes the output: appends `footer` to the rows, then lets `assemble`, if given, make the output from the rows.
    pub fn complete<E: From<PartsError>>(
        &mut self,
        footer: &[u8],
        assemble: Option<impl FnOnce(&Path, &Path) -> Result<(), E>>,
    ) -> Result<(), E> {
        let Some((rows_file, _)) = &mut self.files else { return Ok(()) };
        let (rows, assembled) = (self.dir.join(ROWS), self.dir.join(ASSEMBLED));
        add(rows_file, footer).map_err(|error| PartsError::write(&rows, error))?;
        let whole = match assemble {
            None => ROWS,
            Some(assemble) => {
                assemble(&rows, &assembled)?;
                let synced = File::open(&assembled).and_then(|file| file.sync_all());
                synced.map_err(|error| PartsError::write(&assembled, error))?;
                // The checkpoint must not name a file that a power failure could take away.
                sync_dir(&self.dir)?;
                ASSEMBLED
            }
        };
        self.files = None;
        let path = self.dir.join(whole);
        let (n_bytes, crc) = match whole {
            ROWS => (
                self.checkpoint.rows_bytes + footer.len() as u64,
                self.checkpoint.rows_crc.map(|crc| extended(crc, footer)),
            ),
            _ => size_and_crc(&path).map(|(n_bytes, crc)| (n_bytes, Some(crc)))?,
        };
        (self.checkpoint.whole, self.checkpoint.whole_bytes, self.checkpoint.whole_crc) =
            (Some(whole.to_owned()), Some(n_bytes), crc);
        Ok(write_checkpoint(&self.dir, &self.checkpoint)?)
    }

    /// Moves the whole output and the list of errors to their paths, and removes the folder. Without errors the list of an
    /// earlier run is removed.
    pub fn publish(self) -> Result<(), PartsError> {
        let errors = errors_path(&self.output);
        match self.checkpoint.errors_bytes {
            0 => remove(&errors)?,
            _ => self.move_out(ERRORS, &errors)?,
        }
        self.move_out(self.checkpoint.whole.as_deref().unwrap_or(ROWS), &self.output)?;
        sync_dir(folder_of(&self.output))?;
        for name in [ROWS, ASSEMBLED, ERRORS] {
            remove(&self.dir.join(name))?;
        }
        self.remove_folder()
    }

    /// Removes the folder in one step: until then its checkpoint says that the output is whole, and a process that is killed
    /// leaves either all of that or nothing.
    fn remove_folder(self) -> Result<(), PartsError> {
        let finished = finished_dir(&self.output);
        remove_finished(&finished)?;
        match has_other_files(&self.dir).map_err(|error| PartsError::write(&self.dir, error))? {
            false => {
                std::fs::rename(&self.dir, &finished).map_err(|error| PartsError::write(&self.dir, error))?;
                sync_dir(folder_of(&self.output))?;
                remove_finished(&finished)
            }
            // Files that no run has written stay.
            true => {
                remove(&self.dir.join(CHECKPOINT))?;
                // A checkpoint without its plan would count as that of the next run.
                sync_dir(&self.dir)?;
                remove(&self.dir.join(PLAN))?;
                // Without the lock file the plan would count as a file that no run has written.
                sync_dir(&self.dir)?;
                remove(&self.dir.join(LOCK))
            }
        }
    }

    /// Moves the file `name` of the folder to `target`, unless a process that died has done so already.
    fn move_out(&self, name: &str, target: &Path) -> Result<(), PartsError> {
        let path = self.dir.join(name);
        match std::fs::rename(&path, target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && target.exists() => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("is missing, and so is {}, to which it belongs", target.display());
                Err(PartsError::Damaged { path, message, parts: self.dir.clone() })
            }
            moved => moved.map_err(|error| PartsError::write(target, error)),
        }
    }
}

/// Whether the file at `output` was put there by a run that died before it could remove its folder.
pub fn is_published(output: &Path) -> Result<bool, PartsError> {
    let dir = parts_dir(output);
    let whole = read_checkpoint::<IgnoredAny>(&dir)?.and_then(|checkpoint| checkpoint.whole);
    Ok(whole.is_some_and(|name| !dir.join(name).exists()))
}

/// Where the rows are until the output is published.
pub fn rows_path(output: &Path) -> PathBuf {
    parts_dir(output).join(ROWS)
}

/// Whether [`Parts::open`] with this plan resumes an earlier run into `output`, and fails where that is refused. Nothing is changed.
pub fn would_resume(output: &Path, plan: &Value, saved: SavedRows) -> Result<bool, PartsError> {
    let dir = parts_dir(output);
    saved_plan(&dir)?.map_or(Ok(false), |known| check_same(&dir, &known, plan, saved).map(|()| true))
}

/// The plan of the run in the folder `dir`. `None` where it has saved nothing: nothing can be lost then, and other inputs may
/// take its folder.
fn saved_plan(dir: &Path) -> Result<Option<Value>, PartsError> {
    match has_saved(read_checkpoint::<IgnoredAny>(dir)?.as_ref()) {
        true => read_json(dir, PLAN),
        false => Ok(None),
    }
}

/// The checkpoint of a run into `output`; `None` where there is none.
pub fn saved<C: DeserializeOwned>(output: &Path) -> Result<Option<Checkpoint<C>>, PartsError> {
    read_checkpoint(&parts_dir(output))
}

fn write_json(dir: &Path, name: &str, value: &impl Serialize) -> Result<(), PartsError> {
    let path = dir.join(name);
    let bytes = serde_json::to_vec_pretty(value).map_err(io::Error::from);
    bytes.and_then(|bytes| atomic_file::replace(&path, &bytes)).map_err(|error| PartsError::write(&path, error))
}

fn lock(dir: &Path) -> Result<File, PartsError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| PartsError::write(&path, error))?;
    match file.try_lock() {
        // A process that has just finished removes its lock file, which then locks nothing.
        Ok(()) if !is_file_at(&file, &path) => Err(PartsError::Locked(dir.to_owned())),
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PartsError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(PartsError::write(&path, error)),
    }
}

/// Whether `path` still names `file`.
#[cfg(unix)]
fn is_file_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: io::Result<std::fs::Metadata>| metadata.map(|metadata| (metadata.dev(), metadata.ino())).ok();
    id(file.metadata()) == id(path.metadata())
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_file_at(_: &File, _: &Path) -> bool {
    true
}

/// Removes the renamed folder of a finished run. An earlier process may have been killed while it removed it.
fn remove_finished(dir: &Path) -> Result<(), PartsError> {
    if !is_finished_there(dir)? {
        return Ok(());
    }
    OWN_FILES.iter().try_for_each(|name| remove(&dir.join(name)))?;
    remove_temporary_files(dir)
        .and_then(|()| std::fs::remove_dir(dir))
        .or_else(ignore(io::ErrorKind::DirectoryNotEmpty))
        .map_err(|error| PartsError::write(dir, error))
}

/// Whether the folder holds files that no run writes.
fn has_other_files(dir: &Path) -> io::Result<bool> {
    let entries = std::fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    Ok(entries.iter().any(|entry| !is_own(&entry.file_name())))
}

/// Removes what processes that died while they replaced a file have left. The lock must be held.
fn remove_temporary_files(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if is_temporary(&entry.file_name()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Empties the folder of an earlier run and writes the plan of the new one.
fn start(dir: &Path, plan: &Value) -> Result<(), PartsError> {
    for name in [CHECKPOINT, PLAN, ROWS, ERRORS, ASSEMBLED] {
        remove(&dir.join(name))?;
    }
    // Before the plan, or a power failure could leave the new plan with the old checkpoint.
    sync_dir(dir)?;
    write_json(dir, PLAN, plan)
}

fn check_same(dir: &Path, old: &Value, new: &Value, saved: SavedRows) -> Result<(), PartsError> {
    let mut differences = differences(old, new);
    if let SavedRows::ResumeAccepting(fields) = saved {
        differences.retain(|difference| !fields.contains(&difference.field()));
    }
    match differences.is_empty() {
        true => Ok(()),
        false => Err(PartsError::Changed { parts: dir.to_owned(), differences }),
    }
}

fn read_json<T: DeserializeOwned>(dir: &Path, name: &str) -> Result<Option<T>, PartsError> {
    let path = dir.join(name);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|error| PartsError::Read { path: path.clone(), source: error })?,
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let message = format!("is not as this version of ressort writes it ({error})");
        PartsError::Damaged { path, message, parts: dir.to_owned() }
    })
}

fn size_and_crc(path: &Path) -> Result<(u64, u32), PartsError> {
    let read = File::open(path).and_then(|mut file| {
        let n_bytes = file.metadata()?.len();
        Ok((n_bytes, crc_of(&mut file, n_bytes)?))
    });
    read.map_err(|source| PartsError::Read { path: path.to_owned(), source })
}

fn add(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    file.write_all(bytes)?;
    file.sync_all()
}

fn remove(path: &Path) -> Result<(), PartsError> {
    std::fs::remove_file(path).or_else(ignore(io::ErrorKind::NotFound)).map_err(|error| PartsError::write(path, error))
}

fn sync_dir(dir: &Path) -> Result<(), PartsError> {
    sync_folder(dir).map_err(|error| PartsError::write(dir, error))
}

/// Takes an error of one kind for success.
fn ignore(kind: io::ErrorKind) -> impl FnOnce(io::Error) -> io::Result<()> {
    move |error| if error.kind() == kind { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests;

#[cfg(all(test, target_os = "linux"))]
mod crash_tests;
