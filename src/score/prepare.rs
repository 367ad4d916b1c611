//! Finds and checks everything that can be checked before a model is loaded.

use std::path::Path;

use super::error::ScoreError;
use super::format::{Compression, Format};
use super::inputs::{Location, Source, find_sources};
use super::job::{Job, Target};
use super::layout::{Columns, Layout, SourceColumns};
use super::parts::is_published;
use super::read::{ByteCount, Reader, open, scan_columns};

/// A job that fits its files.
pub struct Prepared {
    pub(super) job: Job,
    pub(super) sources: Vec<Source>,
    pub(super) layout: Layout,
    pub(super) format: Format,
    pub(super) compression: Option<Compression>,
    pub(super) count: ByteCount,
    /// Standard input, whose beginning is read already.
    pub(super) piped: Option<Box<dyn Reader>>,
}

/// Finds the input, checks its columns, and checks that the output can be written.
pub fn prepare(job: Job) -> Result<Prepared, ScoreError> {
    let sources = find_sources(&job.inputs, job.input_format)?;
    if let Target::File { path, overwrite } = &job.target {
        check_output(path, *overwrite)?;
        check_apart(path, &sources)?;
    }
    let (format, compression) = output_format(&job, &sources)?;
    let count = ByteCount::default();
    let mut piped = None;
    let mut columns = Vec::new();
    for source in &sources {
        let reader = open(source, job.reading, &count)?;
        let found = match reader.columns() {
            Columns::Free if format != Format::Jsonl => scan_columns(source)?,
            found => found,
        };
        columns.push(SourceColumns { name: source.name.clone(), columns: found });
        if source.location == Location::Stdin {
            piped = Some(reader);
        }
    }
    let layout = Layout::new(&columns, &job.columns, format)?;
    Ok(Prepared { job, sources, layout, format, compression, count: ByteCount::default(), piped })
}

/// The output's format and compression: as said, else by its extension, else (to standard output) that of the input.
fn output_format(job: &Job, sources: &[Source]) -> Result<(Format, Option<Compression>), ScoreError> {
    let path = match &job.target {
        Target::File { path, .. } => Some(path.as_path()),
        Target::Stdout { .. } => None,
    };
    let told = match path {
        Some(path) => Format::of_path(path),
        None => sources.first().map(|source| source.format),
    };
    let compression = path.and_then(Compression::of_path);
    let name = job.target.path().display().to_string();
    match job.output_format.or(told) {
        None => Err(ScoreError::usage(format!("{name}: the extension tells no format; give --output-format"))),
        Some(Format::Text) => Err(ScoreError::usage(format!(
            "{name}: scored rows cannot be written as `txt`; take another extension or --output-format"
        ))),
        Some(format @ (Format::Parquet | Format::Arrow)) if path.is_none() => Err(ScoreError::usage(format!(
            "`{format}` cannot be written to standard output, since its end says where its parts are; give --output-format arrow-stream, or a file"
        ))),
        Some(format) if compression.is_some() && format.is_columnar() => Err(ScoreError::usage(format!(
            "{name}: `{format}` is not compressed as a whole; leave the last extension away"
        ))),
        Some(format) => Ok((format, compression)),
    }
}

/// Refuses to write over what is read, by whatever name.
fn check_apart(path: &Path, sources: &[Source]) -> Result<(), ScoreError> {
    let Ok(output) = path.canonicalize() else { return Ok(()) };
    let is_output = |source: &&Source| matches!(&source.location, Location::File(file) if file.canonicalize().is_ok_and(|file| file == output));
    match sources.iter().find(is_output) {
        None => Ok(()),
        Some(source) => Err(ScoreError::usage(format!(
            "{}: is also an input ({}), which would be lost; name another output",
            path.display(),
            source.name
        ))),
    }
}

fn check_output(path: &Path, overwrite: bool) -> Result<(), ScoreError> {
    if path.is_dir() {
        return Err(ScoreError::usage(format!("{}: is a folder; name a file", path.display())));
    }
    match path.exists() && !overwrite && !is_published(path)? {
        true => Err(ScoreError::OutputExists(path.to_owned())),
        false => Ok(()),
    }
}
