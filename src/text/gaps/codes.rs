//! Codes of newsrooms inside a text: the shorthand of an author (`(mho/dpa)`, `(jdr)`, or `kaw` after the last sentence), the number of
//! an agency's report (`dpa:240312-99-301245`), and the office that a release of the police or fire brigade comes from (`POL-KN:`).

use std::sync::LazyLock;

use regex::Regex;

use crate::text::gaps::{compile, is_agency};
use crate::text::sentences::is_final;
use crate::text::span::ByteSpan;

/// Words in brackets, divided by slashes or commas; at last perhaps a date.
static BRACKETS: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"[(\[](\p{L}{1,9}(?:\s?[/,]\s?\p{L}{1,9})*)(?:,\s?\d{1,2}\.\s?\d{1,2}\.(?:\s?\d{2,4})?)?[)\]]")
});

static REPORT: LazyLock<Regex> = LazyLock::new(|| compile(r"\b(\p{Ll}{2,9}):\d{6}-\d{1,4}-\d{1,9}(?:/\d{1,3})?\b"));

/// Words in small letters between the end of a sentence and that of a line, divided by slashes.
static SIGN_OFF: LazyLock<Regex> =
    LazyLock::new(|| compile(r#"[.!?…][“”«»‹›‘’"']?[ \t]+(\p{Ll}{2,9}(?:/\p{Ll}{2,9})*)[ \t]*(?:[\r\n]|$)"#));

/// `BPOL-BadBentheim:` and its like, at the beginning of a line.
static OFFICE: LazyLock<Regex> =
    LazyLock::new(|| compile(r"(?:^|[\r\n])((?:B?POL[DI]?|FW|LPI|LPD|API|HZA|ZOLL)-\p{Lu}[\p{L}-]{0,19}):"));

/// A shorthand is rarely longer.
const MAX_LETTERS: usize = 4;

/// Newspapers and broadcasters whose names are written in small letters: as a source, they stand where a shorthand does.
const OUTLETS: &[&str] = &[
    "ard", "faz", "haz", "hna", "ksta", "lvz", "mdr", "mopo", "ndr", "noz", "nrz", "nzz", "orf", "rbb", "rtl", "sdz",
    "srf", "swp", "swr", "sz", "taz", "waz", "wdr", "zdf",
];

/// A dateline is rarely longer: a place, perhaps with its river.
const MAX_DATELINE: usize = 40;

const LINE_ENDS: [char; 2] = ['\r', '\n'];

/// Appends the codes in `text`.
pub fn find(text: &str, found: &mut Vec<ByteSpan>) {
    for report in REPORT.captures_iter(text).filter(|report| is_agency(&report[1])) {
        let span = report.get_match();
        found.push(ByteSpan::new(span.start(), span.end()));
    }
    for office in OFFICE.captures_iter(text) {
        let span = office.get(1).expect("the pattern has one group");
        found.push(ByteSpan::new(span.start(), span.end()));
    }
    for sign_off in SIGN_OFF.captures_iter(text) {
        let words = sign_off.get(1).expect("the pattern has one group").as_str();
        if words.split('/').all(|word| is_name(word) || is_shorthand(word)) {
            found.extend(shorthands(text, words.split('/')));
        }
    }
    for brackets in BRACKETS.captures_iter(text) {
        let (whole, inside) = (brackets.get_match(), brackets.get(1).expect("the pattern has one group"));
        let (before, after) = (&text[..whole.start()], &text[whole.end()..]);
        let words = || inside.as_str().split(['/', ',']).map(str::trim);
        if !words().all(|word| is_agency(word) || is_shorthand(word)) {
            continue;
        }
        if words().any(is_agency) || is_sign_off(before, after) || is_after_dateline(before, inside.as_str(), after) {
            found.extend(shorthands(text, words()));
        }
    }
}

fn is_name(word: &str) -> bool {
    is_agency(word) || OUTLETS.contains(&word)
}

/// The places in `text` of those of its `words` that are no names.
fn shorthands<'t>(text: &'t str, words: impl Iterator<Item = &'t str>) -> impl Iterator<Item = ByteSpan> {
    words.filter(|word| !is_name(word)).map(|word| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        ByteSpan::new(start, start + word.len())
    })
}

fn is_shorthand(word: &str) -> bool {
    word.chars().count() <= MAX_LETTERS && word.chars().all(char::is_lowercase)
}

/// Whether brackets stand between the end of a sentence and the end of a line.
fn is_sign_off(before: &str, after: &str) -> bool {
    let rest = after.trim_start_matches([' ', '\t', '.']);
    let is_last = rest.is_empty() || rest.starts_with(LINE_ENDS);
    let before = before.trim_end_matches([' ', '\t']);
    let last = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    is_last && (before.ends_with(LINE_ENDS) || is_final(last))
}

/// Whether brackets stand between the place at the beginning of a line and the first sentence. An abbreviation explains what stands
/// before it: `Vereinigung (vbw)`.
fn is_after_dateline(before: &str, inside: &str, after: &str) -> bool {
    let near = before.char_indices().rev().nth(MAX_DATELINE).map_or(before, |(at, _)| &before[at..]);
    let line = match near.rsplit_once(LINE_ENDS) {
        Some((_, line)) => line,
        None if near.len() == before.len() => before,
        None => return false,
    };
    let place = line.trim().trim_end_matches('.');
    let initial = |text: &str| text.chars().next().map(|first| first.to_lowercase().to_string());
    let sentence = after.trim_start_matches([' ', '.', ':', '-', '–', '—']);
    is_place(place)
        && initial(place) != initial(inside)
        && sentence.len() < after.len()
        && sentence.starts_with(|first: char| first.is_uppercase() || matches!(first, '„' | '"' | '»'))
}

/// At most three words with a capital, and what joins them in names of places: `Rothenburg ob der Tauber`.
fn is_place(text: &str) -> bool {
    let (mut n_capitals, mut last) = (0, "");
    for word in text.split_whitespace() {
        match word {
            "an" | "am" | "auf" | "bei" | "im" | "in" | "ob" | "unter" => {}
            "der" | "den" | "dem" if matches!(last, "an" | "auf" | "bei" | "in" | "ob" | "unter") => {}
            word if word.starts_with(char::is_uppercase) => n_capitals += 1,
            _ => return false,
        }
        last = word;
    }
    (1..=3).contains(&n_capitals) && !text.contains(['.', '!', '?', ',', ':', ';'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        find(text, &mut found);
        found.iter().map(|gap| gap.slice(text).unwrap()).collect()
    }

    #[test]
    fn the_shorthand_of_an_author_is_a_code_and_an_agency_is_none() {
        for (text, expected) in [
            ("Die Bank schloss ihre Filiale in Ulm (mho/dpa).", &["mho"][..]),
            ("Hannover (dpa/lni) - Ein Mann ist tot.", &["lni"]),
            ("Bern (sda/afp/kh) - Ein Mann ist tot.", &["kh"]),
            ("teilte die Behörde mit. (jdr)", &["jdr"]),
            ("teilte die Behörde mit.\n(jdr)\n\nMehr dazu", &["jdr"]),
            ("sagte sie: „Das reicht.“ [mb/hk]\nMehr dazu", &["mb", "hk"]),
            ("teilte die Behörde mit. (APA, mho, 12.3.2024)", &["mho"]),
            ("teilte die Behörde mit. (jdr, 12. 3.)\n", &["jdr"]),
            ("Ulm (kh). Die Bank schließt.", &["kh"]),
            ("Es war so.\nBad Homburg (jdr) – Die Bank schließt.", &["jdr"]),
            ("Rothenburg ob der Tauber. (mho) „Nein“, sagte er.", &["mho"]),
            ("Das reicht in Köln. kaw", &["kaw"]),
            ("sagte er: „Das reicht.“ mb/apa \nMehr dazu", &["mb"]),
            ("Das reicht in Köln. dpa", &[]),
            ("Das reicht in Köln. taz", &[]),
            ("Das reicht in Köln.\nkaw", &[]),
            ("Das reicht in Köln. kaw kam", &[]),
            ("Das reicht z. B. immer", &[]),
            ("Ulm (dpa). Die Bank schließt.", &[]),
            ("Landau in der Pfalz (mho) Die Bank schließt.", &["mho"]),
            ("teilte die Behörde mit. (taz)", &[]),
            ("Bundesverband Schwimmbad & Wellness e. V. (bsw).", &[]),
            ("die \"Bezirke\" (ku).", &[]),
            ("Kampagne der Energieagentur (dena) „Strom“", &[]),
            ("teilte die Behörde mit. (Bild)", &[]),
            ("teilte der Verband der Wirtschaft (vbw) mit.", &[]),
            ("Vereinigung der Wirtschaft (vbw): Das reicht.", &[]),
            ("Verband Wirtschaft (vw): Das reicht.", &[]),
            ("Max Müller Bau Ulm (jdr) Das reicht.", &[]),
            ("Das hätte (awo) keiner gedacht. Nein.", &[]),
            ("Er kam, sah (und siegte).", &[]),
            ("()", &[]),
        ] {
            assert_eq!(codes(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_office_of_a_release_is_a_code() {
        assert_eq!(codes("BPOL-BadBentheim: Jugendliche"), ["BPOL-BadBentheim"]);
        assert_eq!(codes("Es folgt:\r\nFW-MG: Brand\nPOL-KN: Streit"), ["FW-MG", "POL-KN"]);
        assert_eq!(codes("Die POL-KN: Streit\nPOL-Streit um Geld\nPOL: Streit"), [] as [&str; 0]);
    }

    #[test]
    fn the_number_of_a_report_is_a_code() {
        assert_eq!(codes("dpa:240312-99-301245/2 Berlin - Der Bundestag"), ["dpa:240312-99-301245/2"]);
        assert_eq!(codes("Stand afp:2024, um:240312-99-301245"), [] as [&str; 0]);
    }
}
