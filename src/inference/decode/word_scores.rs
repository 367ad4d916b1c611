//! The scores of a document's words, with what the whole text and the list of names say of them.

use ndarray::ArrayView1;

use crate::inference::decode::names::Raised;
use crate::inference::decode::repeats::Repeats;
use crate::inference::decode::tag_scheme::TagScheme;
use crate::inference::decode::word_tokens::Word;

/// What is known of the words of a document; `row` gives the logits of each token.
pub struct WordScores<'s, R> {
    text: &'s str,
    row: R,
    scheme: &'s TagScheme,
    /// By the first token of a word, the tags that listed names raise.
    raised: Raised<'s>,
    repeats: Repeats<'s>,
}

impl<'s, 'l, R: Fn(usize) -> ArrayView1<'l, f32>> WordScores<'s, R> {
    pub fn of(text: &'s str, stretches: &[Vec<Word>], row: R, scheme: &'s TagScheme) -> Self {
        let raised = scheme.names.as_ref().map(|names| names.raised(text, stretches)).unwrap_or_default();
        let repeats = Repeats::new(&scheme.tags, scheme.consistency);
        let mut scores = Self { text, row, scheme, raised, repeats };
        if scheme.consistency > 0.0 {
            scores.count_repeats(stretches);
        }
        scores
    }

    fn count_repeats(&mut self, stretches: &[Vec<Word>]) {
        let mut repeats = Repeats::new(&self.scheme.tags, self.scheme.consistency);
        for word in stretches.iter().flatten().filter(|word| !word.tokens.is_empty()) {
            let Some(name) = word.span.slice(self.text) else { continue };
            repeats.count(name, || self.own(word).unwrap_or_default());
        }
        repeats.join_genitives();
        self.repeats = repeats;
    }

    /// The scores of a word's tags: those of its first token, where listed names count.
    pub fn own(&self, word: &Word) -> Option<Vec<f32>> {
        let token = *word.tokens.first()?;
        Some(match self.raised.get(&token) {
            Some(raise) => self.scheme.raised_scores((self.row)(token), raise),
            None => self.scheme.scores((self.row)(token)),
        })
    }

    /// A word's own scores, brought nearer to those of the same word elsewhere.
    pub fn shared(&self, word: &Word) -> Option<Vec<f32>> {
        let mut scores = self.own(word)?;
        self.repeats.adjust(word.span.slice(self.text)?, &mut scores);
        Some(scores)
    }
}
