//! Why a document or a request gets no answer. Every kind of error is here once; HTTP maps its code to a status, files write
//! it as the error of a row.

use crate::inference::batch::RunError;
use crate::inference::pipeline::PredictError;
use crate::inference::scheduler::ScheduleError;
use crate::inference::tokenize::TokenizeError;
use crate::models::registry::AssignError;
use crate::system::budget::BudgetExceeded;
use crate::system::choice::{shortened, suggestion};

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ClassifyError {
    #[error(
        "the text has {n_characters} characters, and the limit is {max_characters}; split it, or raise --max-characters"
    )]
    TextTooLong { n_characters: usize, max_characters: usize },
    /// The normalizer of the model would make many times as much of the text.
    #[error("{0}")]
    TextExpands(String),
    #[error("{} contains NUL (U+0000) at character {position}; remove it", name_of(*field))]
    Nul { field: Option<&'static str>, position: usize },
    #[error("threshold {0} is not between 0 and 1; scores are from 0 to 1")]
    Threshold(f32),
    #[error("top_k 0 selects no topic; use at least 1, or leave topics out of `tasks`")]
    NoTopics,
    #[error(
        "label_language `{}` is not a language of the model's topic labels ({}){}; leave it out to get the labels themselves",
        shortened(tag), languages(known), suggestion(tag, known.iter().map(String::as_str))
    )]
    LabelLanguage { tag: String, known: Vec<String> },
    #[error(
        "labels names `{}`, which is no entity label of the model; it has {}{}",
        shortened(label), quoted(known), suggestion(label, known.iter().map(String::as_str))
    )]
    EntityLabel { label: String, known: Vec<String> },
    #[error("group needs whole names, and aggregation `none` gives tokens; choose another aggregation")]
    GroupOfTokens,
    #[error(transparent)]
    Assign(#[from] AssignError),
    /// The text is longer than one window, and the caller does not want it split.
    #[error("{0}")]
    WindowExceeded(String),
    #[error("{0}")]
    QueueFull(String),
    /// What waits already takes until after the deadline.
    #[error("{0}")]
    QueueTooLong(String),
    /// The requests under way take all the memory that they may.
    #[error(transparent)]
    MemoryFull(#[from] BudgetExceeded),
    #[error("{0}")]
    DeadlineExceeded(String),
    #[error("{0}")]
    Unavailable(String),
    /// The tokenizer fails on this text.
    #[error("{0}")]
    Tokenizer(String),
    /// The service failed on this document; the log has the reason too.
    #[error("{0}")]
    Internal(String),
    /// A device or library failed, which says nothing about the text; the log has the reason too.
    #[error("{0}")]
    Device(String),
}

/// What a message calls the part of a document.
fn name_of(field: Option<&str>) -> String {
    field.map_or_else(|| "the text".to_owned(), |field| format!("`{field}`"))
}

/// What an error ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The document alone; the others of its request or run are answered.
    Document,
    /// The whole request, or the whole run: every other document would fail too.
    Request,
}

impl ClassifyError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TextTooLong { .. } | Self::TextExpands(_) => "text_too_long",
            Self::Nul { .. } => "invalid_text",
            Self::Threshold(_)
            | Self::NoTopics
            | Self::LabelLanguage { .. }
            | Self::EntityLabel { .. }
            | Self::GroupOfTokens => "invalid_request",
            Self::Assign(AssignError::Unknown { .. }) => "unknown_model",
            Self::Assign(AssignError::Unable { .. } | AssignError::NotServed { .. }) => "task_not_served",
            Self::WindowExceeded(_) => "window_exceeded",
            Self::QueueFull(_) | Self::QueueTooLong(_) | Self::MemoryFull(_) => "overloaded",
            Self::DeadlineExceeded(_) => "deadline_exceeded",
            Self::Unavailable(_) => "unavailable",
            Self::Tokenizer(_) => "tokenizer_failed",
            Self::Internal(_) | Self::Device(_) => "internal",
        }
    }

    /// Whether it says nothing about the document, so that a run over files ends: a device or a library failed, or every other
    /// document would fail too.
    pub fn ends_run(&self) -> bool {
        self.scope() == Scope::Request || matches!(self, Self::Device(_))
    }

    pub fn scope(&self) -> Scope {
        match self {
            Self::TextTooLong { .. }
            | Self::TextExpands(_)
            | Self::Nul { .. }
            | Self::WindowExceeded(_)
            | Self::Tokenizer(_)
            | Self::Internal(_)
            | Self::Device(_) => Scope::Document,
            Self::Threshold(_)
            | Self::NoTopics
            | Self::LabelLanguage { .. }
            | Self::EntityLabel { .. }
            | Self::GroupOfTokens
            | Self::Assign(_)
            | Self::QueueFull(_)
            | Self::QueueTooLong(_)
            | Self::MemoryFull(_)
            | Self::DeadlineExceeded(_)
            | Self::Unavailable(_) => Scope::Request,
        }
    }
}

fn languages(known: &[String]) -> String {
    match known {
        [] => "they have none".to_owned(),
        known => quoted(known),
    }
}

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

impl From<PredictError> for ClassifyError {
    fn from(error: PredictError) -> Self {
        let message = error.to_string();
        match error {
            PredictError::Overflow { .. } => Self::WindowExceeded(message),
            PredictError::Schedule(ScheduleError::Busy { .. }) => Self::QueueFull(message),
            PredictError::Schedule(ScheduleError::QueueTooLong { .. }) => Self::QueueTooLong(message),
            PredictError::Schedule(ScheduleError::DeadlineExceeded | ScheduleError::TextTakesTooLong { .. }) => {
                Self::DeadlineExceeded(message)
            }
            PredictError::Schedule(ScheduleError::NoWorker) => Self::Unavailable(message),
            PredictError::Tokenize(TokenizeError::Expands { .. }) => Self::TextExpands(message),
            PredictError::Tokenize(_) => {
                tracing::error!(error = message, "the tokenizer failed on a document");
                Self::Tokenizer(message)
            }
            PredictError::Schedule(ScheduleError::Broken | ScheduleError::Run(RunError::NotFinite { .. })) => {
                tracing::error!(error = message, "a document failed");
                Self::Internal(message)
            }
            PredictError::Schedule(ScheduleError::Run(_) | ScheduleError::Panicked) => {
                tracing::error!(error = message, "a run failed");
                Self::Device(message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_over_files_ends_where_a_device_fails_and_not_at_one_odd_text() {
        let failed = RunError::Failed { shape: (1, 1), message: "out of memory".into() };
        let not_finite = RunError::NotFinite { output: "logits".into() };
        for (error, ends_run) in [
            (PredictError::Schedule(failed.into()), true),
            (PredictError::Schedule(ScheduleError::Panicked), true),
            (PredictError::Schedule(ScheduleError::NoWorker), true),
            (PredictError::Schedule(not_finite.into()), false),
            (PredictError::Schedule(ScheduleError::Broken), false),
            (PredictError::Tokenize(TokenizeError::Failed("a lone mark".into())), false),
        ] {
            let error = ClassifyError::from(error);
            assert_eq!(error.ends_run(), ends_run, "{error}");
        }
    }

    #[test]
    fn what_other_documents_would_meet_too_ends_the_request() {
        let of = |error: ScheduleError| ClassifyError::from(PredictError::Schedule(error));
        for (error, code, scope) in [
            (of(ScheduleError::Busy { max_queued_windows: 1 }), "overloaded", Scope::Request),
            (of(ScheduleError::DeadlineExceeded), "deadline_exceeded", Scope::Request),
            (of(ScheduleError::NoWorker), "unavailable", Scope::Request),
            (of(ScheduleError::Panicked), "internal", Scope::Document),
            (PredictError::Tokenize(TokenizeError::Failed("x".into())).into(), "tokenizer_failed", Scope::Document),
            (PredictError::Overflow { n_tokens: 2, capacity: 1 }.into(), "window_exceeded", Scope::Document),
        ] {
            assert_eq!((error.code(), error.scope()), (code, scope), "{error}");
        }
    }
}
