//! Slashes: `Berlin/Hamburg` are two names, `Frankfurt/Main` is one.
//!
//! A slash stands between two names if both sides look like names, and nothing says that they are one name. Where this is not
//! certain, the slash is left to the model.

use crate::text::gaps::is_agency;
use crate::text::span::ByteSpan;

/// What follows the slash in the name of a town: its river or region.
const QUALIFIERS: &[&str] = &[
    "Main",
    "M",
    "Rhein",
    "Breisgau",
    "Tauber",
    "Drau",
    "Ahrweiler",
    "Havel",
    "Enz",
    "Fils",
    "Opf",
    "Oder",
    "O",
    "Saale",
    "S",
    "Sa",
    "Ruhr",
    "Pfalz",
    "Westfalen",
    "Westf",
    "Anhalt",
    "Mark",
    "Lahn",
    "Neckar",
    "Donau",
    "Inn",
    "Isar",
    "Lech",
    "Elbe",
    "Spree",
    "Weser",
    "Leine",
    "Mosel",
    "Sieg",
    "Lippe",
    "Harz",
    "Vogtl",
    "Vogtland",
    "Erzgeb",
    "Erzgebirge",
    "Thür",
    "Thüringen",
    "Allgäu",
    "Eifel",
    "Taunus",
    "Odenwald",
    "Schwarzwald",
    "Holstein",
    "Oberbayern",
];

/// What precedes a pair of towns that share one name: `Flughafen Leipzig/Halle`, `HSG Blexen/Nordenham`.
const HEADS: &[&str] = &[
    "Flughafen",
    "Airport",
    "Bahnhof",
    "Universität",
    "Uni",
    "Hochschule",
    "Klinikum",
    "Staatsanwaltschaft",
    "Landkreis",
    "Kreis",
    "Wahlkreis",
    "Gemeinde",
    "Kraftwerk",
    "Gymnasium",
    "Sparkasse",
    "Volksbank",
    "FC",
    "FSV",
    "HSG",
    "JSG",
    "MSG",
    "RWG",
    "SC",
    "SG",
    "SGM",
    "SSV",
    "SV",
    "SpVgg",
    "TSV",
    "TuS",
    "TV",
    "VfB",
    "VfL",
    "VG",
];

const ONE_NAME: &[(&str, &str)] = &[("Buma", "Stemra"), ("Kika", "Leiner"), ("HIV", "Aids"), ("TCP", "IP")];

/// Appends the slashes of `text` between two names.
pub fn find(text: &str, found: &mut Vec<ByteSpan>) {
    for (at, _) in text.match_indices('/') {
        if divides(&text[..at], &text[at + 1..]) {
            found.push(ByteSpan::new(at, at + 1));
        }
    }
}

fn divides(before: &str, after: &str) -> bool {
    if before.ends_with(char::is_whitespace) && after.starts_with(char::is_whitespace) {
        let right = after.trim_start().split(|c| !is_word(c)).next().unwrap_or_default();
        return !QUALIFIERS.contains(&right.trim_end_matches('.'));
    }
    let left_start = before.trim_end_matches(is_word).len();
    let (left, right) = (&before[left_start..], &after[..after.len() - after.trim_start_matches(is_word).len()]);
    // picture alliance/dpa
    let is_credit = is_agency(right) && left.chars().count() > 3 && left.chars().all(char::is_alphabetic);
    (is_credit || is_name_like(left))
        && is_name_like(right)
        && !is_one_name(left, right.trim_end_matches('.'), &before[..left_start])
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '.' | '&' | '’' | '\'')
}

/// A word with a capital, or the code of a press agency; numbers and what is cut off at a hyphen are not.
fn is_name_like(word: &str) -> bool {
    let is_whole = !word.contains(|c: char| c.is_numeric()) && !word.ends_with('-');
    is_whole && (word.starts_with(char::is_uppercase) || is_agency(word))
}

fn is_one_name(left: &str, right: &str, before: &str) -> bool {
    let is_short = |word: &str| word.chars().count() <= 2;
    let is_capitals = |word: &str| !word.contains(char::is_lowercase);
    let before = before.trim_end();
    let is_head = |head: &&str| {
        before.strip_suffix(head).is_some_and(|rest| rest.is_empty() || rest.ends_with(char::is_whitespace))
    };
    let first_of_compound = right.split_once('-').is_some_and(|(first, _)| is_capitals(first));
    ONE_NAME.contains(&(left, right))
        || QUALIFIERS.contains(&right)
        || HEADS.iter().any(is_head)
        // AC/DC
        || (is_short(left) && is_short(right))
        // CDU/FDP-Koalition
        || (is_capitals(left) && first_of_compound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_divides_two_names_unless_they_are_one() {
        for (text, divides) in [
            ("Berlin/Hamburg", true),
            ("Oberhof/Ruhpolding", true),
            ("awp/sda", true),
            ("(dpa/AFP)", true),
            ("SPD/CDU", true),
            ("CDU/CSU", true),
            ("picture alliance/dpa", true),
            ("imago/Sven Simon", true),
            ("Meier (SVP/ZG)", true),
            ("Leverkusen/Mexiko-Stadt", true),
            ("Barry Sears/Bill Lawren", true),
            ("Linz/Steyr.", true),
            ("Göttingen / Berlin", true),
            ("Frankfurt/Main", false),
            ("Frankfurt/M.", false),
            ("Frankfurt / Main", false),
            ("Freiburg/Breisgau", false),
            ("Frankfurt/Oder", false),
            ("Halle/Westfalen", false),
            ("AC/DC", false),
            ("Bündnis 90/Die Grünen", false),
            ("CDU/CSU-Fraktion", false),
            ("CDU/FDP-Koalition", false),
            ("SPD-/FDP-Koalition", false),
            ("Süd-/Osteuropa", false),
            ("Flughafen Leipzig/Halle", false),
            ("HSG Blexen/Nordenham", false),
            ("dpa/lsw", false),
            ("und/oder", false),
            ("2013/14", false),
            ("Saison 2013/Berlin", false),
            ("/", false),
            ("Berlin/", false),
        ] {
            let mut found = Vec::new();
            find(text, &mut found);
            assert_eq!(!found.is_empty(), divides, "{text:?}");
        }
    }
}
