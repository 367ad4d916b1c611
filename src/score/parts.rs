//! The folder `OUT.parts`, in which a run keeps what it has written until the output is whole.
//!
//! Rows and errors are appended and forced to the disk, and then the checkpoint is replaced in one step. Whatever stands
//! behind the places that the checkpoint names was written by a process that died, and is cut off by the next. So a row is
//! neither lost nor doubled, wherever a process is killed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::ScoreError;
use super::paths::parts_dir;
use super::plan::differences;
use super::summary::Counts;

/// How far a run has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub position: Position,
    /// Bytes of the rows and of the errors that count.
    pub rows_bytes: u64,
    pub errors_bytes: u64,
    pub counts: Counts,
    /// The file of the folder that is the whole output, once it is on the disk and only has to be moved to its place.
    pub whole: Option<String>,
}

/// The next record to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Index of the source.
    pub source: usize,
    /// Records of it that were read.
    pub record: u64,
}

/// The folder, held by this process alone.
pub struct Parts {
    dir: PathBuf,
    output: PathBuf,
    /// Where rows and errors go; `None` when the output is whole.
    files: Option<(File, File)>,
    pub checkpoint: Checkpoint,
    /// Released by the system when the process ends, however it ends.
    _lock: File,
}

// No name has an extension that tells a format, lest a folder that is read take them for input.
const PLAN: &str = "plan.json";
const CHECKPOINT: &str = "checkpoint.json";
const ROWS: &str = "rows";
const ERRORS: &str = "errors";
const ASSEMBLED: &str = "assembled";
const LOCK: &str = "lock";

impl Parts {
    /// Opens the folder of `output`: made new, or with what an earlier process of the same `plan` has left. With
    /// `start_anew` nothing of an earlier one counts.
    pub fn open(output: &Path, plan: &Value, start_anew: bool) -> Result<Self, ScoreError> {
        let dir = parts_dir(output);
        std::fs::create_dir(&dir)
            .or_else(ignore(io::ErrorKind::AlreadyExists))
            .map_err(|error| ScoreError::write(&dir, error))?;
        let lock = lock(&dir)?;
        let known = if start_anew { None } else { read_json::<Value>(&dir, PLAN)? };
        match known {
            Some(known) => check_same(&dir, &known, plan)?,
            None => start(&dir, plan)?,
        }
        let checkpoint = read_json::<Checkpoint>(&dir, CHECKPOINT)?.unwrap_or_default();
        let files = match checkpoint.whole {
            Some(_) => None,
            None => {
                Some((open_at(&dir, ROWS, checkpoint.rows_bytes)?, open_at(&dir, ERRORS, checkpoint.errors_bytes)?))
            }
        };
        Ok(Self { dir, output: output.to_owned(), files, checkpoint, _lock: lock })
    }

    pub fn errors_path(&self) -> PathBuf {
        self.dir.join(ERRORS)
    }

    /// Adds a chunk: when this returns it is on the disk and counts.
    pub fn append(
        &mut self,
        rows: &[u8],
        errors: &[u8],
        position: Position,
        counts: &Counts,
    ) -> Result<(), ScoreError> {
        if let Some((rows_file, errors_file)) = &mut self.files {
            add(rows_file, rows).map_err(|error| ScoreError::write(self.dir.join(ROWS), error))?;
            add(errors_file, errors).map_err(|error| ScoreError::write(self.dir.join(ERRORS), error))?;
        }
        self.checkpoint.rows_bytes += rows.len() as u64;
        self.checkpoint.errors_bytes += errors.len() as u64;
        self.checkpoint.position = position;
        self.checkpoint.counts = counts.clone();
        write_json(&self.dir, CHECKPOINT, &self.checkpoint)
    }

    /// Makes the output whole: `footer` behind the rows, then what `assemble` makes of the file of rows, if anything.
    pub fn complete(
        &mut self,
        footer: &[u8],
        assemble: Option<impl FnOnce(&Path, &Path) -> Result<(), ScoreError>>,
    ) -> Result<(), ScoreError> {
        let Some((rows_file, _)) = &mut self.files else { return Ok(()) };
        let (rows, assembled) = (self.dir.join(ROWS), self.dir.join(ASSEMBLED));
        add(rows_file, footer).map_err(|error| ScoreError::write(&rows, error))?;
        let whole = match assemble {
            None => ROWS,
            Some(assemble) => {
                assemble(&rows, &assembled)?;
                ASSEMBLED
            }
        };
        self.files = None;
        self.checkpoint.whole = Some(whole.to_owned());
        write_json(&self.dir, CHECKPOINT, &self.checkpoint)
    }

    /// Moves the output and the errors to their places and takes the folder away.
    pub fn publish(self, errors_file: &Path) -> Result<(), ScoreError> {
        let renamed = |from: &str, to: &Path| {
            // What is not there any more was moved by a process that died after it.
            std::fs::rename(self.dir.join(from), to)
                .or_else(ignore(io::ErrorKind::NotFound))
                .map_err(|error| ScoreError::write(to, error))
        };
        match self.checkpoint.counts.errors {
            0 => remove(errors_file)?,
            _ => renamed(ERRORS, errors_file)?,
        }
        renamed(self.checkpoint.whole.as_deref().unwrap_or(ROWS), &self.output)?;
        sync_dir(&parent(&self.output))?;
        // The checkpoint goes after all that it speaks of, and the plan after the checkpoint.
        let fresh = fresh_name(CHECKPOINT);
        for name in [ROWS, ASSEMBLED, ERRORS, &fresh, CHECKPOINT, PLAN, LOCK] {
            remove(&self.dir.join(name))?;
        }
        // Anything else in it was put there by somebody else.
        std::fs::remove_dir(&self.dir)
            .or_else(ignore(io::ErrorKind::DirectoryNotEmpty))
            .map_err(|error| ScoreError::write(&self.dir, error))
    }
}

/// Whether an earlier process has made `output` whole, and only failed to clear up behind it.
pub fn is_whole(output: &Path) -> Result<bool, ScoreError> {
    let checkpoint = read_json::<Checkpoint>(&parts_dir(output), CHECKPOINT)?;
    Ok(checkpoint.is_some_and(|checkpoint| checkpoint.whole.is_some()))
}

/// Writes a file of JSON whole or not at all.
pub fn write_json(dir: &Path, name: &str, value: &impl Serialize) -> Result<(), ScoreError> {
    let (path, fresh) = (dir.join(name), dir.join(fresh_name(name)));
    let bytes = serde_json::to_vec_pretty(value).map_err(|error| ScoreError::write(&path, error.into()))?;
    let written = File::create(&fresh).and_then(|mut file| add(&mut file, &bytes));
    written.and_then(|()| std::fs::rename(&fresh, &path)).map_err(|error| ScoreError::write(&path, error))?;
    sync_dir(dir)
}

/// What a file is called until it takes its place.
fn fresh_name(name: &str) -> String {
    format!("{name}.new")
}

fn parent(path: &Path) -> PathBuf {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn lock(dir: &Path) -> Result<File, ScoreError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| ScoreError::write(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ScoreError::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(ScoreError::write(&path, error)),
    }
}

/// Empties the folder of an earlier run and writes down what the new one is tied to.
fn start(dir: &Path, plan: &Value) -> Result<(), ScoreError> {
    for name in [CHECKPOINT, PLAN, ROWS, ERRORS, ASSEMBLED] {
        remove(&dir.join(name))?;
    }
    write_json(dir, PLAN, plan)
}

fn check_same(dir: &Path, old: &Value, new: &Value) -> Result<(), ScoreError> {
    let differences = differences(old, new);
    match differences.is_empty() {
        true => Ok(()),
        false => Err(ScoreError::Changed { parts: dir.to_owned(), differences: differences.join("; ") }),
    }
}

fn read_json<T: for<'de> Deserialize<'de>>(dir: &Path, name: &str) -> Result<Option<T>, ScoreError> {
    let path = dir.join(name);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|error| ScoreError::read(&path.to_string_lossy(), error))?,
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let message = format!("not as this version of ressort writes it ({error})");
        ScoreError::Damaged { path, message, parts: dir.to_owned() }
    })
}

/// Opens a file to append to, what stands behind `n_bytes` cut off.
fn open_at(dir: &Path, name: &str, n_bytes: u64) -> Result<File, ScoreError> {
    let path = dir.join(name);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let mut file = file.map_err(|error| ScoreError::write(&path, error))?;
    let found = file.metadata().map_err(|error| ScoreError::write(&path, error))?.len();
    if found < n_bytes {
        let message = format!("has {found} bytes where the checkpoint counts {n_bytes}");
        return Err(ScoreError::Damaged { path, message, parts: dir.to_owned() });
    }
    file.set_len(n_bytes)
        .and_then(|()| file.seek(SeekFrom::Start(n_bytes)))
        .map_err(|error| ScoreError::write(&path, error))?;
    Ok(file)
}

fn add(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    file.write_all(bytes)?;
    file.sync_data()
}

fn remove(path: &Path) -> Result<(), ScoreError> {
    std::fs::remove_file(path).or_else(ignore(io::ErrorKind::NotFound)).map_err(|error| ScoreError::write(path, error))
}

fn sync_dir(dir: &Path) -> Result<(), ScoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| ScoreError::write(dir, error))
}

/// Takes an error of one kind for success.
fn ignore(kind: io::ErrorKind) -> impl FnOnce(io::Error) -> io::Result<()> {
    move |error| if error.kind() == kind { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Assemble = fn(&Path, &Path) -> Result<(), ScoreError>;

    struct Case {
        dir: tempfile::TempDir,
    }

    impl Case {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        fn at(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn open(&self) -> Parts {
            Parts::open(&self.at("out"), &json!({"top-k": 5}), false).unwrap()
        }

        /// Two rows and an error that count.
        fn started(&self) -> Parts {
            let mut parts = self.open();
            let counts = Counts { documents: 2, errors: 1, ..Counts::default() };
            parts.append(b"a\nb\n", b"e\n", Position { source: 0, record: 3 }, &counts).unwrap();
            parts
        }

        fn read(&self, name: &str) -> String {
            std::fs::read_to_string(self.at(name)).unwrap_or_else(|error| format!("{name}: {error}"))
        }

        fn check_published(&self) {
            assert_eq!((self.read("out"), self.read("errors")), ("a\nb\nend".to_owned(), "e\n".to_owned()));
            assert!(!self.at("out.parts").exists());
        }
    }

    #[test]
    fn what_stands_behind_the_checkpoint_is_cut_off() {
        let case = Case::new();
        drop(case.started());
        std::fs::write(case.at("out.parts/rows"), "a\nb\nc\nhal").unwrap();
        std::fs::write(case.at("out.parts/errors"), "e\nf").unwrap();
        std::fs::write(case.at("out.parts/checkpoint.json.new"), "{\"posit").unwrap();
        let mut parts = case.open();
        assert_eq!(parts.checkpoint.position, Position { source: 0, record: 3 });
        parts.complete(b"end", None::<Assemble>).unwrap();
        parts.publish(&case.at("errors")).unwrap();
        case.check_published();
    }

    #[test]
    fn a_run_that_died_while_it_finished_is_finished_by_the_next() {
        // With the footer written, whole, with the errors moved, and with the output moved.
        for n_steps in 0..4 {
            let case = Case::new();
            let mut parts = case.started();
            match n_steps {
                0 => std::fs::write(case.at("out.parts/rows"), "a\nb\nend").unwrap(),
                _ => parts.complete(b"end", None::<Assemble>).unwrap(),
            }
            drop(parts);
            if n_steps > 1 {
                std::fs::rename(case.at("out.parts/errors"), case.at("errors")).unwrap();
            }
            if n_steps > 2 {
                std::fs::rename(case.at("out.parts/rows"), case.at("out")).unwrap();
            }
            assert_eq!(is_whole(&case.at("out")).unwrap(), n_steps > 0);
            let mut parts = case.open();
            parts.complete(b"end", None::<Assemble>).unwrap();
            parts.publish(&case.at("errors")).unwrap();
            case.check_published();
        }
    }

    #[test]
    fn an_assembled_output_takes_the_place_of_the_rows() {
        let case = Case::new();
        let assemble = |rows: &Path, whole: &Path| {
            std::fs::copy(rows, whole).map(|_| ()).map_err(|error| ScoreError::write(whole, error))
        };
        // A process that died while it assembled has left half of it.
        drop(case.started());
        std::fs::write(case.at("out.parts/assembled"), "half").unwrap();
        let mut parts = case.open();
        parts.complete(b"end", Some(assemble)).unwrap();
        parts.publish(&case.at("errors")).unwrap();
        case.check_published();
    }

    #[test]
    fn rows_that_count_and_are_gone_are_said() {
        let case = Case::new();
        drop(case.started());
        std::fs::write(case.at("out.parts/rows"), "a").unwrap();
        let error = Parts::open(&case.at("out"), &json!({"top-k": 5}), false).err().unwrap().to_string();
        assert!(error.contains("has 1 bytes where the checkpoint counts 4; remove the folder"), "{error}");
        assert!(Parts::open(&case.at("out"), &json!({"top-k": 5}), true).is_ok(), "a new run does not care");
    }

    #[test]
    fn errors_of_an_earlier_run_go_when_there_are_none_any_more() {
        let case = Case::new();
        std::fs::write(case.at("errors"), "old").unwrap();
        let mut parts = case.open();
        parts.complete(b"", None::<Assemble>).unwrap();
        parts.publish(&case.at("errors")).unwrap();
        assert_eq!((case.read("out").as_str(), case.at("errors").exists()), ("", false));
    }
}
