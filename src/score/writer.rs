//! The last stage: encodes, writes and counts scored blocks in the order of the input.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::error::{RowError, STDOUT, ScoreError};
use super::row::{FinishedRow, RowPosition};
use super::summary::Counts;
use super::write::Encoder;
use crate::parts::{Checkpoint, Parts, Position};
use crate::system::progress::Progress;

/// A block whose documents are all done, in the order of the input.
pub struct ScoredBlock {
    pub rows: Vec<FinishedRow>,
    /// The position after its last record.
    pub end: Position,
    /// Bytes of all input that were read up to its end.
    pub n_bytes: u64,
}

/// The destination of scored blocks.
pub enum Sink {
    Parts(Parts<Counts>),
    Pipe(Pipe),
}

/// Standard output. A run that writes to it cannot be resumed.
pub struct Pipe {
    errors: Option<(PathBuf, File)>,
    checkpoint: Checkpoint<Counts>,
}

pub struct Writer {
    pub sink: Sink,
    pub encoder: Encoder,
    /// The counts of earlier processes of this run.
    pub counts: Counts,
    pub progress: Arc<Progress>,
    pub max_errors: Option<u64>,
}

/// A line of the errors file.
#[derive(Serialize)]
struct ErrorLine<'o> {
    file: &'o str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Box<RawValue>>,
    code: &'static str,
    reason: String,
}

impl Writer {
    /// Writes all blocks; returns the destination and the bytes that must follow the last row.
    pub fn write_all(mut self, mut blocks: mpsc::Receiver<ScoredBlock>) -> Result<(Sink, Vec<u8>), ScoreError> {
        let (start, seconds_before) = (Instant::now(), self.counts.seconds);
        if self.sink.checkpoint().rows_bytes == 0 {
            let header = self.encoder.header().map_err(|source| self.encode_error(source))?;
            let position = self.sink.checkpoint().position;
            self.sink.append(&header, &[], position, &self.counts)?;
        }
        self.check_errors()?;
        while let Some(block) = blocks.blocking_recv() {
            self.write(&block, seconds_before + start.elapsed().as_secs_f64())?;
            self.progress.show(block.n_bytes, &self.counts.to_string());
            self.check_errors()?;
        }
        self.finished()
    }

    /// The destination, when nothing is left to write.
    pub fn finished(self) -> Result<(Sink, Vec<u8>), ScoreError> {
        let footer = self.encoder.footer().map_err(|source| self.encode_error(source))?;
        Ok((self.sink, footer))
    }

    fn write(&mut self, block: &ScoredBlock, seconds: f64) -> Result<(), ScoreError> {
        let mut errors = Vec::new();
        let n_before = self.counts.documents;
        for row in &block.rows {
            match &row.answer {
                Ok(answer) => self.counts.add(answer),
                Err(error) => {
                    self.counts.add_error(error.code());
                    let line = ErrorLine::new(row, error);
                    serde_json::to_writer(&mut errors, &line).map_err(|error| self.encode_error(error))?;
                    errors.push(b'\n');
                }
            }
        }
        self.counts.seconds = seconds;
        let rows = self.encoder.rows(&block.rows, n_before).map_err(|source| self.encode_error(source))?;
        self.sink.append(&rows, &errors, block.end, &self.counts)
    }

    fn check_errors(&self) -> Result<(), ScoreError> {
        let n_errors = self.counts.errors;
        match self.max_errors.filter(|&max| n_errors > max) {
            None => Ok(()),
            Some(max_errors) => {
                Err(ScoreError::TooManyErrors { n_errors, max_errors, errors: self.sink.errors_name() })
            }
        }
    }

    fn encode_error(&self, source: impl Into<super::error::ReadError>) -> ScoreError {
        ScoreError::Encode { path: "the output".into(), source: source.into() }
    }
}

impl Sink {
    pub fn checkpoint(&self) -> &Checkpoint<Counts> {
        match self {
            Self::Parts(parts) => &parts.checkpoint,
            Self::Pipe(pipe) => &pipe.checkpoint,
        }
    }

    fn append(&mut self, rows: &[u8], errors: &[u8], position: Position, counts: &Counts) -> Result<(), ScoreError> {
        match self {
            Self::Parts(parts) => Ok(parts.append(rows, errors, position, counts)?),
            Self::Pipe(pipe) => pipe.append(rows, errors, counts),
        }
    }

    /// The name of the list of failed rows, for messages.
    fn errors_name(&self) -> String {
        match self {
            Self::Parts(parts) => parts.errors_path().display().to_string(),
            Self::Pipe(Pipe { errors: Some((path, _)), .. }) => path.display().to_string(),
            Self::Pipe(_) => "the log".to_owned(),
        }
    }
}

impl Pipe {
    /// Rows that fail go to `errors_file`, or else to the log.
    pub fn open(errors_file: Option<&Path>) -> Result<Self, ScoreError> {
        let create = |path: &Path| match File::create(path) {
            Ok(file) => Ok((path.to_owned(), file)),
            Err(error) => Err(ScoreError::write(path, error)),
        };
        Ok(Self { errors: errors_file.map(create).transpose()?, checkpoint: Checkpoint::default() })
    }

    /// One through which a run with these counts went.
    #[cfg(test)]
    pub fn of_counts(counts: Counts) -> Self {
        Self { errors: None, checkpoint: Checkpoint { counts, ..Checkpoint::default() } }
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ScoreError> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        self.checkpoint.rows_bytes += bytes.len() as u64;
        written.map_err(|error| ScoreError::write(STDOUT, error))
    }

    /// Errors first, so that a reader of the rows finds the reason for each missing one.
    fn append(&mut self, rows: &[u8], errors: &[u8], counts: &Counts) -> Result<(), ScoreError> {
        match &mut self.errors {
            Some((path, file)) => file.write_all(errors).map_err(|error| ScoreError::write(path.clone(), error))?,
            None => String::from_utf8_lossy(errors).lines().for_each(|row| tracing::warn!(row, "a row was not scored")),
        }
        self.checkpoint.counts = counts.clone();
        self.write(rows)
    }
}

impl<'o> ErrorLine<'o> {
    fn new(row: &'o FinishedRow, error: &RowError) -> Self {
        let FinishedRow { origin, passthrough, .. } = row;
        let (line, row) = match origin.position {
            RowPosition::Line(line) => (Some(line), None),
            RowPosition::Row(row) => (None, Some(row)),
            RowPosition::Whole => (None, None),
        };
        Self { file: &origin.file, line, row, id: passthrough.json_id(), code: error.code(), reason: error.to_string() }
    }
}
