//! Words that are hyphenated at a line end, as in columns of print and in text from PDF files.
//!
//! - `Bundes-⏎kanzler` is read as `Bundeskanzler`.
//! - The hyphen stays before a capital or a digit (`Berlin-⏎Mitte`, `Covid-⏎19`), and after an abbreviation, a digit or a
//!   single letter (`EU-⏎weit`, `19-⏎jährig`, `E-⏎mail`).
//! - A shortened compound stays apart from the conjunction (`Vor-⏎und Nachteile`).
//! - A soft hyphen (or `¬`, which text recognition writes for one) is never part of the word.

use crate::text::alignment::{Changed, Rewriter};
use crate::text::normalize::is_ignorable;
use crate::text::span::ByteSpan;

/// Words that follow a shortened compound.
const CONJUNCTIONS: [&str; 10] =
    ["und", "oder", "bis", "sowie", "bzw", "beziehungsweise", "respektive", "noch", "wie", "als"];

/// Ends of words whose last syllable is also a conjunction.
const NO_CONJUNCTION: [&str; 4] = ["sowie", "dennoch", "kürbis", "cannabis"];

/// Joins the words of `text` that are hyphenated at line ends; `None` when there are none.
pub fn join_hyphenated(text: &str) -> Option<Changed> {
    let mut rewriter = Rewriter::new(text);
    for (at, hyphen) in text.match_indices(['-', '\u{2010}', '\u{ad}', '¬']) {
        let Some(word) = CutWord::at(text, at, hyphen) else { continue };
        match word.joint() {
            Some(Joint::Whole) => rewriter.replace(ByteSpan::new(at, word.gap.end), ""),
            Some(Joint::Hyphen) => rewriter.replace(word.gap, ""),
            Some(Joint::Space) => rewriter.replace(word.gap, " "),
            None => {}
        }
    }
    rewriter.finish()
}

/// A word with a hyphen and a line break in it.
struct CutWord<'t> {
    left: &'t str,
    hyphen: &'t str,
    /// The line break, with the white space around it.
    gap: ByteSpan,
    right: &'t str,
}

/// What stands between the two parts of a word for a reader.
enum Joint {
    Whole,
    Hyphen,
    Space,
}

impl<'t> CutWord<'t> {
    fn at(text: &'t str, at: usize, hyphen: &'t str) -> Option<Self> {
        let after = at + hyphen.len();
        let gap = ByteSpan::new(after, after + line_break(&text[after..])?);
        let rest = &text[gap.end..];
        let right = &rest[..rest.find(|c| !is_word_part(c)).unwrap_or(rest.len())];
        let left = &text[at - (at - text[..at].trim_end_matches(is_word_part).len())..at];
        let has_both = left.contains(char::is_alphanumeric) && right.starts_with(char::is_alphanumeric);
        has_both.then_some(Self { left, hyphen, gap, right })
    }

    /// `None`: the text stays as it is.
    fn joint(&self) -> Option<Joint> {
        let first = self.right.chars().next()?;
        if matches!(self.hyphen, "\u{ad}" | "¬") {
            return Some(Joint::Whole);
        }
        if self.is_shortened_compound() {
            return Some(Joint::Space);
        }
        if first.is_uppercase() || first.is_numeric() {
            return Some(Joint::Hyphen);
        }
        // Hyphenation leaves no single letter on a line.
        if !first.is_lowercase() || self.right.chars().nth(1).is_none() {
            return None;
        }
        let keeps_hyphen = !self.left.contains(char::is_lowercase) || self.left.ends_with(char::is_numeric);
        Some(if keeps_hyphen || self.left.chars().nth(1).is_none() { Joint::Hyphen } else { Joint::Whole })
    }

    fn is_shortened_compound(&self) -> bool {
        let right = self.right.to_lowercase();
        let whole = || self.left.to_lowercase() + &right;
        CONJUNCTIONS.contains(&right.as_str()) && !NO_CONJUNCTION.iter().any(|word| whole().ends_with(word))
    }
}

/// Bytes of the white space that `text` starts with, if there is exactly one line break in it.
fn line_break(text: &str) -> Option<usize> {
    let is_gap = |c: char| c.is_whitespace() || is_ignorable(c);
    let mut n_breaks = 0;
    let mut last = ' ';
    for (at, c) in text.char_indices() {
        if !is_gap(c) {
            return (n_breaks == 1).then_some(at);
        }
        let is_break = matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}');
        n_breaks += usize::from(is_break && (last, c) != ('\r', '\n'));
        if n_breaks > 1 || c == '\u{2029}' {
            return None;
        }
        last = c;
    }
    None
}

fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || is_ignorable(c) || matches!(c, '\u{300}'..='\u{36f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let joined = join_hyphenated(text).map_or(text.to_owned(), |changed| changed.text);
        assert_eq!(joined, expected, "{text:?}");
    }

    #[test]
    fn a_word_that_goes_on_in_small_letters_is_one_word() {
        for gap in ["\n", "\r\n", "\r", " \n", "\t\n    ", "\n\u{a0}", "\u{2028}", "\u{200b}\n", "\u{c}"] {
            check(&format!("Der Bundes-{gap}kanzler sprach."), "Der Bundeskanzler sprach.");
        }
        check("Bundes-\nkanz-\nler", "Bundeskanzler");
        check("Bundes\u{2010}\nkanzler", "Bundeskanzler");
        check("Mu\u{308}n-\nchen, Stra-\nße, Cafe\u{301}-\nhaus", "Mu\u{308}nchen, Straße, Cafe\u{301}haus");
        check("so-\nwie, den-\nnoch, Zierkür-\nbis", "sowie, dennoch, Zierkürbis");
    }

    #[test]
    fn the_hyphen_stays_before_capitals_and_digits_and_after_abbreviations() {
        check("in Berlin-\nMitte und der EU-\nweit", "in Berlin-Mitte und der EU-weit");
        check(
            "Baden-\r\n  Württemberg, Covid-\n19, 19-\njährig, E-\nmail",
            "Baden-Württemberg, Covid-19, 19-jährig, E-mail",
        );
        check("BUNDES-\nKANZLER", "BUNDES-KANZLER");
    }

    #[test]
    fn a_shortened_compound_stays_apart() {
        check("Vor-\nund Nachteile, auf-\r\noder abwärts", "Vor- und Nachteile, auf- oder abwärts");
        check("10-\nbis 12-mal, VOR-\nUND NACHTEILE", "10- bis 12-mal, VOR- UND NACHTEILE");
        check("Tages-\nundurchsichtig", "Tagesundurchsichtig");
    }

    #[test]
    fn a_soft_hyphen_is_no_part_of_the_word() {
        check("Bundes\u{ad}\nkanzler, Ham\u{ad}\r\nBurg, Bun¬\ndestag", "Bundeskanzler, HamBurg, Bundestag");
    }

    #[test]
    fn what_is_no_word_at_a_line_end_stays() {
        for text in [
            "Berlin -\nder Tag",
            "Berlin-\n\nder Tag",
            "- a\n- b",
            "-\nx",
            "a--\nb",
            "Vor- und Nachteile",
            "Berlin-",
            "Berlin-\n",
            "Berlin-\n- Hamburg",
            "a-\nb",
            "Berlin –\nMitte",
            "Lehrer/-\ninnen",
            "",
            "東京-\n大阪",
            "x-\n\u{2029}yz",
        ] {
            check(text, text);
        }
    }
}
