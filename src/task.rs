//! The words in which a task is told: what is asked of a model and how its logits are read. Spelled as Hugging Face spells
//! them.

use std::fmt;
use std::str::FromStr;

/// What a model can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Task {
    Topics,
    Entities,
}

/// Which tasks a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tasks {
    pub topics: bool,
    pub entities: bool,
}

/// How a topic head's logits become scores (`problem_type` in a `config.json`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemType {
    /// Softmax: exactly one label holds.
    SingleLabel,
    /// Sigmoid: any number of labels hold, each with its own threshold.
    MultiLabel,
}

/// How the topic logits of a document's windows or tokens become one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Mean over windows, each weighted by the tokens that it contributes.
    Mean,
    /// Per label, the largest logit of any window.
    Max,
    /// The first window alone.
    First,
    /// Mean over the document's tokens, for a head that gives logits per token.
    TokenMean,
}

/// How token predictions become entities; the first five as in `transformers`' `TokenClassificationPipeline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregationStrategy {
    /// Every token whose tag is not `O`, with its raw tag.
    None,
    /// Neighbouring tokens of one type become an entity.
    Simple,
    /// A word has the tag of its first token.
    First,
    /// A word has the tag of its tokens' mean scores.
    Average,
    /// A word has the tag of its most certain token.
    Max,
    /// As `First`, but of all words together the likeliest sequence of tags that is sound.
    Viterbi,
}

/// What happens to a text that is longer than one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Overflow {
    /// It is read whole, in overlapping windows.
    #[default]
    Window,
    /// Only its first window is read, and the answer says so.
    Truncate,
    /// It is refused.
    Error,
}

/// How soon a request wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Priority {
    #[default]
    Normal,
    /// Batch jobs and the like: yields to all others.
    Bulk,
}

/// A word that is not one of those expected; its message lists them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not one of {expected}")]
pub struct UnknownWord {
    pub found: String,
    pub expected: String,
}

impl Tasks {
    pub const BOTH: Self = Self { topics: true, entities: true };

    pub fn contains(self, task: Task) -> bool {
        match task {
            Task::Topics => self.topics,
            Task::Entities => self.entities,
        }
    }
}

/// Spells an enum as words, both ways, from one table.
macro_rules! words {
    ($kind:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $kind {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $kind {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { found: word.to_owned(), expected: [$(concat!("`", $word, "`")),+].join(", ") }),
                }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(Task { Topics = "topics", Entities = "entities" });
words!(ProblemType { SingleLabel = "single_label_classification", MultiLabel = "multi_label_classification" });
words!(Pooling { Mean = "mean", Max = "max", First = "first", TokenMean = "token-mean" });
words!(AggregationStrategy {
    None = "none",
    Simple = "simple",
    First = "first",
    Average = "average",
    Max = "max",
    Viterbi = "viterbi",
});
words!(Priority { Normal = "normal", Bulk = "bulk" });
words!(Overflow { Window = "window", Truncate = "truncate", Error = "error" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        let error = "best".parse::<AggregationStrategy>().unwrap_err().to_string();
        assert_eq!(error, "`best` is not one of `none`, `simple`, `first`, `average`, `max`, `viterbi`");
    }
}
