//! Rows of all sources in their order, from where a run starts to its end or its limit.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::Value;

use super::error::{RowError, ScoreError};
use super::inputs::Source;
use super::layout::Layout;
use super::prepare::Prepared;
use super::read::{ByteCount, ReadSettings, Reader, open};
use super::row::{Origin, Passthrough, Record};
use crate::classify::request::CheckedText;
use crate::parts::Position;

/// All sources, to be read row by row.
pub struct Input {
    sources: Vec<Source>,
    /// Those of the sources before anything was read.
    fingerprints: Vec<Value>,
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
            fingerprints: prepared.fingerprints,
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
            let source = &self.sources[index];
            self.check_unchanged(index, source)?;
            let mut reader = match self.piped.remove(&index) {
                Some(piped) => piped,
                None => open(source, self.settings, &self.count)?,
            };
            if index == position.source {
                reader.skip(position.record)?;
                if reader.n_read() != position.record {
                    return Err(ScoreError::Position { name: source.name.clone() });
                }
            }
            while n_left > 0 {
                let Some(record) = reader.next(&self.layout)? else { break };
                n_left -= 1;
                let end = Position { source: index, record: reader.n_read() };
                let row = self.checked(record, source, end, reader.is_awaited())?;
                if on_row(row).is_break() {
                    return Ok(());
                }
            }
            self.check_unchanged(index, source)?;
        }
        Ok(())
    }

    fn checked(&self, record: Record, source: &Source, end: Position, is_awaited: bool) -> Result<ReadRow, ScoreError> {
        let Record { origin, document, passthrough } = record;
        let is_text_file = !source.format.is_columnar() && self.settings.encoding.is_none();
        if is_text_file && matches!(document, Err(RowError::NotUtf8(_))) {
            return Err(ScoreError::NotUtf8 { origin: origin.to_string() });
        }
        let text = document.and_then(|document| Ok(document.checked(self.max_characters)?));
        Ok(ReadRow { origin, text, passthrough, end, is_awaited })
    }

    /// Fails where the source is not as it was before anything was read: what was read of it may be of two versions.
    fn check_unchanged(&self, index: usize, source: &Source) -> Result<(), ScoreError> {
        let is_same =
            self.fingerprints.get(index).is_none_or(|earlier| source.fingerprint().is_ok_and(|now| now == *earlier));
        if is_same { Ok(()) } else { Err(ScoreError::InputChanged { name: source.name.clone() }) }
    }
}
