//! Capitalised words that repeat in a document share their scores, so that one name gets one label. A doubtful mention moves
//! towards the mean; a clear one (`Bayern` in `FC Bayern`) keeps its label.

use std::collections::HashMap;

use crate::manifest::tags::Tag;

/// The least score of a label that others are compared with: no single word rules a label out.
pub(super) const LEAST_SCORE: f64 = 1e-6;

/// What a document says of each of its capitalised words, over all their occurrences.
pub struct Repeats<'t> {
    /// For each tag the index of its label, `O` included.
    label_of_tag: Vec<usize>,
    n_labels: usize,
    weight: f64,
    words: HashMap<&'t str, Occurrences>,
}

#[derive(Default)]
struct Occurrences {
    count: usize,
    /// Of each label, summed.
    scores: Vec<f64>,
}

impl<'t> Repeats<'t> {
    /// `weight` in 0..=1 is how far the scores of a word move to the mean of its occurrences: 0 not at all, 1 to equal scores of labels.
    pub fn new(tags: &[Tag], weight: f32) -> Self {
        let mut labels: Vec<&str> = Vec::new();
        let label_of_tag = tags.iter().map(|tag| {
            labels.iter().position(|label| *label == tag.label).unwrap_or_else(|| {
                labels.push(&tag.label);
                labels.len() - 1
            })
        });
        let label_of_tag = label_of_tag.collect();
        Self { label_of_tag, n_labels: labels.len(), weight: f64::from(weight), words: HashMap::new() }
    }

    /// Counts one occurrence of `word`. The scores of its tags are computed only where they count.
    pub fn count(&mut self, word: &'t str, scores: impl FnOnce() -> Vec<f32>) {
        if may_be_name(word) {
            let of_labels = self.of_labels(&scores());
            let known = self.words.entry(word).or_default();
            known.count += 1;
            known.scores.resize(of_labels.len(), 0.0);
            known.scores.iter_mut().zip(of_labels).for_each(|(sum, score)| *sum += score);
        }
    }

    /// Lets a genitive (`Putins`) count as its base, where the document has that too. Call it after the last word.
    pub fn join_genitives(&mut self) {
        let mut genitives: Vec<(&str, &str)> =
            self.words.keys().filter_map(|&word| Some((word, self.known_base(word)?))).collect();
        // A hash map has no fixed order, and the order of additions changes the last digits of a sum.
        genitives.sort_unstable();
        for (word, base) in genitives {
            let Some(counted) = self.words.remove(word) else { continue };
            if let Some(known) = self.words.get_mut(base) {
                known.count += counted.count;
                known.scores.iter_mut().zip(counted.scores).for_each(|(sum, score)| *sum += score);
            } else {
                self.words.insert(word, counted);
            }
        }
    }

    /// Brings the scores of `word` nearer to their mean over its occurrences.
    pub fn adjust(&self, word: &str, scores: &mut [f32]) {
        let known = self.words.get(word).or_else(|| self.words.get(base(word)?));
        let Some(known) = known.filter(|known| known.count > 1) else { return };
        let own = self.of_labels(scores);
        let mean = known.scores.iter().map(|sum| sum / known.count as f64);
        let factors: Vec<f64> = own.iter().zip(mean).map(|(own, mean)| (mean / own).powf(self.weight)).collect();
        let adjusted: Vec<f64> =
            scores.iter().zip(&self.label_of_tag).map(|(score, &label)| f64::from(*score) * factors[label]).collect();
        let sum: f64 = adjusted.iter().sum();
        scores.iter_mut().zip(adjusted).for_each(|(score, adjusted)| *score = (adjusted / sum) as f32);
    }

    /// The scores of the labels: those of their tags, summed.
    fn of_labels(&self, scores: &[f32]) -> Vec<f64> {
        let mut sums = vec![0.0; self.n_labels];
        scores.iter().zip(&self.label_of_tag).for_each(|(score, &label)| sums[label] += f64::from(*score));
        sums.iter_mut().for_each(|sum| *sum = sum.max(LEAST_SCORE));
        sums
    }

    /// The base of a genitive, if the document has the base too.
    fn known_base(&self, word: &'t str) -> Option<&'t str> {
        base(word).filter(|base| self.words.contains_key(base))
    }
}

/// Names begin with a capital letter, or with a digit before letters (`1860er`).
fn may_be_name(word: &str) -> bool {
    let mut chars = word.chars();
    let begins = chars
        .next()
        .is_some_and(|first| first.is_uppercase() || first.is_numeric() && word.chars().any(char::is_alphabetic));
    begins && chars.next().is_some()
}

/// What `word` is the genitive of, if it is one: `Putin` of `Putins`, `Grass` of `Grass’`.
pub(super) fn base(word: &str) -> Option<&str> {
    let base = word.strip_suffix(['s', '\'', '’'])?;
    (base.chars().count() > 2).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tags::parse_tags;
    use proptest::prelude::*;

    const TAGS: [&str; 5] = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"];

    fn adjusted(words: &[(&'static str, [f32; 5])], weight: f32) -> Vec<Vec<f32>> {
        let mut repeats = Repeats::new(&parse_tags(&TAGS.map(str::to_owned)), weight);
        words.iter().for_each(|(word, scores)| repeats.count(word, || scores.to_vec()));
        repeats.join_genitives();
        let adjust = |(word, scores): &(&str, [f32; 5])| {
            let mut scores = scores.to_vec();
            repeats.adjust(word, &mut scores);
            scores
        };
        words.iter().map(adjust).collect()
    }

    const CLEAR: [f32; 5] = [0.01, 0.95, 0.02, 0.01, 0.01];
    const DOUBTFUL: [f32; 5] = [0.2, 0.3, 0.05, 0.4, 0.05];
    const MISSED: [f32; 5] = [0.6, 0.3, 0.05, 0.03, 0.02];
    const OTHER: [f32; 5] = [0.01, 0.02, 0.01, 0.94, 0.02];

    fn best(scores: &[f32]) -> &'static str {
        TAGS[crate::inference::decode::argmax(scores).0]
    }

    #[test]
    fn a_doubtful_mention_leans_on_clear_ones_and_a_clear_one_keeps_its_label() {
        let clear = [("Grass", CLEAR), ("Grass", CLEAR)];
        let others = [("Grass", DOUBTFUL), ("Grass’", MISSED), ("Grass", OTHER), ("Böll", DOUBTFUL)];
        let words = [&clear[..], &others].concat();
        let found: Vec<&str> = adjusted(&words, 0.7).iter().map(|scores| best(scores)).collect();
        assert_eq!(found, ["B-PER", "B-PER", "B-PER", "B-PER", "B-ORG", "B-ORG"]);
        let alone: Vec<&str> = adjusted(&words, 0.0).iter().map(|scores| best(scores)).collect();
        assert_eq!(alone, ["B-PER", "B-PER", "B-ORG", "O", "B-ORG", "B-ORG"]);
    }

    #[test]
    fn words_that_cannot_be_names_do_not_share() {
        for word in ["die", "7", "X", "–"] {
            assert_eq!(adjusted(&[(word, CLEAR), (word, MISSED)], 1.0)[1], MISSED, "{word}");
        }
        assert_ne!(adjusted(&[("1860er", CLEAR), ("1860er", MISSED)], 1.0)[1], MISSED);
    }

    #[test]
    fn a_genitive_shares_with_its_base_only_where_that_occurs() {
        assert_eq!(best(&adjusted(&[("Putin", CLEAR), ("Putins", MISSED)], 0.7)[1]), "B-PER");
        assert_eq!(adjusted(&[("Putins", MISSED)], 0.7)[0], MISSED);
    }

    proptest! {
        #[test]
        fn scores_stay_a_distribution(weights in proptest::collection::vec(0.001f32..1.0, 15), weight in 0.0f32..=1.0) {
            let distribution = |part: &[f32]| {
                let sum: f32 = part.iter().sum();
                <[f32; 5]>::try_from(part.iter().map(|w| w / sum).collect::<Vec<_>>()).unwrap()
            };
            let words: Vec<_> = weights.chunks(5).map(|part| ("Name", distribution(part))).collect();
            for scores in adjusted(&words, weight) {
                prop_assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{scores:?}");
            }
        }
    }
}
