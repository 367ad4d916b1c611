//! How a text is cut into windows, and which window each token is read from.
//!
//! Windows end and begin between sentences where they can, so that a sentence is read whole, whatever precedes it. The
//! limits come from the text and not from the tokens, so they hold for every tokenizer. `scripts/train/windows.py` cuts in
//! the same way, and `tests/reference/windows.json` holds both to it.

use std::ops::Range;

use crate::inference::tokenize::{TokenizeError, Tokens};
use crate::text::sentences::{StartKind, starts};

/// The longest window, and how much context neighbouring windows share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windowing {
    max_length: usize,
    stride: usize,
    n_special: usize,
}

/// The sentences of a text, as limits between its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentences {
    /// In rising order: 0, the first token of every later sentence, the number of tokens.
    limits: Vec<usize>,
}

impl Windowing {
    /// Checks that windows of `max_length` with `n_special` special tokens advance when they share `stride` tokens.
    pub fn new(max_length: usize, stride: usize, n_special: usize) -> Result<Self, TokenizeError> {
        let capacity = max_length.saturating_sub(n_special);
        if stride >= capacity {
            return Err(TokenizeError::StrideTooLarge { stride, max_length, n_special, capacity });
        }
        Ok(Self { max_length, stride, n_special })
    }

    pub fn max_length(self) -> usize {
        self.max_length
    }

    /// The most tokens that neighbouring windows share.
    pub fn stride(self) -> usize {
        self.stride
    }

    /// How many of a text's tokens fit into one window.
    pub fn capacity(self) -> usize {
        self.max_length - self.n_special
    }

    /// About how many windows `text` takes, before its tokens are known: rather too many than too few.
    pub fn n_windows_about(self, text: &str) -> usize {
        const BYTES_A_TOKEN: usize = 3;
        (text.len() / BYTES_A_TOKEN).div_ceil(self.capacity() - self.stride)
    }

    /// The tokens of each window, in order; none for a text without tokens.
    ///
    /// A window ends with the last sentence that fits. The next one begins with the sentence after it, preceded by context:
    /// at least half of `stride`, and up to `stride` where that takes no further window. The context begins with a sentence
    /// if one begins in it. A sentence longer than a window is cut anywhere, with `stride` tokens in both windows.
    pub fn cut(self, sentences: &Sentences) -> Vec<Range<usize>> {
        let mut windows: Vec<Range<usize>> = Vec::new();
        let (mut start, mut end) = (0, 0);
        while end < sentences.n_tokens() {
            end = self.end(start, end, sentences);
            windows.push(start..end);
            start = self.next_start(end, sentences);
        }
        windows
    }

    /// Where a window ends that begins at `start`, after one that ends at `previous`.
    fn end(self, start: usize, previous: usize, sentences: &Sentences) -> usize {
        let full = start + self.capacity();
        if full >= sentences.n_tokens() {
            return sentences.n_tokens();
        }
        let whole = sentences.last_limit(full);
        // The next sentence would not fit into a window either, so it need not begin one.
        let is_cut_anyway = sentences.next_limit(whole) - whole > self.capacity();
        if whole > previous && !is_cut_anyway { whole } else { full }
    }

    /// Where the window after one that ends at `end` begins.
    fn next_start(self, end: usize, sentences: &Sentences) -> usize {
        let most = end.saturating_sub(self.stride);
        let next = sentences.next_limit(end);
        if sentences.last_limit(end) < end || next - end > self.capacity() {
            return most;
        }
        // The next sentence is whole in its window, so context gives way to it.
        let least = (end - self.stride.min(end) / 2).max(next.saturating_sub(self.capacity()));
        let fitting = self.end(least, end, sentences);
        let start = fitting.saturating_sub(self.capacity()).clamp(most, least);
        Some(sentences.first_limit(start)).filter(|sentence| *sentence < end).unwrap_or(start)
    }
}

impl Sentences {
    /// A text of `n_tokens` whose sentences nobody looked for.
    pub fn unknown(n_tokens: usize) -> Self {
        Self { limits: vec![0, n_tokens] }
    }

    /// The sentences of `text`. One that is longer than `capacity` is divided at its line ends.
    pub fn find(text: &str, tokens: &Tokens, capacity: usize) -> Self {
        let n_tokens = tokens.ids.len();
        let (mut sentences, mut lines) = (vec![0], Vec::new());
        let mut token = 0;
        for start in starts(text) {
            token += tokens.spans[token..].iter().take_while(|span| span.start < start.offset).count();
            match start.kind {
                StartKind::Sentence => sentences.push(token),
                StartKind::Line => lines.push(token),
            }
        }
        sentences.push(n_tokens);
        sentences.dedup();
        let inside = |sentence: &[usize]| {
            let (start, end) = (sentence[0], sentence[1]);
            let within = lines.partition_point(|line| *line <= start)..lines.partition_point(|line| *line < end);
            let lines = if end - start > capacity { &lines[within] } else { &[] };
            std::iter::once(start).chain(lines.iter().copied()).collect::<Vec<_>>()
        };
        let mut limits: Vec<usize> = sentences.windows(2).flat_map(inside).collect();
        limits.push(n_tokens);
        limits.dedup();
        Self { limits }
    }

    pub fn n_tokens(&self) -> usize {
        self.limits.last().copied().unwrap_or(0)
    }

    /// The tokens of each sentence.
    pub fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        self.limits.windows(2).map(|limits| limits[0]..limits[1])
    }

    /// The last limit at or before `token`.
    fn last_limit(&self, token: usize) -> usize {
        self.limits[self.limits.partition_point(|limit| *limit <= token) - 1]
    }

    /// The first limit at or after `token`.
    fn first_limit(&self, token: usize) -> usize {
        self.limits[self.limits.partition_point(|limit| *limit < token)]
    }

    /// The first limit after `token`, or the end of the text.
    fn next_limit(&self, token: usize) -> usize {
        self.limits.get(self.limits.partition_point(|limit| *limit <= token)).copied().unwrap_or(self.n_tokens())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::stitch::owners;
    use crate::text::span::ByteSpan;
    use proptest::prelude::*;

    #[test]
    fn a_stride_that_does_not_advance_is_refused_with_the_numbers() {
        for (max_length, stride, n_special) in [(512, 510, 2), (512, 600, 2), (2, 0, 2), (1, 0, 2)] {
            let message = Windowing::new(max_length, stride, n_special).unwrap_err().to_string();
            assert!(message.contains(&format!("stride {stride} is too large")), "{message}");
        }
        assert!(Windowing::new(512, 509, 2).is_ok());
    }

    proptest! {
        #[test]
        fn every_token_is_in_a_window_and_every_sentence_that_fits_is_whole_in_one(
            lengths in prop::collection::vec(1usize..60, 0..80), capacity in 1usize..50, stride in 0usize..49
        ) {
            let stride = stride % capacity;
            let windowing = Windowing::new(capacity + 2, stride, 2).unwrap();
            let limits = lengths.iter().scan(0, |end, length| { *end += length; Some(*end) });
            let sentences = Sentences { limits: std::iter::once(0).chain(limits).collect() };
            let windows = windowing.cut(&sentences);
            prop_assert_eq!(windows.first().map_or(0, |window| window.start), 0);
            prop_assert_eq!(windows.last().map_or(0, |window| window.end), sentences.n_tokens());
            prop_assert!(windows.iter().all(|window| window.len() <= capacity));
            for pair in windows.windows(2) {
                prop_assert!(pair[0].start < pair[1].start && pair[0].end < pair[1].end);
                prop_assert!(pair[1].start <= pair[0].end && pair[0].end - pair[1].start <= stride);
            }
            let owners = owners(&sentences, &windows);
            for sentence in sentences.iter().filter(|sentence| sentence.len() <= capacity) {
                let owner = &windows[owners[sentence.start]];
                prop_assert!(owner.start <= sentence.start && sentence.end <= owner.end);
                prop_assert!(sentence.clone().all(|token| owners[token] == owners[sentence.start]));
            }
            // No text takes more than about twice the windows that it takes where its sentences are not known.
            let n_unknown = windowing.cut(&Sentences::unknown(sentences.n_tokens())).len();
            prop_assert!(windows.len() <= 2 * n_unknown + 1, "{} against {n_unknown}", windows.len());
        }
    }

    #[test]
    fn only_a_sentence_that_fits_no_window_is_divided_at_its_lines() {
        let text = "Eins zwei\ndrei vier. Fünf sechs\nsieben acht neun.";
        let spans = text.split_whitespace().map(|word| {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            ByteSpan::new(start, start + word.len())
        });
        let spans: Vec<ByteSpan> = spans.collect();
        let tokens = Tokens { ids: vec![0; spans.len()], spans, ..Default::default() };
        let limits = |capacity| Sentences::find(text, &tokens, capacity).limits;
        assert_eq!(limits(5), [0, 4, 9]);
        assert_eq!(limits(4), [0, 4, 6, 9]);
        assert_eq!(limits(3), [0, 2, 4, 6, 9]);
    }
}
