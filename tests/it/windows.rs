//! Sentences and windows: the rules as `scripts/train` has them, and what they make of a long text.

use std::ops::Range;

use ressort::inference::pipeline::PredictOptions;
use ressort::inference::stitch::owners;
use ressort::inference::tokenize::Tokens;
use ressort::inference::windows::{Sentences, Windowing};
use ressort::manifest::text_rules::TextSwitch;
use ressort::text::sentences::{Start, StartKind, starts};
use ressort::text::span::ByteSpan;
use serde::Deserialize;

use crate::support::{found, load, options, predict, reference};

/// A text as sentences, each as lines.
type Lines = Vec<Vec<String>>;

#[derive(Deserialize)]
struct Cut {
    capacity: usize,
    stride: usize,
    sentences: Vec<usize>,
    windows: Vec<(usize, usize)>,
    owners: Vec<usize>,
}

/// The starts in a text that is written as sentences and lines.
fn expected_starts(sentences: &Lines) -> Vec<Start> {
    let (mut offset, mut starts) = (0, Vec::new());
    for lines in sentences {
        let mut kind = StartKind::Sentence;
        for line in lines {
            let indent = line.len() - line.trim_start().len();
            starts.push(Start { offset: offset + indent, kind });
            (offset, kind) = (offset + line.len(), StartKind::Line);
        }
    }
    starts.drain(..1.min(starts.len()));
    starts
}

#[test]
fn sentences_and_lines_begin_where_the_scripts_begin_them() {
    for sentences in reference::<Vec<Lines>>("sentences.json") {
        let text = sentences.concat().concat();
        assert_eq!(starts(&text), expected_starts(&sentences), "{text:?}");
    }
}

/// Tokens of one letter, and a text whose sentences have these limits.
fn text_with(limits: &[usize]) -> (String, Tokens) {
    let n_tokens = limits.last().copied().unwrap_or(0);
    let letter = |token: usize| if limits.contains(&(token + 1)) { "A!\n" } else { "A, " };
    let spans = (0..n_tokens).map(|token| ByteSpan::new(3 * token, 3 * token + 1)).collect();
    let tokens = Tokens { ids: vec![0; n_tokens], spans, word_ids: vec![None; n_tokens] };
    ((0..n_tokens).map(letter).collect(), tokens)
}

#[test]
fn windows_and_their_owners_are_those_of_the_scripts() {
    for Cut { capacity, stride, sentences: limits, windows, owners: expected } in reference::<Vec<Cut>>("windows.json")
    {
        let (text, tokens) = text_with(&limits);
        let sentences = Sentences::find(&text, &tokens, capacity);
        let ranges = Windowing::new(capacity + 2, stride, 2).unwrap().cut(&sentences);
        let pairs: Vec<(usize, usize)> = ranges.iter().map(|range| (range.start, range.end)).collect();
        assert_eq!(pairs, windows, "{limits:?}");
        assert_eq!(owners(&sentences, &ranges), expected, "{limits:?}");
    }
}

#[test]
fn a_sentence_longer_than_a_window_is_divided_at_its_lines() {
    let spans = [(0, 2), (3, 5), (6, 8), (9, 11), (13, 15)].map(|(start, end)| ByteSpan::new(start, end));
    let tokens = Tokens { ids: vec![0; 5], spans: spans.to_vec(), word_ids: vec![None; 5] };
    let sentences =
        |capacity| -> Vec<Range<usize>> { Sentences::find("Aa Bb\nCc Dd! Ee", &tokens, capacity).iter().collect() };
    assert_eq!(sentences(4), [0..4, 4..5]);
    assert_eq!(sentences(3), [0..2, 2..4, 4..5]);
}

#[tokio::test]
async fn a_long_text_is_cut_between_its_sentences() {
    let model = load("lexicon-ner").await;
    let capacity = model.pipeline.windowing.capacity();
    // Two of these do not fit into a window.
    let sentence = format!("Angela Müller Merkel{}. ", " dann".repeat(capacity / 2));
    let text = sentence.repeat(8);
    let prediction = predict(&model, &text, options()).await;
    assert_eq!(prediction.usage.n_windows, 8);
    assert_eq!(found(&prediction, &text), vec![("PER".to_owned(), "Angela Müller Merkel"); 8]);
    let text_rules = "sentences=off".parse::<TextSwitch>().into_iter().collect();
    let off = predict(&model, &text, PredictOptions { text_rules, ..options() }).await;
    assert_eq!(off.usage.n_windows, 7);
}
