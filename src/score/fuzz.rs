//! What the fuzz targets (`fuzz/`) call of the private readers and writers of files.

use std::ops::ControlFlow;

use super::error::{RowError, ScoreError};
use super::format::Format;
use super::job::ScoreJob;
use super::prepare::prepare;
use super::reading::{Input, Start};
use super::row::FinishedRow;
use super::write::Encoder;
use crate::models::registry::Assignment;

/// The rows of a job, written without answers.
pub struct Rewritten {
    pub n_rows: usize,
    pub format: Format,
    /// The whole output; Parquet and Arrow files are not assembled, but left as the stream that they are made of.
    pub bytes: Vec<u8>,
}

/// Reads all rows of `job` as a run does, and writes each as one that failed.
pub fn rewrite(job: ScoreJob) -> Result<Rewritten, ScoreError> {
    let prepared = prepare(job)?;
    let (format, target) = (prepared.format, prepared.job.target.path());
    let failed = |source| ScoreError::Encode { path: target.clone(), source };
    let encoder = Encoder::new((format, None), prepared.job.output, &prepared.layout, &Assignment::default());
    let encoder = encoder.map_err(failed)?;
    let mut rows = Vec::new();
    Input::new(prepared).read(Start::default(), |row| {
        let error = row.text.err().unwrap_or_else(|| RowError::NoText(String::new()));
        rows.push(FinishedRow { origin: row.origin, passthrough: row.passthrough, document: None, answer: Err(error) });
        ControlFlow::Continue(())
    })?;
    let mut bytes = encoder.header().map_err(failed)?;
    bytes.extend(encoder.rows(&rows, 0).map_err(failed)?);
    bytes.extend(encoder.footer().map_err(failed)?);
    Ok(Rewritten { n_rows: rows.len(), format, bytes })
}
