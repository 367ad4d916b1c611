//! Ranks and titles before names (`KHK Lorenz`, `Bgm. Sonnleitner`). A surname after one looks like anything: a town, an organisation,
//! a common noun. In a list of names, the label `before PER` says that a `PER` follows.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::inference::decode::word_tokens::Word;

/// How the label of a title begins.
const BEFORE: &str = "before ";

/// Titles between another one and the name (`Abg. Prof. Dr. Meier`).
const ACADEMIC: [&str; 6] = ["Dr", "Prof", "Mag", "Dipl", "Ing", "Univ"];

/// The most words, full stops among them, up to the name: a text may be a row of titles.
const MAX_WORDS_BETWEEN: usize = 12;

/// The label of the names that follow what has the label `label` in a list of names; `None` for all but titles.
pub fn announced_label(label: &str) -> Option<&str> {
    label.strip_prefix(BEFORE).map(str::trim_start)
}

/// The titles of a stretch with names after them.
pub struct TitledNames {
    /// By the first word of each title, the first word of the name.
    after: HashMap<usize, usize>,
    named: HashSet<usize>,
}

impl TitledNames {
    /// `titles` are the words of each, and `no_names` the first words of what is listed as no name: a title before a title announces
    /// nothing.
    pub fn of(
        usual: &str,
        words: &[Word],
        titles: impl Iterator<Item = Range<usize>>,
        no_names: &HashSet<usize>,
    ) -> Self {
        let with_next = titles.filter_map(|title| Some((title.start, word_after(usual, words, title.end - 1)?)));
        let after: HashMap<usize, usize> = with_next.filter(|(_, next)| !no_names.contains(next)).collect();
        Self { named: after.values().copied().collect(), after }
    }

    /// The first word of the name after the title that begins with the word `first`.
    pub fn after(&self, first: usize) -> Option<usize> {
        self.after.get(&first).copied()
    }

    /// Whether the name after a title begins with this word.
    pub fn is_named(&self, word: usize) -> bool {
        self.named.contains(&word)
    }
}

/// The word that may begin a name after a title, whose last word is `last`: it begins with a capital, and only white space without an
/// empty line, full stops and academic titles come before it.
fn word_after(text: &str, words: &[Word], last: usize) -> Option<usize> {
    let (first, mut last) = (last + 1, words.get(last)?.span);
    for (next, word) in words.iter().enumerate().skip(first).take(MAX_WORDS_BETWEEN) {
        let slice = word.span.slice(text)?;
        let between = text.get(last.end..word.span.start)?;
        let is_stop = between.is_empty() && slice == ".";
        let is_near = !between.is_empty() && between.trim().is_empty() && between.matches('\n').count() <= 1;
        let is_between = is_stop || (is_near && ACADEMIC.contains(&slice));
        if !is_between {
            return (is_near && slice.starts_with(char::is_uppercase)).then_some(next);
        }
        last = word.span;
    }
    None
}

/// Where the name ends that begins with the word `first`, if that is an initial: after the next word that is none (`K.-H. Müller`).
/// Else the index after `first`.
pub fn after_initials(text: &str, words: &[Word], first: usize) -> usize {
    const MAX_INITIALS: usize = 3;
    let slice = |index: usize| words.get(index).and_then(|word| word.span.slice(text));
    let mut end = first + 1;
    for _ in 0..MAX_INITIALS {
        let is_initial = slice(end - 1).is_some_and(|word| word.chars().count() <= 2) && slice(end) == Some(".");
        if !is_initial || !slice(end + 1).is_some_and(|word| word.starts_with(char::is_uppercase)) {
            break;
        }
        end += 2;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    // `tests/reference/names.json` has the cases of the words after titles.
    #[test]
    fn only_labels_of_titles_announce_another() {
        assert_eq!((announced_label("before PER"), announced_label("before  LOC")), (Some("PER"), Some("LOC")));
        assert_eq!((announced_label("PER"), announced_label("O"), announced_label("before")), (None, None, None));
    }
}
