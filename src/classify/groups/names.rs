//! Names in the form in which they are compared.

use std::collections::HashSet;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::classify::derived::{HYPHENS, name_in};
use crate::classify::kinds::Kind;
use crate::text::view::as_read;

/// The name in a mention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// As a reader would write it: without markup, possessive mark, and what a compound adds to it.
    pub shown: String,
    /// For comparison: in lower case, umlauts as two letters, no accents, titles, articles or legal forms.
    pub words: Vec<String>,
    /// Whether the mention is a compound or derived word in which the name has a span (`US-Beamte`).
    pub is_part: bool,
}

/// How a mention is labelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As a name.
    Plain(Option<Kind>),
    /// As a word that has a name as a part, or is derived from one.
    Compound(Option<Kind>),
    Derived(Option<Kind>),
}

impl Name {
    /// Reads a mention as received.
    pub fn of(mention: &str, form: Form) -> Self {
        let shown = as_read(mention).split_whitespace().collect::<Vec<_>>().join(" ");
        let (part, kind) = match form {
            Form::Plain(kind) => (None, kind),
            Form::Compound(kind) => (name_in(&shown, true), kind),
            Form::Derived(kind) => (name_in(&shown, false), kind),
        };
        if let Form::Derived(_) = form
            && part.is_none()
        {
            return Self { words: vec![adjective_stem(&folded(&shown))], shown, is_part: false };
        }
        let name = part.map_or(shown.as_str(), |(start, end)| &shown[start..end]);
        let name = without_possessive(name.trim_end_matches(HYPHENS));
        let words = match kind {
            Some(Kind::Person) => without_titles(words_of(name)),
            _ => plain_form(words_of(name)),
        };
        Self { shown: name.to_owned(), words, is_part: part.is_some() }
    }
}

/// Lower case, `ä` as `ae`, `ß` as `ss`, and no other accents.
pub fn folded(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    for char in word.chars().flat_map(char::to_lowercase) {
        match char {
            'ä' => folded.push_str("ae"),
            'ö' => folded.push_str("oe"),
            'ü' => folded.push_str("ue"),
            'ß' => folded.push_str("ss"),
            'ı' => folded.push('i'),
            'ł' => folded.push('l'),
            'ø' => folded.push('o'),
            char if HYPHENS.contains(&char) => folded.push('-'),
            char if char.is_ascii() => folded.push(char),
            char => folded.extend(char.nfd().filter(|char| !is_combining_mark(*char))),
        }
    }
    folded
}

/// `Grass'` and `Putin's` without what makes them a genitive.
fn without_possessive(name: &str) -> &str {
    const MARKS: [char; 4] = ['\'', '’', '´', '`'];
    if let Some(name) = name.strip_suffix(MARKS) {
        return name;
    }
    name.strip_suffix('s').and_then(|name| name.strip_suffix(MARKS)).unwrap_or(name)
}

/// The words of a name, with an opening bracket and a slash as words too: `Frankfurt (Oder)`, `Frankfurt/Main`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for chunk in name.split_whitespace() {
        for (index, part) in chunk.split('/').enumerate() {
            if index > 0 {
                words.push("/".to_owned());
            }
            if part.starts_with('(') {
                words.push("(".to_owned());
            }
            let word = folded(part.trim_matches(|char: char| !char.is_alphanumeric()));
            // `U.S.A.` is `USA`; the stop of `Dr.` and of an initial is gone already.
            let is_dotted = word.contains('.') && word.split('.').all(|letter| letter.chars().count() == 1);
            let word = if is_dotted { word.replace('.', "") } else { word };
            if !word.is_empty() {
                words.push(word);
            }
        }
    }
    words
}

/// A person's name without the titles before it; its last word stays.
fn without_titles(mut words: Vec<String>) -> Vec<String> {
    const TITLES: [&str; 26] = [
        "herr",
        "herrn",
        "frau",
        "dr",
        "prof",
        "professor",
        "professorin",
        "med",
        "jur",
        "phil",
        "dipl",
        "ing",
        "sir",
        "lady",
        "lord",
        "papst",
        "koenig",
        "koenigin",
        "kaiser",
        "prinz",
        "prinzessin",
        "bischof",
        "kardinal",
        "pfarrer",
        "pastor",
        "pater",
    ];
    // With what is put before them: `Bundeskanzler`, `US-Praesidentin`, `Oberbuergermeister`.
    const OFFICES: [&str; 7] = ["kanzler", "praesident", "minister", "meister", "chef", "sprecher", "trainer"];
    let is_title = |word: &String| {
        let male = word.strip_suffix("in").unwrap_or(word);
        TITLES.contains(&word.as_str()) || OFFICES.iter().any(|office| male.ends_with(office))
    };
    let n_titles = words.iter().take(words.len().saturating_sub(1)).take_while(|word| is_title(word)).count();
    words.drain(..n_titles);
    words
}

/// A name of another kind without article and legal form. The known other names of one thing become the same.
fn plain_form(mut words: Vec<String>) -> Vec<String> {
    const ARTICLES: [&str; 6] = ["der", "die", "das", "den", "dem", "des"];
    const LEGAL_FORMS: [&str; 12] = ["ag", "se", "gmbh", "kg", "kgaa", "co", "ev", "inc", "ltd", "plc", "corp", "nv"];
    if words.len() > 1 && ARTICLES.contains(&words[0].as_str()) {
        words.remove(0);
    }
    while words.len() > 1 && words.last().is_some_and(|word| LEGAL_FORMS.contains(&word.as_str()) || word == "&") {
        words.pop();
    }
    match other_name(&words) {
        Some(name) => vec![name.to_owned()],
        None => words,
    }
}

/// The words with inner ones as stems: `Deutsche Bank` and `Deutschen Bank`, `Landgericht Köln` and `Landgerichts Köln` are one.
pub fn stemmed(words: &[String]) -> Vec<String> {
    let n_inner = words.len().saturating_sub(1);
    let stem = |(index, word): (usize, &String)| if index < n_inner { adjective_stem(word) } else { word.clone() };
    words.iter().enumerate().map(stem).collect()
}

/// The other names under which a text speaks of one thing, as [`stemmed`] writes them; the last is the form for comparison.
const OTHER_NAMES: [&[&str]; 5] = [
    &["us", "vereinigt staaten", "vereinigt staat von amerika", "usa"],
    &["europaeisch union", "eu"],
    &["uno", "vereint nationen", "un"],
    &["deutsch demokratisch republik", "ddr"],
    &["vereinigt koenigreich", "vereinigt koenigreichs", "grossbritannien", "grossbritanniens", "uk"],
];

fn other_name(words: &[String]) -> Option<&'static str> {
    let joined = stemmed(words).join(" ");
    let names = OTHER_NAMES.iter().find(|names| names.contains(&joined.as_str()))?;
    names.last().copied()
}

/// An adjective, or an inner word of a name, without its ending: `deutsche`, `deutscher` and `deutschen` are `deutsch`.
fn adjective_stem(word: &str) -> String {
    const ENDINGS: [&str; 7] = ["ern", "en", "er", "es", "em", "e", "s"];
    const MIN_LETTERS: usize = 3;
    let stem = ENDINGS.iter().find_map(|ending| word.strip_suffix(ending));
    stem.filter(|stem| stem.chars().count() >= MIN_LETTERS).unwrap_or(word).to_owned()
}

/// Without the ending of a genitive, or of a dative plural, if the rest is the last word of another name of the text.
///
/// `Putins` is `Putin` where there is a `Putin`; `Paris` stays, unless there is a `Pari`.
pub fn nominative<'w>(word: &'w str, last_words: &HashSet<&str>) -> &'w str {
    let is_known = |stem: &&str| stem.chars().count() > 1 && last_words.contains(stem);
    let genitive = || word.strip_suffix('s').filter(is_known).or_else(|| word.strip_suffix("es").filter(is_known));
    let plural = || word.strip_suffix('n').filter(|stem| stem.ends_with('e')).filter(is_known);
    genitive().or_else(plural).unwrap_or(word)
}

/// Whether a person's name `short` is `long` with words left out or written as initials: `A. Merkel`, `Joe Biden` of `Joe Robinette
/// Biden`. Where both have a second first name, it is the same: `George W. Bush` is not `George H. W. Bush`.
pub fn is_short_person(short: &[String], long: &[String]) -> bool {
    let mut rest = long.iter();
    let is_form = short.iter().all(|word| rest.any(|other| is_same_or_initial(word, other)));
    let agree = match (second_first_name(short), second_first_name(long)) {
        (Some(short), Some(long)) => is_same_or_initial(short, long),
        _ => true,
    };
    is_form && agree
}

fn is_same_or_initial(a: &str, b: &str) -> bool {
    a == b || (a.chars().count() == 1 && b.starts_with(a)) || (b.chars().count() == 1 && a.starts_with(b))
}

/// The first word between the first and the last one that belongs to the first names.
fn second_first_name(words: &[String]) -> Option<&str> {
    const PARTICLES: [&str; 20] = [
        "von", "vom", "zu", "zum", "zur", "und", "der", "den", "dem", "de", "del", "della", "di", "da", "dos", "van",
        "ten", "ter", "al", "el",
    ];
    let is_particle = |word: &&String| PARTICLES.contains(&word.as_str());
    let inner = words.get(1..words.len().saturating_sub(1))?;
    // `von der Leyen` has no first name.
    let has_first_name = words.first().is_some_and(|first| !is_particle(&first));
    inner.iter().find(|word| !is_particle(word)).filter(|_| has_first_name).map(String::as_str)
}

/// Whether a word of a club's name says which of its teams is meant: `II`, `2`, `U19`.
pub fn is_team_number(word: &str) -> bool {
    const NUMBERS: [&str; 6] = ["ii", "iii", "iv", "2", "3", "4"];
    let of_age = |word: &str| word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_digit());
    NUMBERS.contains(&word) || word.strip_prefix('u').is_some_and(|age| of_age(age.trim_start_matches('-')))
}

/// Whether the letters of `short` are found in the name, the first of them at its start: `BVerfG` in `Bundesverfassungsgericht`.
pub fn abbreviates(short: &str, name: &str) -> bool {
    let (short, name) = (folded(short), folded(name));
    let mut letters = name.chars();
    let is_first = short.chars().next().is_some_and(|first| name.starts_with(first));
    is_first && short.chars().all(|letter| !letter.is_alphanumeric() || letters.any(|other| other == letter))
}

/// The first letters of the words of a name that are written with a capital: `CDU` of `Christlich Demokratische Union`.
pub fn initials(shown: &str) -> String {
    static BREAKS: LazyLock<Vec<char>> = LazyLock::new(|| [&[' '][..], &HYPHENS].concat());
    let firsts = shown.split(&BREAKS[..]).filter_map(|word| word.chars().next());
    firsts.filter(|first| first.is_uppercase()).collect()
}
