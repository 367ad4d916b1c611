//! What a model can answer and how its logits are read. The words are those of Hugging Face.

use strum::{Display, EnumString, IntoStaticStr, VariantNames};

use crate::system::choice::UnknownWord;

/// What a model can answer.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Display, EnumString, IntoStaticStr, VariantNames,
)]
#[strum(serialize_all = "lowercase", const_into_str, parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<Task>)]
pub enum Task {
    Topics,
    Entities,
}

/// Which tasks a caller requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tasks {
    pub topics: bool,
    pub entities: bool,
}

/// How a topic head's logits become scores (`problem_type` in a `config.json`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<ProblemType>)]
pub enum ProblemType {
    /// Softmax: exactly one label holds.
    #[strum(serialize = "single_label_classification")]
    SingleLabel,
    /// Sigmoid: any number of labels hold, each with its own threshold.
    #[strum(serialize = "multi_label_classification")]
    MultiLabel,
}

/// How the topic logits of a document's windows or tokens become one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<Pooling>)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase", const_into_str, parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<AggregationStrategy>)]
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
    /// As `First`, but of all valid tag sequences the likeliest (constrained Viterbi).
    Viterbi,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        let error = "best".parse::<AggregationStrategy>().unwrap_err().to_string();
        assert_eq!(error, "`best` is not one of `none`, `simple`, `first`, `average`, `max`, `viterbi`");
    }
}
