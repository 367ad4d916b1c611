//! The scores of a document's words, with what the whole text and the list of names say of them.

use ndarray::ArrayView1;

use crate::inference::decode::names::LogitBiases;
use crate::inference::decode::repeats::Repeats;
use crate::inference::decode::tag_scheme::TagScheme;
use crate::inference::decode::word_tokens::Word;

/// The scores of single words: the logits of the model plus the weights of listed names. `row` gives the logits of each token.
struct OwnScores<'s, R> {
    row: R,
    scheme: &'s TagScheme,
    biases: LogitBiases<'s>,
}

/// The scores of a document's words, single and shared between repeated words.
pub struct WordScores<'s, R> {
    text: &'s str,
    own: OwnScores<'s, R>,
    repeats: Repeats<'s>,
}

impl<'s, 'l, R: Fn(usize) -> ArrayView1<'l, f32>> WordScores<'s, R> {
    pub fn of(text: &'s str, stretches: &[Vec<Word>], row: R, scheme: &'s TagScheme) -> Self {
        let is_inside = |word: &Word| word.tokens.first().is_some_and(|&token| scheme.continues_name(row(token)));
        let biases = scheme.names.as_ref().map(|names| names.biases(text, stretches, is_inside)).unwrap_or_default();
        let own = OwnScores { row, scheme, biases };
        let mut repeats = Repeats::new(&scheme.tags, scheme.consistency);
        if scheme.consistency > 0.0 {
            for word in stretches.iter().flatten().filter(|word| !word.tokens.is_empty()) {
                let Some(name) = word.span.slice(text) else { continue };
                repeats.count(name, || own.of(word).unwrap_or_default());
            }
            repeats.join_genitives();
        }
        Self { text, own, repeats }
    }

    /// The scores of a word's tags before repeated words share scores; `None` for a word without a token.
    pub fn own(&self, word: &Word) -> Option<Vec<f32>> {
        self.own.of(word)
    }

    /// A word's own scores, brought nearer to those of the same word elsewhere.
    pub fn shared(&self, word: &Word) -> Option<Vec<f32>> {
        let mut scores = self.own(word)?;
        self.repeats.adjust(word.span.slice(self.text)?, &mut scores);
        Some(scores)
    }
}

impl<'l, R: Fn(usize) -> ArrayView1<'l, f32>> OwnScores<'_, R> {
    /// Those of the word's first token.
    fn of(&self, word: &Word) -> Option<Vec<f32>> {
        let token = *word.tokens.first()?;
        Some(match self.biases.get(&token) {
            Some(bias) => self.scheme.biased_scores((self.row)(token), bias),
            None => self.scheme.scores((self.row)(token)),
        })
    }
}
