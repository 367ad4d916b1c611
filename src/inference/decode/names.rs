//! Names that a model folder lists with their labels (a gazetteer), for names that the model does not know, such as clubs that it takes
//! for persons. Where a listed name occurs, a weight is added to the logits of its label. A clear context still wins.
//!
//! # The rule
//!
//! - A name is found as whole words, in the letter case of the list. Where a text has lost its case, it is found in the usual one too.
//! - Of several names that begin at a word, the longest counts.
//! - Apostrophes, hyphens, spaces and a line end inside a name may differ from the list (`O’Neill`, `O'Neill`; see [`plain`]).
//! - Its last word may have a genitive ending (`Siemens’`, `Werders`, `Filmpreises`). Other modules do not know `-es`.
//! - A word with a hyphen that begins with a listed name (`Werder-Trainer`) raises the label that ends in `part` (`ORGpart`), if the
//!   model has it. It gets half the weight, since the whole word may be a name (`Fuji-Berg`).
//! - The label `O` is for what is no name: it raises the tag of words outside of names. The first word of a company's name with its
//!   legal form is none of these: `LED` in `LED Linear GmbH`.
//! - The label `before PER` is for titles. They are no names either, and raise `PER` for the name that follows (see [`super::titles`]).
//! - A listed name inside a longer name of the model gets no weight: `Siemens` in `Werner von Siemens`, `Toten Hosen` in `Die Toten Hosen`.
//!   If the longer name has another label, the listed one has no weight in the whole text: where `Christoph Henkel` is a person, `Henkel`
//!   probably is not the company.
//!
//! `scripts/train/names.py` does the same for training and measuring. `tests/reference/names.json` tests both against the same cases.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::Utf8Error;

use crate::inference::decode::spelling::plain;
use crate::inference::decode::titles::announced_label;
use crate::inference::decode::word_tokens::Word;
use crate::inference::decode::words::{genitive_base, words};
use crate::system::choice::suggestion;
use crate::system::file_start::without_mark;
use crate::text::view::{View, ViewRules};

/// The label of words that are no name, such as the codes of a newsroom.
pub const NO_NAME: &str = "O";

/// Whether a label of a list is for words that are no name.
pub fn is_no_name(label: &str) -> bool {
    label == NO_NAME || announced_label(label).is_some()
}

/// What the name of a company ends in.
const LEGAL_FORMS: [&str; 15] =
    ["AG", "GmbH", "mbH", "KG", "KGaA", "OHG", "SE", "UG", "GbR", "eG", "e.V", "Ltd", "Inc", "Corp", "LLC"];

/// How many words after an abbreviation may end in a legal form.
const WORDS_OF_COMPANY: usize = 4;

/// The most words of a listed name, which bounds the search at each word of a text.
const MAX_WORDS: usize = 32;

/// Listed names with their labels.
#[derive(Default)]
pub struct NameList {
    pub labels: Vec<String>,
    /// For each label the first line that has it, counted from 1.
    label_lines: Vec<usize>,
    /// For each name in its plain spelling the index of its label.
    names: HashMap<Box<str>, u16>,
    /// The most words of a name that begins with this word.
    longest: HashMap<Box<str>, usize>,
    /// The bytes of the longest name.
    most_bytes: usize,
}

/// Why a list of names was refused.
#[derive(Debug, thiserror::Error)]
pub enum NameListError {
    #[error("{path}: the list of names cannot be read as text in UTF-8; save it in UTF-8", path = path.display())]
    Unreadable { path: PathBuf, source: Utf8Error },
    #[error("{path}: {error}", path = path.display())]
    Invalid { path: PathBuf, error: NameLineError },
}

/// What is wrong with a line of a list. Lines count from 1.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameLineError {
    #[error("the list of names is empty; {REMEDY}")]
    Empty,
    #[error("line {line} is not a name, a tab and a label: {text:?}; {REMEDY}")]
    NotAName { line: usize, text: String },
    #[error(
        "line {line} has a name of {n_words} words, and at most {MAX_WORDS} are searched for: {text:?}; list a shorter form, or take the line out"
    )]
    TooLong { line: usize, n_words: usize, text: String },
    #[error(
        "line {line} gives `{name}` the label `{label}`, and an earlier line gives it `{earlier}`; take one of the lines out"
    )]
    TwoLabels { line: usize, name: String, label: String, earlier: String },
    #[error("line {line} has the label `{label}`, which the model does not have{suggested}; use one of its labels, `{known}`, `{NO_NAME}` for what is no name, or `before PER` for titles before a `PER`", known = known.join("`, `"), suggested = suggestion(label, known.iter().map(String::as_str)))]
    UnknownLabel { line: usize, label: String, known: Vec<String> },
}

const REMEDY: &str = "write one name a line, a tab and its label, or take `names` out of ressort.toml";

/// A listed name among the words of a text.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed<'l> {
    /// As the list has it, in its plain spelling.
    pub name: &'l str,
    /// Index of the first word.
    pub first: usize,
    pub n_words: usize,
    /// Index of the label, see [`NameList::labels`].
    pub label: usize,
    /// Whether it is the beginning of a compound, which is one word.
    pub is_part: bool,
}

impl Listed<'_> {
    /// The indices of its words.
    pub fn words(&self) -> Range<usize> {
        self.first..self.first + self.n_words
    }
}

impl NameList {
    /// Reads a list out of the content of the file at `path`: text in UTF-8, see [`NameList::parse`].
    pub fn from_bytes(path: &Path, list: &[u8]) -> Result<Self, NameListError> {
        let list = without_mark(list);
        let list =
            str::from_utf8(&list).map_err(|source| NameListError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(list).map_err(|error| NameListError::Invalid { path: path.to_owned(), error })
    }

    /// Parses a list with a name, a tab and a label on each line. Empty lines and lines that begin with `#` are ignored.
    pub fn parse(list: &str) -> Result<Self, NameLineError> {
        // Without this capacity the map would hash all names again each time it grows.
        let names = HashMap::with_capacity(list.lines().count());
        let mut parsed = Self { names, ..Self::default() };
        for (index, text) in list.lines().enumerate() {
            if !text.trim().is_empty() && !text.starts_with('#') {
                parsed.add(index + 1, text)?;
            }
        }
        match parsed.names.is_empty() {
            true => Err(NameLineError::Empty),
            false => Ok(parsed),
        }
    }

    fn add(&mut self, line: usize, text: &str) -> Result<(), NameLineError> {
        // A file of another kind may be a single long line.
        let quoted = || text.chars().take(80).collect();
        let not_a_name = || NameLineError::NotAName { line, text: quoted() };
        let (name, label) = text.split_once('\t').ok_or_else(not_a_name)?;
        // As texts are read: composed, and without characters that are not seen.
        let name = View::of(name.trim(), ViewRules::default()).text;
        let (name, label) = (plain(&name), label.trim());
        let in_list = words(&name);
        let first = in_list.first().and_then(|word| word.slice(&name)).ok_or_else(not_a_name)?;
        if label.is_empty() || text.matches('\t').count() > 1 || !name.contains(char::is_alphanumeric) {
            return Err(not_a_name());
        }
        let n_words = in_list.len();
        if n_words > MAX_WORDS {
            return Err(NameLineError::TooLong { line, n_words, text: quoted() });
        }
        let index = self.labels.iter().position(|known| known == label).unwrap_or_else(|| {
            self.labels.push(label.to_owned());
            self.label_lines.push(line);
            self.labels.len() - 1
        }) as u16;
        match self.longest.get_mut(first) {
            Some(longest) => *longest = n_words.max(*longest),
            None => _ = self.longest.insert(first.into(), n_words),
        }
        self.most_bytes = self.most_bytes.max(name.len());
        match self.names.insert(Box::from(&*name), index) {
            Some(earlier) if earlier != index => {
                let (label, earlier) = (label.to_owned(), self.labels[usize::from(earlier)].clone());
                Err(NameLineError::TwoLabels { line, name: name.into_owned(), label, earlier })
            }
            _ => Ok(()),
        }
    }

    /// Refuses labels that are not in `known`, those of the model, and not for what is no name.
    pub fn check_labels(&self, path: &Path, known: &[&str]) -> Result<(), NameListError> {
        let is_unknown = |label: &str| label != NO_NAME && !known.contains(&announced_label(label).unwrap_or(label));
        match self.labels.iter().zip(&self.label_lines).find(|(label, _)| is_unknown(label)) {
            Some((label, &line)) => {
                let known = known.iter().map(|&label| label.to_owned()).collect();
                let error = NameLineError::UnknownLabel { line, label: label.clone(), known };
                Err(NameListError::Invalid { path: path.to_owned(), error })
            }
            None => Ok(()),
        }
    }

    pub fn n_names(&self) -> usize {
        self.names.len()
    }

    /// The listed names among `words` of `text`, the text of a [`View`], in order. None overlaps another.
    pub fn find(&self, text: &str, words: &[Word]) -> Vec<Listed<'_>> {
        let mut found = Vec::new();
        let mut first = 0;
        while first < words.len() {
            let listed = self
                .longest_at(text, words, first)
                .filter(|listed| !is_no_name(&self.labels[listed.label]) || !begins_company(text, &words[first..]))
                .or_else(|| self.compound_at(text, &words[first], first));
            first += listed.as_ref().map_or(1, |listed| listed.n_words);
            found.extend(listed);
        }
        found
    }

    /// The same for a text that has lost its letter case in some places, where `usual` has the usual one. A name counts in either, since
    /// words that the model folder does not list have no usual case (`HSV`).
    pub fn find_in_usual_case(&self, text: &str, usual: &str, words: &[Word]) -> Vec<Listed<'_>> {
        let mut found = self.find(usual, words);
        if std::ptr::eq(text, usual) {
            return found;
        }
        let taken: HashSet<usize> = found.iter().flat_map(Listed::words).collect();
        let is_free = |listed: &Listed<'_>| !listed.words().any(|word| taken.contains(&word));
        found.extend(self.find(text, words).into_iter().filter(is_free));
        found.sort_unstable_by_key(|listed| listed.first);
        found
    }

    /// The longest name that begins at the word `first`.
    fn longest_at(&self, text: &str, words: &[Word], first: usize) -> Option<Listed<'_>> {
        let word = plain(words[first].span.slice(text)?);
        let most = nominatives(&word).filter_map(|word| self.longest.get(word)).max();
        let most = (*most?).min(words.len() - first);
        (1..=most).rev().find_map(|n_words| {
            let name = plain(text.get(words[first].span.start..words[first + n_words - 1].span.end)?);
            let (name, label) = nominatives(&name).find_map(|name| self.get(name))?;
            Some(Listed { name, first, n_words, label, is_part: false })
        })
    }

    /// The longest name that the word begins with before a hyphen.
    fn compound_at(&self, text: &str, word: &Word, first: usize) -> Option<Listed<'_>> {
        let word = plain(word.span.slice(text)?);
        // A text may be one word of a million bytes, with a hyphen after every other one.
        let near = &word[..word.floor_char_boundary(self.most_bytes + 1)];
        let (name, label) = near.rmatch_indices('-').find_map(|(end, _)| self.get(&word[..end]))?;
        Some(Listed { name, first, n_words: 1, label, is_part: true })
    }

    /// The name as the list keeps it, and the index of its label.
    fn get(&self, name: &str) -> Option<(&str, usize)> {
        self.names.get_key_value(name).map(|(name, &label)| (&**name, usize::from(label)))
    }
}

/// Whether the first of `words` begins a name that ends in a legal form.
fn begins_company(text: &str, words: &[Word]) -> bool {
    let others = words.iter().skip(1).take(WORDS_OF_COMPANY).filter_map(|word| word.span.slice(text));
    let is_of_name = |word: &str| word.starts_with(char::is_uppercase) || matches!(word, "&" | "+" | "und");
    let mut others = others.skip_while(|word| is_of_name(word) && !LEGAL_FORMS.contains(word));
    others.next().is_some_and(|word| LEGAL_FORMS.contains(&word))
}

/// `name`, and what it is the genitive of if it is one: `Werder` of `Werders`, `Filmpreis` of `Filmpreises`.
fn nominatives(name: &str) -> impl Iterator<Item = &str> {
    let long = name.strip_suffix("es").filter(|base| base.chars().count() > 4);
    [Some(name), genitive_base(name), long].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::span::ByteSpan;

    const KNOWN: [&str; 3] = ["ORG", "OTH", "PER"];

    #[test]
    fn lines_that_are_no_names_are_refused_with_their_number() {
        let refused = |list: &str| NameList::parse(list).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused("").contains("is empty"));
        assert!(refused("# nothing\n\n").contains("is empty"));
        assert!(refused("Werder\tORG\nWerder Bremen ORG\n").contains("line 2 is not a name, a tab and a label"));
        assert!(refused("\tORG\n").contains("line 1 is not a name"));
        for line in ["Werder\tORG\tx\n", "Werder\t\tORG\n", "???\tO\n"] {
            assert!(refused(line).contains("line 1 is not a name"), "{line:?}");
        }
        let list = NameList::parse("Grass\tPER\nWerder\tCLUB\nWacker\tCLUB\n").unwrap();
        let unknown = list.check_labels(Path::new("names.txt"), &KNOWN).unwrap_err().to_string();
        assert!(
            unknown
                .contains("line 2 has the label `CLUB`, which the model does not have; use one of its labels, `ORG`, `OTH`, `PER`, `O` for"),
            "{unknown}"
        );
        let list = NameList::parse("KHK\tbefore PRE\n").unwrap();
        assert!(
            list.check_labels(Path::new("names.txt"), &KNOWN)
                .unwrap_err()
                .to_string()
                .contains("the label `before PRE`")
        );
        let list = NameList::parse("KHK\tbefore PER\nStVO\tO\n").unwrap();
        assert!(list.check_labels(Path::new("names.txt"), &KNOWN).is_ok());
        let long = refused(&format!("{}\tORG\n", "Werder ".repeat(33)));
        assert!(long.contains("line 1 has a name of 33 words, and at most 32 are searched for"), "{long}");
        assert!(NameList::parse(&format!("{}\tORG\n", "Werder ".repeat(32))).is_ok());
        assert!(refused(&"Werder".repeat(1000)).len() < 300);
        let twice = refused("# clubs\nWerder\tORG\nWerder\tPER\n");
        assert!(twice.contains("line 3 gives `Werder` the label `PER`, and an earlier line gives it `ORG`"), "{twice}");
        let list = NameList::parse("# clubs\n\nWerder\tORG\r\nWerder\tORG\nGorch Fock\tOTH").unwrap();
        assert_eq!(list.n_names(), 2);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_and_a_mark_is_not_part_of_a_name() {
        let read = |bytes: &[u8]| NameList::from_bytes(Path::new("names.txt"), bytes);
        let refused = read(b"K\xf6ln\tORG").err().unwrap().to_string();
        assert!(refused.starts_with("names.txt: the list of names cannot be read as text in UTF-8"), "{refused}");
        assert!(read("\u{feff}Werder\tORG".as_bytes()).unwrap().names.contains_key("Werder"));
    }

    #[test]
    fn a_word_of_a_megabyte_is_searched_in_linear_time() {
        let list = NameList::parse("Werder\tORG").unwrap();
        // In quadratic time, this would take minutes.
        let text = format!("Werder{}", "-x".repeat(500_000));
        let words = [Word { span: ByteSpan::new(0, text.len()), tokens: vec![0] }];
        let found = list.find(&text, &words);
        assert_eq!(found, [Listed { name: "Werder", first: 0, n_words: 1, label: 0, is_part: true }]);
    }

    #[test]
    fn listed_names_are_composed_and_without_characters_that_are_not_seen() {
        for name in ["1. FC Köln", "1. FC Ko\u{308}ln", "1. FC Kö\u{ad}ln", "\u{200b}1. FC Köln"] {
            let list = NameList::parse(&format!("{name}\tORG")).unwrap();
            assert!(list.names.contains_key("1. FC Köln"), "{name:?}");
        }
    }
}
