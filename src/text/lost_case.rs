//! Which words of a text have lost their letter case: those of texts and posts in small letters, and of headlines in capitals. The module
//! [`truecase`](crate::text::truecase) has the rule.

use std::ops::Range;

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// As many words without one capital are a text in lower case; fewer may be a search.
const MIN_WORDS: usize = 3;

/// As many words in a row without a capital have lost their case.
const LONG_RUN: usize = 20;

/// As many characters make a word long: abbreviations rarely are.
const LONG_WORD: usize = 5;

/// The letters of a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    /// Without a small letter; `ß` may be there.
    Capitals,
    /// Without a capital.
    Small,
    Mixed,
}

impl Case {
    fn of(word: &str) -> Self {
        match (has_small_letter(word), word.contains(char::is_uppercase)) {
            (false, _) => Self::Capitals,
            (true, false) => Self::Small,
            (true, true) => Self::Mixed,
        }
    }
}

/// The parts of `text` whose words are to be restored, in order.
pub fn stretches_without_case(text: &str) -> Vec<Range<usize>> {
    if !text.contains(char::is_uppercase) && words(text).nth(MIN_WORDS - 1).is_some() {
        return std::iter::once(0..text.len()).collect();
    }
    let mut stretches = Vec::new();
    let mut run: Option<Run> = None;
    for (start, word) in words(text) {
        let case = Case::of(word);
        match &mut run {
            Some(run) if run.case == case => run.take(start, word),
            _ => stretches.extend(run.replace(Run::begin(case, start, word)).and_then(Run::without_case)),
        }
    }
    stretches.extend(run.and_then(Run::without_case));
    stretches
}

/// Words in a row of one case. It keeps what is asked of them, as a long text has millions.
struct Run {
    case: Case,
    range: Range<usize>,
    n_words: usize,
    has_long_word: bool,
}

impl Run {
    fn begin(case: Case, start: usize, word: &str) -> Self {
        let mut run = Self { case, range: start..start, n_words: 0, has_long_word: false };
        run.take(start, word);
        run
    }

    fn take(&mut self, start: usize, word: &str) {
        self.range.end = start + word.len();
        self.n_words += 1;
        self.has_long_word |= word.chars().nth(LONG_WORD - 1).is_some();
    }

    /// Where the run is, if its words have lost their case.
    fn without_case(self) -> Option<Range<usize>> {
        let has_lost_case = match self.case {
            Case::Capitals => self.has_long_word,
            Case::Small => self.n_words >= LONG_RUN,
            Case::Mixed => false,
        };
        has_lost_case.then_some(self.range)
    }
}

/// The words of `text` with the bytes at which they begin.
pub fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut end = 0;
    std::iter::from_fn(move || {
        let start = end + text[end..].find(is_letter)?;
        let word = &text[start..];
        let word = &word[..word.find(|c| !is_letter(c) && !is_combining_mark(c)).unwrap_or(word.len())];
        end = start + word.len();
        Some((start, word))
    })
}

/// Letters, and numbers other than decimal digits (`km²`): what `[^\W\d_]` means in Python.
fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    c.general_category_group() == GeneralCategoryGroup::Letter
        || matches!(c.general_category(), GeneralCategory::LetterNumber | GeneralCategory::OtherNumber)
}

/// The marks of letters that have case; those of other scripts need not be known.
fn is_combining_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

fn has_small_letter(word: &str) -> bool {
    word.contains(|c: char| c != 'ß' && c.is_lowercase())
}
