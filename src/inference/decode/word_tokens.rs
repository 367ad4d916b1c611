//! The words of a text with their tokens: a word's tag comes from the tokens that begin in it.

use crate::inference::decode::words::{is_alphanumeric, words};
use crate::inference::tokenize::Tokens;
use crate::text::span::ByteSpan;

/// A word and the tokens that begin in it, at least one.
pub struct Word {
    pub span: ByteSpan,
    pub tokens: Vec<usize>,
}

impl Word {
    pub fn first_token(&self) -> usize {
        self.tokens[0]
    }
}

/// The words of `text` in which a token begins.
///
/// SentencePiece tokenizers begin some words with a token of white space only, a bare `▁`. With `skips_blank` false it is the first
/// token of the word, as in `transformers`. With true it is left out, for models that were trained on the first token with a
/// character of the word.
pub fn words_of_tokens(text: &str, tokens: &Tokens, skips_blank: bool) -> Vec<Word> {
    let mut result: Vec<Word> = Vec::new();
    let mut words = words(text).into_iter().peekable();
    let mut blank = None;
    for (token, &span) in tokens.spans.iter().enumerate() {
        if span.is_empty() {
            blank = (!skips_blank).then_some(token);
            continue;
        }
        // The word in which the token begins, when no earlier token began in it.
        let mut begun = None;
        while let Some(word) = words.next_if(|word| word.start <= span.start) {
            begun = (span.start < word.end).then_some(word);
        }
        if let Some(word) = begun {
            // The tokenizer says whether the blank token belongs to this word.
            let joined = blank
                .filter(|&blank| tokens.word_ids[blank].is_some() && tokens.word_ids[blank] == tokens.word_ids[token]);
            result.push(Word { span: word, tokens: joined.into_iter().collect() });
        }
        blank = None;
        let Some(current) = result.last_mut() else { continue };
        current.tokens.push(token);
        // One token may hold several words (in scripts without spaces); punctuation after the last letter stays outside.
        while let Some(word) = words.next_if(|word| word.start < span.end) {
            if word.slice(text).is_some_and(is_alphanumeric) {
                current.span.end = word.end;
            }
        }
    }
    result
}
