//! Composed characters (NFC), without soft hyphens and zero-width characters.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_segmentation::UnicodeSegmentation;

use crate::text::alignment::{Changed, Rewriter};
use crate::text::span::ByteSpan;

/// Normalizes `text`; `None` when there is nothing to change, which is the usual case.
///
/// The unit of change is the grapheme cluster. NFC never composes across the edge of one, so composing cluster by cluster
/// gives the composed text and keeps the alignment exact.
pub fn normalize(text: &str) -> Option<Changed> {
    if is_clean(text) {
        return None;
    }
    let mut rewriter = Rewriter::new(text);
    let mut normalized = String::new();
    for (start, cluster) in text.grapheme_indices(true) {
        normalized.clear();
        normalized.extend(cluster.chars().filter(|c| !is_ignorable(*c)).nfc());
        if normalized != cluster {
            rewriter.replace(ByteSpan::new(start, start + cluster.len()), &normalized);
        }
    }
    rewriter.finish()
}

fn is_clean(text: &str) -> bool {
    text.is_ascii() || (!text.chars().any(is_ignorable) && is_nfc_quick(text.chars()) == IsNormalized::Yes)
}

/// Characters that are not seen and carry no meaning for a reader of German: soft hyphen, zero-width space, joiners,
/// word joiner, byte order mark and the marks and embeddings of writing direction.
pub fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
