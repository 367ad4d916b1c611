//! Which passages of a document carry its topics.
//!
//! A head with logits for each token is exact: the document's logit is a mean over its tokens, or those of one part, so that each sentence has its
//! share, and the shares add up to the logit. For other heads each sentence is left out once, and the logit that is lost is
//! what the sentence contributes.

use std::ops::Range;

use ndarray::ArrayView2;

use crate::inference::token_mean::TokenMean;
use crate::inference::tokenize::Tokens;
use crate::manifest::task::Pooling;
use crate::text::sentences::{StartKind, starts};
use crate::text::span::ByteSpan;

/// What the passages of a document contribute to its accepted topics.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    pub method: EvidenceMethod,
    /// In the text as received, in its order, without overlap.
    pub passages: Vec<ByteSpan>,
    /// By the index of an accepted topic: what each passage adds to its logit, after the temperature.
    pub contributions: Vec<(usize, Vec<f32>)>,
}

/// How contributions are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum EvidenceMethod {
    /// They add up to the logit.
    Exact,
    /// Each passage was left out once.
    Occlusion,
}

impl EvidenceMethod {
    /// The method for a head whose logits are pooled in this way.
    pub fn of(pooling: Pooling) -> Self {
        match pooling {
            Pooling::TokenMean => Self::Exact,
            Pooling::Mean | Pooling::Max | Pooling::First => Self::Occlusion,
        }
    }
}

/// A sentence that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    pub in_view: ByteSpan,
    pub received: ByteSpan,
    pub tokens: Range<usize>,
}

/// The sentences of `text`, as `view` shows it, in which `tokens` lie. Each token is in one of them.
pub fn passages(text: &str, seen: &str, to_received: impl Fn(ByteSpan) -> ByteSpan, tokens: &Tokens) -> Vec<Passage> {
    let sentences = starts(seen).into_iter().filter(|start| start.kind == StartKind::Sentence);
    let limits: Vec<usize> =
        std::iter::once(0).chain(sentences.map(|start| start.offset)).chain([seen.len()]).collect();
    let mut first = 0;
    let passage = |limits: &[usize]| {
        let is_last = limits[1] == seen.len();
        let n_tokens = tokens.spans[first..].iter().take_while(|span| is_last || span.start < limits[1]).count();
        let tokens = first..first + n_tokens;
        first = tokens.end;
        let in_view = ByteSpan::new(limits[0], limits[1]).trim(seen);
        let received = to_received(in_view).trim(text);
        (!tokens.is_empty()).then_some(Passage { in_view, received, tokens })
    };
    limits.windows(2).filter_map(passage).collect()
}

/// The share of each passage in the logits of `topics`, which `mean` took from `logits`, `[N, L]`.
pub fn exact(
    passages: &[Passage],
    logits: ArrayView2<'_, f32>,
    mean: &TokenMean,
    topics: &[usize],
    temperature: f32,
) -> Evidence {
    let share = |passage: &Passage, topic: usize| {
        let part = |token: usize| Some(mean.contribution(token, topic, *logits.get((token, topic))?));
        let sum: f64 = passage.tokens.clone().filter_map(part).sum();
        (sum / f64::from(temperature)) as f32
    };
    let of_topic = |&topic: &usize| (topic, passages.iter().map(|passage| share(passage, topic)).collect());
    Evidence {
        method: EvidenceMethod::Exact,
        passages: passages.iter().map(|passage| passage.received).collect(),
        contributions: topics.iter().map(of_topic).collect(),
    }
}

/// A document whose passages are to be left out one by one.
#[derive(Debug)]
pub struct Occlusion {
    /// The view, as far as it was read.
    text: String,
    passages: Vec<Passage>,
    /// The document's.
    logits: Vec<f32>,
    topics: Vec<usize>,
    temperature: f32,
}

impl Occlusion {
    /// The most passages: neighbouring sentences of longer texts are left out together, which bounds the price.
    pub const MAX_PASSAGES: usize = 64;

    pub fn new(view: &str, passages: Vec<Passage>, logits: Vec<f32>, topics: Vec<usize>, temperature: f32) -> Self {
        let n_together = passages.len().div_ceil(Self::MAX_PASSAGES).max(1);
        let merged = passages.chunks(n_together).filter_map(merge).collect::<Vec<_>>();
        let end = merged.last().map_or(0, |passage| passage.in_view.end);
        let text = view.get(..end).unwrap_or(view).to_owned();
        // Without an accepted topic there is nothing to explain.
        let passages = if topics.is_empty() { Vec::new() } else { merged };
        Self { text, passages, logits, topics, temperature }
    }

    /// The text without each of its passages in turn.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.passages.iter().map(|passage| {
            let (before, after) = (self.text.get(..passage.in_view.start), self.text.get(passage.in_view.end..));
            [before.unwrap_or_default(), after.unwrap_or_default()].concat()
        })
    }

    /// The evidence, from the logits of each of [`Self::texts`]; `None` for a text without tokens.
    pub fn evidence(&self, without: &[Option<Vec<f32>>]) -> Evidence {
        let lost = |topic: usize, logits: &Option<Vec<f32>>| {
            let logit = |logits: &[f32]| logits.get(topic).copied().unwrap_or_default();
            (logit(&self.logits) - logits.as_deref().map_or(0.0, logit)) / self.temperature
        };
        let of_topic = |&topic: &usize| (topic, without.iter().map(|logits| lost(topic, logits)).collect());
        Evidence {
            method: EvidenceMethod::Occlusion,
            passages: self.passages.iter().map(|passage| passage.received).collect(),
            contributions: self.topics.iter().map(of_topic).collect(),
        }
    }
}

/// Neighbouring passages as one.
fn merge(passages: &[Passage]) -> Option<Passage> {
    let (first, last) = (passages.first()?, passages.last()?);
    let span = |a: ByteSpan, b: ByteSpan| ByteSpan::new(a.start, b.end);
    Some(Passage {
        in_view: span(first.in_view, last.in_view),
        received: span(first.received, last.received),
        tokens: first.tokens.start..last.tokens.end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::task::TokenPooling;
    use crate::text::view::{View, ViewRules};
    use ndarray::Array2;
    use proptest::prelude::*;

    fn tokens(view: &View<'_>) -> Tokens {
        let word = |word: &str| {
            let start = word.as_ptr() as usize - view.text.as_ptr() as usize;
            ByteSpan::new(start, start + word.len())
        };
        let spans: Vec<ByteSpan> = view.text.split_whitespace().map(word).collect();
        Tokens { ids: vec![1; spans.len()], spans, ..Tokens::default() }
    }

    fn of(text: &str) -> (Vec<Passage>, Tokens) {
        let view = View::of(text, ViewRules { html: true, hyphens: true, line_ends: true });
        let tokens = tokens(&view);
        (passages(text, &view.text, |span| view.to_received(span), &tokens), tokens)
    }

    #[test]
    fn a_passage_is_a_sentence_of_the_text_as_received() {
        let text = "<p>Der <b>Bundestag</b> tagt.</p> Ko\u{308}ln gewinnt!  Ende";
        let slices: Vec<&str> = of(text).0.iter().map(|passage| passage.received.slice(text).unwrap()).collect();
        assert_eq!(slices, ["Der <b>Bundestag</b> tagt.", "Ko\u{308}ln gewinnt!", "Ende"]);
        assert!(of("").0.is_empty() && of(" \n").0.is_empty());
    }

    #[test]
    fn long_texts_are_left_out_in_a_bounded_number_of_passages() {
        let text = "Ein Satz. ".repeat(1000);
        let passages = of(&text).0;
        assert_eq!(passages.len(), 1000);
        let occlusion = Occlusion::new(&text, passages, vec![1.0], vec![0], 1.0);
        assert_eq!(occlusion.texts().count(), 63);
        let n_left: usize = occlusion.texts().map(|rest| text.trim_end().len() - rest.len()).sum();
        assert!(n_left + 63 >= text.trim_end().len(), "{n_left}");
    }

    #[test]
    fn a_passage_contributes_the_logit_that_is_lost_without_it() {
        let text = "Eins. Zwei.";
        let occlusion = Occlusion::new(text, of(text).0, vec![3.0, -1.0], vec![0, 1], 2.0);
        assert_eq!(occlusion.texts().collect::<Vec<_>>(), [" Zwei.", "Eins. "]);
        let evidence = occlusion.evidence(&[Some(vec![1.0, -1.0]), None]);
        assert_eq!(evidence.contributions, [(0, vec![1.0, 1.5]), (1, vec![0.0, -0.5])]);
    }

    proptest! {
        #[test]
        fn exact_contributions_add_up_to_the_logit_of_the_document(
            sentences in prop::collection::vec(prop::collection::vec("[A-Za-zäöü]{1,8}", 1..6), 1..20),
            seed in prop::collection::vec(-20.0f32..20.0, 1..50),
            temperature in 0.1f32..4.0,
            lead_tokens in prop::option::of(1usize..50),
            part_tokens in prop::option::of(1usize..50),
        ) {
            let text = sentences.iter().map(|words| words.join(" ") + ". ").collect::<String>();
            let (passages, tokens) = of(&text);
            let n_tokens = tokens.spans.len();
            prop_assert_eq!(passages.iter().map(|passage| passage.tokens.len()).sum::<usize>(), n_tokens);
            let logits = Array2::from_shape_fn((n_tokens, 3), |(row, column)| seed[(row * 3 + column) % seed.len()]);
            let mean = TokenMean::of(&logits, TokenPooling { lead_tokens, part_tokens }).unwrap();
            let evidence = exact(&passages, logits.view(), &mean, &[0, 2], temperature);
            for (topic, parts) in &evidence.contributions {
                let whole = mean.row[*topic] / temperature;
                let sum: f32 = parts.iter().sum();
                prop_assert!((sum - whole).abs() <= 1e-4 * (1.0 + whole.abs()), "{sum} for {whole}");
            }
        }
    }
}
