//! From what was named on the command line (files, patterns, folders, `-`) to the sources that are read, in their order.

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::error::ScoreError;
use super::folders::{KnownFiles, files_below, files_matching};
use super::format::Format;
use crate::system::file_stamp::FileStamp;

/// One thing that rows are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name in messages and in the errors file.
    pub name: String,
    pub format: Format,
    pub location: Location,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    Stdin,
    File(PathBuf),
    /// A named pipe, a process substitution or a device, which can be read once.
    Pipe(PathBuf),
    /// Plain texts, one article a file.
    Texts(Vec<PathBuf>),
}

/// Finds the sources that `inputs` name. A folder gives the files in it and below it that have a known extension, or all
/// of them where `format` is given; folders and patterns are read in the order of their paths. They do not give the files
/// of `written`, which this run writes; these are canonical paths. A file that several inputs name is read once.
pub fn find_sources(inputs: &[String], format: Option<Format>, written: &[PathBuf]) -> Result<Vec<Source>, ScoreError> {
    let mut sources: Vec<Source> = Vec::new();
    if let Some(format) = format.filter(|format| format.is_document()) {
        return Err(ScoreError::usage(format!(
            "--format: `{format}` is only written; give one of {}",
            Format::names_of_input()
        )));
    }
    let (mut known, mut n_again) = (KnownFiles::default(), 0);
    for input in inputs {
        if input == "-" {
            sources.push(stdin_source(format)?);
            continue;
        }
        for path in paths_of(input, format, written)? {
            // One input names each file once.
            if inputs.len() > 1 && path.is_file() && !known.insert(&path)? {
                n_again += 1;
                continue;
            }
            let format = format.or_else(|| Format::of_path(&path)).ok_or_else(|| unknown_format(&path))?;
            match sources.last_mut() {
                Some(Source { location: Location::Texts(texts), .. }) if format == Format::Text => texts.push(path),
                _ => sources.push(Source::of_file(path, format, input)?),
            }
        }
    }
    if n_again > 0 {
        tracing::warn!(files = n_again, "files that are named twice are read once");
    }
    for (index, source) in sources.iter().enumerate().filter(|(_, source)| source.is_read_once()) {
        if sources.iter().take(index).any(|other| other.location == source.location) {
            return Err(ScoreError::usage(format!("{} is named twice, and can be read only once", source.name)));
        }
    }
    Ok(sources)
}

impl Source {
    fn of_file(path: PathBuf, format: Format, input: &str) -> Result<Self, ScoreError> {
        let name = path.to_string_lossy().into_owned();
        match format {
            Format::Text => Ok(Self { name: input.to_owned(), format, location: Location::Texts(vec![path]) }),
            _ if path.is_file() => Ok(Self { name, format, location: Location::File(path) }),
            Format::Parquet => Err(not_from_a_pipe(&name, format)),
            _ => Ok(Self { name, format, location: Location::Pipe(path) }),
        }
    }

    /// Whether it can be read only once.
    pub fn is_read_once(&self) -> bool {
        match &self.location {
            Location::Stdin | Location::Pipe(_) => true,
            Location::File(_) => false,
            Location::Texts(paths) => paths.iter().any(|path| path.exists() && !path.is_file()),
        }
    }

    /// Size of the files in bytes; `None` for what can be read once.
    pub fn n_bytes(&self) -> Result<Option<u64>, ScoreError> {
        match &self.location {
            Location::Stdin | Location::Pipe(_) => Ok(None),
            _ => self.paths().iter().map(|path| Ok(Some(FileState::of(path)?.n_bytes))).sum(),
        }
    }

    /// The files that are read.
    pub fn paths(&self) -> &[PathBuf] {
        match &self.location {
            Location::Stdin => &[],
            Location::File(path) | Location::Pipe(path) => std::slice::from_ref(path),
            Location::Texts(paths) => paths,
        }
    }

    /// Sizes and times of change, by which an earlier run on the same files is recognized.
    pub fn fingerprint(&self) -> Result<Value, ScoreError> {
        match &self.location {
            Location::Stdin | Location::Pipe(_) => Ok(Value::Null),
            Location::File(path) => {
                let FileState { n_bytes, changed, identity } = FileState::of(path)?;
                Ok(json!({"bytes": n_bytes, "changed": changed, "identity": identity}))
            }
            Location::Texts(paths) => {
                let (mut hash, mut sizes, mut identities) = (Sha256::new(), Sha256::new(), Sha256::new());
                for path in paths {
                    let FileState { n_bytes, changed, identity } = FileState::of(path)?;
                    hash.update(format!("{}\0{n_bytes}\0{changed}\0", path.display()));
                    sizes.update(format!("{}\0{n_bytes}\0", path.display()));
                    identities.update(format!("{identity}\0"));
                }
                let digest = |hash: Sha256| -> String {
                    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
                };
                Ok(json!({
                    "files": paths.len(),
                    "digest": digest(hash),
                    "sizes": digest(sizes),
                    "identity": digest(identities),
                }))
            }
        }
    }
}

/// What tells a file from its later versions. All is empty for a pipe.
#[derive(Default)]
struct FileState {
    n_bytes: u64,
    /// The time of the last change of the content, in seconds since 1970.
    changed: String,
    /// Of the inode, in words; empty where a system has none.
    identity: String,
}

impl FileState {
    fn of(path: &Path) -> Result<Self, ScoreError> {
        let failed = |source: io::Error| ScoreError::read(&path.to_string_lossy(), source);
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Ok(Self::default());
        }
        let changed = metadata.modified().map_err(failed)?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = format!("{}.{:09}", changed.as_secs(), changed.subsec_nanos());
        Ok(Self { n_bytes: metadata.len(), changed, identity: FileStamp::new(path, &metadata).identity_in_words() })
    }
}

fn stdin_source(format: Option<Format>) -> Result<Source, ScoreError> {
    let name = "standard input".to_owned();
    match format {
        None => Err(ScoreError::usage("standard input (`-`) has no extension; give --format")),
        Some(format @ (Format::Parquet | Format::Text)) => Err(not_from_a_pipe(&name, format)),
        Some(format) => Ok(Source { name, format, location: Location::Stdin }),
    }
}

fn not_from_a_pipe(name: &str, format: Format) -> ScoreError {
    ScoreError::usage(format!("{format} cannot be read from {name}; write it to a file and name that"))
}

/// The files that one input names.
fn paths_of(input: &str, format: Option<Format>, written: &[PathBuf]) -> Result<Vec<PathBuf>, ScoreError> {
    let is_input =
        |path: &PathBuf| written.is_empty() || !path.canonicalize().is_ok_and(|path| written.contains(&path));
    let path = Path::new(input);
    let (mut paths, none) = match () {
        () if path.is_dir() => {
            let paths = files_below(path, |path| format.is_some() || Format::of_path(path).is_some())?;
            (paths, "no file with a known extension in this folder")
        }
        // A file may be called like a pattern.
        () if path.exists() => return Ok(vec![path.to_owned()]),
        () if input.contains(['*', '?', '[']) => (files_matching(input)?, "no file matches this pattern"),
        () => return Err(ScoreError::usage(format!("{input}: no such file or folder"))),
    };
    paths.retain(is_input);
    match paths.is_empty() {
        false => Ok(paths),
        true => Err(ScoreError::usage(format!("{input}: {none}"))),
    }
}

fn unknown_format(path: &Path) -> ScoreError {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let remedy = match extension.as_str() {
        "xlsx" | "xls" | "ods" => "; save the table as CSV (UTF-8), and name that".to_owned(),
        "bz2" | "xz" | "7z" | "zip" | "tar" | "lz4" | "br" => "; unpack the file, and name what it contains".to_owned(),
        "json" => "; for JSON lines (one object a line) give --format jsonl, and convert a document with an array of rows by `jq -c '.[]' FILE > FILE.jsonl`".to_owned(),
        _ => format!("; give --format, one of {}", Format::names_of_input()),
    };
    ScoreError::usage(format!("{}: the extension tells no format{remedy}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(inputs: &[String], format: Option<Format>) -> Vec<String> {
        let names = |source: Source| match source.location {
            Location::Texts(paths) => paths.into_iter().map(|path| path.to_string_lossy().into_owned()).collect(),
            _ => vec![source.name],
        };
        find_sources(inputs, format, &[]).unwrap().into_iter().flat_map(names).collect()
    }

    #[test]
    fn folders_patterns_and_files_are_found_in_the_order_of_their_paths() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("b")).unwrap();
        std::fs::create_dir(dir.path().join("o.parts")).unwrap();
        for name in ["o.parts/x.jsonl", "c.txt", "b/2.txt", "b/1.txt", ".hidden.txt", "a.jsonl", "notes.md", "[x].csv"]
        {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        let all = |names: &[&str]| names.iter().map(|name| at(name)).collect::<Vec<_>>();
        let folder = dir.path().to_string_lossy().into_owned();
        assert_eq!(found(&[folder], None), all(&["[x].csv", "a.jsonl", "b/1.txt", "b/2.txt", "c.txt"]));
        assert_eq!(found(&[at("*.txt")], None), all(&["c.txt"]));
        assert_eq!(found(&[at("**/*.txt")], None), all(&["b/1.txt", "b/2.txt", "c.txt"]));
        assert_eq!(found(&[at("[x].csv"), at("a.jsonl")], None), all(&["[x].csv", "a.jsonl"]));
        assert_eq!(found(&[at("notes.md")], Some(Format::Jsonl)), all(&["notes.md"]));
    }

    #[test]
    fn folders_and_patterns_do_not_give_the_files_that_the_run_writes() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        std::fs::write(at("a.jsonl"), "x").unwrap();
        std::fs::write(at("out.jsonl"), "x").unwrap();
        let written = [dir.path().canonicalize().unwrap().join("out.jsonl")];
        for (input, n_expected) in [(at(""), 1), (at("*.jsonl"), 1), (at("out.jsonl"), 1)] {
            assert_eq!(find_sources(&[input], None, &written).unwrap().len(), n_expected);
        }
        assert_eq!(find_sources(&[at("*.jsonl")], None, &[]).unwrap().len(), 2);
    }

    #[test]
    fn what_names_nothing_or_no_format_is_bad_usage() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.doc", "a.xlsx", "a.json", "a.csv.bz2"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        for (input, format, part) in [
            (at("a.doc"), None, "tells no format"),
            (at("a.xlsx"), None, "as CSV"),
            (at("a.json"), None, "jq -c"),
            (at("a.csv.bz2"), None, "unpack"),
            (at("b.csv"), None, "no such file"),
            (at("*.csv"), None, "no file matches"),
            (at(""), None, "no file with a known extension"),
            ("-".to_owned(), None, "give --format"),
            ("-".to_owned(), Some(Format::Ninjs), "only written; give one of `jsonl`"),
            ("-".to_owned(), Some(Format::Parquet), "cannot be read from standard input"),
        ] {
            let error = find_sources(std::slice::from_ref(&input), format, &[]).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains(part), "{input}: {error}");
        }
    }
}
