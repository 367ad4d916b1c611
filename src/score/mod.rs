//! Batch scoring: files in, scored files out. [`prepare`] finds and checks everything that can be checked before a model is
//! loaded, [`Prepared::run`] scores.
//!
//! Three stages overlap: a thread reads blocks of rows, their documents run side by side (`flow`), a thread writes
//! finished blocks in the input's order. Only a few blocks exist at a time, however long the input is. A block is also
//! what is forced to the disk and counted in one step (`parts`); which rows make a block depends on the input alone, so
//! that a run that was killed and gone on with gives the same bytes as one that was not.

mod error;
mod flow;
mod format;
mod inputs;
mod layout;
mod parts;
mod plan;
mod read;
mod row;
mod summary;
mod write;
mod writer;

use std::path::{Path, PathBuf};

pub use error::{ReadError, RowError, ScoreError};
pub use format::Format;
pub use layout::ColumnChoice;
pub use read::ReadSettings;
pub use summary::{Counts, Summary};

use crate::classify::answer::AnswerStyle;
use crate::inference::pipeline::Overflow;
use crate::manifest::task::AggregationStrategy;
use crate::models::registry::{Assignment, ByTask};
use crate::system::progress::Progress;
use flow::Flow;
use format::Compression;
use inputs::{Source, find_sources};
use layout::{Columns, Layout, SourceColumns};
use parts::{Parts, beside, is_whole};
use plan::plan_of;
use read::{ByteCount, Reader, open, scan_columns};
use write::{Encoder, assemble};
use writer::{Pipe, Sink, Writer};

/// What is to be scored, how, and into what.
#[derive(Debug, Clone)]
pub struct Job {
    /// Files, patterns, folders, or `-`.
    pub inputs: Vec<String>,
    pub input_format: Option<Format>,
    pub reading: ReadSettings,
    pub columns: ColumnChoice,
    pub target: Target,
    pub output_format: Option<Format>,
    pub style: AnswerStyle,
    /// In 0..=1; topics: in place of the labels' own thresholds.
    pub threshold: ByTask<f32>,
    pub aggregation: Option<AggregationStrategy>,
    pub overflow: Overflow,
    /// Longest text that is read, in Unicode code points.
    pub max_characters: usize,
    /// More rows that fail than this end the run.
    pub max_errors: Option<u64>,
    /// Rows of a block: sorted by length, written and counted together; at least 1.
    pub look_ahead: usize,
}

/// Where the scored rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    File {
        path: PathBuf,
        /// Whether a file that is there already gives way.
        overwrite: bool,
    },
    /// Standard output, and a file for the rows that fail; where there is none, these are logged.
    Stdout { errors_file: Option<PathBuf> },
}

/// A job that fits its files.
pub struct Prepared {
    job: Job,
    sources: Vec<Source>,
    layout: Layout,
    format: Format,
    compression: Option<Compression>,
    count: ByteCount,
    /// Standard input, whose beginning is read already.
    piped: Option<Box<dyn Reader>>,
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
        if source.location == inputs::Location::Stdin {
            piped = Some(reader);
        }
    }
    let layout = Layout::new(&columns, &job.columns, format)?;
    Ok(Prepared { job, sources, layout, format, compression, count: ByteCount::default(), piped })
}

impl Prepared {
    /// Scores what is left to score.
    pub async fn run(self, models: Assignment) -> Result<Summary, ScoreError> {
        let encoder = self.encoder(&models)?;
        let sink = self.open_sink(&models)?;
        let before = sink.checkpoint().clone();
        let n_bytes = self.sources.iter().map(Source::n_bytes).sum::<Result<Option<u64>, _>>()?;
        let progress = Progress::start(n_bytes);
        let writer = Writer { sink, encoder, counts: before.counts.clone(), progress, max_errors: self.job.max_errors };
        let (target, format) = (self.job.target.clone(), self.format);
        let (sink, footer) = match before.whole {
            Some(_) => writer.finished(),
            None => Flow::new(self, models).run(before.position, writer).await?,
        };
        finish(sink, footer, &target, format, before.counts.documents)
    }

    fn encoder(&self, models: &Assignment) -> Result<Encoder, ScoreError> {
        Encoder::new(self.format, &self.layout, models, self.compression)
            .map_err(|source| ScoreError::Encode { path: self.job.target.path(), source })
    }

    fn open_sink(&self, models: &Assignment) -> Result<Sink, ScoreError> {
        match &self.job.target {
            Target::Stdout { errors_file } => Ok(Sink::Pipe(Pipe::open(errors_file.as_deref())?)),
            Target::File { path, .. } => {
                let plan = plan_of(&self.job, &self.sources, self.format, models)?;
                // What came through a pipe cannot be asked for again.
                Ok(Sink::Parts(Parts::open(path, &plan, self.piped.is_some())?))
            }
        }
    }
}

/// Makes the output whole, moves it to its place, and says what was done.
fn finish(
    sink: Sink,
    footer: &[u8],
    target: &Target,
    format: Format,
    resumed_from: u64,
) -> Result<Summary, ScoreError> {
    let counts = sink.checkpoint().counts.clone();
    let has_errors = counts.errors > 0;
    let (output, errors_file) = match (sink, target) {
        (Sink::Parts(mut parts), Target::File { path, .. }) => {
            let assembled = matches!(format, Format::Parquet | Format::Arrow);
            let assemble = assembled.then_some(|rows: &Path, whole: &Path| {
                assemble(rows, whole, format).map_err(|source| ScoreError::Encode { path: whole.to_owned(), source })
            });
            parts.complete(footer, assemble)?;
            let errors_file = errors_path(path);
            parts.publish(&errors_file)?;
            (path.display().to_string(), Some(errors_file))
        }
        (Sink::Pipe(mut pipe), Target::Stdout { errors_file }) => {
            pipe.write(footer)?;
            ("standard output".to_owned(), errors_file.clone())
        }
        (Sink::Parts(_), Target::Stdout { .. }) | (Sink::Pipe(_), Target::File { .. }) => {
            return Err(ScoreError::Broken);
        }
    };
    let errors_file = errors_file.filter(|_| has_errors).map(|path| path.display().to_string());
    Ok(Summary {
        documents_per_second: counts.rate(counts.documents),
        tokens_per_second: counts.rate(counts.tokens),
        counts,
        resumed_from,
        output,
        errors_file,
    })
}

impl Target {
    /// The path of the output, for messages.
    fn path(&self) -> PathBuf {
        match self {
            Self::File { path, .. } => path.clone(),
            Self::Stdout { .. } => "standard output".into(),
        }
    }
}

/// Where the rows that fail are listed.
fn errors_path(output: &Path) -> PathBuf {
    beside(output, ".errors.jsonl")
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
    let is_output = |source: &&Source| matches!(&source.location, inputs::Location::File(file) if file.canonicalize().is_ok_and(|file| file == output));
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
    match path.exists() && !overwrite && !is_whole(path)? {
        true => Err(ScoreError::OutputExists(path.to_owned())),
        false => Ok(()),
    }
}
