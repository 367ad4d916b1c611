//! The scores of a document's words, with what the whole text and the list of names say of them.

use ndarray::ArrayView1;

use crate::inference::decode::repeats::Repeats;
use crate::inference::decode::tag_scheme::TagScheme;
use crate::inference::decode::word_tokens::Word;

/// The scores of a word's tags: those of its first token, where listed names count, brought nearer to those of the same word
/// elsewhere.
pub fn word_scores<'s, 'l>(
    text: &'s str,
    stretches: &[Vec<Word>],
    row: impl Fn(usize) -> ArrayView1<'l, f32> + 's,
    scheme: &'s TagScheme,
) -> impl Fn(&Word) -> Option<Vec<f32>> + 's {
    let raised = scheme.names.as_ref().map(|names| names.raised(text, stretches)).unwrap_or_default();
    let own = move |word: &Word| {
        let token = *word.tokens.first()?;
        Some(match raised.get(&token) {
            Some(tags) => scheme.raised_scores(row(token), tags),
            None => scheme.scores(row(token)),
        })
    };
    let mut repeats = Repeats::new(&scheme.tags, scheme.consistency);
    if scheme.consistency > 0.0 {
        for word in stretches.iter().flatten().filter(|word| !word.tokens.is_empty()) {
            let Some(name) = word.span.slice(text) else { continue };
            repeats.count(name, || own(word).unwrap_or_default());
        }
        repeats.join_genitives();
    }
    move |word| {
        let mut scores = own(word)?;
        repeats.adjust(word.span.slice(text)?, &mut scores);
        Some(scores)
    }
}
