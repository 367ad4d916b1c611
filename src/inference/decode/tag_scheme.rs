//! The tags of a model, and what its logits say of them.

use ndarray::ArrayView1;

use crate::inference::decode::name_weights::NameWeights;
use crate::inference::decode::viterbi::Transitions;
use crate::inference::decode::{argmax, sigmoid, softmax};
use crate::manifest::tags::{Tag, parse_tags};
use crate::manifest::task::GraphScores;

/// The tags of a token classifier, in the order of its logits, and which may follow which: told once for each model.
pub struct TagScheme {
    pub tags: Vec<Tag>,
    /// What the graph has made of the logits; `None` where it gives logits.
    pub graph_scores: Option<GraphScores>,
    /// Logits are divided by it before the softmax. The likeliest sequence stays the same.
    temperature: f32,
    /// Whether the mentions of a name in a document get one label.
    pub(super) one_label_per_name: bool,
    /// Whether the token of white space before a word is not used for its tag, see [`words_of_tokens`](super::word_tokens::words_of_tokens).
    pub(super) skips_blank_tokens: bool,
    /// Names whose labels are known.
    pub names: Option<NameWeights>,
    pub(super) transitions: Transitions,
}

impl TagScheme {
    pub fn of(raw: &[String]) -> Self {
        let tags = parse_tags(raw);
        Self {
            transitions: Transitions::of(&tags),
            graph_scores: None,
            temperature: 1.0,
            one_label_per_name: false,
            skips_blank_tokens: false,
            names: None,
            tags,
        }
    }

    /// The same tags, for logits that come from scores of a graph.
    pub fn with_graph_scores(self, graph_scores: Option<GraphScores>) -> Self {
        Self { graph_scores, ..self }
    }

    /// The same tags, with scores that are less sure (above 1) or surer.
    pub fn with_temperature(self, temperature: f32) -> Self {
        Self { temperature, ..self }
    }

    /// The same tags, for a model whose mentions of a name get one label.
    pub fn with_one_label_per_name(self, one_label_per_name: bool) -> Self {
        Self { one_label_per_name, ..self }
    }

    /// The same tags, for a model that was not trained to tag tokens of white space.
    pub fn with_blank_tokens_skipped(self, skips_blank_tokens: bool) -> Self {
        Self { skips_blank_tokens, ..self }
    }

    /// The same tags, for a model whose folder lists names.
    pub fn with_names(self, names: Option<NameWeights>) -> Self {
        Self { names, ..self }
    }

    /// The likeliest tag of a word, without the bias of a listed name.
    pub(super) fn own_tag(&self, logits: ArrayView1<'_, f32>) -> &Tag {
        &self.tags[argmax(&self.scores(logits)).0]
    }

    /// The scores of one token's tags: by softmax, or by sigmoid where the graph took one.
    pub(super) fn scores(&self, logits: ArrayView1<'_, f32>) -> Vec<f32> {
        let scaled = logits.iter().map(|logit| logit / self.temperature);
        match self.graph_scores {
            Some(GraphScores::Sigmoid) => scaled.map(sigmoid).collect(),
            _ => softmax(scaled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::decode::viterbi::Ends;
    use ndarray::array;

    #[test]
    fn a_temperature_makes_scores_less_sure_and_keeps_the_sequence() {
        let tags = ["O", "B-PER", "I-PER"].map(str::to_owned);
        let logits = array![[0.2, 3.0, 1.0], [1.2, 0.3, 1.1], [4.0, 0.1, 0.3]];
        let decoded = |temperature| {
            let scheme = TagScheme::of(&tags).with_temperature(temperature);
            let scores: Vec<Vec<f32>> = logits.outer_iter().map(|row| scheme.scores(row)).collect();
            (scheme.transitions.best_sequence(&scores, |_| false, Ends::default()), scores)
        };
        let (sequence, scores) = decoded(1.0);
        for temperature in [0.5, 1.5, 3.0] {
            let (same, others) = decoded(temperature);
            assert_eq!(same, sequence);
            assert_eq!(others[0][1] < scores[0][1], temperature > 1.0, "{others:?} at {temperature}");
        }
    }
}
