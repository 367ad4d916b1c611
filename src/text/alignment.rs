//! A changed text, and the way back to the text that it was made from.

use crate::text::span::ByteSpan;

/// A text after a change, with its alignment.
#[derive(Debug, Clone)]
pub struct Changed {
    pub text: String,
    pub alignment: Alignment,
}

/// Maps spans of a changed text to the text that it was made from.
#[derive(Debug, Clone)]
pub struct Alignment {
    /// In rising order, without gaps in the changed text.
    pieces: Vec<Piece>,
}

/// A part of the changed text and the part of the original that it stands for; neither is empty.
#[derive(Debug, Clone, Copy)]
struct Piece {
    changed: ByteSpan,
    original: ByteSpan,
    /// Both parts hold the same bytes, so that an offset in one is an offset in the other.
    verbatim: bool,
}

/// Replaces spans of a text, in rising order.
pub struct Rewriter<'t> {
    original: &'t str,
    changed: String,
    pieces: Vec<Piece>,
    /// Bytes of the original that are copied, replaced or removed.
    n_done: usize,
}

impl<'t> Rewriter<'t> {
    pub fn new(original: &'t str) -> Self {
        Self { original, changed: String::new(), pieces: Vec::new(), n_done: 0 }
    }

    /// Replaces `span`, which must not be empty and must start where the last one ended or after it. An empty `replacement`
    /// removes it.
    pub fn replace(&mut self, span: ByteSpan, replacement: &str) {
        if self.changed.capacity() == 0 {
            self.changed.reserve(self.original.len());
        }
        self.copy_until(span.start);
        self.push(span, replacement, false);
        self.n_done = span.end;
    }

    /// The last character of the changed text, if it goes on as the original up to `end`.
    pub fn last_before(&self, end: usize) -> Option<char> {
        let copied = ByteSpan::new(self.n_done, end).slice(self.original).unwrap_or_default();
        copied.chars().next_back().or_else(|| self.changed.chars().next_back())
    }

    /// Line breaks in the white space at the end of the changed text, if it goes on as the original up to `end`.
    pub fn n_breaks_before(&self, end: usize) -> usize {
        // A long run of white space is not read again and again.
        const MAX_CHARACTERS: usize = 32;
        let copied = ByteSpan::new(self.n_done, end).slice(self.original).unwrap_or_default();
        let characters = copied.chars().rev().chain(self.changed.chars().rev()).take(MAX_CHARACTERS);
        characters.take_while(|c| c.is_whitespace()).filter(|c| *c == '\n').count()
    }

    /// The changed text, or `None` when nothing was replaced.
    pub fn finish(mut self) -> Option<Changed> {
        if self.n_done == 0 {
            return None;
        }
        self.copy_until(self.original.len());
        Some(Changed { text: self.changed, alignment: Alignment { pieces: self.pieces } })
    }

    fn copy_until(&mut self, end: usize) {
        let span = ByteSpan::new(self.n_done, end);
        self.push(span, span.slice(self.original).unwrap_or_default(), true);
    }

    fn push(&mut self, original: ByteSpan, text: &str, verbatim: bool) {
        if text.is_empty() {
            return;
        }
        let start = self.changed.len();
        self.changed.push_str(text);
        self.pieces.push(Piece { changed: ByteSpan::new(start, self.changed.len()), original, verbatim });
    }
}

impl Alignment {
    /// The span in the original of a span of the changed text. It is widened to the whole of a replaced part that it cuts,
    /// and neither starts nor ends in a removed part.
    pub fn to_original(&self, span: ByteSpan) -> ByteSpan {
        let start = self.piece_at(span.start).map_or(0, |piece| match piece.verbatim {
            true => piece.original.start + (span.start - piece.changed.start),
            false => piece.original.start,
        });
        if span.is_empty() {
            return ByteSpan::new(start, start);
        }
        let end = self.piece_at(span.end - 1).map_or(start, |piece| match piece.verbatim {
            true => piece.original.start + (span.end - piece.changed.start),
            false => piece.original.end,
        });
        ByteSpan::new(start, end)
    }

    fn piece_at(&self, byte: usize) -> Option<&Piece> {
        let after = self.pieces.partition_point(|piece| piece.changed.start <= byte);
        self.pieces.get(after.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_leads_to_whole_replaced_parts_and_leaves_removed_ones_out() {
        let original = "<>a&b<>ä<>";
        let mut rewriter = Rewriter::new(original);
        for (part, replacement) in [(0..2, ""), (3..4, "und"), (5..7, ""), (9..11, "")] {
            rewriter.replace(ByteSpan::new(part.start, part.end), replacement);
        }
        let Changed { text, alignment } = rewriter.finish().unwrap();
        assert_eq!(text, "aundbä");
        for (span, expected) in
            [(0..1, "a"), (0..2, "a&"), (2..3, "&"), (2..5, "&b"), (4..7, "b<>ä"), (5..7, "ä"), (0..7, "a&b<>ä")]
        {
            let found = alignment.to_original(ByteSpan::new(span.start, span.end));
            assert_eq!(found.slice(original), Some(expected), "{span:?}");
        }
        assert!(alignment.to_original(ByteSpan::new(4, 4)).is_empty());
    }

    #[test]
    fn a_text_without_replaced_parts_is_not_copied() {
        assert!(Rewriter::new("a").finish().is_none());
        let mut rewriter = Rewriter::new("a");
        rewriter.replace(ByteSpan::new(0, 1), "");
        assert_eq!(rewriter.finish().unwrap().text, "");
    }
}
