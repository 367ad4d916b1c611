//! The scores of a document's words, with what the list of names says of them.

use ndarray::ArrayView1;

use crate::inference::decode::listed_names::ListedNames;
use crate::inference::decode::source::Source;
use crate::inference::decode::tag_scheme::TagScheme;
use crate::inference::decode::word_tokens::Word;

/// The scores of words: the logits of the model plus the weights of listed names. `row` gives the logits of each token.
pub struct WordScores<'s, R> {
    row: R,
    scheme: &'s TagScheme,
    pub listed: ListedNames<'s>,
}

impl<'s, 'l, R: Fn(usize) -> ArrayView1<'l, f32>> WordScores<'s, R> {
    pub fn of(source: Source<'_>, stretches: &[Vec<Word>], row: R, scheme: &'s TagScheme) -> Self {
        let read = |word: &Word| scheme.own_tag(row(word.first_token()));
        let listed = scheme.names.as_ref().map(|names| names.listed(source, stretches, read)).unwrap_or_default();
        Self { row, scheme, listed }
    }

    /// The scores of a word's tags: those of its first token.
    pub fn of_word(&self, word: &Word) -> Vec<f32> {
        let logits = (self.row)(word.first_token());
        match self.listed.changed(word, logits) {
            Some(changed) => self.scheme.scores(ArrayView1::from(&changed)),
            None => self.scheme.scores(logits),
        }
    }
}
