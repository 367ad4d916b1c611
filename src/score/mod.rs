//! Batch scoring: files in, scored files out. [`prepare()`] finds and checks everything that can be checked before a model is
//! loaded, [`Prepared::run`] scores.
//!
//! Three stages overlap: a thread reads blocks of rows, their documents run concurrently (`flow`), a thread writes
//! finished blocks in the input's order. Only a few blocks exist at a time, however long the input is. A block is also
//! the unit of a checkpoint (`parts`). Which rows make a block depends on the input alone, so that a run that resumes
//! after a crash gives the same bytes as one that was never interrupted.

mod answer_columns;
mod column_types;
mod document_columns;
mod dry_run;
mod error;
mod flow;
mod folders;
mod format;
#[doc(hidden)]
pub mod fuzz;
mod inputs;
mod job;
mod json_rows;
mod layout;
mod plan;
mod prepare;
mod read;
mod reading;
mod row;
mod summary;
mod trial;
mod unchanged;
mod write;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub use document_columns::DocumentColumns;
pub use dry_run::DryRun;
pub use error::{ReadError, RowError, ScoreError};
use error::{STDOUT, TIMES_AND_IDENTITIES};
pub use format::Format;
pub use job::{OutputChoice, ScoreJob, Target};
pub use layout::ColumnChoice;
pub use prepare::{Prepared, prepare};
pub use read::ReadSettings;
pub use summary::{Counts, Summary};

use crate::classify::classifier::Classifier;
use crate::classify::request::ClassifyOptions;
use crate::models::registry::Assignment;
use crate::parts::{Parts, SavedRows, errors_path, saved};
use crate::system::progress::Progress;
use flow::{Flow, join, thread};
use inputs::Source;
use plan::plan_of;
use reading::Start;
use write::{Encoder, assemble};
use writer::{Pipe, Sink, Writer};

/// Rows, scored or failed, that a run into `output` has saved; 0 where there is none.
pub fn n_saved_rows(output: &Path) -> u64 {
    let checkpoint = saved::<Counts>(output).ok().flatten();
    checkpoint.map_or(0, |checkpoint| checkpoint.counts.documents + checkpoint.counts.errors)
}

impl Prepared {
    /// Scores what is left to score.
    pub async fn run(self, models: Assignment, progress: Arc<Progress>) -> Result<Summary, ScoreError> {
        let options = self.options_for(&models)?;
        let encoder = self.encoder(&models)?;
        progress.stage("checking the rows that are saved");
        let sink = self.open_sink(&models).await?;
        progress.stage("scoring the first rows");
        let before = sink.checkpoint().clone();
        progress.expect(self.n_bytes()?);
        if before.counts.documents + before.counts.errors == 0 {
            progress.begin();
        }
        let writer = Writer { sink, encoder, counts: before.counts.clone(), progress, max_errors: self.job.max_errors };
        let (target, format) = (self.job.target.clone(), self.format);
        let arithmetic = models.iter().map(|model| (model.name.clone(), model.arithmetic.as_str())).collect();
        let (sink, footer) = match before.whole {
            Some(_) => writer.finished()?,
            None => {
                let classifier = Classifier { models, options, cache: None, memory: None, shadow: None };
                let start = Start { position: before.position, n_rows: before.counts.documents + before.counts.errors };
                Flow::new(self, classifier).run(start, writer).await?
            }
        };
        let finished = thread("finish", move || finish(sink, &footer, &target, format, before.counts.documents))?;
        let summary = join(finished).await??;
        Ok(Summary { arithmetic, ..summary })
    }

    /// The options, checked against the models.
    fn options_for(&self, models: &Assignment) -> Result<ClassifyOptions, ScoreError> {
        self.job.options.clone().for_models(models).map_err(|error| ScoreError::usage(error.to_string()))
    }

    /// Size of the input; `None` where it is unknown.
    fn n_bytes(&self) -> Result<Option<u64>, ScoreError> {
        self.sources.iter().map(Source::n_bytes).sum()
    }

    fn encoder(&self, models: &Assignment) -> Result<Encoder, ScoreError> {
        Encoder::new((self.format, self.compression), self.job.output, &self.layout, models)
            .map_err(|source| ScoreError::Encode { path: self.job.target.path(), source })
    }

    /// What becomes of the rows that an earlier process has saved.
    fn saved_rows(&self) -> SavedRows {
        match self.job.inputs_unchanged {
            // A pipe cannot be read again, so that its run cannot resume.
            _ if self.sources.iter().any(Source::is_read_once) => SavedRows::Remove,
            true => SavedRows::ResumeAccepting(TIMES_AND_IDENTITIES),
            false => SavedRows::Resume,
        }
    }

    async fn open_sink(&self, models: &Assignment) -> Result<Sink, ScoreError> {
        match &self.job.target {
            Target::Stdout { errors_file } => Ok(Sink::Pipe(Pipe::open(errors_file.as_deref())?)),
            Target::File { path, .. } => {
                let plan = plan_of(&self.job, &self.sources, self.format, models)?;
                let (path, saved) = (path.clone(), self.saved_rows());
                // All rows that are saved are read, which may take a while.
                let opened = thread("open", move || Parts::open(&path, &plan, saved).map_err(ScoreError::from))?;
                Ok(Sink::Parts(join(opened).await??))
            }
        }
    }
}

/// Completes the output, moves it to its path, and sums up the run.
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
            parts.publish()?;
            (path.display().to_string(), Some(errors_file))
        }
        (Sink::Pipe(mut pipe), Target::Stdout { errors_file }) => {
            pipe.write(footer)?;
            (STDOUT.to_owned(), errors_file.clone())
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
        arithmetic: BTreeMap::new(),
        output,
        errors_file,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::request::ClassifyOptions;

    fn job(folder: &Path, inputs: &[&str]) -> ScoreJob {
        ScoreJob {
            inputs: inputs.iter().map(|name| folder.join(name).display().to_string()).collect(),
            input_format: None,
            reading: ReadSettings::default(),
            columns: ColumnChoice::default(),
            target: Target::File { path: folder.join("out.jsonl"), overwrite: false },
            reports: Vec::new(),
            inputs_unchanged: false,
            output: OutputChoice::default(),
            options: ClassifyOptions::default(),
            max_characters: 100,
            max_errors: None,
            limit: None,
            dry_run: false,
            look_ahead: 1,
        }
    }

    #[test]
    fn progress_is_measured_by_the_bytes_of_all_inputs() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("a.jsonl", "{\"text\": \"Ulm\"}\n"), ("b.jsonl", "{\"text\": \"Bad Aibling\"}\n")] {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let prepared = prepare(job(folder.path(), &["a.jsonl", "b.jsonl"])).unwrap();
        assert_eq!(prepared.n_bytes().unwrap(), Some(16 + 24));
    }

    #[test]
    fn the_errors_file_is_named_where_rows_failed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("errors.jsonl");
        for (n_errors, expected) in
            [(0, None), (1, Some(path.display().to_string())), (2, Some(path.display().to_string()))]
        {
            let pipe = Pipe::of_counts(Counts { errors: n_errors, ..Counts::default() });
            let target = Target::Stdout { errors_file: Some(path.clone()) };
            let summary = finish(Sink::Pipe(pipe), b"", &target, Format::Jsonl, 0).unwrap();
            assert_eq!(summary.errors_file, expected, "{n_errors} errors");
        }
    }
}
