//! Bylines: lines that name the author of an article, and end without a full stop.
//!
//! Models do not see line ends, so `Von Lea Roth⏎⏎Detmold. Die Feuerwehr …` is a person `Lea Roth Detmold` for them. A byline is
//! therefore read with a full stop at its end, which stands for the line end. Most lines that are no byline but look like one
//! (`Von Januar bis März⏎⏎`) are headings, in which a full stop does no harm.

use std::sync::LazyLock;

use regex::Regex;

use crate::text::alignment::{Changed, Rewriter};
use crate::text::gaps::AGENCIES;
use crate::text::span::ByteSpan;

/// A short line with the words before an author, and the line ends after it. Shorter than any line of wrapped prose.
static BYLINE: LazyLock<Regex> = LazyLock::new(|| {
    let line = r"(?m)^[^\S\n]*(?:[Vv]on|VON|(?:Text|Interview|Bericht|Autor(?:in)?)(?: und Fotos?)?:|(?:Ein )?[\p{Lu}][\p{Ll}]+ von)[^\S\n]+(?P<names>[^\n]{2,80}?)";
    Regex::new(&format!(r"{line}(?P<end>[^\S\n]*\r?\n\s*)")).expect("the pattern is valid")
});

/// Words of a byline that begin with a small letter.
const LINK_WORDS: &[&str] = &[
    "aus", "da", "de", "den", "der", "di", "dos", "el", "im", "in", "la", "le", "mit", "ten", "ter", "und", "unser",
    "unsere", "unserem", "unseren", "unserer", "van", "vom", "von", "zu", "zum", "zur",
];

const MAX_WORDS: usize = 10;

/// Ends the bylines of `text` with full stops; `None` where there are none.
pub fn end_bylines(text: &str) -> Option<Changed> {
    let mut rewriter = Rewriter::new(text);
    for found in BYLINE.captures_iter(text) {
        let (names, end) = (&found["names"], found.name("end")?);
        if is_names(names) && end.end() < text.len() {
            let line_end = end.as_str();
            rewriter.replace(ByteSpan::new(end.start(), end.end()), &format!(".{line_end}"));
        }
    }
    rewriter.finish()
}

/// Whether these may be authors: words with a capital, and small ones between them.
fn is_names(names: &str) -> bool {
    let words: Vec<&str> = names.split([' ', '\t', ',', '/']).filter(|word| !word.is_empty()).collect();
    let is_name =
        |word: &str| word.starts_with(char::is_uppercase) || AGENCIES.contains(&word.trim_matches(['(', ')']));
    let is_word = |word: &&str| is_name(word) || LINK_WORDS.contains(word) || *word == "&";
    words.len() <= MAX_WORDS
        && words.iter().all(is_word)
        && words.last().is_some_and(|last| is_name(last))
        && names.ends_with(|end: char| end.is_alphabetic() || end == ')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byline_ends_with_a_full_stop() {
        for (text, seen) in [
            ("Von Lea Roth\n\nDetmold. Es brennt.", "Von Lea Roth.\n\nDetmold. Es brennt."),
            ("Brand\nVon Lea Roth\nDetmold. Es brennt.", "Brand\nVon Lea Roth.\nDetmold. Es brennt."),
            ("Brand\r\n\r\nVON LEA ROTH \r\n\r\nDetmold", "Brand\r\n\r\nVON LEA ROTH. \r\n\r\nDetmold"),
            ("Von Max von der Au und Lea Roth\n\nUlm", "Von Max von der Au und Lea Roth.\n\nUlm"),
            ("Von unserer Redakteurin Lea Roth\nUlm", "Von unserer Redakteurin Lea Roth.\nUlm"),
            ("Text und Fotos: Lea Roth/Max Au\nUlm", "Text und Fotos: Lea Roth/Max Au.\nUlm"),
            ("Ein Kommentar von Lea Roth\n\nUlm", "Ein Kommentar von Lea Roth.\n\nUlm"),
            ("Von Lea Roth (dpa)\n\nUlm", "Von Lea Roth (dpa).\n\nUlm"),
            ("Von Lea Roth, dpa\n\nUlm", "Von Lea Roth, dpa.\n\nUlm"),
        ] {
            assert_eq!(end_bylines(text).map_or(text.to_owned(), |changed| changed.text), seen);
        }
    }

    #[test]
    fn other_lines_stay_as_they_are() {
        for text in [
            "Von Lea Roth",
            "Von Lea Roth\n\n",
            "Von Lea Roth.\n\nUlm",
            "Von Lea Roth:\n\nUlm",
            "Das Buch stammt\nvon einer Autorin\naus Ulm.",
            "Er fuhr von Ulm\nnach Hof.",
            "Von Ulm aus\nfuhr er nach Hof.",
            "Lea Roth\n\nUlm",
        ] {
            assert!(end_bylines(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_full_stop_stands_for_the_line_end() {
        let text = "Von Lea Roth\n\nUlm";
        let Changed { text: seen, alignment } = end_bylines(text).unwrap();
        let original = |word: &str| {
            let start = seen.find(word).unwrap();
            alignment.to_original(ByteSpan::new(start, start + word.len())).trim(text).slice(text).unwrap()
        };
        assert_eq!(
            [original("Lea Roth"), original("Ulm"), original("Roth."), original(".")],
            ["Lea Roth", "Ulm", "Roth", ""]
        );
    }
}
