//! The letter case of a text that has lost its own. A text in capitals reads to a case-sensitive model like another
//! language; before it is cut into pieces, each word gets the case in which it is usually written: as a list says, or with
//! a capital first letter, which is how German writes what no list has, names and compound nouns.
//!
//! # The rule
//!
//! A word is a run of letters, each with the combining marks that follow it. Which words are restored is decided over the whole
//! text:
//!
//! - all of them, where the text has three or more and not one capital;
//! - else those of every run of capitals, which is words in a row without a small letter, if one of them has five
//!   characters; runs of shorter words are taken for abbreviations (`EU/SPD`). A small `ß` counts for a capital, as many
//!   texts in capitals keep it;
//! - and those of every run of 20 words in small letters, such as a post among others. German capitalizes its nouns: in
//!   13 million words of Wikipedia there are some 200 such runs, many of them in other languages.
//!
//! Roman numerals stay, and so does a word whose usual case has more or fewer characters (`ﬁ` in capitals is `FI`).
//! `scripts/train/truecase.py` does the same before training, and `tests/reference/truecase.json` holds the two together. They
//! differ where their versions of Unicode do: of the letters of Unicode 14 (Python 3.11) in eight, phonetic and modifier
//! letters (U+0295, U+10FC, U+A7D3, U+A7D5, U+A7F2 to U+A7F4, U+AB69).
//!
//! # What always holds
//!
//! A character is replaced by one of as many bytes, or stays: every offset in the restored text is the same offset in the
//! text that was given.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::str::Utf8Error;

use crate::text::lost_case::{stretches_without_case, words};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

/// Restores the letter case of words by a list of those that are not written with a capital first letter.
///
/// Searched where it was read: a map of 50,000 words would take ten times the memory, and few texts need it.
pub struct Truecaser {
    list: Box<str>,
    /// SHA-256 of the list.
    digest: [u8; 32],
    /// Where the words begin in `list`, in the order of their [`search_key`]s, of which no two are equal.
    starts: Vec<u32>,
}

#[derive(Debug, thiserror::Error)]
pub enum TruecaseError {
    #[error("{path}: the list of words cannot be read as text in UTF-8; {REMEDY}", path = path.display())]
    Unreadable { path: PathBuf, source: Utf8Error },
    #[error("{path}: {fault}; {REMEDY}", path = path.display())]
    Unfit { path: PathBuf, fault: ListError },
}

/// Why a text is no list of words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ListError {
    #[error("the list of words is empty")]
    Empty,
    #[error("the list of words has {n_bytes} bytes, and at most {} can be searched", u32::MAX)]
    TooLong { n_bytes: usize },
    #[error("line {line} is not one word: {text:?}")]
    NotAWord { line: usize, text: String },
}

const REMEDY: &str =
    "write one word a line, as `python -m scripts.train.truecase` does, or take `truecase` out of ressort.toml";

impl Truecaser {
    /// Reads a list out of the content of the file at `path`: text in UTF-8, see [`Truecaser::parse`].
    pub fn from_bytes(path: &Path, list: &[u8]) -> Result<Self, TruecaseError> {
        let list =
            str::from_utf8(list).map_err(|source| TruecaseError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(list).map_err(|fault| TruecaseError::Unfit { path: path.to_owned(), fault })
    }

    /// Takes a list of one word a line, each in its usual case; of lines that differ only in case, the last one holds.
    pub fn parse(list: impl Into<Box<str>>) -> Result<Self, ListError> {
        let list = list.into();
        if u32::try_from(list.len()).is_err() {
            return Err(ListError::TooLong { n_bytes: list.len() });
        }
        let mut starts = Vec::new();
        for (index, line) in list.lines().enumerate() {
            if words(line).next() != Some((0, line)) {
                return Err(ListError::NotAWord { line: index + 1, text: line.to_owned() });
            }
            starts.push((line.as_ptr() as usize - list.as_ptr() as usize) as u32);
        }
        if starts.is_empty() {
            return Err(ListError::Empty);
        }
        let key = |start: &u32| search_key(word_at(&list, *start));
        starts.reverse();
        starts.sort_by_cached_key(|start| key(start).collect::<String>());
        starts.dedup_by(|later, earlier| key(later).eq(key(earlier)));
        starts.shrink_to_fit();
        let digest = Sha256::digest(list.as_bytes()).into();
        Ok(Self { list, digest, starts })
    }

    /// How many words the list has.
    pub fn n_words(&self) -> usize {
        self.starts.len()
    }

    /// The digest of the list: lists of one digest restore texts alike.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The text with the words that have lost their case in their usual one; borrowed where there are none, as in most
    /// texts.
    pub fn restore<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let stretches = stretches_without_case(text);
        if stretches.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut restored = String::with_capacity(text.len());
        for stretch in stretches {
            for (start, word) in words(&text[stretch.clone()]) {
                restored.push_str(&text[restored.len()..stretch.start + start]);
                self.push_restored(word, &mut restored);
            }
        }
        restored.push_str(&text[restored.len()..]);
        Cow::Owned(restored)
    }

    fn push_restored(&self, word: &str, restored: &mut String) {
        match self.usual_case(word) {
            Some(usual) => restored.extend(
                word.chars()
                    .zip(usual.chars())
                    .map(|(given, usual)| if usual.len_utf8() == given.len_utf8() { usual } else { given }),
            ),
            None => restored.push_str(word),
        }
    }

    /// As many characters as `word`; `None` where it has to stay.
    fn usual_case(&self, word: &str) -> Option<String> {
        if is_roman_numeral(word) {
            return None;
        }
        let n_chars = word.chars().count();
        let fits = |usual: &String| usual.chars().count() == n_chars;
        match self.find(&word.nfc().collect::<String>()) {
            // The list is composed; a word with combining marks is compared with the listed word, decomposed.
            Some(listed) => Some(listed.to_owned()).filter(fits).or_else(|| Some(listed.nfd().collect()).filter(fits)),
            None => capitalized(word).filter(fits),
        }
    }

    /// The listed form of a word in whatever case.
    fn find(&self, word: &str) -> Option<&str> {
        let listed = |start: &u32| word_at(&self.list, *start);
        let index = self.starts.binary_search_by(|start| search_key(listed(start)).cmp(search_key(word))).ok()?;
        Some(listed(&self.starts[index]))
    }
}

/// The word in lower case, by which it is sorted and found. As most comparisons end early, it is not worth a string.
fn search_key(word: &str) -> impl Iterator<Item = char> {
    // At the end of a word, `str::to_lowercase` makes one sigma of the other.
    word.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c })
}

/// The line of `list` that begins at `start`.
fn word_at(list: &str, start: u32) -> &str {
    list[start as usize..].lines().next().unwrap_or_default()
}

fn is_roman_numeral(word: &str) -> bool {
    word.len() > 1 && word.bytes().all(|byte| b"IVXLCDM".contains(&byte))
}

/// The word with a capital, then small letters; `None` where the capital is more than one character.
fn capitalized(word: &str) -> Option<String> {
    let first = word.chars().next()?;
    // The whole word, as a final sigma depends on what stands before it.
    let lower = word.to_lowercase();
    let rest = lower.chars().skip(first.to_lowercase().count());
    Some(std::iter::once(to_titlecase(first)?).chain(rest).collect())
}

/// The standard library has upper case only, which is another for digraphs, Georgian, and Greek with an iota subscript.
fn to_titlecase(c: char) -> Option<char> {
    match c {
        'Ǆ'..='ǆ' => Some('ǅ'),
        'Ǉ'..='ǉ' => Some('ǈ'),
        'Ǌ'..='ǌ' => Some('ǋ'),
        'Ǳ'..='ǳ' => Some('ǲ'),
        'ა'..='ჿ' | 'ᾼ' | 'ῌ' | 'ῼ' => Some(c),
        'ᾀ'..='ᾯ' => char::from_u32(c as u32 | 8),
        'ᾳ' | 'ῃ' | 'ῳ' => char::from_u32(c as u32 + 9),
        _ => Some(c.to_uppercase()).filter(|upper| upper.len() == 1)?.next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

    const LIST: &str = "in\nund\nfür\nüber\nspricht\nEU\nSPD\nUNESCO\niPhone\nkm²\nmit\nder\n";

    fn truecaser() -> Truecaser {
        Truecaser::parse(LIST).unwrap()
    }

    fn check(text: &str, expected: &str) {
        let truecaser = truecaser();
        assert_eq!(truecaser.restore(text), expected);
    }

    #[test]
    fn capitals_get_the_usual_case_of_each_word() {
        check("ANGELA MERKEL SPRICHT IN KÖLN ÜBER DIE UNESCO", "Angela Merkel spricht in Köln über Die UNESCO");
        check("BERLIN (dpa) - Die SPD und die EU.", "Berlin (dpa) - Die SPD und die EU.");
        check(
            "Neu: DAS IPHONE FÜR DEN 12. BEZIRK, 5 KM² GROẞ. Der Rest",
            "Neu: Das iPhone für Den 12. Bezirk, 5 km² Groẞ. Der Rest",
        );
        check("STRAßE", "Straße");
    }

    #[test]
    fn short_runs_are_abbreviations_and_roman_numerals_stay() {
        for text in ["Die EU/SPD und die USA", "CDU", "Heinrich XVIII. reiste", "„AfD“", ""] {
            check(text, text);
        }
        check("HEINRICH XVIII. REISTE", "Heinrich XVIII. Reiste");
    }

    #[test]
    fn a_text_without_a_capital_is_restored_from_three_words_on() {
        check("angela merkel spricht", "Angela Merkel spricht");
        check("angela merkel", "angela merkel");
        check("angela merkel spricht EU", "angela merkel spricht EU");
    }

    #[test]
    fn a_long_run_in_small_letters_is_restored_in_a_text_that_has_capitals() {
        let run = |n| "angela spricht über die spd ".repeat(n);
        check(&format!("Neu: {}", run(4)), &format!("Neu: {}", "Angela spricht über Die SPD ".repeat(4)));
        for text in [format!("Neu: {}", &run(4)["angela ".len()..]), format!("{}Ulm {}", run(3), run(3))] {
            check(&text, &text);
        }
        check(
            &format!("BERLIN {}ULM/BONN", run(4)),
            &format!("Berlin {}ULM/BONN", "Angela spricht über Die SPD ".repeat(4)),
        );
    }

    #[test]
    fn marks_belong_to_their_letter_and_are_looked_up_composed() {
        check("MU\u{308}NCHEN", "Mu\u{308}nchen");
        check("FU\u{308}R MU\u{308}NCHEN", "fu\u{308}r Mu\u{308}nchen");
        check("SPIN\u{308}AL", "Spin\u{308}al");
    }

    #[test]
    fn what_would_change_length_stays() {
        check("İSTANBUL DİYARBAKIR ışık", "İstanbul DİYARBAKIR ışık");
        check("ﬁnanzen ıspanak und", "ﬁnanzen ıspanak und");
        check("ΟΔΥΣΣΕΥΣ", "Οδυσσευς");
        check("თბილისი თბილისი თბილისი", "თბილისი თბილისი თბილისი");
    }

    #[test]
    fn an_ordinary_text_is_borrowed() {
        let text = "Die EU-Kommission in Brüssel, sagte Ursula von der Leyen.";
        assert!(matches!(truecaser().restore(text), Cow::Borrowed(_)));
    }

    #[test]
    fn of_words_that_differ_in_case_the_last_one_holds() {
        let truecaser = Truecaser::parse("who\nzum\nWHO\r\nund").unwrap();
        assert_eq!(truecaser.n_words(), 3);
        assert_eq!(truecaser.restore("WHO UND BERLIN"), "WHO und Berlin");
    }

    #[test]
    fn what_is_no_list_is_refused_with_the_line() {
        let fault = |list: &str| Truecaser::parse(list).err();
        let not_a_word = |line, text: &str| Some(ListError::NotAWord { line, text: text.to_owned() });
        assert_eq!(fault(""), Some(ListError::Empty));
        assert_eq!(fault("und\nin der\n"), not_a_word(2, "in der"));
        assert_eq!(fault("und\n\nin\n"), not_a_word(2, ""));
        assert_eq!(fault("{\"words\": []}"), not_a_word(1, "{\"words\": []}"));
    }

    /// A character whatever its case.
    fn folded(c: char) -> String {
        c.to_lowercase().flat_map(char::to_uppercase).collect()
    }

    fn any_text() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "BERLIN",
            "und",
            "FÜR",
            "FU\u{308}R",
            "EU",
            "ß",
            "ẞ",
            "İ",
            "ı",
            "Σ",
            "ﬁ",
            "ǆ",
            "km²",
            "XIV",
            "\u{345}",
            "5",
            "-",
            "😀",
        ]);
        let piece = prop_oneof![3 => word.prop_map(str::to_owned), 1 => any::<String>(), 1 => Just(" ".to_owned())];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn only_the_case_of_characters_changes_and_places_stay(text in any_text()) {
            let truecaser = truecaser();
            let restored = truecaser.restore(&text);
            prop_assert_eq!(restored.char_indices().count(), text.char_indices().count());
            for ((place, restored), (given_place, given)) in restored.char_indices().zip(text.char_indices()) {
                prop_assert_eq!((place, folded(restored)), (given_place, folded(given)));
            }
        }

        /// A text that has lost its only capitals is one without any, of which all words are restored.
        #[test]
        fn restoring_again_changes_nothing(text in any_text()) {
            let truecaser = truecaser();
            let once = truecaser.restore(&text).into_owned();
            let is_capital = |c: char| c.is_uppercase() || c.general_category() == GeneralCategory::TitlecaseLetter;
            prop_assume!(once.contains(is_capital) || !text.contains(is_capital));
            prop_assert_eq!(truecaser.restore(&once), once.as_str());
        }
    }
}
