//! Why a document was not scheduled, or its windows were not run.

use crate::inference::batch::RunError;

#[derive(Debug, Clone, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "the queue is full: {max_queued_windows} windows may wait; try again shortly, or start the server with a higher --max-queued-windows"
    )]
    Busy { max_queued_windows: usize },
    #[error("the deadline passed before the text could be read")]
    DeadlineExceeded,
    #[error("the model's session broke down on this batch and was replaced; try again")]
    Panicked,
    #[error("a step of the data path broke down on this text; see the server's log, and report it")]
    Broken,
    #[error("the model's last worker is gone; restart the server, and see its log for the cause")]
    NoWorker,
    #[error(transparent)]
    Run(#[from] RunError),
}
