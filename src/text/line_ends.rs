//! Line ends that a reader sees and a model does not: those of bylines, and of the lines of signatures and short lists.
//!
//! Models see a line end as a space. So `Von Lea Roth⏎⏎Detmold. Die Feuerwehr …` has a person `Lea Roth Detmold` for them, and
//! `Max Au⏎Detmold` below a letter is one name.
//!
//! - A byline is read with a full stop at its end. Most lines that are none but look like one (`Von Januar bis März⏎⏎`) are
//!   headings, in which a full stop does no harm.
//! - Lines of a few words that all have capitals end with commas, where they are the last paragraph of a text or follow a greeting
//!   (`Mit freundlichen Grüßen`). Elsewhere they may be a headline, and a name may go on in the next line. Prose ends with a full
//!   stop, so that lines of a narrow column are not taken for such.

use std::sync::LazyLock;

use regex::Regex;

use crate::text::alignment::{Changed, Rewriter};
use crate::text::gaps::AGENCIES;
use crate::text::span::ByteSpan;

/// A line with the words before an author.
static BYLINE: LazyLock<Regex> = LazyLock::new(|| {
    let kind = "Analyse|Bericht|Essay|Gastbeitrag|Glosse|Interview|Kolumne|Kommentar|Kritik|Leitartikel|Porträt|Reportage|Rezension";
    let words =
        format!(r"(?:Von|VON|(?:Text|Text und Fotos?|Fotos?|Autor|Autorin|Autoren):|(?:Eine? )?(?:{kind}) von)");
    Regex::new(&format!(r"^\s*{words}\s+(?P<names>.{{2,80}})$")).expect("the pattern is valid")
});

/// The end of a letter.
static GREETING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:\b(?:grüße?n?|grüsse?n?|gruß|gruss|hochachtungsvoll|herzlichst)\b|^\s*ihre?\b).{0,40}$")
        .expect("the pattern is valid")
});

/// Words of a byline that begin with a small letter.
const LINK_WORDS: &[&str] = &[
    "aus", "da", "de", "den", "der", "di", "dos", "el", "im", "in", "la", "le", "mit", "ten", "ter", "und", "unser",
    "unsere", "unserem", "unseren", "unserer", "van", "vom", "von", "zu", "zum", "zur",
];

const MAX_WORDS: usize = 10;

const MAX_WORDS_OF_SHORT_LINE: usize = 5;

/// Of a line that is looked at.
const MAX_BYTES: usize = 200;

/// Adds the marks to `text` that stand for these line ends; `None` where there are none.
pub fn show_line_ends(text: &str) -> Option<Changed> {
    // Without the blank lines at the end, every other one has text after it.
    let text_end = text.trim_end().len();
    let mut rewriter = Rewriter::new(text);
    let mut block = Block::default();
    let mut start = 0;
    for line in text[..text_end].split_inclusive('\n') {
        let content = line.trim_end();
        let end = ByteSpan::new(start + content.len(), start + line.len());
        start += line.len();
        // Most lines are long, and are not looked at.
        let is_short = content.len() <= MAX_BYTES;
        if content.is_empty() {
            block.end(false, &mut rewriter, text);
            block = Block::default();
        } else if is_short && is_byline(content, &text[start..text_end]) {
            mark(&mut rewriter, text, end, '.');
            block = Block::default();
        } else if is_short && is_short_line(content) && (!block.lines.is_empty() || content.contains(' ')) {
            block.lines.push(end);
        } else {
            block = Block { line_before: Some(content), lines: Vec::new() };
        }
    }
    block.end(true, &mut rewriter, text);
    rewriter.finish()
}

/// Short lines that follow each other.
#[derive(Default)]
struct Block<'t> {
    /// Another line of the paragraph.
    line_before: Option<&'t str>,
    /// The line ends.
    lines: Vec<ByteSpan>,
}

impl Block<'_> {
    /// The paragraph ends: all lines but the last get commas, if they are a signature. What is not the end of the text may be a
    /// headline in two lines.
    fn end(&self, is_last: bool, rewriter: &mut Rewriter<'_>, text: &str) {
        let [ends @ .., _] = &*self.lines else { return };
        let is_greeting = |line: &str| line.len() <= MAX_BYTES && GREETING.is_match(line);
        if self.line_before.map_or(is_last, is_greeting) {
            let are_apart = |end: &&ByteSpan| !is_linked(&text[..end.start], &text[end.end..]);
            ends.iter().filter(are_apart).for_each(|end| mark(rewriter, text, *end, ','));
        }
    }
}

/// Whether a line ends with a link word, or the next one begins with one: `Johann Wolfgang⏎von Goethe`.
fn is_linked(before: &str, after: &str) -> bool {
    let is_link = |word: Option<&str>| word.is_some_and(|word| LINK_WORDS.contains(&word) || word == "&");
    is_link(before.split_whitespace().next_back()) || is_link(after.split_whitespace().next())
}

fn mark(rewriter: &mut Rewriter<'_>, text: &str, end: ByteSpan, mark: char) {
    rewriter.replace(end, &format!("{mark}{}", end.slice(text).unwrap_or_default()));
}

/// Whether a line is a byline. The text goes on after it: below an empty line, or with a capital after at least two names.
fn is_byline(line: &str, rest: &str) -> bool {
    let goes_on = |names: &str| {
        let next = rest.lines().next().map(str::trim_start);
        next.is_some_and(|next| next.is_empty() || names.contains(' ') && next.starts_with(char::is_uppercase))
    };
    BYLINE.captures(line).is_some_and(|found| is_names(&found["names"]) && goes_on(&found["names"]))
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
            (
                "Ulm.\n\nFC Augsburg\nSC Freiburg\nVfB Stuttgart\n",
                "Ulm.\n\nFC Augsburg,\nSC Freiburg,\nVfB Stuttgart\n",
            ),
            ("Ihre\nLea Roth\nUlm\n\nAnlage: keine", "Ihre\nLea Roth,\nUlm\n\nAnlage: keine"),
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
            "FC Bayern\nMünchen\n\nUlm.",
            "Rede von Frank-Walter\nSteinmeier in Bellevue\n\nUlm.",
            "Von Frank-Walter\nSteinmeier gelernt\n\nUlm.",
            "Von Boris Pistorius\ngefordert\n\nUlm.",
            "Bericht: Donald\nTrump plant Zölle",
            "Der neue Trainer\nvon Eintracht\nFrankfurt",
            "Ulm.\n\nUniversität\nHeidelberg",
            "Ulm.\n\nJohann Wolfgang\nvon Goethe",
        ] {
            assert!(show_line_ends(text).is_none(), "{text}");
        }
    }

    /// In square time each of these takes minutes.
    #[test]
    fn many_lines_are_read_in_linear_time() {
        const N_BYTES: usize = 1_000_000;
        for unit in
            ["\n", " \n", "A B\n", "A B\n\n", "Von Lea Roth\n", "Von Lea Roth\n\n", "Grüße\nA B\nC D\n\n", "a\n", "A "]
        {
            let text = unit.repeat(N_BYTES / unit.len());
            assert!(show_line_ends(&text).is_none_or(|changed| changed.text.len() <= 2 * text.len()), "{unit:?}");
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
