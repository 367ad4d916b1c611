//! Text for a terminal, in which nothing that others wrote can act on the terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with its control characters, and those that change the direction of a line, as escapes. Labels, names and messages come
/// from model folders and data files: an escape sequence in them could change the title, the clipboard or what is seen.
/// Line feeds and tabs stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(acts_on_terminal) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match acts_on_terminal(char) {
            // Writing to a string cannot fail.
            true => drop(write!(escaped, "{}", char.escape_unicode())),
            false => escaped.push(char),
        }
    }
    Cow::Owned(escaped)
}

fn acts_on_terminal(char: char) -> bool {
    let turns_direction = matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns_direction || char.is_control() && !matches!(char, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_escapes_and_words_stay() {
        for (text, expected) in [
            ("München\tja\n", "München\tja\n"),
            ("\u{1b}]0;title\u{7}PER", "\\u{1b}]0;title\\u{7}PER"),
            ("\u{9b}2J\r\u{7f}", "\\u{9b}2J\\u{d}\\u{7f}"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("مرحبا", "مرحبا"),
        ] {
            assert_eq!(printable(text), expected);
        }
    }
}
