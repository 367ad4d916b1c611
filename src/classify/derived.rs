//! Words that are derived from names, or have names as parts.

use crate::system::choice::UnknownWord;

/// What becomes of words that are derived from a name (`LOCderiv`: `deutsch`) or have one as a part (`LOCpart`: `US-Beamte`).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(serialize_all = "lowercase", const_into_str, parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<Derived>)]
pub enum Derived {
    /// They are entities with their own labels.
    #[default]
    Keep,
    /// They are no entities.
    Drop,
    /// They get the label of the name (`LOC`), and its span where a hyphen separates the name from the rest (`US`).
    Fold,
}

/// The offsets of the name in a derived word, as it is read (`text::view`), whose parts are separated by hyphens. `None` where
/// it has no span within the word.
///
/// The last part of a compound is its noun (`EU-Staat`), and prefixes are no names either (`Anti-Trump-Demo`). A word that is no
/// compound may be made of the whole name (`Nordrhein-Westfale`), so there only an abbreviation is known to be one (`US-amerikanisch`).
pub fn name_in(word: &str, is_compound: bool) -> Option<(usize, usize)> {
    let mut start = 0;
    while let Some((prefix, _)) = word[start..].split_once(HYPHENS).filter(|(part, _)| is_prefix(part)) {
        start += prefix.len() + word[start + prefix.len()..].chars().next().map_or(0, char::len_utf8);
    }
    let end = start + word[start..].rfind(HYPHENS)?;
    let name = &word[start..end];
    let is_name = name.chars().any(char::is_alphanumeric) && (is_compound || is_abbreviation(name));
    is_name.then_some((start, end))
}

/// Hyphen-minus, hyphen, the hyphen that ends no line, and the dashes and the minus sign that are typed in their place.
pub const HYPHENS: [char; 6] = ['-', '\u{2010}', '\u{2011}', '\u{2012}', '–', '\u{2212}'];

fn is_prefix(part: &str) -> bool {
    const PREFIXES: [&str; 15] = [
        "alt", "anti", "ex", "inner", "mini", "neo", "nicht", "noch", "post", "prä", "pro", "super", "ultra", "vize",
        "vor",
    ];
    PREFIXES.contains(&part.to_lowercase().as_str())
}

/// Whether `part` is two capitals or more.
pub fn is_abbreviation(part: &str) -> bool {
    part.chars().count() > 1 && part.chars().all(|char| char.is_uppercase() || char.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_derived_word_lies_before_its_last_hyphen() {
        for (word, is_compound, name) in [
            ("US-Beamte", true, Some("US")),
            ("US-", true, Some("US")),
            ("FC-Bayern-Trainer", true, Some("FC-Bayern")),
            ("Anti-Trump-Demo", true, Some("Trump")),
            ("Nicht-EU-Staaten", true, Some("EU")),
            ("EU\u{2011}Staat", true, Some("EU")),
            ("US–Beamte", true, Some("US")),
            ("US\u{2212}Beamte", true, Some("US")),
            ("AT&T-Chef", true, Some("AT&T")),
            ("Ägypten-Reise", true, Some("Ägypten")),
            ("Bundesligaspiel", true, None),
            ("Ex-DDR", true, None),
            ("-", true, None),
            ("US-amerikanisch", false, Some("US")),
            ("Nordrhein-Westfale", false, None),
            ("deutsch", false, None),
            ("", true, None),
        ] {
            let found = name_in(word, is_compound).map(|(start, end)| &word[start..end]);
            assert_eq!(found, name, "{word}");
        }
    }
}
