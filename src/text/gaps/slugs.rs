//! The slug that an editorial system leaves as the last line of an article (`toi-allgemeines`, `dpa mon yyzz n1`).

use crate::text::gaps::is_agency;
use crate::text::span::ByteSpan;

const MAX_CHUNKS: usize = 6;
const SEPARATORS: &[&str] = &["/", "-", "–", "|", "©"];

/// The slug of `text`, if its last line is one.
///
/// Such a line has codes in small letters and perhaps names of agencies, and no final punctuation. A single word in small
/// letters is none without a hyphen, slash or digit, and a line of agencies alone (`dpa/afp`) is a list of names.
pub fn find(text: &str) -> Option<ByteSpan> {
    let text = text.trim_end();
    let start = text.rfind(['\n', '\r']).map(|end| end + 1)?;
    let line = text[start..].trim_start();
    // A text that is all in small letters says nothing about its last line.
    let is_slug = text[..start].contains(char::is_uppercase) && is_slug(line);
    is_slug.then(|| ByteSpan::new(text.len() - line.len(), text.len()))
}

fn is_slug(line: &str) -> bool {
    let chunks: Vec<&str> = line.split_whitespace().filter(|chunk| !SEPARATORS.contains(chunk)).collect();
    let words = || chunks.iter().flat_map(|chunk| chunk.split(is_joiner)).filter(|word| !word.is_empty());
    let is_marked = words().next().is_some_and(is_agency)
        || line.starts_with('/')
        || (chunks.len() == 1 && line.trim_matches(is_joiner).contains(['-', '/', '_']))
        || words().any(|word| word.contains(char::is_numeric) && word.contains(char::is_alphabetic));
    chunks.len() <= MAX_CHUNKS
        && !line.ends_with(['.', '!', '?'])
        && line.contains(char::is_alphabetic)
        && is_marked
        && words().all(|word| is_agency(word) || is_code(word))
        && words().any(|word| !is_agency(word))
}

fn is_joiner(c: char) -> bool {
    matches!(c, '#' | '*' | '-' | '/' | '_' | ':' | ',' | '.' | '(' | ')' | '[' | ']')
}

fn is_code(word: &str) -> bool {
    word.chars().all(|c| c.is_lowercase() || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_codes_at_the_end_is_a_slug() {
        for slug in [
            "toi-allgemeines",
            "dpa mon yyzz n1",
            "(AFP) / xyz",
            "mb/hk",
            "#toi-allgemeines#",
            "/fba",
            "dpa-infocom, dpa:230101-99-58390/2",
            "sda/afp mb",
        ] {
            let text = format!("Berlin ist Hauptstadt.\n{slug}\n ");
            assert_eq!(find(&text).and_then(|span| span.slice(&text)), Some(slug), "{text:?}");
        }
        for line in [
            "Angela Merkel",
            "(dpa)",
            "dpa/afp",
            "dpa",
            "lg peter",
            "ende",
            "so war es, sagt er.",
            "Von dpa mon",
            "Platz 3",
            "2:1",
            "",
        ] {
            let text = format!("Berlin ist Hauptstadt.\n{line}");
            assert_eq!(find(&text), None, "{text:?}");
        }
        assert_eq!((find("toi-allgemeines"), find("berlin\ntoi-allgemeines"), find("")), (None, None, None));
    }
}
