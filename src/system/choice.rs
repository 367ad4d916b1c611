//! Options that are given as words: `strum` parses and prints them; the error lists the words that an option knows.

use strum::VariantNames;

/// A word that an option does not know; the message lists those that it knows, and names the nearest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not one of {expected}{}", shortened(found), self.suggestion())]
pub struct UnknownWord {
    pub found: String,
    /// Words in back ticks.
    pub expected: String,
    /// The known word that has the same meaning.
    pub meant: Option<&'static str>,
}

impl UnknownWord {
    /// For `parse_err_fn` of the option type `T`.
    pub fn among<T: VariantNames>(found: &str) -> Self {
        let expected = T::VARIANTS.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        Self { found: found.to_owned(), expected, meant: None }
    }

    fn suggestion(&self) -> String {
        let known = self.expected.split('`').skip(1).step_by(2);
        self.meant.map_or_else(|| suggestion(&self.found, known), did_you_mean)
    }
}

/// A found value for a message: on one line, and cut where it is long.
pub fn shortened(found: &str) -> String {
    const MAX_CHARACTERS: usize = 40;
    let visible = |char: char| if char.is_control() { ' ' } else { char };
    let cut = if found.chars().nth(MAX_CHARACTERS).is_some() { "…" } else { "" };
    found.chars().take(MAX_CHARACTERS).map(visible).collect::<String>() + cut
}

fn did_you_mean(word: &str) -> String {
    format!("; did you mean `{word}`?")
}

/// The end of a message about an unknown word: the known word that is spelled almost like it, else the only one that is part of
/// it, has it as a part (`language` of `label_language`) or begins with it (`multilabel`).
pub fn suggestion<'w>(found: &str, known: impl Iterator<Item = &'w str>) -> String {
    const MIN_PART: usize = 4;
    let known: Vec<&str> = known.collect();
    let nearest =
        known.iter().filter_map(|word| Some((edit_distance(found, word)?, *word))).min().map(|(_, word)| word);
    let found: String = found.chars().take(64).collect::<String>().to_lowercase();
    let is_part = |part: &str, whole: &str| part.len() >= MIN_PART && whole.split('_').any(|word| word == part);
    let letters = |word: &str| word.chars().filter(|char| !matches!(char, '_' | '-')).collect::<String>();
    let start = letters(&found);
    let begins = |word: &str| start.len() >= MIN_PART && letters(word).starts_with(&start);
    let is_related = |word: &str| is_part(&found, word) || is_part(word, &found) || begins(word);
    let mut parts = known.iter().copied().filter(|word| is_related(word));
    let only_part = || parts.next().filter(|_| parts.next().is_none());
    nearest.or_else(only_part).map(did_you_mean).unwrap_or_default()
}

/// Whether `found` is `known` with a typing error, or in another letter case.
pub fn is_near(found: &str, known: &str) -> bool {
    edit_distance(found, known).is_some()
}

/// Characters to insert, delete, replace or swap, regardless of case. `None`: more than a third of the word, so not a typing error.
fn edit_distance(found: &str, known: &str) -> Option<usize> {
    const MAX_CHARACTERS: usize = 64;
    let lower = |word: &str| word.to_lowercase().chars().take(MAX_CHARACTERS + 1).collect::<Vec<_>>();
    let (found, known) = (lower(found), lower(known));
    if found.len().max(known.len()) > MAX_CHARACTERS {
        return None;
    }
    // Row `i` has the distances of the first `i` characters of `found` to each prefix of `known` (optimal string alignment).
    let mut rows: Vec<Vec<usize>> = vec![(0..=known.len()).collect()];
    for i in 1..=found.len() {
        let mut row = vec![i];
        for j in 1..=known.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(found[i - 1] != known[j - 1]);
            let swapped = match i > 1 && j > 1 && found[i - 1] == known[j - 2] && found[i - 2] == known[j - 1] {
                true => rows[i - 2][j - 2] + 1,
                false => usize::MAX,
            };
            row.push(replaced.min(swapped).min(rows[i - 1][j] + 1).min(row[j - 1] + 1));
        }
        rows.push(row);
    }
    let distance = rows[found.len()][known.len()];
    (distance <= (known.len() / 3).max(1)).then_some(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_where_one_is_near() {
        let known = ["topics", "entities", "label_language", "en"];
        for (found, nearest) in [
            ("topcis", Some("topics")),
            ("Topics", Some("topics")),
            ("entitys", Some("entities")),
            ("labelLanguage", Some("label_language")),
            ("language", Some("label_language")),
            ("topics_labels", Some("topics")),
            ("topics_entities", None),
            ("fr", None),
            ("", None),
            ("mood", None),
            ("ö", None),
        ] {
            let expected = nearest.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
            assert_eq!(suggestion(found, known.into_iter()), expected, "{found}");
        }
        let types = ["single_label_classification", "multi_label_classification"];
        for (found, nearest) in [
            ("multilabel", Some(types[1])),
            ("Multi-Label", Some(types[1])),
            ("single_label", Some(types[0])),
            ("label", None),
        ] {
            let expected = nearest.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default();
            assert_eq!(suggestion(found, types.into_iter()), expected, "{found}");
        }
        assert_eq!(suggestion(&"t".repeat(10_000_000), known.into_iter()), "");
    }

    #[test]
    fn a_found_value_is_shown_on_one_short_line() {
        assert_eq!(shortened("ä\nb"), "ä b");
        assert_eq!(shortened(&"ä".repeat(40)), "ä".repeat(40));
        assert_eq!(shortened(&"ä".repeat(41)), "ä".repeat(40) + "…");
    }
}
