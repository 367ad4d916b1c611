//! Which names of one text are one: by their words, under rules for each kind of name.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::names::{initials, is_short_person, is_team_number, nominative, stemmed};
use crate::classify::derived::is_abbreviation;
use crate::classify::kinds::Kind;

/// A name that is in the text, however often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub shown: String,
    pub words: Vec<String>,
    /// Letters of `shown` that an inflection adds to the name.
    pub n_inflected: usize,
}

impl Known {
    /// The name as it is written, without an ending of inflection.
    pub fn uninflected(&self) -> &str {
        let end = self.shown.len().saturating_sub(self.n_inflected);
        self.shown.get(..end).unwrap_or(&self.shown)
    }
}

/// Sets of names that are one, by union and find.
#[derive(Debug)]
pub struct Links {
    parents: Vec<usize>,
    /// The names that each name could be a short form of, where there are several.
    pub ambiguous: BTreeMap<usize, BTreeSet<usize>>,
}

impl Links {
    pub fn new(n_names: usize) -> Self {
        Self { parents: (0..n_names).collect(), ambiguous: BTreeMap::new() }
    }

    /// The name that stands for all that are one with `name`.
    pub fn root(&self, mut name: usize) -> usize {
        while self.parents[name] != name {
            name = self.parents[name];
        }
        name
    }

    pub fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
    }

    /// Joins `short` with what it is a form of, if that is one.
    fn join_only(&mut self, short: usize, longer: impl IntoIterator<Item = usize>) {
        let own = self.root(short);
        let roots: BTreeSet<usize> =
            longer.into_iter().map(|name| self.root(name)).filter(|root| *root != own).collect();
        match roots.len() {
            0 => {}
            1 => roots.into_iter().for_each(|root| self.join(short, root)),
            _ => drop(self.ambiguous.insert(own, roots)),
        }
    }
}

/// Names of one label in more words than this take part in no rule but the first.
const MAX_WORDS: usize = 12;

/// Names with the same last word beyond this number are compared as wholes only.
const MAX_NAMESAKES: usize = 100;

/// Takes the endings of inflection off the last words, in place.
pub fn remove_inflection(names: &mut [Known]) {
    let last_words: HashSet<String> = names.iter().filter_map(|name| name.words.last().cloned()).collect();
    let last_words: HashSet<&str> = last_words.iter().map(String::as_str).collect();
    for name in names {
        let Some(last) = name.words.last_mut() else { continue };
        let (stem, ending) = last.split_at(nominative(last, &last_words).len());
        // The words are folded: `Krauß` is `krauss`, but its `ß` is no ending.
        if name.shown.to_lowercase().ends_with(ending) {
            name.n_inflected = ending.len();
            *last = stem.to_owned();
        }
    }
}

/// Joins the names of one label, which are those at `ids`.
pub fn link(kind: Option<Kind>, names: &[Known], ids: &[usize], links: &mut Links) {
    let mut first: HashMap<Vec<String>, usize> = HashMap::new();
    for &id in ids {
        let words = &names[id].words;
        match first.entry(if kind == Some(Kind::Person) { words.clone() } else { stemmed(words) }) {
            Entry::Occupied(same) => links.join(*same.get(), id),
            Entry::Vacant(new) => drop(new.insert(id)),
        }
    }
    let mut distinct: Vec<usize> = first.into_values().filter(|id| names[*id].words.len() <= MAX_WORDS).collect();
    // The longest first, so that a short name meets the longer ones that are one already.
    distinct.sort_by_key(|id| (std::cmp::Reverse(names[*id].words.len()), *id));
    match kind {
        Some(Kind::Person) => link_persons(names, &distinct, links),
        kind => {
            link_initials(names, &distinct, links);
            link_parts(kind, names, &distinct, links);
        }
    }
}

/// A full name and its shorter forms, then surnames alone, then first names alone.
fn link_persons(names: &[Known], distinct: &[usize], links: &mut Links) {
    let (full, bare): (Vec<usize>, Vec<usize>) = distinct.iter().partition(|id| names[**id].words.len() > 1);
    let mut by_last: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut by_first: HashMap<&str, Vec<usize>> = HashMap::new();
    for &id in &full {
        let words = &names[id].words;
        by_last.entry(&words[words.len() - 1]).or_default().push(id);
        by_first.entry(&words[0]).or_default().push(id);
    }
    for namesakes in by_last.values().filter(|namesakes| namesakes.len() <= MAX_NAMESAKES) {
        let is_short_of = |long: &usize| -> Vec<bool> {
            namesakes.iter().map(|short| is_short_person(&names[*short].words, &names[*long].words)).collect()
        };
        let shorter: Vec<Vec<bool>> = namesakes.iter().map(is_short_of).collect();
        // `Lisa Koch` and `Marie Koch` are two persons, so that `Lisa Marie Koch` may be either.
        let is_of_two = |long: usize| {
            let short: Vec<usize> = (long + 1..namesakes.len()).filter(|short| shorter[long][*short]).collect();
            let differs =
                |(index, &a): (usize, &usize)| short[index + 1..].iter().any(|&b| !shorter[b][a] && !shorter[a][b]);
            short.iter().enumerate().any(differs)
        };
        let of_one: Vec<usize> = (0..namesakes.len()).filter(|long| !is_of_two(*long)).collect();
        for (index, &short) in namesakes.iter().enumerate() {
            let longer =
                of_one.iter().filter(|long| **long < index && shorter[**long][index]).map(|long| namesakes[*long]);
            let longer: Vec<usize> = longer.collect();
            links.join_only(short, longer);
        }
    }
    for id in bare {
        let Some(word) = names[id].words.first() else { continue };
        let found = by_last.get(word.as_str()).or_else(|| by_first.get(word.as_str()));
        links.join_only(id, found.into_iter().flatten().copied());
    }
}

/// An abbreviation and the only name of several words that has these initials.
fn link_initials(names: &[Known], distinct: &[usize], links: &mut Links) {
    let mut by_initials: HashMap<String, Vec<usize>> = HashMap::new();
    for &id in distinct.iter().filter(|id| names[**id].words.len() > 1) {
        by_initials.entry(initials(&names[id].shown)).or_default().push(id);
    }
    for &id in distinct.iter().filter(|id| names[**id].words.len() == 1) {
        let shown = names[id].uninflected();
        if is_abbreviation(shown) {
            links.join_only(id, by_initials.get(shown).into_iter().flatten().copied());
        }
    }
}

/// A name and the only longer one that begins or ends with it.
fn link_parts(kind: Option<Kind>, names: &[Known], distinct: &[usize], links: &mut Links) {
    let last_words: HashSet<&str> =
        distinct.iter().filter_map(|id| names[*id].words.last()).map(String::as_str).collect();
    let mut by_part: HashMap<Vec<String>, Vec<usize>> = HashMap::new();
    for &id in distinct {
        for part in parts(kind, &names[id].words) {
            let mut part = stemmed(part);
            // `Landgerichts` of `Landgerichts Köln`.
            part.iter_mut().last().into_iter().for_each(|last| *last = nominative(last, &last_words).to_owned());
            by_part.entry(part).or_default().push(id);
        }
    }
    for &id in distinct {
        let longer = by_part.get(&stemmed(&names[id].words)).into_iter().flatten().copied();
        links.join_only(id, longer.filter(|longer| !is_other_abbreviation(&names[id].shown, &names[*longer].shown)));
    }
}

/// Whether a name is an abbreviation that is only spelled like a word of the longer name: `BUND` and `Bund der Steuerzahler`. A longer
/// word in capitals is probably no abbreviation (`SIEMENS`).
fn is_other_abbreviation(name: &str, longer: &str) -> bool {
    const MAX_CHARACTERS: usize = 4;
    is_abbreviation(name) && name.chars().count() <= MAX_CHARACTERS && !longer.contains(name)
}

/// The parts of a name that may stand for it. `Frankfurt` is `Frankfurt am Main`, but `CDU` is not `CDU/CSU`, and a place has no
/// other short forms (`Leipzig` is not `Leipzig Hauptbahnhof`).
fn parts(kind: Option<Kind>, words: &[String]) -> Vec<&[String]> {
    const BEFORE_A_RIVER: [&str; 12] = ["am", "an", "a", "im", "in", "i", "ob", "bei", "vor", "auf", "(", "/"];
    const BETWEEN_NAMES: [&str; 4] = ["/", "&", "und", "+"];
    let cuts = 1..words.len();
    match kind {
        Some(Kind::Place) => {
            let cuts = cuts.filter(|cut| BEFORE_A_RIVER.contains(&words[*cut].as_str()));
            cuts.map(|cut| &words[..cut]).collect()
        }
        _ if words.iter().any(|word| BETWEEN_NAMES.contains(&word.as_str())) => Vec::new(),
        _ => {
            // `Hertha BSC II` is another team than `Hertha BSC`, and `Schalke 04` is `Schalke`.
            let start =
                |cut: usize| Some(&words[..cut]).filter(|_| !words[cut..].iter().any(|word| is_team_number(word)));
            cuts.flat_map(|cut| start(cut).into_iter().chain([&words[cut..]])).collect()
        }
    }
}
