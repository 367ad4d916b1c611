//! The three stages of a run: a thread reads blocks, a future classifies each block, a thread writes.

use std::cmp::Reverse;
use std::ops::ControlFlow;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use super::error::{RowError, ScoreError};
use super::prepare::Prepared;
use super::reading::{Input, Start};
use super::row::{FinishedRow, Origin, Passthrough};
use super::writer::{ScoredBlock, Sink, Writer};
use crate::classify::classifier::Classifier;
use crate::classify::request::{CheckedText, batch_context};
use crate::parts::Position;

/// Documents of a block that are classified at the same time: enough for every stream while the longest of them runs.
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
    look_ahead: usize,
    /// Whether the writer needs the documents.
    keeps_documents: bool,
    classifier: Arc<Classifier>,
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
        let (look_ahead, keeps_documents) = (prepared.job.look_ahead.max(1), prepared.format.is_document());
        Self { input: Input::new(prepared), look_ahead, keeps_documents, classifier: Arc::new(classifier) }
    }

    /// Scores from `start` to the end of the input; returns the destination and the bytes that must follow the last row.
    pub async fn run(self, start: Start, writer: Writer) -> Result<(Sink, Vec<u8>), ScoreError> {
        let (blocks, receive_blocks) = mpsc::channel(MAX_BLOCKS_WAITING);
        let (scored, receive_scored) = mpsc::channel(MAX_BLOCKS_WAITING);
        let (input, look_ahead) = (self.input, self.look_ahead);
        let reading = thread("read", move || read_blocks(input, start, look_ahead, &blocks))?;
        let writing = thread("write", move || writer.write_all(receive_scored))?;
        let result = score_blocks(receive_blocks, self.classifier, self.keeps_documents, scored).await;
        // A writer that stopped also stops the stages before it, and its error is the cause.
        let written = join(writing).await??;
        result?;
        // After an error the reader may still wait for its input, so it is joined only without one.
        join(reading).await?;
        Ok(written)
    }
}

pub type Thread<T> = tokio::sync::oneshot::Receiver<T>;

/// Starts a thread whose result can be awaited; there is none if it panics.
pub fn thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Thread<T>, ScoreError> {
    let (send, receive) = tokio::sync::oneshot::channel();
    let run = move || drop(send.send(work()));
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| ScoreError::read("a thread", error))?;
    Ok(receive)
}

pub async fn join<T>(thread: Thread<T>) -> Result<T, ScoreError> {
    thread.await.map_err(|_| ScoreError::Broken)
}

/// Classifies all blocks and sends them on in the order of the input.
async fn score_blocks(
    blocks: mpsc::Receiver<Result<Block, ScoreError>>,
    classifier: Arc<Classifier>,
    keeps_documents: bool,
    scored: mpsc::Sender<ScoredBlock>,
) -> Result<(), ScoreError> {
    let blocks = stream::unfold(blocks, |mut blocks| async { Some((blocks.recv().await?, blocks)) });
    let score = |block: Result<Block, ScoreError>| {
        let classifier = Arc::clone(&classifier);
        async move { block?.score(classifier, keeps_documents).await }
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
    async fn score(self, classifier: Arc<Classifier>, keeps_documents: bool) -> Result<ScoredBlock, ScoreError> {
        let kept = |text: &Result<CheckedText, RowError>| text.as_ref().ok().filter(|_| keeps_documents).cloned();
        let documents: Vec<Option<CheckedText>> = self.texts.iter().map(kept).collect();
        let mut texts: Vec<_> = self.texts.into_iter().enumerate().collect();
        texts.sort_by_key(|(_, text)| Reverse(n_bytes(text)));
        let (order, texts): (Vec<usize>, Vec<_>) = texts.into_iter().unzip();
        let answers: Vec<_> = classifier.classify_all(texts, batch_context(), MAX_DOCUMENTS_AT_ONCE).collect().await;
        let mut answers: Vec<_> = order.into_iter().zip(answers).collect();
        answers.sort_by_key(|(index, _)| *index);
        let mut rows = Vec::with_capacity(answers.len());
        for (((origin, passthrough), document), (_, answer)) in self.rows.into_iter().zip(documents).zip(answers) {
            match answer {
                Err(RowError::Classify(source)) if source.ends_run() => {
                    return Err(ScoreError::Predict { origin: origin.to_string(), source });
                }
                answer => rows.push(FinishedRow { origin, passthrough, document, answer }),
            }
        }
        Ok(ScoredBlock { rows, end: self.end, n_bytes: self.n_bytes })
    }
}

/// Reads from `start` to the end; an error is the last item that is sent.
fn read_blocks(mut input: Input, start: Start, look_ahead: usize, blocks: &mpsc::Sender<Result<Block, ScoreError>>) {
    let count = input.count.clone();
    let new_block = |end| Block { rows: Vec::new(), texts: Vec::new(), end, n_bytes: 0 };
    let mut block = new_block(start.position);
    let mut n_row_bytes = 0;
    let (unchanged, mut changed) = (Arc::clone(&input.unchanged), Ok(()));
    let result = input.read(start, |row| {
        n_row_bytes += n_bytes(&row.text) + row.passthrough.n_bytes();
        block.rows.push((row.origin, row.passthrough));
        block.texts.push(row.text);
        (block.end, block.n_bytes) = (row.end, count.get());
        let is_full = block.rows.len() >= look_ahead || n_row_bytes >= MAX_BLOCK_BYTES;
        if !is_full && !row.is_awaited {
            return ControlFlow::Continue(());
        }
        n_row_bytes = 0;
        // Before its rows count: a file may be put back after it has changed, and then the run would resume after them.
        changed = unchanged.check(row.end.source, row.end.record);
        if changed.is_err() {
            return ControlFlow::Break(());
        }
        let full = std::mem::replace(&mut block, new_block(row.end));
        // A receiver that is gone reports its own error.
        if blocks.blocking_send(Ok(full)).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let last = match result.and(changed) {
        Ok(()) if block.rows.is_empty() => return,
        Ok(()) => Ok(block),
        Err(error) => Err(error),
    };
    let _ = blocks.blocking_send(last);
}

fn n_bytes(text: &Result<CheckedText, RowError>) -> usize {
    text.as_ref().map_or(0, |text| text.as_str().len())
}
