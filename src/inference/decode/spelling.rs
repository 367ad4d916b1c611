//! One spelling for names that differ in typography alone: `O’Neill` and `O'Neill`, `1. FC Köln` over a line end or with a no-break
//! space. `scripts/train/words.py` does the same for training and measuring.

use std::borrow::Cow;

/// Characters that are written for a space inside a line.
const SPACES: [char; 4] = [' ', '\u{a0}', '\u{2009}', '\u{202f}'];

/// `name` with plain apostrophes and hyphens, and one space where spaces or one line end stand. An empty line and a tab stay, since a
/// name reaches over neither.
pub fn plain(name: &str) -> Cow<'_, str> {
    let is_plain =
        |c: char| !matches!(c, '’' | '‘' | 'ʼ' | '‐' | '‑' | '–' | '\r' | '\n') && (c == ' ' || !SPACES.contains(&c));
    if name.chars().all(is_plain) && !name.contains("  ") {
        return Cow::Borrowed(name);
    }
    let mut result = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let white = rest.len() - rest.trim_start_matches(|c| SPACES.contains(&c) || matches!(c, '\r' | '\n')).len();
        if white > 0 {
            let is_one_line_end = rest[..white].matches('\n').count() <= 1;
            result.push_str(if is_one_line_end { " " } else { &rest[..white] });
            rest = &rest[white..];
            continue;
        }
        result.push(match c {
            '’' | '‘' | 'ʼ' => '\'',
            '‐' | '‑' | '–' => '-',
            c => c,
        });
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_typography_alone_have_one_spelling() {
        for (name, expected) in [
            ("", ""),
            ("1. FC Köln", "1. FC Köln"),
            ("1.\u{a0}FC\u{202f}Köln", "1. FC Köln"),
            ("1. FC\nKöln", "1. FC Köln"),
            ("1.  FC \r\n  Köln", "1. FC Köln"),
            ("O’Neill", "O'Neill"),
            ("Rot\u{2011}Weiss – Essen", "Rot-Weiss - Essen"),
            ("Werder\n\nBremen", "Werder\n\nBremen"),
            ("Werder\n \nBremen", "Werder\n \nBremen"),
            ("Werder\tBremen", "Werder\tBremen"),
        ] {
            assert_eq!(plain(name), expected, "{name:?}");
        }
    }
}
