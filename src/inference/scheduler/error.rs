//! Why a document was not scheduled, or its windows were not run.

use std::time::Duration;

use crate::inference::batch::RunError;

#[derive(Debug, Clone, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "the queue is full: {max_queued_windows} windows may wait; try again shortly, or start the server with a higher --max-queued-windows"
    )]
    Busy { max_queued_windows: usize },
    #[error(
        "the text takes at least {:.1} s, and its deadline is in {:.1} s; send less text at once, or start the server with a longer --timeout-s",
        .expected.as_secs_f32(), .left.as_secs_f32()
    )]
    TextTakesTooLong { expected: Duration, left: Duration },
    #[error(
        "the texts in the queue take at least {:.1} s, and the deadline is in {:.1} s; try again later, or start the server with a longer --timeout-s",
        .expected.as_secs_f32(), .left.as_secs_f32()
    )]
    QueueTooLong { expected: Duration, left: Duration },
    #[error("the deadline passed before the text could be read")]
    DeadlineExceeded,
    #[error("the model's session panicked on this batch and was replaced; try again")]
    Panicked,
    #[error("a step of the data path panicked on this text; see the server's log, and report it")]
    Broken,
    #[error("the model's last worker is gone; restart the server, and see its log for the cause")]
    NoWorker,
    #[error(transparent)]
    Run(#[from] RunError),
}
