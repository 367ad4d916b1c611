//! A text as a model sees it, and the way back to the text as received.

use std::borrow::Cow;

use crate::text::alignment::{Alignment, Changed};
use crate::text::html::remove_markup;
use crate::text::hyphens::join_hyphenated;
use crate::text::line_ends::show_line_ends;
use crate::text::normalize::normalize;
use crate::text::span::ByteSpan;

/// A text as a reader sees it, aligned with the text as received.
#[derive(Debug, Clone)]
pub struct View<'t> {
    pub text: Cow<'t, str>,
    /// Of each change that was made, the first change first; empty when `text` is the text as received.
    alignments: Vec<Alignment>,
}

/// Which changes are made before the text is normalized, which always happens. The default is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ViewRules {
    /// Markup is removed, and character references are resolved.
    pub html: bool,
    /// Words hyphenated at line ends are joined.
    pub hyphens: bool,
    /// Bylines end with a full stop, and the lines of signatures with commas.
    pub line_ends: bool,
}

impl<'t> View<'t> {
    /// The view of `text`. It is borrowed when there is nothing to change, which is the usual case.
    pub fn of(text: &'t str, rules: ViewRules) -> Self {
        let mut view = Self { text: Cow::Borrowed(text), alignments: Vec::new() };
        if rules.html {
            // Feeds and exports often hold HTML that was escaped again, by each program on its way.
            const MAX_ESCAPES: usize = 4;
            (0..MAX_ESCAPES).take_while(|_| view.change(remove_markup)).for_each(drop);
        }
        if rules.hyphens {
            view.change(join_hyphenated);
        }
        if rules.line_ends {
            view.change(show_line_ends);
        }
        view.change(normalize);
        view
    }

    /// Makes a change; whether there was anything to change.
    fn change(&mut self, change: impl FnOnce(&str) -> Option<Changed>) -> bool {
        let Some(Changed { text, alignment }) = change(&self.text) else { return false };
        self.text = Cow::Owned(text);
        self.alignments.push(alignment);
        true
    }

    /// The same, with the text that the changes made; `None` where there was nothing to change.
    pub fn into_changed(self) -> Option<View<'static>> {
        match self.text {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some(View { text: Cow::Owned(text), alignments: self.alignments }),
        }
    }

    /// The span in the text as received of a span of the view.
    ///
    /// A span that cuts a changed part is widened to the whole of it.
    pub fn to_received(&self, span: ByteSpan) -> ByteSpan {
        self.alignments.iter().rev().fold(span, |span, alignment| alignment.to_original(span))
    }
}

/// A part of a text as it is shown: without markup, hyphenation and invisible characters.
pub fn as_read(text: &str) -> Cow<'_, str> {
    View::of(text, ViewRules { html: true, hyphens: true, line_ends: false }).text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::normalize::is_ignorable;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    const ALL: ViewRules = ViewRules { html: true, hyphens: true, line_ends: true };

    /// Checks what a model sees of `text`, and that `part` of it leads back to `received`.
    fn check(text: &str, seen: &str, part: &str, received: &str) {
        let view = View::of(text, ALL);
        assert_eq!(view.text, seen);
        let start = seen.find(part).expect("the part is in the view");
        let span = view.to_received(ByteSpan::new(start, start + part.len()));
        assert_eq!(span.slice(text), Some(received), "{text:?}");
    }

    #[test]
    fn offsets_lead_back_to_the_text_as_received() {
        check("in Köln.", "in Köln.", "Köln", "Köln");
        check("in Ko\u{308}ln.", "in Köln.", "Köln", "Ko\u{308}ln");
        check("Zu\u{308}rich, Ko\u{308}ln", "Zürich, Köln", "Köln", "Ko\u{308}ln");
        check("der Bun\u{ad}des\u{ad}tag tagt", "der Bundestag tagt", "Bundestag", "Bun\u{ad}des\u{ad}tag");
        check("\u{feff}Berlin\u{200b}er", "Berliner", "Berliner", "Berlin\u{200b}er");
        check("\u{200b}a\u{308}\u{ad}b", "äb", "b", "b");
        check("x\r\nKo\u{308}ln", "x\r\nKöln", "Köln", "Ko\u{308}ln");
        check("👩\u{200d}👧 in Ulm", "👩👧 in Ulm", "Ulm", "Ulm");
        check("in Mu\u{308}n-\r\n chen.", "in München.", "München", "Mu\u{308}n-\r\n chen");
        check("Berlin-\nMitte", "Berlin-Mitte", "Berlin-Mitte", "Berlin-\nMitte");
        check("Nord-\nund Südkorea", "Nord- und Südkorea", "Südkorea", "Südkorea");
    }

    #[test]
    fn a_name_is_found_between_markup_and_never_starts_or_ends_in_it() {
        check("<b>Hamburg</b>", "Hamburg", "Hamburg", "Hamburg");
        check("Ham<b>burg</b>", "Hamburg", "Hamburg", "Ham<b>burg");
        check("in M&uuml;nchen.", "in München.", "München", "M&uuml;nchen");
        check("&bdquo;Hamburg&ldquo;", "„Hamburg“", "Hamburg", "Hamburg");
        check("Mu&#776;nchen&nbsp;", "München\u{a0}", "München", "Mu&#776;nchen");
        check("Bun&shy;des<wbr>tag", "Bundestag", "Bundestag", "Bun&shy;des<wbr>tag");
        check("<p>Mu&#776;n-<br>\nchen</p>", "München\n\n", "München", "Mu&#776;n-<br>\nchen");
        check("Ulm<br>Hof", "Ulm\nHof", "Hof", "Hof");
        check("&lt;b&gt;K&amp;ouml;ln&lt;/b&gt;", "Köln", "Köln", "K&amp;ouml;ln");
        check("&amp;lt;b&amp;gt;K&amp;amp;ouml;ln", "Köln", "Köln", "K&amp;amp;ouml;ln");
    }

    #[test]
    fn a_text_without_anything_to_change_is_borrowed() {
        assert!(matches!(View::of("Grüße aus „München“\u{a0}!\nVor- und Nachteile", ALL).text, Cow::Borrowed(_)));
        assert!(matches!(View::of("Bundes-\n<b>kanzler</b>", ViewRules::default()).text, Cow::Borrowed(_)));
        assert_eq!(View::of("", ALL).text, "");
    }

    #[test]
    fn half_of_a_changed_cluster_means_the_whole() {
        let view = View::of("a\u{308}\u{323}", ALL);
        assert_eq!(view.to_received(ByteSpan::new(0, 1)), ByteSpan::new(0, 5));
    }

    fn any_text() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "<b>",
            "</b>",
            "<p>",
            "<!-- x -->",
            "&shy;",
            "&#776;",
            "&amp;lt;",
            "&lt;b&gt;",
            "-\n",
            "Berlin",
            "und",
            "\u{ad}",
            " ",
            "\r\n",
            "\u{308}",
            "o",
            "-",
            "ä",
        ]);
        let piece = prop_oneof![4 => part.prop_map(str::to_owned), 1 => any::<String>()];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    fn any_markup() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "",
            "<b>",
            "</b>",
            "<br/>",
            "<p class=\"x>y\">",
            "<td>",
            "<!-- x -->",
            "<script>x</script>",
            "&bdquo;",
            "&nbsp;",
            "&shy;",
            "&lt;b&gt;",
            "<sup>",
            "\u{ad}",
            "&#8203;",
        ])
    }

    proptest! {
        #[test]
        fn a_word_between_markup_is_received_without_it(
            parts in prop::collection::vec((any_markup(), "[A-Z][a-zäöü]{2,6}", any_markup()), 1..6)
        ) {
            let text: String = parts.iter().map(|(before, word, after)| format!("{before}{word}{after} ")).collect();
            let view = View::of(&text, ALL);
            let mut end = 0;
            for (_, word, _) in &parts {
                let start = end + view.text[end..].find(word).expect("the word is seen");
                end = start + word.len();
                prop_assert_eq!(view.to_received(ByteSpan::new(start, end)).slice(&text), Some(word.as_str()));
            }
        }

        #[test]
        fn every_character_of_the_view_stands_for_a_slice_and_order_is_kept(text in any_text()) {
            let view = View::of(&text, ALL);
            let mut last = ByteSpan::new(0, 0);
            for (at, c) in view.text.char_indices() {
                let received = view.to_received(ByteSpan::new(at, at + c.len_utf8()));
                prop_assert!(received.slice(&text).is_some_and(|slice| !slice.is_empty()));
                prop_assert!(received.start >= last.start && received.end >= last.end);
                last = received;
            }
        }

        #[test]
        fn the_view_is_composed(text in any::<String>()) {
            let view = View::of(&text, ViewRules::default());
            let visible: String = text.chars().filter(|c| !is_ignorable(*c)).collect();
            // Where nothing ignorable stood between two characters, the result is NFC itself.
            if visible == text {
                prop_assert_eq!(view.text.as_ref(), text.nfc().collect::<String>());
            }
        }
    }
}
