//! The only reader of tags: those of a token classifier, of `rename` in `ressort.toml`, and of labelled data.
//!
//! A tag is read by itself, with the set that it belongs to as evidence where it is ambiguous:
//!
//! - *Outside* is `O` in any spelling, and what stands for no token of the text: `[PAD]`, `[CLS]`, `<s>`, `X`.
//! - A *letter* of BIO, BIOES, BILOU or BMES marks the position. `B-` and `I-` always do, as in `transformers`. In any other
//!   form (`B_PER`, `PER-B`, `b-per`) it counts where the set uses that form: a type has a `B` and an `I`, `E`, `L` or `M` in
//!   it, or all types have it, one of them with a `B` or an `I`. `E-`, `S-`, `L-`, `U-` and `M-` count next to a `B-` or an
//!   `I-`, and where all types have such a letter. So `E-Mail` and `I_LOVE` next to `PER` stay whole.
//! - `0` is `O` in a set that has no `O`, and whose other tags all have a letter.
//! - A *bare* `B` or `I` belongs to the type [`ONLY_TYPE`], where both are there or no tag is a plain type.
//! - All else is a *plain* type: neighbouring tokens of it are one entity.

use std::collections::{BTreeMap, BTreeSet};

/// The type of tags that are a letter without a type.
pub const ONLY_TYPE: &str = "ENTITY";

/// The position of a token in an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    Outside,
    Begin,
    Inside,
    End,
    Single,
}

/// One tag of a model or of labelled data: `B-PER` is the beginning of a `PER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// As it is written, without white space around it.
    pub raw: String,
    pub position: Position,
    /// The entity type, without letter; for no entity, `raw`.
    pub label: String,
}

/// `O` as it is mistyped.
const ZERO: &str = "0";

/// How a letter is attached to a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    is_suffix: bool,
    separator: char,
    is_lower_case: bool,
}

/// Begin, inside, end, single; last and unit of BILOU; middle of BMES.
const LETTERS: &str = "BIESLUM";

/// The form of `B-PER`.
const HYPHENATED: Form = Form { is_suffix: false, separator: '-', is_lower_case: false };

/// A tag cut into letter and type.
struct Split<'t> {
    form: Form,
    /// In upper case.
    letter: char,
    label: &'t str,
}

/// What a set of tags uses; it reads every tag of that set.
#[derive(Debug, Clone)]
pub struct TagReader {
    forms: Vec<Form>,
    /// Whether `B` and `I` are letters without a type.
    has_bare: bool,
    /// Whether `0` is written for `O`.
    has_zero: bool,
}

/// The tags of a model, in the order of its logits.
pub fn parse_tags(raw: &[String]) -> Vec<Tag> {
    let reader = TagReader::of(raw.iter().map(String::as_str));
    raw.iter().map(|tag| reader.read(tag)).collect()
}

/// The entity types of `tags`, each once, in the order in which the model names them.
pub fn entity_labels(tags: &[Tag]) -> Vec<&str> {
    let mut labels: Vec<&str> = Vec::new();
    for tag in tags.iter().filter(|tag| tag.position != Position::Outside) {
        if !labels.contains(&tag.label.as_str()) {
            labels.push(&tag.label);
        }
    }
    labels
}

/// `raw` under the new names that `names` has for their types, or for whole tags.
///
/// # Errors
/// A name that is neither a type nor a tag.
pub fn rename_tags(raw: &[String], names: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    let tags = parse_tags(raw);
    match names.keys().find(|name| !tags.iter().any(|tag| tag.raw == **name || tag.label == **name)) {
        Some(unknown) => Err(unknown.clone()),
        None => Ok(tags.iter().map(|tag| tag.renamed(names)).collect()),
    }
}

impl TagReader {
    /// The reader of the tags of one model or file; a tag may be there many times.
    pub fn of<'t>(tags: impl IntoIterator<Item = &'t str>) -> Self {
        let all: BTreeSet<&str> = tags.into_iter().map(str::trim).collect();
        let has_zero = !all.iter().any(|tag| tag.eq_ignore_ascii_case("O"));
        let (zero, named): (Vec<&str>, Vec<&str>) =
            all.into_iter().filter(|tag| !is_outside(tag)).partition(|tag| has_zero && *tag == ZERO);
        let (bare, typed): (Vec<&str>, Vec<&str>) = named.into_iter().partition(|tag| letter_of(tag).is_some());
        let candidates: BTreeSet<Form> = typed.iter().flat_map(|tag| splits(tag)).map(|split| split.form).collect();
        let forms: Vec<Form> = candidates.into_iter().filter(|form| is_used(*form, &typed)).collect();
        let has = |letter| bare.iter().any(|tag| letter_of(tag) == Some(letter));
        let has_plain = typed.iter().any(|tag| !splits(tag).any(|split| forms.contains(&split.form)));
        let has_bare = match (has('B'), has('I')) {
            (true, true) => true,
            (true, false) => !has_plain,
            // Without a beginning, `E` or `L` is a type.
            (false, true) => !has_plain && bare.iter().all(|tag| letter_of(tag) == Some('I')),
            (false, false) => false,
        };
        // Among numbers or plain types, `0` is one of them.
        let has_zero = !zero.is_empty() && !has_plain && (has_bare || !forms.is_empty());
        Self { forms, has_bare, has_zero }
    }

    pub fn read(&self, tag: &str) -> Tag {
        let raw = tag.trim();
        let split = splits(raw).find(|split| self.forms.contains(&split.form));
        let (position, label) = match (split, letter_of(raw).filter(|_| self.has_bare)) {
            _ if is_outside(raw) || (self.has_zero && raw == ZERO) => (Position::Outside, raw),
            (Some(split), _) => (position_of(split.letter), split.label),
            (None, Some(letter)) => (position_of(letter), ONLY_TYPE),
            (None, None) => (Position::Inside, raw),
        };
        Tag { raw: raw.to_owned(), position, label: label.to_owned() }
    }
}

impl Tag {
    /// Whether it may continue an entity of its type.
    pub fn continues(&self) -> bool {
        matches!(self.position, Position::Inside | Position::End)
    }

    /// Whether it continues the name of the tag before it.
    pub fn extends(&self, previous: &Self) -> bool {
        self.continues() && previous.may_be_continued() && previous.label == self.label
    }

    pub fn may_be_continued(&self) -> bool {
        matches!(self.position, Position::Begin | Position::Inside)
    }

    /// Whether what follows starts again.
    pub fn closes(&self) -> bool {
        matches!(self.position, Position::End | Position::Single)
    }

    /// Whether it is a type without a letter.
    pub fn is_plain(&self) -> bool {
        self.position != Position::Outside && self.raw == self.label
    }

    fn renamed(&self, names: &BTreeMap<String, String>) -> String {
        let named = names.get(&self.raw).map(|name| (name, true));
        match named.or_else(|| names.get(&self.label).map(|name| (name, false))) {
            None => self.raw.clone(),
            Some((name, is_whole)) if is_whole || is_outside(name) => name.clone(),
            Some((name, _)) => match (self.raw.strip_suffix(&self.label), self.raw.strip_prefix(&self.label)) {
                (Some(letter), _) => format!("{letter}{name}"),
                (None, Some(letter)) => format!("{name}{letter}"),
                (None, None) => format!("{}-{name}", self.raw.to_ascii_uppercase()),
            },
        }
    }
}

/// Whether the tag of a token says that it is in no entity, or no token of the text.
fn is_outside(tag: &str) -> bool {
    let word = tag.trim().to_lowercase();
    let within = word.trim_matches(['[', ']', '<', '>', '|', '{', '}', '(', ')']);
    match within {
        "" | "_" | "-" | "–" | "—" | "*" => true,
        "o" | "out" | "outside" | "none" | "null" | "nil" | "x" | "pad" | "padding" | "cls" | "sep" => true,
        "s" | "/s" | "unk" | "mask" | "bos" | "eos" | "start" | "stop" | "end" => within != word,
        _ => matches!(within, "start_tag" | "stop_tag" | "end_tag" | "no_entity" | "no-entity" | "ignore" | "ignored"),
    }
}

/// The letter that is the whole tag, in upper case.
fn letter_of(tag: &str) -> Option<char> {
    let mut characters = tag.chars();
    let letter = characters.next()?.to_ascii_uppercase();
    (characters.next().is_none() && LETTERS.contains(letter)).then_some(letter)
}

fn position_of(letter: char) -> Position {
    match letter {
        'B' => Position::Begin,
        'E' | 'L' => Position::End,
        'S' | 'U' => Position::Single,
        _ => Position::Inside,
    }
}

/// The ways in which a tag can be cut, prefix first.
fn splits(tag: &str) -> impl Iterator<Item = Split<'_>> {
    [false, true].into_iter().filter_map(move |is_suffix| split(tag, is_suffix))
}

fn split(tag: &str, is_suffix: bool) -> Option<Split<'_>> {
    const SEPARATORS: &str = "-_.:/| ‐‑–";
    let mut rest = tag.chars();
    let mut next = || if is_suffix { rest.next_back() } else { rest.next() };
    let (written, separator) = (next()?, next()?);
    let (letter, label) = (written.to_ascii_uppercase(), rest.as_str());
    let form = Form { is_suffix, separator, is_lower_case: written.is_ascii_lowercase() };
    let is_split = LETTERS.contains(letter) && SEPARATORS.contains(separator) && !label.is_empty();
    is_split.then_some(Split { form, letter, label })
}

/// Whether the types of a set use `form`, see the head of this file.
fn is_used(form: Form, typed: &[&str]) -> bool {
    let of_form: Vec<Option<Split<'_>>> =
        typed.iter().map(|tag| splits(tag).find(|split| split.form == form)).collect();
    let has = |letters: &str| of_form.iter().flatten().any(|split| letters.contains(split.letter));
    let all_have_it = of_form.iter().all(Option::is_some);
    let begun: BTreeSet<&str> =
        of_form.iter().flatten().filter(|split| split.letter == 'B').map(|split| split.label).collect();
    let is_continued =
        of_form.iter().flatten().any(|split| "IELM".contains(split.letter) && begun.contains(split.label));
    match form {
        HYPHENATED => has("BI") || (all_have_it && has("SU")),
        _ => is_continued || (all_have_it && has("BI")),
    }
}

#[cfg(test)]
mod tests {
    use Position::*;

    use super::*;

    fn owned(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    fn check(tags: &[&str], expected: &[(Position, &str)]) {
        let read = parse_tags(&owned(tags));
        let read: Vec<_> = read.iter().map(|tag| (tag.position, tag.label.as_str())).collect();
        assert_eq!(read, expected, "{tags:?}");
    }

    #[test]
    fn each_tag_has_its_meaning_whatever_tags_are_next_to_it() {
        for odd in [
            "[PAD]",
            "[CLS]",
            "[SEP]",
            "<pad>",
            "<s>",
            "</s>",
            "<|pad|>",
            "X",
            "o",
            "OUT",
            "_",
            "",
            "None",
            "<START_TAG>",
        ] {
            check(
                &["O", "B-PER", "I-PER", "S-LOC", odd],
                &[(Outside, "O"), (Begin, "PER"), (Inside, "PER"), (Single, "LOC"), (Outside, odd)],
            );
            check(&["O", "B", "I", odd], &[(Outside, "O"), (Begin, ONLY_TYPE), (Inside, ONLY_TYPE), (Outside, odd)]);
            check(&["B_PER", "I_PER", odd], &[(Begin, "PER"), (Inside, "PER"), (Outside, odd)]);
        }
        check(&["B-PER", "I-PER", "MISC", "I-X"], &[(Begin, "PER"), (Inside, "PER"), (Inside, "MISC"), (Inside, "X")]);
        check(
            &["B_PER", "I_PER", "B_LOC", "MISC"],
            &[(Begin, "PER"), (Inside, "PER"), (Begin, "LOC"), (Inside, "MISC")],
        );
        check(&["O", "B", "I", "MISC"], &[(Outside, "O"), (Begin, ONLY_TYPE), (Inside, ONLY_TYPE), (Inside, "MISC")]);
    }

    #[test]
    fn letters_are_read_in_every_form() {
        let per_and_loc = [(Begin, "PER"), (Inside, "PER"), (Begin, "LOC"), (Outside, "O")];
        for tags in [
            ["B-PER", "I-PER", "B-LOC", "O"],
            ["B_PER", "I_PER", "B_LOC", "O"],
            ["PER-B", "PER-I", "LOC-B", "O"],
            ["PER_B", "PER_I", "LOC_B", "O"],
            ["PER.B", "PER.I", "LOC.B", "O"],
            ["b-PER", "i-PER", "b-LOC", "O"],
            ["B:PER", "I:PER", "B:LOC", "O"],
            ["B PER", "I PER", "B LOC", "O"],
        ] {
            check(&tags, &per_and_loc);
        }
        check(&["b-per", "m-per", "e-per"], &[(Begin, "per"), (Inside, "per"), (End, "per")]);
        check(&["B-LOC", "L-LOC", "U-LOC"], &[(Begin, "LOC"), (End, "LOC"), (Single, "LOC")]);
        check(&["S-LOC", "E-LOC", "U-X"], &[(Single, "LOC"), (End, "LOC"), (Single, "X")]);
        check(&["B-LOC-deriv", "I_ORG", "B-"], &[(Begin, "LOC-deriv"), (Inside, "I_ORG"), (Inside, "B-")]);
        check(&["B", "I", "E", "S"], &[Begin, Inside, End, Single].map(|position| (position, ONLY_TYPE)));
        check(&["i", "o"], &[(Inside, ONLY_TYPE), (Outside, "o")]);
    }

    #[test]
    fn zero_is_outside_only_where_it_takes_the_place_of_o() {
        check(&["0", "B-PER", "I-PER"], &[(Outside, "0"), (Begin, "PER"), (Inside, "PER")]);
        check(
            &["B_PER", "I_PER", "0", "[PAD]"],
            &[(Begin, "PER"), (Inside, "PER"), (Outside, "0"), (Outside, "[PAD]")],
        );
        check(&["0", "B", "I"], &[(Outside, "0"), (Begin, ONLY_TYPE), (Inside, ONLY_TYPE)]);
        check(&["O", "0", "B-PER"], &[(Outside, "O"), (Inside, "0"), (Begin, "PER")]);
        check(&["0", "1", "2"], &[(Inside, "0"), (Inside, "1"), (Inside, "2")]);
        check(&["0", "B-PER", "MISC"], &[(Inside, "0"), (Begin, "PER"), (Inside, "MISC")]);
    }

    #[test]
    fn a_type_that_looks_like_a_letter_and_a_type_stays_whole() {
        for plain in ["E-Mail", "S-Bahn", "I_LOVE", "Vitamin-B", "e-mail", "Typ_I", "L_0", "LABEL_0", "0", "B", "OTHER"]
        {
            check(&["O", "PER", plain], &[(Outside, "O"), (Inside, "PER"), (Inside, plain)]);
        }
        check(&["L_0", "L_1"], &[(Inside, "L_0"), (Inside, "L_1")]);
        // As in `transformers`, whatever a set has besides.
        check(&["O", "PER", "B-Movie"], &[(Outside, "O"), (Inside, "PER"), (Begin, "Movie")]);
    }

    #[test]
    fn new_names_keep_the_letter_of_a_tag() {
        let rename = |tags: &[&str], old: &str, new: &str| {
            rename_tags(&owned(tags), &BTreeMap::from([(old.to_owned(), new.to_owned())]))
        };
        assert_eq!(rename(&["O", "B_PER", "I_PER"], "PER", "PERSON").unwrap(), ["O", "B_PERSON", "I_PERSON"]);
        assert_eq!(rename(&["PER.B", "PER.I"], "PER", "P").unwrap(), ["P.B", "P.I"]);
        assert_eq!(rename(&["O", "b", "i"], ONLY_TYPE, "PER").unwrap(), ["O", "B-PER", "I-PER"]);
        assert_eq!(rename(&["LABEL_0", "LABEL_1"], "LABEL_1", "B-PER").unwrap(), ["LABEL_0", "B-PER"]);
        assert_eq!(rename(&["B-PER", "I-PER", "B-X"], "PER", "O").unwrap(), ["O", "O", "B-X"]);
        assert_eq!(rename(&["O", "B-PER"], "LOC", "ORT"), Err("LOC".to_owned()));
    }
}
