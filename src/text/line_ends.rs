//! Line ends that a reader sees and a model does not: those of bylines, and of the lines of signatures and short lists.
//!
//! Models see a line end as a space. So `Von Lea Roth⏎⏎Detmold. Die Feuerwehr …` has a person `Lea Roth Detmold` for them, and
//! `Max Au⏎Detmold` below a letter is one name.
//!
//! - A byline is read with a full stop at its end. Most lines that are none but look like one (`Von Januar bis März⏎⏎`) are
//!   headings, in which a full stop does no harm.
//! - Lines of a few words that all have capitals end with commas, where they follow each other up to the end of a paragraph.
//!   Prose ends with a full stop, so that lines of a narrow column are not taken for such.

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

const MAX_WORDS_OF_SHORT_LINE: usize = 5;

/// Adds the marks to `text` that stand for these line ends; `None` where there are none.
pub fn show_line_ends(text: &str) -> Option<Changed> {
    let mut ends = bylines(text);
    ends.extend(short_lines(text));
    ends.sort_unstable_by_key(|(span, _)| *span);
    let mut rewriter = Rewriter::new(text);
    let mut done = 0;
    for (span, mark) in ends {
        if span.start >= done {
            rewriter.replace(span, &format!("{mark}{}", span.slice(text).unwrap_or_default()));
            done = span.end;
        }
    }
    rewriter.finish()
}

/// The white space at the ends of bylines.
fn bylines(text: &str) -> Vec<(ByteSpan, char)> {
    let end_of = |found: regex::Captures<'_>| {
        let end = found.name("end").filter(|end| end.end() < text.len() && is_names(&found["names"]))?;
        Some((ByteSpan::new(end.start(), end.end()), '.'))
    };
    BYLINE.captures_iter(text).filter_map(end_of).collect()
}

/// The line ends between short lines of names that end a paragraph.
fn short_lines(text: &str) -> Vec<(ByteSpan, char)> {
    let mut found = Vec::new();
    let mut run: Vec<ByteSpan> = Vec::new();
    // Whether the line before the run may be a greeting (`Mit freundlichen Grüßen`), or there is none.
    let mut is_apart = true;
    let mut start = 0;
    for line in text.split_inclusive('\n').chain(["\n"]) {
        let content = line.trim_end();
        if content.is_empty() {
            if is_apart && run.len() > 1 {
                found.extend(run[..run.len() - 1].iter().map(|end| (*end, ',')));
            }
            (is_apart, run) = (true, Vec::new());
        } else if is_short_line(content) {
            run.push(ByteSpan::new(start + content.len(), start + line.len()));
        } else {
            (is_apart, run) = (n_words(content) <= MAX_WORDS_OF_SHORT_LINE, Vec::new());
        }
        start += line.len();
    }
    found
}

fn n_words(line: &str) -> usize {
    line.split_whitespace().take(MAX_WORDS_OF_SHORT_LINE + 1).count()
}

/// A few words with capitals, and numbers.
fn is_short_line(line: &str) -> bool {
    const MAX_CHARACTERS: usize = 40;
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit()) || LINK_WORDS.contains(&word) || word == "&"
    };
    n_words(line) <= MAX_WORDS_OF_SHORT_LINE
        && line.chars().take(MAX_CHARACTERS + 1).count() <= MAX_CHARACTERS
        && !line.contains(['\t', '|'])
        && line.split_whitespace().all(is_word)
        && line.contains(char::is_uppercase)
        && line.ends_with(|end: char| end.is_alphanumeric() || end == ')')
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
            assert_eq!(show_line_ends(text).map_or(text.to_owned(), |changed| changed.text), seen);
        }
    }

    #[test]
    fn the_lines_of_a_signature_end_with_commas() {
        for (text, seen) in [
            ("Es ist so.\n\nLea Roth\nDetmold", "Es ist so.\n\nLea Roth,\nDetmold"),
            (
                "Mit freundlichen Grüßen\r\nLea Roth\r\n32105 Ulm\r\n",
                "Mit freundlichen Grüßen\r\nLea Roth,\r\n32105 Ulm\r\n",
            ),
            ("FC Augsburg\nSC Freiburg\nVfB Stuttgart\n\nUlm.", "FC Augsburg,\nSC Freiburg,\nVfB Stuttgart\n\nUlm."),
            ("Von Lea Roth\nDetmold", "Von Lea Roth.\nDetmold"),
        ] {
            assert_eq!(show_line_ends(text).map_or(text.to_owned(), |changed| changed.text), seen);
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
            "Das sagten Angela\nMerkel und\nOlaf Scholz.",
            "Gestern trafen sich in einer Gaststätte\nAngela Merkel\nOlaf Scholz",
            "Lea Roth\n| Ulm |\nHof | Bonn",
        ] {
            assert!(show_line_ends(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_full_stop_stands_for_the_line_end() {
        let text = "Von Lea Roth\n\nUlm";
        let Changed { text: seen, alignment } = show_line_ends(text).unwrap();
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
