//! Tokenizing a text in pieces, each short enough that other work need not wait for the whole text.

use std::collections::HashMap;

use tokenizers::{NormalizedString, Normalizer};

use crate::inference::cuts::next_cut;
use crate::inference::tokenize::{TokenizeError, Tokenizer, Tokens};
use crate::text::span::ByteSpan;

/// A piece ends at the first offset after this many bytes at which the text may be cut: some milliseconds of work.
const PIECE_BYTES: usize = 16 * 1024;

/// Texts that a normalizer makes longer than this are held to [`MAX_EXPANSION`].
const FREE_CHARACTERS: usize = 10_000;

/// The most characters that a normalizer may make of one character of a text, on average.
const MAX_EXPANSION: usize = 4;

/// The tokens of a text that is being tokenized.
pub struct PiecewiseTokens {
    /// Bytes of the text that are tokenized.
    n_done: usize,
    tokens: Tokens,
    piece_bytes: usize,
}

impl Default for PiecewiseTokens {
    fn default() -> Self {
        Self { n_done: 0, tokens: Tokens::default(), piece_bytes: PIECE_BYTES }
    }
}

impl PiecewiseTokens {
    /// Tokenizes the next piece of `text`, the same at each step. After the last one it gives the tokens of the whole.
    pub fn step(&mut self, tokenizer: &Tokenizer, text: &str) -> Result<Option<Tokens>, TokenizeError> {
        if self.n_done == 0 {
            check_expansion(tokenizer.normalizer(), text)?;
        }
        let rest = &text[self.n_done..];
        let n_bytes = if tokenizer.is_cuttable() { next_cut(rest, self.piece_bytes) } else { rest.len() };
        let piece = tokenizer.tokenize(&rest[..n_bytes])?;
        append(&mut self.tokens, piece, self.n_done);
        self.n_done += n_bytes;
        Ok((self.n_done == text.len()).then(|| std::mem::take(&mut self.tokens)))
    }
}

/// Adds the tokens of the piece of the text that begins at `offset`.
fn append(tokens: &mut Tokens, piece: Tokens, offset: usize) {
    let n_words = tokens.word_ids.iter().rev().find_map(|word| *word).map_or(0, |last| last + 1);
    tokens.ids.extend(piece.ids);
    tokens.spans.extend(piece.spans.into_iter().map(|span| ByteSpan::new(span.start + offset, span.end + offset)));
    tokens.word_ids.extend(piece.word_ids.into_iter().map(|word| word.map(|word| word + n_words)));
}

/// Refuses a text of which the normalizer would make many times as much: NFKC makes 18 characters of each U+FDFA.
fn check_expansion(normalizer: Option<&impl Normalizer>, text: &str) -> Result<(), TokenizeError> {
    let Some(normalizer) = normalizer else { return Ok(()) };
    // No character of Unicode becomes more than 18.
    if text.len() * 18 <= FREE_CHARACTERS {
        return Ok(());
    }
    let expanded = |char: char| {
        let mut alone = NormalizedString::from(char.to_string());
        normalizer.normalize(&mut alone).map_or(1, |()| alone.get().chars().count())
    };
    let mut known = HashMap::new();
    let (mut n_characters, mut n_expanded) = (0, 0);
    for char in text.chars() {
        n_characters += 1;
        n_expanded += if char.is_ascii() { 1 } else { *known.entry(char).or_insert_with(|| expanded(char)) };
    }
    let max = FREE_CHARACTERS.max(MAX_EXPANSION * n_characters);
    if n_expanded <= max {
        return Ok(());
    }
    let worst = known.into_iter().max_by_key(|&(char, n)| (n, char)).map_or((' ', 1), |worst| worst);
    Err(TokenizeError::Expands { n_characters, n_expanded, max, character: worst.0, n_of_character: worst.1 })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const MODELS: [&str; 7] = [
        "bert-cased-ner",
        "bert-uncased-ner",
        "deberta-ner",
        "modernbert-ner",
        "roberta-ner",
        "xlmr-ner",
        "lexicon-ner-unigram",
    ];

    fn tokenizer(model: &str) -> Tokenizer {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
        Tokenizer::from_file(&models.join(model).join("tokenizer.json")).unwrap()
    }

    fn in_pieces(tokenizer: &Tokenizer, text: &str, piece_bytes: usize) -> (Tokens, usize) {
        let mut pieces = PiecewiseTokens { piece_bytes, ..PiecewiseTokens::default() };
        let mut n_pieces = 1;
        loop {
            match pieces.step(tokenizer, text).unwrap() {
                Some(tokens) => return (tokens, n_pieces),
                None => n_pieces += 1,
            }
        }
    }

    /// Tokens with words by number from 0, as far as they differ.
    /// and without the offsets of tokens of white space, which decoding passes over.
    fn comparable(tokens: Tokens) -> (Vec<u32>, Vec<Option<ByteSpan>>, Vec<usize>) {
        let mut n_words = 0;
        let mut last = None;
        let words = tokens.word_ids.into_iter().map(|word| {
            n_words += usize::from(last.is_some_and(|last| last != word));
            last = Some(word);
            n_words
        });
        let words = words.collect();
        let spans = tokens.spans.into_iter().map(|span| Some(span).filter(|span| !span.is_empty()));
        (tokens.ids, spans.collect(), words)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_text_in_pieces_has_the_tokens_of_the_whole(
            words in proptest::collection::vec("[a-zA-ZäöüßÄÖÜ0-9.,;!'„“ \\-\\n\\t\u{301}\u{a0}½ﬁ東😀▁]{0,6}", 1..60),
            separator in "[ ]{1,2}",
        ) {
            let text = words.join(&separator);
            static TOKENIZERS: LazyLock<[Tokenizer; 7]> = LazyLock::new(|| MODELS.map(tokenizer));
            for (tokenizer, model) in TOKENIZERS.iter().zip(MODELS) {
                let whole = comparable(tokenizer.tokenize(&text).unwrap());
                prop_assert_eq!(comparable(in_pieces(tokenizer, &text, 1).0), whole, "{}", model);
            }
        }
    }

    #[test]
    fn the_tokenizers_of_published_models_take_texts_in_pieces() {
        let text = "Das Wort gilt ".repeat(10_000);
        for model in MODELS {
            let tokenizer = tokenizer(model);
            let (tokens, n_pieces) = in_pieces(&tokenizer, &text, PIECE_BYTES);
            assert_eq!(n_pieces, 9, "{model}");
            assert_eq!(comparable(tokens), comparable(tokenizer.tokenize(&text).unwrap()), "{model}");
        }
    }

    #[test]
    fn a_tokenizer_whose_parts_are_not_known_gets_a_text_whole() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/bert-cased-ner/tokenizer.json");
        let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let can_cut = |part: &str, value: Value| {
            let (mut json, file) = (json.clone(), folder.path().join("tokenizer.json"));
            json[part] = value;
            std::fs::write(&file, json.to_string()).unwrap();
            Tokenizer::from_file(&file).unwrap().is_cuttable()
        };
        let split = |pattern: &str| serde_json::json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        assert!(can_cut("pre_tokenizer", json["pre_tokenizer"].clone()));
        assert!(!can_cut("pre_tokenizer", Value::Null));
        assert!(!can_cut("pre_tokenizer", split("[a-z]+ [a-z]+")));
        assert!(!can_cut("pre_tokenizer", serde_json::json!({"type": "Digits", "individual_digits": false})));
        assert!(!can_cut("normalizer", serde_json::json!({"type": "Prepend", "prepend": "_"})));
        let mut added = json["added_tokens"].clone();
        added[0]["special"] = false.into();
        added[0]["rstrip"] = true.into();
        assert!(!can_cut("added_tokens", added));
    }

    #[test]
    fn a_text_that_normalization_multiplies_is_refused() {
        let tokenizer = tokenizer("xlmr-ner");
        let error = PiecewiseTokens::default().step(&tokenizer, &"\u{fdfa}".repeat(20_000)).unwrap_err().to_string();
        for part in ["20000 characters", "360000", "80000", "U+FDFA", "18"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        for text in ["\u{fdfa}".repeat(500), "Köln ½ ﬁn ".repeat(3000)] {
            assert!(PiecewiseTokens::default().step(&tokenizer, &text).is_ok());
        }
    }
}
