//! What a model can answer and how its logits are read. The words are those of Hugging Face.

use strum::{Display, EnumString, IntoStaticStr, VariantArray, VariantNames};

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

/// What a graph has made of its logits by its last operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
pub enum GraphScores {
    /// Rows of scores that sum to one.
    Softmax,
    /// The natural logarithms of such rows. A softmax of them gives the rows.
    LogSoftmax,
    /// Scores that each lie in 0..=1.
    Sigmoid,
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

/// How topic logits of tokens are pooled. `None`: all tokens count alike, and no part counts alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenPooling {
    /// Over how many tokens a weight falls to 1/e, at least 1.
    pub lead_tokens: Option<usize>,
    /// Tokens of a part, at least 1.
    pub part_tokens: Option<usize>,
}

/// All strategies.
pub const ALL_STRATEGIES: &[AggregationStrategy] = <AggregationStrategy as strum::VariantArray>::VARIANTS;

/// How token predictions become entities; the first five as in `transformers`' `TokenClassificationPipeline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray, VariantNames)]
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

impl ProblemType {
    /// How a head with `n_labels` makes scores, by the rule of `transformers`' `TextClassificationPipeline`: one label by
    /// sigmoid, others as `declared`, else by softmax. A graph that ends in a sigmoid says that itself.
    pub fn of(declared: Option<Self>, n_labels: usize, scores: Option<GraphScores>) -> Self {
        match declared {
            _ if n_labels == 1 => Self::MultiLabel,
            Some(declared) => declared,
            None if scores == Some(GraphScores::Sigmoid) => Self::MultiLabel,
            None => Self::SingleLabel,
        }
    }

    /// From which score a label is accepted. One label of a single-label model always holds, however low its score is.
    pub fn default_threshold(self) -> f32 {
        match self {
            Self::MultiLabel => 0.5,
            Self::SingleLabel => 0.0,
        }
    }
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
    fn one_label_is_a_sigmoid_and_others_are_what_is_declared() {
        use GraphScores::{Sigmoid, Softmax};
        use ProblemType::{MultiLabel, SingleLabel};
        for (declared, n_labels, scores, expected) in [
            (None, 3, None, SingleLabel),
            (None, 1, None, MultiLabel),
            (Some(SingleLabel), 1, None, MultiLabel),
            (Some(MultiLabel), 3, Some(Softmax), MultiLabel),
            (None, 3, Some(Sigmoid), MultiLabel),
            (Some(SingleLabel), 3, Some(Sigmoid), SingleLabel),
            (None, 0, None, SingleLabel),
        ] {
            assert_eq!(ProblemType::of(declared, n_labels, scores), expected, "{declared:?} {n_labels} {scores:?}");
        }
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        let error = "best".parse::<AggregationStrategy>().unwrap_err().to_string();
        assert_eq!(error, "`best` is not one of `none`, `simple`, `first`, `average`, `max`, `viterbi`");
    }
}
