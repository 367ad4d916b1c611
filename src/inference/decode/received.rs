//! Entities in the text as received: their spans are in order, and no two of them overlap.

use crate::inference::decode::entity::Entity;
use crate::text::span::ByteSpan;

/// `entities` with spans in the text as received, which `to_received` gives for spans in the text that was tokenized.
///
/// Characters that are read apart may be one character for a reader (emoji joined by U+200D), so two entities may get one span.
/// Of entities that overlap, the one with the higher score stays, the first of equals. A token may stand for no character that
/// a reader sees (a bare `▁`), and is then no entity.
pub fn in_received_text(entities: Vec<Entity>, to_received: impl Fn(ByteSpan) -> ByteSpan) -> Vec<Entity> {
    let in_received = |entity: Entity| Entity { span: to_received(entity.span), ..entity };
    let mut received: Vec<Entity> =
        entities.into_iter().map(in_received).filter(|entity| !entity.span.is_empty()).collect();
    received.sort_by_key(|entity| entity.span);
    received.dedup_by(|next, kept| {
        let overlap = next.span.start < kept.span.end || next.span == kept.span;
        if overlap && next.score > kept.score {
            std::mem::swap(next, kept);
        }
        overlap
    });
    received
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::decode::entities::decode_entities;
    use crate::inference::decode::source::Source;
    use crate::inference::decode::tag_scheme::TagScheme;
    use crate::inference::tokenize::Tokens;
    use crate::manifest::task::ALL_STRATEGIES;
    use crate::text::gaps::{GapRules, gaps};
    use crate::text::span::{OffsetConverter, OffsetUnit};
    use crate::text::view::{View, ViewRules};
    use ndarray::Array2;
    use proptest::prelude::*;

    const TAGS: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
    fn any_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => prop::sample::select(vec![
                " ", "\n", "\t", "|", "/", "- ", "@", "#", "a@b.de", "Berlin", "Ko\u{308}ln", "Mün\u{ad}chen", "\u{200b}", "👩\u{200d}👧",
                "👩\u{200d}👩\u{200d}👧\u{200d}👦", "🏳\u{fe0f}\u{200d}🌈", "e\u{301}", ".", "한국", " \u{301}", "dpa", "<b>", "&amp;",
            ]).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    /// Every character of the normalized text is a token, so that a name may end anywhere.
    fn characters(text: &str) -> Tokens {
        let spans: Vec<ByteSpan> =
            text.char_indices().map(|(at, c)| ByteSpan::new(at, at + c.len_utf8()).trim(text)).collect();
        Tokens { ids: vec![0; spans.len()], word_ids: vec![None; spans.len()], spans }
    }

    #[test]
    fn of_two_entities_that_are_one_for_a_reader_the_likelier_stays() {
        let entity =
            |label: &str, score, start| Entity { label: label.into(), score, span: ByteSpan::new(start, start + 1) };
        let found =
            in_received_text(vec![entity("PER", 0.6, 0), entity("LOC", 0.9, 1), entity("ORG", 0.5, 2)], |span| {
                if span.start < 2 { ByteSpan::new(0, 7) } else { ByteSpan::new(7, 8) }
            });
        let found: Vec<(&str, ByteSpan)> = found.iter().map(|entity| (entity.label.as_str(), entity.span)).collect();
        assert_eq!(found, [("LOC", ByteSpan::new(0, 7)), ("ORG", ByteSpan::new(7, 8))]);
    }

    proptest! {
        #[test]
        fn spans_are_unique_and_in_order_in_every_unit(
            text in any_text(), logits in prop::collection::vec(-4.0f32..4.0, 40), strategy in prop::sample::select(ALL_STRATEGIES)
        ) {
            let view = View::of(&text, ViewRules { html: true, hyphens: true, line_ends: true });
            let tokens = characters(&view.text);
            let rows = Array2::from_shape_fn((tokens.ids.len(), TAGS.len()), |(row, tag)| logits[(row * 7 + tag * 3) % logits.len()]);
            let scheme = TagScheme::of(&TAGS.map(str::to_owned));
            let gaps = gaps(&view.text, GapRules { addresses: true, boundaries: true, slugs: true });
            let source = Source { text: &view.text, usual: &view.text, tokens: &tokens, gaps: &gaps };
            let entities = decode_entities(source, |token| rows.row(token), &scheme, strategy);
            let entities = in_received_text(entities, |span| view.to_received(span).trim(&text));
            for unit in [OffsetUnit::Byte, OffsetUnit::Codepoint, OffsetUnit::Utf16] {
                let mut converter = OffsetConverter::new(&text, unit);
                let mut last = None;
                for entity in &entities {
                    prop_assert!(entity.span.slice(&text).is_some_and(|name| !name.trim().is_empty()));
                    let span = (converter.convert(entity.span.start), converter.convert(entity.span.end));
                    prop_assert!(last.is_none_or(|last: (usize, usize)| last < span && last.1 <= span.0), "{last:?} {span:?}");
                    last = Some(span);
                }
            }
        }
    }
}
