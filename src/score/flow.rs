//! The three stages of a run: a thread that reads blocks, documents that run side by side, a thread that writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use super::error::{RowError, ScoreError};
use super::inputs::{Location, Source};
use super::job::Job;
use super::layout::Layout;
use super::parts::Position;
use super::prepare::Prepared;
use super::read::{ByteCount, ReadSettings, Reader, open};
use super::row::{Origin, Record};
use super::writer::{Chunk, Outcome, Sink, Writer};
use crate::classify::answer::Answer;
use crate::inference::pipeline::PredictOptions;
use crate::inference::scheduler::Priority;
use crate::inference::scheduler::{Admission, RequestContext, RequestId};
use crate::manifest::task::Tasks;
use crate::models::registry::Assignment;

/// Documents under way at a time: enough to fill every stream while the longest of them ends.
const DOCUMENTS_UNDER_WAY: usize = 128;

/// Blocks that wait between two stages.
const BLOCKS_WAITING: usize = 2;

/// A block of fewer rows is closed when their texts reach this many bytes, which bounds memory.
const MAX_BLOCK_BYTES: usize = 16 * 1024 * 1024;

/// A run, ready to start.
pub struct Flow {
    input: Input,
    scoring: Arc<Scoring>,
}

/// What the reading thread needs.
struct Input {
    sources: Vec<Source>,
    piped: Option<Box<dyn Reader>>,
    settings: ReadSettings,
    layout: Layout,
    count: ByteCount,
    look_ahead: usize,
    max_characters: usize,
}

/// What every document needs.
struct Scoring {
    job: Job,
    models: Assignment,
}

/// Rows that are sorted, written and counted together.
#[derive(Debug)]
struct Block {
    records: Vec<Record>,
    end: Position,
    /// Bytes of all input that were read up to its end.
    n_bytes: u64,
}

/// A document of a block.
struct BlockRow {
    index: usize,
    record: Record,
    n_rows: usize,
    end: Position,
    n_bytes: u64,
}

impl Flow {
    pub fn new(prepared: Prepared, models: Assignment) -> Self {
        let input = Input {
            sources: prepared.sources,
            piped: prepared.piped,
            settings: prepared.job.reading,
            layout: prepared.layout,
            count: prepared.count,
            look_ahead: prepared.job.look_ahead.max(1),
            max_characters: prepared.job.max_characters,
        };
        Self { input, scoring: Arc::new(Scoring { job: prepared.job, models }) }
    }

    /// Scores from `start` to the end of the input; gives back where the rows went, and what stands behind the last.
    pub async fn run(self, start: Position, writer: Writer) -> Result<(Sink, &'static [u8]), ScoreError> {
        let (blocks, receive_blocks) = mpsc::channel(BLOCKS_WAITING);
        let (chunks, receive_chunks) = mpsc::channel(BLOCKS_WAITING);
        let input = self.input;
        let reading = thread("read", move || input.read_blocks(start, &blocks))?;
        let writing = thread("write", move || writer.write_all(receive_chunks))?;
        let scored = score_blocks(receive_blocks, self.scoring, chunks).await;
        // A writer that stopped makes the stages before it stop, and so says why.
        let written = join(writing).await??;
        scored?;
        // After an error the reader may still wait for its input; without one it has ended.
        join(reading).await?;
        Ok(written)
    }
}

type Thread<T> = tokio::sync::oneshot::Receiver<T>;

/// Starts a thread whose result can be awaited; one that panics gives none.
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

/// Runs the documents of all blocks, the longest of each block first, and hands on each block in the input's order.
async fn score_blocks(
    blocks: mpsc::Receiver<Result<Block, ScoreError>>,
    scoring: Arc<Scoring>,
    chunks: mpsc::Sender<Chunk>,
) -> Result<(), ScoreError> {
    let blocks = stream::unfold(blocks, |mut blocks| async { Some((blocks.recv().await?, blocks)) });
    let rows = blocks.flat_map(|block| {
        stream::iter(match block {
            Ok(block) => block.into_rows().into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    });
    let outcomes = rows.map(|row| {
        let scoring = Arc::clone(&scoring);
        async move {
            let BlockRow { index, record, n_rows, end, n_bytes } = row?;
            // A task of its own, which goes on while this one waits for the writer.
            let outcome = tokio::spawn(async move { scoring.outcome(record).await }).await;
            Ok::<_, ScoreError>((index, n_rows, end, n_bytes, outcome.map_err(|_| ScoreError::Broken)??))
        }
    });
    let mut outcomes = std::pin::pin!(outcomes.buffered(DOCUMENTS_UNDER_WAY));
    let mut done = Vec::new();
    while let Some(outcome) = outcomes.next().await {
        let (index, n_rows, end, n_bytes, outcome) = outcome?;
        done.push((index, outcome));
        if done.len() == n_rows {
            done.sort_by_key(|(index, _)| *index);
            let outcomes = std::mem::take(&mut done).into_iter().map(|(_, outcome)| outcome).collect();
            if chunks.send(Chunk { outcomes, end, n_bytes }).await.is_err() {
                // The writer has stopped, and says why.
                return Ok(());
            }
        }
    }
    Ok(())
}

impl Block {
    /// The longest first, so that the streams are busy to the end.
    fn into_rows(self) -> Vec<BlockRow> {
        let n_rows = self.records.len();
        let row = |(index, record)| BlockRow { index, record, n_rows, end: self.end, n_bytes: self.n_bytes };
        let mut rows: Vec<BlockRow> = self.records.into_iter().enumerate().map(row).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.record.text.as_ref().map_or(0, |text| text.len())));
        rows
    }
}

impl Scoring {
    async fn outcome(&self, record: Record) -> Result<Outcome, ScoreError> {
        let Record { origin, text, passthrough } = record;
        let result = match text {
            Ok(text) => self.answer(text, &origin).await?,
            Err(fault) => Err(fault),
        };
        Ok(Outcome { origin, passthrough, result })
    }

    async fn answer(&self, text: Arc<str>, origin: &Origin) -> Result<Result<Answer, RowError>, ScoreError> {
        match self.models.predict(Arc::clone(&text), self.options()).await {
            Ok(prediction) => Ok(Ok(Answer::new(None, &text, prediction, &self.models, &self.job.style))),
            Err(error) => match RowError::of_prediction(error) {
                Ok(fault) => Ok(Err(fault)),
                Err(source) => Err(ScoreError::Predict { origin: origin.to_string(), source }),
            },
        }
    }

    fn options(&self) -> PredictOptions {
        /// Nobody waits for a single document.
        const PATIENCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
        PredictOptions {
            tasks: Tasks::BOTH,
            topic_threshold: self.job.threshold.topics,
            entity_threshold: self.job.threshold.entities.unwrap_or(0.0),
            aggregation: self.job.aggregation,
            overflow: self.job.overflow,
            context: RequestContext {
                request: RequestId::next(),
                priority: Priority::Bulk,
                admission: Admission::Wait,
                deadline: Instant::now() + PATIENCE,
            },
        }
    }
}

impl Input {
    /// Reads everything from `start` on; an error is the last that is sent.
    fn read_blocks(mut self, start: Position, blocks: &mpsc::Sender<Result<Block, ScoreError>>) {
        // A receiver that is gone has a reason of its own, which it reports.
        if let Err(error) = self.read_sources(start, blocks) {
            let _ = blocks.blocking_send(Err(error));
        }
    }

    fn read_sources(
        &mut self,
        start: Position,
        blocks: &mpsc::Sender<Result<Block, ScoreError>>,
    ) -> Result<(), ScoreError> {
        let (mut records, mut n_text_bytes) = (Vec::new(), 0);
        let mut end = start;
        for (index, source) in self.sources.iter().enumerate() {
            if index < start.source {
                self.count.add(source.n_bytes()?.unwrap_or(0));
                continue;
            }
            let mut reader = match self.piped.take_if(|_| source.location == Location::Stdin) {
                Some(piped) => piped,
                None => open(source, self.settings, &self.count)?,
            };
            if index == start.source {
                reader.skip(start.record)?;
            }
            while let Some(record) = reader.next(&self.layout)? {
                let record = checked(record, self.max_characters);
                n_text_bytes += record.text.as_ref().map_or(0, |text| text.len());
                records.push(record);
                end = Position { source: index, record: reader.n_read() };
                if records.len() >= self.look_ahead || n_text_bytes >= MAX_BLOCK_BYTES || reader.is_awaited() {
                    n_text_bytes = 0;
                    let block = Block { records: std::mem::take(&mut records), end, n_bytes: self.count.get() };
                    if blocks.blocking_send(Ok(block)).is_err() {
                        return Ok(());
                    }
                }
            }
        }
        if !records.is_empty() {
            let _ = blocks.blocking_send(Ok(Block { records, end, n_bytes: self.count.get() }));
        }
        Ok(())
    }
}

/// The record without a text that no model is to read.
fn checked(record: Record, max_characters: usize) -> Record {
    let check = |text: Arc<str>| {
        // A character has at least one byte, so that most texts need no counting.
        if text.len() > max_characters {
            let n_characters = text.chars().count();
            if n_characters > max_characters {
                return Err(RowError::TooLong { n_characters, max_characters });
            }
        }
        match text.chars().position(|c| c == '\0') {
            Some(at) => Err(RowError::Nul(at)),
            None => Ok(text),
        }
    };
    Record { text: record.text.and_then(check), ..record }
}
