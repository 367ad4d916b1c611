//! What the tokenizer sees of a text, and the way back: composed characters (NFC), without soft hyphens and zero-width
//! characters. It cannot fail, and it never loses the place in the text as received.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_segmentation::UnicodeSegmentation;

use crate::text::span::ByteSpan;

/// A text as the tokenizer sees it, aligned with the text as received.
#[derive(Debug, Clone)]
pub struct Normalized<'t> {
    pub text: Cow<'t, str>,
    /// In rising order, without gaps in `text`; empty when `text` is the text as received.
    pieces: Vec<Piece>,
}

/// A stretch of the normalized text and the stretch of the received text that it stands for.
#[derive(Debug, Clone, Copy)]
struct Piece {
    normalized: ByteSpan,
    received: ByteSpan,
    /// Both stretches hold the same bytes, so that a place inside one is a place inside the other.
    verbatim: bool,
}

/// Normalizes `text`; borrows it when there is nothing to change, which is the usual case.
///
/// The unit of change is the grapheme cluster: NFC never composes across the edge of one, so composing cluster by
/// cluster gives the composed text and keeps the alignment exact.
pub fn normalize(text: &str) -> Normalized<'_> {
    if is_clean(text) {
        return Normalized { text: Cow::Borrowed(text), pieces: Vec::new() };
    }
    let mut normalized = String::with_capacity(text.len());
    let mut pieces: Vec<Piece> = Vec::new();
    for (start, cluster) in text.grapheme_indices(true) {
        let from = normalized.len();
        normalized.extend(cluster.chars().filter(|c| !is_ignorable(*c)).nfc());
        if normalized.len() == from {
            continue;
        }
        let piece = Piece {
            normalized: ByteSpan::new(from, normalized.len()),
            received: ByteSpan::new(start, start + cluster.len()),
            verbatim: normalized[from..] == *cluster,
        };
        match pieces.last_mut() {
            Some(last) if last.continues_with(&piece) => {
                last.normalized.end = piece.normalized.end;
                last.received.end = piece.received.end;
            }
            _ => pieces.push(piece),
        }
    }
    Normalized { text: Cow::Owned(normalized), pieces }
}

impl Normalized<'_> {
    /// The same, with an owned text.
    pub fn into_owned(self) -> Normalized<'static> {
        Normalized { text: Cow::Owned(self.text.into_owned()), pieces: self.pieces }
    }

    /// The place in the text as received of a place in the normalized text.
    ///
    /// A span that cuts a changed grapheme cluster is widened to the whole cluster.
    pub fn to_received(&self, span: ByteSpan) -> ByteSpan {
        if self.pieces.is_empty() {
            return span;
        }
        let start = self.piece_at(span.start).map_or(0, |piece| match piece.verbatim {
            true => piece.received.start + (span.start - piece.normalized.start),
            false => piece.received.start,
        });
        if span.is_empty() {
            return ByteSpan::new(start, start);
        }
        let end = self.piece_at(span.end - 1).map_or(start, |piece| match piece.verbatim {
            true => piece.received.start + (span.end - piece.normalized.start),
            false => piece.received.end,
        });
        ByteSpan::new(start, end)
    }

    fn piece_at(&self, byte: usize) -> Option<&Piece> {
        let after = self.pieces.partition_point(|piece| piece.normalized.start <= byte);
        self.pieces.get(after.saturating_sub(1))
    }
}

impl Piece {
    fn continues_with(&self, next: &Piece) -> bool {
        self.verbatim && next.verbatim && self.received.end == next.received.start
    }
}

fn is_clean(text: &str) -> bool {
    text.is_ascii() || (!text.chars().any(is_ignorable) && is_nfc_quick(text.chars()) == IsNormalized::Yes)
}

/// Characters that are not seen and carry no meaning for a reader of German: soft hyphen, zero-width space, joiners,
/// word joiner, byte order mark and the marks and embeddings of writing direction.
fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Checks what the tokenizer sees of `text`, and that `part` of it leads back to `received`.
    fn check(text: &str, seen: &str, part: &str, received: &str) {
        let normalized = normalize(text);
        assert_eq!(normalized.text, seen);
        let start = seen.find(part).expect("the part stands in the normalized text");
        let span = normalized.to_received(ByteSpan::new(start, start + part.len()));
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
    }

    #[test]
    fn a_clean_text_is_borrowed() {
        assert!(matches!(normalize("Grüße aus „München“\u{a0}!").text, Cow::Borrowed(_)));
        assert_eq!(normalize("").text, "");
    }

    #[test]
    fn half_of_a_changed_cluster_means_the_whole() {
        let normalized = normalize("a\u{308}\u{323}");
        assert_eq!(normalized.to_received(ByteSpan::new(0, 1)), ByteSpan::new(0, 5));
    }

    proptest! {
        #[test]
        fn the_text_seen_is_composed_and_every_place_is_a_slice(text in any::<String>()) {
            let normalized = normalize(&text);
            let visible: String = text.chars().filter(|c| !is_ignorable(*c)).collect();
            // Where nothing ignorable stood between two characters, the result is NFC itself.
            if visible == text {
                prop_assert_eq!(normalized.text.as_ref(), text.nfc().collect::<String>());
            }
            let mut last = 0;
            for (at, c) in normalized.text.char_indices() {
                let received = normalized.to_received(ByteSpan::new(at, at + c.len_utf8()));
                prop_assert!(received.slice(&text).is_some_and(|slice| !slice.is_empty()));
                prop_assert!(received.start >= last);
                last = received.start;
            }
        }
    }
}
