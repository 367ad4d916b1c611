//! The words of a text, by the Unicode rules and not by "is there a space": `(Berlin)`, `„München“` and `Berlin\nMünchen`
//! give bare names. What German joins without a space stays one word: `Berlin-Mitte`, `EU-Kommission`, `Bürger*innen`.

use unicode_segmentation::UnicodeSegmentation;

use crate::text::span::ByteSpan;

/// The hyphen, its typographic form, and the one that no line ends at.
pub(super) const HYPHENS: [char; 3] = ['-', '\u{2010}', '\u{2011}'];

/// The words and punctuation marks of `text` in order, white space left out.
///
/// Segments are those of Unicode Standard Annex 29. Beyond it, a hyphen, gender mark or ampersand between letters or
/// digits joins what is on either side, and the hyphen of a shortened compound (`Nord- und Südkorea`) stays with it.
pub fn words(text: &str) -> Vec<ByteSpan> {
    let mut words: Vec<ByteSpan> = Vec::new();
    // Whether the last word ends in a joiner that waits for its right half.
    let mut joining = false;
    let mut segments = segments(text).peekable();
    while let Some((start, segment)) = segments.next() {
        // White space that carries a combining mark is a segment with it.
        let span = ByteSpan::new(start, start + segment.len()).trim(text);
        if segment.chars().all(char::is_whitespace) {
            joining = false;
            continue;
        }
        let next = segments.peek().map_or("", |(_, next)| next);
        let follows_word = words.last().is_some_and(|word| word.end == start && ends_alphanumeric(*word, text));
        match words.last_mut() {
            Some(word) if joining && starts_alphanumeric(segment) => {
                word.end = span.end;
                joining = false;
            }
            Some(word) if follows_word && is_joiner(segment) && starts_alphanumeric(next) => {
                word.end = span.end;
                joining = true;
            }
            Some(word) if follows_word && is_hyphen(segment) && next.starts_with(char::is_whitespace) => {
                word.end = span.end;
            }
            _ => {
                words.push(span);
                joining = false;
            }
        }
    }
    words
}

/// The segments of the annex, cut again at white space that it counts as part of words (U+202F, the narrow no-break space).
fn segments(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_word_bound_indices().flat_map(|(start, segment)| {
        let is_cut = segment.contains('\u{202f}') && segment.chars().count() > 1;
        let parts: Vec<(usize, &str)> = match is_cut {
            true => segment
                .split_inclusive('\u{202f}')
                .flat_map(|part| {
                    let word = part.trim_end_matches('\u{202f}');
                    let at = start + (part.as_ptr() as usize - segment.as_ptr() as usize);
                    [(at, word), (at + word.len(), &part[word.len()..])]
                })
                .filter(|(_, part)| !part.is_empty())
                .collect(),
            false => vec![(start, segment)],
        };
        parts
    })
}

/// Whether a word is one of letters or digits, rather than a punctuation mark or symbol.
pub fn is_alphanumeric(word: &str) -> bool {
    word.chars().any(char::is_alphanumeric)
}

/// Articles, prepositions and conjunctions that join the parts of a name (`Straße von Hormuz`) and do not end one. Prepositions that are
/// also parts of verbs (`auf`, `mit`) end titles.
pub const LINK_WORDS: [&str; 20] = [
    "von", "vom", "zu", "zum", "zur", "und", "der", "die", "das", "des", "dem", "den", "für", "im", "in", "am", "an",
    "bei", "beim", "gegen",
];

pub(super) fn is_link_word(word: &str) -> bool {
    LINK_WORDS.contains(&word)
}

/// What `word` is the genitive of, if it is one: `Putin` of `Putins`, `Grass` of `Grass’`.
pub(super) fn genitive_base(word: &str) -> Option<&str> {
    let base = word.strip_suffix(['s', '\'', '’'])?;
    (base.chars().count() > 2).then_some(base)
}

fn is_hyphen(segment: &str) -> bool {
    segment.strip_prefix(HYPHENS) == Some("")
}

fn is_joiner(segment: &str) -> bool {
    is_hyphen(segment) || matches!(segment, "*" | ":" | "&" | "·")
}

fn starts_alphanumeric(segment: &str) -> bool {
    segment.starts_with(char::is_alphanumeric)
}

fn ends_alphanumeric(word: ByteSpan, text: &str) -> bool {
    // Combining marks may follow a letter, so the last character is not enough.
    word.slice(text)
        .is_some_and(|word| word.chars().rev().find(|c| !is_combining(*c)).is_some_and(char::is_alphanumeric))
}

fn is_combining(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = words(text).into_iter().filter_map(|word| word.slice(text)).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn punctuation_is_no_part_of_a_word() {
        check("(Berlin)", &["(", "Berlin", ")"]);
        check("„München“ »Köln«", &["„", "München", "“", "»", "Köln", "«"]);
        check("Berlin\nMünchen\u{a0}Ulm\r\nHof", &["Berlin", "München", "Ulm", "Hof"]);
        check("in\u{202f}Berlin\u{202f}gut", &["in", "Berlin", "gut"]);
        check("Merkel, SPD/CDU.", &["Merkel", ",", "SPD", "/", "CDU", "."]);
        check("", &[]);
        check(" \n", &[]);
    }

    #[test]
    fn what_german_joins_stays_joined() {
        check("Berlin-Mitte und EU-Kommission", &["Berlin-Mitte", "und", "EU-Kommission"]);
        check("Bürger*innen, Bürger:innen, Bürger_innen", &["Bürger*innen", ",", "Bürger:innen", ",", "Bürger_innen"]);
        check("U-Bahn C&A D'Arc 12:30 Straße 5", &["U-Bahn", "C&A", "D'Arc", "12:30", "Straße", "5"]);
        check("Nord- und Südkorea", &["Nord-", "und", "Südkorea"]);
        check("Rhein-Main-Gebiet -", &["Rhein-Main-Gebiet", "-"]);
        check("Ko\u{308}ln-Su\u{308}d", &["Ko\u{308}ln-Su\u{308}d"]);
    }

    #[test]
    fn a_dash_or_a_mark_without_a_right_half_stands_alone() {
        check("Berlin – Köln", &["Berlin", "–", "Köln"]);
        check("Berlin-", &["Berlin", "-"]);
        check("Hinweis: neu * alt", &["Hinweis", ":", "neu", "*", "alt"]);
        check("--Berlin", &["-", "-", "Berlin"]);
    }

    proptest! {
        #[test]
        fn words_are_in_order_and_cover_all_but_white_space(text in any::<String>()) {
            let mut last = 0;
            for word in words(&text) {
                prop_assert!(word.start >= last && !word.is_empty());
                prop_assert!(text[last..word.start].chars().all(char::is_whitespace));
                last = word.end;
            }
            prop_assert!(text[last..].chars().all(char::is_whitespace));
        }
    }
}
