//! A text between its gaps: each stretch is decoded on its own, so that no name reaches into a gap or across it.

use crate::text::span::ByteSpan;

/// The items that lie in no gap, divided where a gap lies between two of them.
///
/// `span_of` gives the span of an item; items and gaps are in the order of the text.
pub fn stretches<T>(items: Vec<T>, gaps: &[ByteSpan], span_of: impl Fn(&T) -> ByteSpan) -> Vec<Vec<T>> {
    let mut stretches = vec![Vec::new()];
    let mut gaps = gaps.iter().peekable();
    for item in items {
        let span = span_of(&item);
        while gaps.next_if(|gap| gap.end <= span.start).is_some() {
            stretches.push(Vec::new());
        }
        let is_in_gap = gaps.peek().is_some_and(|gap| gap.start < span.end);
        if let Some(stretch) = stretches.last_mut().filter(|_| !is_in_gap) {
            stretch.push(item);
        }
    }
    stretches.retain(|stretch| !stretch.is_empty());
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(spans: &[(usize, usize)]) -> Vec<ByteSpan> {
        spans.iter().map(|&(start, end)| ByteSpan::new(start, end)).collect()
    }

    #[test]
    fn what_touches_a_gap_is_left_out_and_the_rest_is_divided() {
        for (items, gaps, expected) in [
            (vec![], vec![(0, 1)], vec![]),
            (vec![(0, 1), (2, 3)], vec![], vec![vec![(0, 1), (2, 3)]]),
            (vec![(0, 1), (2, 3)], vec![(1, 2)], vec![vec![(0, 1)], vec![(2, 3)]]),
            (vec![(0, 1), (2, 3), (4, 5)], vec![(2, 3)], vec![vec![(0, 1)], vec![(4, 5)]]),
            (vec![(0, 1), (2, 6), (7, 8)], vec![(5, 7)], vec![vec![(0, 1)], vec![(7, 8)]]),
            (vec![(0, 2), (3, 4)], vec![(0, 1), (4, 5)], vec![vec![(3, 4)]]),
        ] {
            let divided = stretches(spans(&items), &spans(&gaps), |span| *span);
            let expected: Vec<Vec<ByteSpan>> = expected.iter().map(|stretch| spans(stretch)).collect();
            assert_eq!(divided, expected, "{items:?} {gaps:?}");
        }
    }
}
