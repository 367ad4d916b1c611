//! How much of a document a mention is about.

use crate::text::span::ByteSpan;

/// What a mention counts in a text of `length`: 1, and 1 more in the title, and up to 1 more the nearer it is to the start.
pub fn weight(mention: ByteSpan, length: usize, title: Option<ByteSpan>) -> f32 {
    let in_title = title.is_some_and(|title| title.start <= mention.start && mention.end <= title.end);
    let nearness = 1.0 - mention.start as f32 / length.max(1) as f32;
    1.0 + f32::from(u8::from(in_title)) + nearness
}

/// The title of a text that names none: its first line, if more text follows, and it is short and no sentence.
pub fn title(text: &str) -> Option<ByteSpan> {
    const MAX_CHARACTERS: usize = 200;
    let start = text.len() - text.trim_start().len();
    let (line, rest) = text[start..].split_once('\n')?;
    let line = line.trim_end();
    let is_title = !rest.trim().is_empty() && !line.ends_with('.') && line.chars().count() <= MAX_CHARACTERS;
    is_title.then(|| ByteSpan::new(start, start + line.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_counts_more_in_the_title_and_near_the_start() {
        let title = Some(ByteSpan::new(0, 10));
        assert_eq!(weight(ByteSpan::new(0, 5), 100, title), 3.0);
        assert_eq!(weight(ByteSpan::new(5, 15), 100, title), 1.95);
        assert_eq!(weight(ByteSpan::new(50, 55), 100, None), 1.5);
    }

    #[test]
    fn the_title_is_a_short_first_line_that_is_no_sentence() {
        for (text, expected) in [
            ("Merkel in Paris\n\nBerlin (dpa) – …", Some("Merkel in Paris")),
            ("\n Merkel?\r\nText", Some("Merkel?")),
            ("Merkel reist.\nText", None),
            ("Merkel in Paris", None),
            ("Merkel in Paris\n \n", None),
            ("", None),
        ] {
            assert_eq!(title(text).and_then(|span| span.slice(text)), expected, "{text:?}");
        }
        assert_eq!(title(&("ä".repeat(201) + "\nText")), None);
    }
}
