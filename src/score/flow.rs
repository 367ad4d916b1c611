//! The three stages of a run: a thread reads blocks, a future classifies each block, a thread writes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::mpsc;

use super::error::{RowError, ScoreError};
use super::inputs::Source;
use super::layout::Layout;
use super::parts::Position;
use super::prepare::Prepared;
use super::read::{ByteCount, ReadSettings, Reader, open};
use super::row::{FailedRow, Origin, Passthrough, Record, ScoredRow};
use super::writer::{ScoredBlock, Sink, Writer};
use crate::classify::classifier::Classifier;
use crate::classify::error::{ClassifyError, Scope};
use crate::classify::request::{CheckedText, batch_context};

/// Documents of a block under way at the same time: enough for every stream while the longest of them runs.
const MAX_DOCUMENTS_AT_ONCE: usize = 128;

/// Blocks that are classified at the same time, so that the streams stay busy while one block ends.
const MAX_BLOCKS_AT_ONCE: usize = 2;

/// Blocks that wait between two stages.
const MAX_BLOCKS_WAITING: usize = 2;

/// A block ends early when its rows reach this many bytes, which bounds memory.
const MAX_BLOCK_BYTES: usize = 16 * 1024 * 1024;

/// A run, ready to start.
pub struct Flow {
    input: Input,
    classifier: Arc<Classifier>,
}

/// What the reading thread needs.
struct Input {
    sources: Vec<Source>,
    /// Those of the sources before anything was read.
    fingerprints: Vec<Value>,
    piped: BTreeMap<usize, Box<dyn Reader>>,
    settings: ReadSettings,
    layout: Layout,
    count: ByteCount,
    look_ahead: usize,
    max_characters: usize,
}

/// Rows that are sorted, written and counted together: what is written, and the text of each.
#[derive(Debug)]
struct Block {
    rows: Vec<(Origin, Passthrough)>,
    texts: Vec<Result<CheckedText, RowError>>,
    end: Position,
    n_bytes: u64,
}

impl Flow {
    pub fn new(prepared: Prepared, classifier: Classifier) -> Self {
        let input = Input {
            sources: prepared.sources,
            fingerprints: prepared.fingerprints,
            piped: prepared.piped,
            settings: prepared.job.reading,
            layout: prepared.layout,
            count: prepared.count,
            look_ahead: prepared.job.look_ahead.max(1),
            max_characters: prepared.job.max_characters,
        };
        Self { input, classifier: Arc::new(classifier) }
    }

    /// Scores from `start` to the end of the input; returns the destination and the bytes that must follow the last row.
    pub async fn run(self, start: Position, writer: Writer) -> Result<(Sink, &'static [u8]), ScoreError> {
        let (blocks, receive_blocks) = mpsc::channel(MAX_BLOCKS_WAITING);
        let (scored, receive_scored) = mpsc::channel(MAX_BLOCKS_WAITING);
        let input = self.input;
        let reading = thread("read", move || input.read_blocks(start, &blocks))?;
        let writing = thread("write", move || writer.write_all(receive_scored))?;
        let result = score_blocks(receive_blocks, self.classifier, scored).await;
        // A writer that stopped also stops the stages before it, and its error is the cause.
        let written = join(writing).await??;
        result?;
        // After an error the reader may still wait for its input, so it is joined only without one.
        join(reading).await?;
        Ok(written)
    }
}

type Thread<T> = tokio::sync::oneshot::Receiver<T>;

/// Starts a thread whose result can be awaited; there is none if it panics.
fn thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<Thread<T>, ScoreError> {
    let (send, receive) = tokio::sync::oneshot::channel();
    let run = move || drop(send.send(work()));
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| ScoreError::read("a thread", error))?;
    Ok(receive)
}

async fn join<T>(thread: Thread<T>) -> Result<T, ScoreError> {
    thread.await.map_err(|_| ScoreError::Broken)
}

/// Classifies all blocks and sends them on in the order of the input.
async fn score_blocks(
    blocks: mpsc::Receiver<Result<Block, ScoreError>>,
    classifier: Arc<Classifier>,
    scored: mpsc::Sender<ScoredBlock>,
) -> Result<(), ScoreError> {
    let blocks = stream::unfold(blocks, |mut blocks| async { Some((blocks.recv().await?, blocks)) });
    let score = |block: Result<Block, ScoreError>| {
        let classifier = Arc::clone(&classifier);
        async { block?.score(classifier).await }
    };
    let mut blocks = std::pin::pin!(blocks.map(score).buffered(MAX_BLOCKS_AT_ONCE));
    while let Some(block) = blocks.next().await {
        if scored.send(block?).await.is_err() {
            // The writer has stopped, and reports its error.
            return Ok(());
        }
    }
    Ok(())
}

impl Block {
    /// Classifies its documents, the longest first, so that the streams are busy to the end.
    async fn score(self, classifier: Arc<Classifier>) -> Result<ScoredBlock, ScoreError> {
        let mut texts: Vec<_> = self.texts.into_iter().enumerate().collect();
        texts.sort_by_key(|(_, text)| Reverse(n_bytes(text)));
        let (order, texts): (Vec<usize>, Vec<_>) = texts.into_iter().unzip();
        let answers: Vec<_> = classifier.classify_all(texts, batch_context(), MAX_DOCUMENTS_AT_ONCE).collect().await;
        let mut answers: Vec<_> = order.into_iter().zip(answers).collect();
        answers.sort_by_key(|(index, _)| *index);
        let mut block = ScoredBlock { rows: Vec::new(), failures: Vec::new(), end: self.end, n_bytes: self.n_bytes };
        for ((origin, passthrough), (_, answer)) in self.rows.into_iter().zip(answers) {
            match answer {
                Ok(answer) => block.rows.push(ScoredRow { passthrough, answer }),
                // A device or a library that failed says nothing about the row.
                Err(RowError::Classify(source))
                    if source.scope() == Scope::Request || matches!(source, ClassifyError::Internal(_)) =>
                {
                    return Err(ScoreError::Predict { origin: origin.to_string(), source });
                }
                Err(error) => block.failures.push(FailedRow { origin, passthrough, error }),
            }
        }
        Ok(block)
    }
}

impl Input {
    /// Reads from `start` to the end; an error is the last item that is sent.
    fn read_blocks(mut self, start: Position, blocks: &mpsc::Sender<Result<Block, ScoreError>>) {
        if let Err(error) = self.read_sources(start, blocks) {
            // A receiver that is gone reports its own error.
            let _ = blocks.blocking_send(Err(error));
        }
    }

    fn read_sources(
        &mut self,
        start: Position,
        blocks: &mpsc::Sender<Result<Block, ScoreError>>,
    ) -> Result<(), ScoreError> {
        let mut block = Block { rows: Vec::new(), texts: Vec::new(), end: start, n_bytes: 0 };
        let mut n_row_bytes = 0;
        for (index, source) in self.sources.iter().enumerate() {
            if index < start.source {
                self.count.add(source.n_bytes()?.unwrap_or(0));
                continue;
            }
            self.check_unchanged(index, source)?;
            let mut reader = match self.piped.remove(&index) {
                Some(piped) => piped,
                None => open(source, self.settings, &self.count)?,
            };
            if index == start.source {
                reader.skip(start.record)?;
            }
            while let Some(Record { origin, text, passthrough }) = reader.next(&self.layout)? {
                let is_text_file = !source.format.is_columnar() && self.settings.encoding.is_none();
                if is_text_file && matches!(text, Err(RowError::NotUtf8(_))) {
                    return Err(ScoreError::NotUtf8 { origin: origin.to_string() });
                }
                let text = text.and_then(|text| Ok(CheckedText::new(text, self.max_characters)?));
                n_row_bytes += n_bytes(&text) + passthrough.n_bytes();
                block.rows.push((origin, passthrough));
                block.texts.push(text);
                block.end = Position { source: index, record: reader.n_read() };
                let is_full = block.rows.len() >= self.look_ahead || n_row_bytes >= MAX_BLOCK_BYTES;
                if is_full || reader.is_awaited() {
                    n_row_bytes = 0;
                    if !self.send(&mut block, blocks) {
                        return Ok(());
                    }
                }
            }
            self.check_unchanged(index, source)?;
        }
        if !block.rows.is_empty() {
            self.send(&mut block, blocks);
        }
        Ok(())
    }

    /// Fails where the source is not as it was before anything was read: what was read of it may be of two versions.
    fn check_unchanged(&self, index: usize, source: &Source) -> Result<(), ScoreError> {
        let is_same =
            self.fingerprints.get(index).is_none_or(|earlier| source.fingerprint().is_ok_and(|now| now == *earlier));
        if is_same { Ok(()) } else { Err(ScoreError::InputChanged { name: source.name.clone() }) }
    }

    /// Sends the rows of `block` and empties it; returns whether somebody receives them.
    fn send(&self, block: &mut Block, blocks: &mpsc::Sender<Result<Block, ScoreError>>) -> bool {
        let (rows, texts) = (std::mem::take(&mut block.rows), std::mem::take(&mut block.texts));
        blocks.blocking_send(Ok(Block { rows, texts, end: block.end, n_bytes: self.count.get() })).is_ok()
    }
}

fn n_bytes(text: &Result<CheckedText, RowError>) -> usize {
    text.as_ref().map_or(0, |text| text.as_str().len())
}
