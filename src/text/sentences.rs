//! Where the sentences and lines of a text begin, by its punctuation alone, so that windows end between sentences.
//!
//! A wrong guess only moves the edge of a window: nothing is dropped, and the offsets of entities do not depend on it. The
//! rule knows no model and no language but German. `scripts/train/sentences.py` has the same rule, and
//! `tests/reference/sentences.json` holds both to it.

/// The first character of a sentence or line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// In bytes of the text.
    pub offset: usize,
    pub kind: StartKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartKind {
    /// After final punctuation or an empty line, or a list item.
    Sentence,
    /// After a line end that may be in the middle of a sentence.
    Line,
}

const NO_BREAK_SPACES: [char; 2] = ['\u{a0}', '\u{202f}'];
const FINAL: [char; 4] = ['.', '!', '?', '…'];
const CLOSING: [char; 13] = ['"', '\'', '”', '“', '’', '‘', '»', '«', '›', '‹', ')', ']', '}'];
const OPENING: [char; 17] = ['"', '\'', '„', '“', '”', '‚', '‘', '’', '«', '»', '‹', '›', '(', '[', '{', '–', '—'];
const BULLETS: [char; 7] = ['•', '‣', '▪', '■', '●', '○', '◦'];
const DASHES: [char; 5] = ['·', '*', '–', '—', '-'];

/// Abbreviations of more than one letter, in lower case and in order. A stop after a single letter is never an end.
const ABBREVIATIONS: &str = "abb abk abs abschn abt allg anm art aufl bd bde bearb bes betr bez bspw bsp bzgl bzw ca co \
    corp ders dez dgl dipl dr dt ebd ehem einschl engl entspr etc ev evtl exkl fa feb fig fr frz geb gebr gegr gem gest \
    ggf hl hrsg inc ing inkl insb insbes jan jg jh jhd jr jul jun jur kap kath kgl lat lic lt ltd mag max mär med mind \
    mio mr mrd mrs nat nov nr okt op phil pol präs prof rd red reg rer röm sen sep sept skt sog spez st std str südd tel \
    tsd urspr usw verf verh vgl vol vorm vs zit zus zzgl";

/// Where the sentences and lines of `text` begin, without its first, in the order of the text.
pub fn starts(text: &str) -> Vec<Start> {
    let has_capitals = text.chars().any(char::is_uppercase);
    let chunks: Vec<(usize, &str)> = chunks(text).collect();
    let start = |pair: &[(usize, &str)]| {
        let [(from, before), (offset, after)] = *pair else { return None };
        let space = &text[from + before.len()..offset];
        let kind = match n_line_ends(space) {
            2.. => StartKind::Sentence,
            1 if is_list_item(after) => StartKind::Sentence,
            _ if ends_sentence(space, before, after, has_capitals) => StartKind::Sentence,
            1 => StartKind::Line,
            0 => return None,
        };
        Some(Start { offset, kind })
    };
    chunks.windows(2).filter_map(start).collect()
}

/// The stretches between white space, each with its offset.
fn chunks(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_whitespace().map(|chunk| (chunk.as_ptr() as usize - text.as_ptr() as usize, chunk))
}

fn n_line_ends(space: &str) -> usize {
    let n_of = |ends: &[char]| space.matches(ends).count();
    match n_of(&['\n']) {
        0 => n_of(&['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']),
        n => n,
    }
}

fn is_list_item(chunk: &str) -> bool {
    chunk.starts_with(BULLETS) || DASHES.iter().any(|dash| chunk.strip_prefix(*dash) == Some(""))
}

/// Whether `before` the white space ends a sentence, and `after` begins one. In a text without capitals, small letters do too.
fn ends_sentence(space: &str, before: &str, after: &str, has_capitals: bool) -> bool {
    let is_small = after.trim_start_matches(OPENING).starts_with(char::is_lowercase);
    if space.trim_matches(NO_BREAK_SPACES).is_empty() || (has_capitals && is_small) {
        return false;
    }
    is_final(before)
}

/// Whether `chunk`, a stretch between white space, has final punctuation at its end, which is no abbreviation's.
pub fn is_final(chunk: &str) -> bool {
    let body = chunk.trim_end_matches(CLOSING);
    body.ends_with(FINAL)
        && !body.strip_suffix('.').is_some_and(|body| is_abbreviated(body.trim_start_matches(OPENING)))
}

/// Whether a stop after `chunk` is that of an abbreviation (`Dr.`, `z. B.`), an initial, or an ordinal number (`3. Mai`).
fn is_abbreviated(chunk: &str) -> bool {
    let word = &chunk[chunk.trim_end_matches(char::is_alphanumeric).len()..];
    let is_number = word.chars().all(char::is_numeric);
    match word.chars().count() {
        0 => false,
        1 | 2 if is_number => word == chunk,
        1 => true,
        _ => word.chars().all(|c| matches!(c, 'I' | 'V' | 'X')) || is_abbreviation(word),
    }
}

fn is_abbreviation(word: &str) -> bool {
    let word = word.to_lowercase();
    ABBREVIATIONS.split(' ').any(|known| known == word)
}
