//! Where a text may be cut so that its pieces have the tokens of the whole.
//!
//! A text is cut before a single space between two letters or digits. There the tokenizers that published models use always
//! begin a new word, and none of their normalizers joins what lies on both sides. [`can_cut`] looks at the parts of a tokenizer
//! and then tries it. A tokenizer of other parts gets each text whole.

use serde_json::Value;

/// Whether a text may be cut for this tokenizer.
pub fn can_cut(tokenizer: &tokenizers::Tokenizer) -> bool {
    let parts = |part: Option<serde_json::Result<Value>>| part.map_or(Some(Value::Null), Result::ok);
    let Some(normalizer) = parts(tokenizer.get_normalizer().map(serde_json::to_value)) else { return false };
    let Some(words) = parts(tokenizer.get_pre_tokenizer().map(serde_json::to_value)) else { return false };
    let reaches_over = |token: &tokenizers::AddedToken| token.lstrip || token.rstrip || token.content.contains(' ');
    let added = tokenizer.get_added_tokens_decoder();
    let words = flatten(&words, "pretokenizers");
    flatten(&normalizer, "normalizers").iter().all(|part| normalizes_pieces(part))
        && words.iter().all(|part| splits_pieces(part))
        && words.iter().any(|part| begins_words_at_spaces(part))
        // Special tokens are read as text.
        && !added.values().any(|token| !token.special && reaches_over(token))
        && gives_the_same_in_pieces(tokenizer)
}

/// The parts of a sequence, or the part itself; none where there is nothing.
fn flatten<'v>(part: &'v Value, list: &str) -> Vec<&'v Value> {
    match part {
        Value::Null => Vec::new(),
        part => match part[list].as_array() {
            Some(parts) => parts.iter().flat_map(|part| flatten(part, list)).collect(),
            None => vec![part],
        },
    }
}

/// Whether a normalizer gives the same for pieces as for the whole.
fn normalizes_pieces(part: &Value) -> bool {
    const OF_SPACES: [&str; 3] = [" {2,}", r"\s{2,}|[\n\r\t]", r"\s+"];
    match part["type"].as_str() {
        Some(
            "BertNormalizer" | "Strip" | "StripAccents" | "NFC" | "NFD" | "NFKC" | "NFKD" | "Lowercase" | "Nmt"
            | "Precompiled",
        ) => true,
        Some("Replace") => match (part["pattern"]["String"].as_str(), part["pattern"]["Regex"].as_str()) {
            (Some(pattern), _) => !pattern.is_empty() && !pattern.contains(' '),
            (None, Some(pattern)) => OF_SPACES.contains(&pattern) && part["content"] == " ",
            (None, None) => false,
        },
        _ => false,
    }
}

/// Whether a pre-tokenizer gives the same for pieces as for the whole.
fn splits_pieces(part: &Value) -> bool {
    matches!(part["type"].as_str(), Some("Punctuation" | "Digits")) || begins_words_at_spaces(part)
}

fn begins_words_at_spaces(part: &Value) -> bool {
    match part["type"].as_str() {
        Some("BertPreTokenizer" | "Whitespace" | "WhitespaceSplit") => true,
        Some("Metaspace") => part["split"] == true,
        Some("ByteLevel") => part["use_regex"] == true,
        _ => false,
    }
}

/// Compares a text of many kinds of words, cut wherever it may be, with the same text as a whole.
fn gives_the_same_in_pieces(tokenizer: &tokenizers::Tokenizer) -> bool {
    const TEXT: &str = "Die EU-Kommission tagt am 3. Mai in Köln; er sagt „ja ja“ und it's  fine.\n\nNeue Zeile\tmit Tab \
                        a b c 1 2 3 ﬁn ½ Ａ e\u{301} 東京 tower 😀 x y İz ß ẞ";
    let encode = |text: &str| tokenizer.encode(text, false).map(|encoding| encoding.get_ids().to_vec());
    let Ok(whole) = encode(TEXT) else { return false };
    let (mut in_pieces, mut rest) = (Vec::new(), TEXT);
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(next_cut(rest, 1));
        let Ok(ids) = encode(piece) else { return false };
        in_pieces.extend(ids);
        rest = others;
    }
    in_pieces == whole
}

/// The first offset after `min` at which `text` may be cut; its end where there is none.
pub fn next_cut(text: &str, min: usize) -> usize {
    let mut from = text.ceil_char_boundary(min.min(text.len()));
    while let Some(at) = text[from..].find(' ').map(|at| from + at) {
        let is_word = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
        if is_word(text[..at].chars().next_back()) && is_word(text[at + 1..].chars().next()) {
            return at;
        }
        from = at + 1;
    }
    text.len()
}
