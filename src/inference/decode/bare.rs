//! The name inside the span that a model tagged: without the quotes, brackets and signs around it.

use crate::text::span::ByteSpan;

/// Signs that a name may end in: `Washington D.C.`, `Yahoo!`, `Disney+`, `C#`, and the hyphen of a shortened compound.
const ENDS: &[char] =
    &['.', '!', '?', '+', '#', '-', '\u{2010}', '\u{2011}', '\'', '’', '%', '²', '³', '°', '™', '®', '©'];

/// Opening and closing signs, of which one without the other is no part of a name.
const PAIRS: &[(char, char)] = &[
    ('(', ')'),
    ('[', ']'),
    ('{', '}'),
    ('"', '"'),
    ('„', '“'),
    ('„', '"'),
    ('„', '”'),
    ('“', '”'),
    ('»', '«'),
    ('«', '»'),
    ('‚', '‘'),
    ('›', '‹'),
    ('‹', '›'),
];

/// The part of `span` that is a name; `None` where it has no letter and no digit.
pub fn bare(text: &str, span: ByteSpan) -> Option<ByteSpan> {
    let slice = span.slice(text)?;
    let mut rest = slice;
    loop {
        let first = rest.chars().next()?;
        if !is_outside_start(first, &rest[first.len_utf8()..]) {
            break;
        }
        rest = &rest[first.len_utf8()..];
    }
    let start = span.start + slice.len() - rest.len();
    let is_quoted = text[..start].ends_with(['\'', '’', '‘']);
    while let Some(last) = rest.chars().next_back() {
        let name = &rest[..rest.len() - last.len_utf8()];
        if !is_outside_end(name, last, is_quoted) {
            break;
        }
        rest = name;
    }
    let bare = ByteSpan::new(start, start + rest.len());
    rest.contains(char::is_alphanumeric).then(|| with_partner(text, bare))
}

/// The span with the sign next to it, where the name has the other one of the pair: `„Mehr Demokratie“ e. V.`
fn with_partner(text: &str, span: ByteSpan) -> ByteSpan {
    let (before, name, after) = (&text[..span.start], &text[span.start..span.end], &text[span.end..]);
    let lone = |sign: char, other: char| match sign == other {
        true => name.matches(sign).count() % 2 == 1,
        false => name.contains(sign) && !name.contains(other),
    };
    let opening = PAIRS.iter().find(|&&(open, close)| before.ends_with(open) && lone(close, open));
    let closing = PAIRS.iter().find(|&&(open, close)| after.starts_with(close) && lone(open, close));
    match (opening, closing) {
        (Some((open, _)), _) => ByteSpan::new(span.start - open.len_utf8(), span.end),
        (None, Some((_, close))) => ByteSpan::new(span.start, span.end + close.len_utf8()),
        (None, None) => span,
    }
}

fn is_outside_start(first: char, rest: &str) -> bool {
    match first {
        _ if first.is_alphanumeric() => false,
        // 's-Hertogenbosch, 't Hooft
        '\'' | '’' => !["s-", "s ", "t "].iter().any(|article| rest.starts_with(article)),
        // .NET
        '.' => !rest.starts_with(char::is_alphanumeric),
        // "Tatort"-Folge
        _ => !PAIRS.iter().any(|&(open, close)| first == open && closes_before_name_ends(rest, close)),
    }
}

/// Whether `close` follows, and more of the name after it.
fn closes_before_name_ends(rest: &str, close: char) -> bool {
    rest.rsplit_once(close).is_some_and(|(_, after)| after.contains(char::is_alphanumeric))
}

fn is_outside_end(name: &str, last: char, is_quoted: bool) -> bool {
    match last {
        _ if last.is_alphanumeric() || unicode_normalization::char::is_combining_mark(last) => false,
        '\'' | '’' if is_quoted => true,
        '.' | '!' | '?' if ends_in_abbreviation(name) => true,
        _ if ENDS.contains(&last) => false,
        // Stiftung "Haus der Geschichte"
        _ => !PAIRS.iter().any(|&(open, close)| last == close && name.contains(open)),
    }
}

/// Whether the last word is of capitals alone, such as `KSC`: a sign after it ends the sentence. A word of one letter (`D.C.`) and a Roman
/// numeral (`Elisabeth II.`) may keep their stop.
fn ends_in_abbreviation(name: &str) -> bool {
    let word = name.rsplit(char::is_whitespace).next().unwrap_or_default();
    let is_numeral = word.chars().all(|char| "IVXLCDM".contains(char));
    word.chars().count() > 1 && word.chars().all(char::is_uppercase) && !is_numeral
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_around_a_name_are_no_part_of_it_and_signs_inside_are() {
        for (text, name) in [
            ("<", None),
            ("＃", None),
            ("[*]", None),
            ("👍", None),
            ("€", None),
            ("", None),
            ("[Berlin", Some("Berlin")),
            (">Angela Merkel", Some("Angela Merkel")),
            ("Merkel,", Some("Merkel")),
            ("_Hamburg_", Some("Hamburg")),
            ("~~Köln~~", Some("Köln")),
            ("'Robert Habeck'", Some("Robert Habeck")),
            ("„Die Zeit“", Some("Die Zeit")),
            ("Berlin👍", Some("Berlin")),
            ("dpa)", Some("dpa")),
            ("Ko\u{308}ln", Some("Ko\u{308}ln")),
            ("SPD (Berlin)", Some("SPD (Berlin)")),
            ("Stiftung \"Haus\"", Some("Stiftung \"Haus\"")),
            ("\"Tatort\"-Folge", Some("\"Tatort\"-Folge")),
            ("'s-Hertogenbosch", Some("'s-Hertogenbosch")),
            ("'t Hooft", Some("'t Hooft")),
            ("'dpa'", Some("dpa")),
            ("’iPhone", Some("iPhone")),
            ("Hans'", Some("Hans'")),
            ("Washington D.C.", Some("Washington D.C.")),
            ("Yahoo!", Some("Yahoo!")),
            ("LBBW.", Some("LBBW")),
            ("der KSC!", Some("der KSC")),
            ("U.S.", Some("U.S.")),
            ("Elisabeth II.", Some("Elisabeth II.")),
            ("Heinrich XVIII.", Some("Heinrich XVIII.")),
            ("Murat K.", Some("Murat K.")),
            ("Müller Inc.", Some("Müller Inc.")),
            ("Ost-", Some("Ost-")),
            (".NET", Some(".NET")),
            ("C#", Some("C#")),
        ] {
            let span = bare(text, ByteSpan::new(0, text.len()));
            assert_eq!(span.and_then(|span| span.slice(text)), name, "{text:?}");
        }
    }

    #[test]
    fn a_name_with_one_sign_of_a_pair_gets_the_other() {
        for (text, tagged, name) in [
            ("der „Mehr Demokratie“ e. V.", "Mehr Demokratie“ e. V.", "„Mehr Demokratie“ e. V."),
            ("der \"Mehr Demokratie\" e. V.", "Mehr Demokratie\" e. V.", "\"Mehr Demokratie\" e. V."),
            ("Verein „Mehr Demokratie\" e.V. klagt", "Mehr Demokratie\" e.V.", "„Mehr Demokratie\" e.V."),
            ("die Stiftung „Haus“ kam", "Stiftung „Haus", "Stiftung „Haus“"),
            ("die Stiftung „Haus\" kam", "Stiftung „Haus", "Stiftung „Haus\""),
            ("die SPD (Berlin) kam", "SPD (Berlin", "SPD (Berlin)"),
            ("„Die Zeit“ kam", "Die Zeit", "Die Zeit"),
            ("sagte: „Die Stiftung „Haus“ kam", "Stiftung „Haus“", "Stiftung „Haus“"),
        ] {
            let start = text.find(tagged).unwrap();
            let span = bare(text, ByteSpan::new(start, start + tagged.len())).unwrap();
            assert_eq!(span.slice(text), Some(name), "{text:?}");
        }
    }
}
