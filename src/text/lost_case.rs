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

/// The parts of `text` whose words are to be restored, in order.
pub fn stretches_without_case(text: &str) -> Vec<Range<usize>> {
    if !text.contains(char::is_uppercase) && words(text).nth(MIN_WORDS - 1).is_some() {
        return std::iter::once(0..text.len()).collect();
    }
    let is_long = |word: &str| word.chars().nth(LONG_WORD - 1).is_some();
    let is_small = |word: &str| has_small_letter(word) && !word.contains(char::is_uppercase);
    let capitals = runs(text, |word| !has_small_letter(word), |run| run.iter().any(|word| is_long(word)));
    let small = runs(text, is_small, |run| run.len() >= LONG_RUN);
    // No word is in a run of both kinds, so that none overlaps another.
    let mut runs: Vec<Range<usize>> = capitals.into_iter().chain(small).collect();
    runs.sort_unstable_by_key(|run| run.start);
    runs
}

/// The longest runs of words that are all `of_run`, among them those that `counts`.
fn runs(text: &str, of_run: impl Fn(&str) -> bool, counts: impl Fn(&[&str]) -> bool) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut run: Vec<&str> = Vec::new();
    let mut close = |run: &mut Vec<&str>| {
        if let (Some(first), Some(last), true) = (run.first(), run.last(), counts(run)) {
            let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
            runs.push(start(first)..start(last) + last.len());
        }
        run.clear();
    };
    for (_, word) in words(text) {
        match of_run(word) {
            true => run.push(word),
            false => close(&mut run),
        }
    }
    close(&mut run);
    runs
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
