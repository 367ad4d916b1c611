//! From a document's topic logits to topics with scores.

use crate::inference::decode::{argmax, sigmoid, softmax};
use crate::manifest::TopicHead;
use crate::manifest::task::{GraphScores, ProblemType};

/// A topic of a document, by its index among the head's labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Topic {
    pub index: usize,
    /// In 0..=1.
    pub score: f32,
    /// What became the score, after the temperature of the model folder.
    pub logit: f32,
    /// Multi-label: the score reaches the threshold. Single-label: it is the best, and reaches the threshold. False for a text with too
    /// few letters to be about anything.
    pub accepted: bool,
}

/// Every topic of the head, by falling score; equal scores in the order of the labels.
///
/// `logits` is one row, as long as the head's labels; `threshold` in 0..=1 replaces those of the labels.
pub fn decode_topics(logits: &[f32], text: &str, head: &TopicHead, threshold: Option<f32>) -> Vec<Topic> {
    let n_letters = text.chars().filter(|char| char.is_alphabetic()).take(head.min_letters).count();
    let has_letters = n_letters >= head.min_letters;
    let scaled: Vec<f32> = logits.iter().map(|logit| logit / head.temperature).collect();
    let by_softmax = match head.scores {
        Some(GraphScores::Softmax | GraphScores::LogSoftmax) => true,
        Some(GraphScores::Sigmoid) => false,
        None => head.problem_type == ProblemType::SingleLabel,
    };
    let logits = scaled.iter().copied();
    let scores = if by_softmax { softmax(logits) } else { logits.map(sigmoid).collect() };
    let (best, _) = argmax(&scores);
    let accepted = |index: usize, score: f32| {
        let threshold = threshold.unwrap_or_else(|| head.labels.get(index).map_or(0.0, |label| label.threshold));
        has_letters && score >= threshold && (head.problem_type == ProblemType::MultiLabel || index == best)
    };
    let topic = |(index, (&score, &logit)): (usize, (&f32, &f32))| Topic {
        index,
        score,
        logit,
        accepted: accepted(index, score),
    };
    let mut topics: Vec<Topic> = scores.iter().zip(&scaled).enumerate().map(topic).collect();
    topics.sort_by(|a, b| b.score.total_cmp(&a.score));
    topics
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::TopicLabel;
    use crate::manifest::task::{Pooling, TokenPooling};

    const TEXT: &str = "Der Bundestag tagt.";

    fn head(problem_type: ProblemType, thresholds: &[f32]) -> TopicHead {
        let label = |(index, &threshold): (usize, &f32)| TopicLabel {
            label: format!("L{index}"),
            code: None,
            threshold,
            names: Default::default(),
        };
        let labels = thresholds.iter().enumerate().map(label).collect();
        TopicHead {
            output: "logits".into(),
            scores: None,
            labels,
            default_threshold: None,
            problem_type,
            pooling: Pooling::Mean,
            token_pooling: TokenPooling::default(),
            min_letters: 0,
            temperature: 1.0,
        }
    }

    fn check(logits: &[f32], head: &TopicHead, threshold: Option<f32>, expected: &[(usize, f32, bool)]) {
        let topics = decode_topics(logits, TEXT, head, threshold);
        let found: Vec<_> =
            topics.iter().map(|topic| (topic.index, (topic.score * 1000.0).round() / 1000.0, topic.accepted)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_single_label_model_accepts_its_best_label_only() {
        let head = head(ProblemType::SingleLabel, &[0.0, 0.0]);
        check(&[0.0, 1.0], &head, None, &[(1, 0.731, true), (0, 0.269, false)]);
        check(&[0.0, 1.0], &head, Some(0.8), &[(1, 0.731, false), (0, 0.269, false)]);
        check(&[2.0, 2.0], &head, None, &[(0, 0.5, true), (1, 0.5, false)]);
    }

    #[test]
    fn a_multi_label_model_accepts_by_threshold() {
        let head = head(ProblemType::MultiLabel, &[0.5, 0.9, 0.2]);
        check(&[0.0, 2.0, -1.0], &head, None, &[(1, 0.881, false), (0, 0.5, true), (2, 0.269, true)]);
        check(&[0.0, 2.0, -1.0], &head, Some(0.6), &[(1, 0.881, true), (0, 0.5, false), (2, 0.269, false)]);
    }

    #[test]
    fn a_graph_that_makes_scores_decides_how_logits_become_scores() {
        let by_sigmoid =
            TopicHead { scores: Some(GraphScores::Sigmoid), ..head(ProblemType::SingleLabel, &[0.0, 0.0]) };
        check(&[0.0, 1.0], &by_sigmoid, None, &[(1, 0.731, true), (0, 0.5, false)]);
        let by_softmax = TopicHead { scores: Some(GraphScores::Softmax), ..head(ProblemType::MultiLabel, &[0.5, 0.5]) };
        check(&[0.0, 1.0], &by_softmax, None, &[(1, 0.731, true), (0, 0.269, false)]);
    }

    #[test]
    fn a_text_with_too_few_letters_has_no_accepted_topic() {
        let head = TopicHead { min_letters: 2, ..head(ProblemType::MultiLabel, &[0.5]) };
        let accepted = |text, threshold| decode_topics(&[4.0], text, &head, threshold)[0].accepted;
        for text in ["😀😀😀", "12345 67,89", "(c) 2024", "- - -", ""] {
            assert!(!accepted(text, None) && !accepted(text, Some(0.0)), "{text:?}");
        }
        assert!(accepted("EU", None) && accepted("日本", None) && accepted("1. FC 04", None));
    }

    #[test]
    fn temperature_flattens_scores() {
        let head = TopicHead { temperature: 2.0, ..head(ProblemType::MultiLabel, &[0.5]) };
        check(&[2.0], &head, None, &[(0, 0.731, true)]);
        assert_eq!(decode_topics(&[2.0], TEXT, &head, None)[0].logit, 1.0);
    }
}
