//! Rows of all sources in their order, from where a run starts to its end or its limit.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::error::{RowError, ScoreError};
use super::inputs::{Location, Source};
use super::layout::Layout;
use super::prepare::Prepared;
use super::read::{ByteCount, ReadSettings, Reader, open};
use super::row::{Origin, Passthrough, Record};
use super::unchanged::Unchanged;
use crate::classify::request::CheckedText;
use crate::parts::Position;

/// All sources, to be read row by row.
pub struct Input {
    sources: Vec<Source>,
    /// The sources before anything was read.
    pub unchanged: Arc<Unchanged>,
    piped: BTreeMap<usize, Box<dyn Reader>>,
    settings: ReadSettings,
    layout: Layout,
    /// Bytes that were read.
    pub count: ByteCount,
    max_characters: usize,
    limit: Option<u64>,
}

/// A row with its checked text.
pub struct ReadRow {
    pub origin: Origin,
    pub text: Result<CheckedText, RowError>,
    pub passthrough: Passthrough,
    /// The position after it.
    pub end: Position,
    /// Whether the sender of a piped source may wait for the answers to what was read so far.
    pub is_awaited: bool,
}

/// Where a run starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Start {
    pub position: Position,
    /// Rows before it.
    pub n_rows: u64,
}

impl Input {
    pub fn new(prepared: Prepared) -> Self {
        Self {
            sources: prepared.sources,
            unchanged: Arc::new(prepared.unchanged),
            piped: prepared.piped,
            settings: prepared.job.reading,
            layout: prepared.layout,
            count: prepared.count,
            max_characters: prepared.job.max_characters,
            limit: prepared.job.limit,
        }
    }

    /// Reads from `start` until the end of the input, the limit, or a break by `on_row`.
    pub fn read(&mut self, start: Start, mut on_row: impl FnMut(ReadRow) -> ControlFlow<()>) -> Result<(), ScoreError> {
        let Start { position, n_rows } = start;
        let mut n_left = self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(n_rows));
        if position.source >= self.sources.len() {
            return Err(ScoreError::Position { name: "the input".to_owned() });
        }
        for index in 0..self.sources.len() {
            if index < position.source {
                self.count.add(self.sources[index].n_bytes()?.unwrap_or(0));
                continue;
            }
            if n_left == 0 {
                return Ok(());
            }
            let first = Position { source: index, record: if index == position.source { position.record } else { 0 } };
            let mut n_read = 0;
            let read = self.read_source(first, &mut n_read, &mut n_left, &mut on_row);
            // The cause of an error, where a file has changed.
            self.unchanged.check(index, n_read)?;
            if read?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads one source from `start`. `n_read` counts its records, with those that were skipped.
    fn read_source(
        &mut self,
        start: Position,
        n_read: &mut u64,
        n_left: &mut u64,
        mut on_row: impl FnMut(ReadRow) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ScoreError> {
        let source = &self.sources[start.source];
        let mut reader = match self.piped.remove(&start.source) {
            Some(piped) => piped,
            None => open(source, self.settings, &self.count)?,
        };
        reader.skip(start.record)?;
        if reader.n_read() != start.record {
            return Err(ScoreError::Position { name: source.name.clone() });
        }
        let has_texts = matches!(source.location, Location::Texts(_));
        while *n_left > 0 {
            // The record that is read next, if that fails.
            *n_read = reader.n_read() + 1;
            let Some(record) = reader.next(&self.layout)? else { break };
            *n_left -= 1;
            *n_read = reader.n_read();
            if has_texts {
                self.unchanged.check(start.source, *n_read)?;
            }
            let end = Position { source: start.source, record: *n_read };
            let row = self.checked(record, source, end, reader.is_awaited())?;
            if on_row(row).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn checked(&self, record: Record, source: &Source, end: Position, is_awaited: bool) -> Result<ReadRow, ScoreError> {
        let Record { origin, document, passthrough } = record;
        let is_text_file = !source.format.is_columnar() && self.settings.encoding.is_none();
        if let Err(RowError::NotUtf8 { is_surrogate, .. }) = document
            && is_text_file
        {
            return Err(ScoreError::NotUtf8 { origin: origin.to_string(), is_surrogate });
        }
        let text = document.and_then(|document| Ok(document.checked(self.max_characters)?));
        Ok(ReadRow { origin, text, passthrough, end, is_awaited })
    }
}
