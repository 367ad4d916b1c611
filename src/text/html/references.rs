//! Character references of HTML: by name, by number, and without a semicolon where HTML allows it.

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;
use html_escape::NAMED_ENTITIES;

/// A character reference that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub n_bytes: usize,
    /// One or two characters, of no more bytes than the reference.
    pub characters: Cow<'static, str>,
}

/// Names that HTML also knows without a semicolon.
const WITHOUT_SEMICOLON: [&str; 106] = [
    "AElig", "AMP", "Aacute", "Acirc", "Agrave", "Aring", "Atilde", "Auml", "COPY", "Ccedil", "ETH", "Eacute", "Ecirc",
    "Egrave", "Euml", "GT", "Iacute", "Icirc", "Igrave", "Iuml", "LT", "Ntilde", "Oacute", "Ocirc", "Ograve", "Oslash",
    "Otilde", "Ouml", "QUOT", "REG", "THORN", "Uacute", "Ucirc", "Ugrave", "Uuml", "Yacute", "aacute", "acirc",
    "acute", "aelig", "agrave", "amp", "aring", "atilde", "auml", "brvbar", "ccedil", "cedil", "cent", "copy",
    "curren", "deg", "divide", "eacute", "ecirc", "egrave", "eth", "euml", "frac12", "frac14", "frac34", "gt",
    "iacute", "icirc", "iexcl", "igrave", "iquest", "iuml", "laquo", "lt", "macr", "micro", "middot", "nbsp", "not",
    "ntilde", "oacute", "ocirc", "ograve", "ordf", "ordm", "oslash", "otilde", "ouml", "para", "plusmn", "pound",
    "quot", "raquo", "reg", "sect", "shy", "sup1", "sup2", "sup3", "szlig", "thorn", "times", "uacute", "ucirc",
    "ugrave", "uml", "uuml", "yacute", "yen", "yuml",
];

/// Reads the reference that `text` starts with; `None` where it is no valid one.
pub fn read(text: &str) -> Option<Reference> {
    let name = text.strip_prefix('&')?;
    match name.strip_prefix('#') {
        Some(number) => read_number(number),
        None => read_name(name),
    }
}

fn read_number(text: &str) -> Option<Reference> {
    let (digits, radix) = match text.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let n_digits = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let character = character(u32::from_str_radix(&digits[..n_digits], radix).ok()?)?;
    let n_bytes =
        "&#".len() + (text.len() - digits.len()) + n_digits + usize::from(digits[n_digits..].starts_with(';'));
    Some(Reference { n_bytes, characters: Cow::Owned(character.to_string()) })
}

/// The character of a number. As in browsers, the numbers of control characters are taken for Windows-1252.
fn character(number: u32) -> Option<char> {
    if let Ok(byte @ 0x80..=0x9f) = u8::try_from(number) {
        return WINDOWS_1252.decode_without_bom_handling(&[byte]).0.chars().next();
    }
    char::from_u32(number).filter(|c| !c.is_control() || c.is_whitespace())
}

fn read_name(text: &str) -> Option<Reference> {
    const LONGEST: usize = 31;
    const LONGEST_WITHOUT_SEMICOLON: usize = 6;
    let n_letters = text.bytes().take(LONGEST + 1).take_while(u8::is_ascii_alphanumeric).count();
    let rest = &text[n_letters..];
    let with_semicolon = rest.starts_with(';').then(|| characters(&text[..n_letters])).flatten();
    if let Some(characters) = with_semicolon {
        return Some(Reference { n_bytes: "&;".len() + n_letters, characters: Cow::Borrowed(characters) });
    }
    // The parameter of an address: `?id=1&copy=2`.
    if rest.starts_with('=') {
        return None;
    }
    let prefixes = (2..=n_letters.min(LONGEST_WITHOUT_SEMICOLON)).rev().map(|n| &text[..n]);
    let name = prefixes.into_iter().find(|name| WITHOUT_SEMICOLON.binary_search(name).is_ok())?;
    let characters = characters(name)?;
    let is_whole = name.len() == n_letters;
    (is_whole || is_read_in_words(characters))
        .then(|| Reference { n_bytes: "&".len() + name.len(), characters: Cow::Borrowed(characters) })
}

/// Whether a reference without a semicolon may be followed by a letter, which is an error of HTML: `M&uumlnchen`. Browsers
/// do it for all of them, but `Bio&regional` is plain text.
fn is_read_in_words(characters: &str) -> bool {
    characters.chars().all(|c| c.is_alphabetic() || matches!(c, '&' | '<' | '>' | '"' | '\u{a0}' | '\u{ad}'))
}

/// The characters of a name, without `&` and `;`.
fn characters(name: &str) -> Option<&'static str> {
    let index = NAMED_ENTITIES.binary_search_by(|(known, _)| known.cmp(&name.as_bytes())).ok()?;
    NAMED_ENTITIES.get(index).map(|(_, characters)| *characters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, &str)>) {
        let found =
            read(text).map(|reference| (reference.characters.into_owned(), text[reference.n_bytes..].to_owned()));
        let expected = expected.map(|(characters, rest)| (characters.to_owned(), rest.to_owned()));
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn every_name_is_known_and_no_view_grows() {
        assert!(WITHOUT_SEMICOLON.is_sorted());
        assert!(WITHOUT_SEMICOLON.iter().all(|name| characters(name).is_some()));
        for (name, characters) in NAMED_ENTITIES {
            let text = format!("&{};", str::from_utf8(name).unwrap());
            check(&text, Some((characters, "")));
            assert!(characters.len() <= text.len() + 1, "{text}");
        }
    }

    #[test]
    fn a_reference_is_read_by_name_and_number() {
        check("&amp;x", Some(("&", "x")));
        check("&bdquo;Hamburg", Some(("„", "Hamburg")));
        check("&CounterClockwiseContourIntegral;", Some(("∳", "")));
        for text in ["&#228;x", "&#xe4;x", "&#XE4;x", "&#000228;x", "&#228x"] {
            check(text, Some(("ä", "x")));
        }
        check("&#132;&#150;", Some(("„", "&#150;")));
        check("&#x1F600;", Some(("😀", "")));
    }

    #[test]
    fn a_semicolon_may_be_missing_where_html_allows_it() {
        check("&uumlnchen", Some(("ü", "nchen")));
        check("&amp B", Some(("&", " B")));
        check("&nbspB", Some(("\u{a0}", "B")));
        check("&copy 2026", Some(("©", " 2026")));
        check("&notit;", None);
        for text in ["&copy=2", "&section=2", "&regional", "&bdquo", "&ndash "] {
            check(text, None);
        }
    }

    #[test]
    fn what_is_no_valid_reference_stays() {
        for text in [
            "&",
            "&;",
            "&T",
            "& amp;",
            "&nope;",
            "&#;",
            "&#x;",
            "&#xg;",
            "&#0;",
            "&#31;",
            "&#xd800;",
            "&#1114112;",
            "&#99999999999;",
            "&ä;",
            "&&",
            "&#+5;",
        ] {
            check(text, None);
        }
    }
}
