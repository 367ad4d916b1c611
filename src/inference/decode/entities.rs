//! From a document's token logits to entities with spans: scores of tokens, words with tags, tags joined to entities.
//!
//! The strategies are those of `transformers`' `TokenClassificationPipeline`, and [`super::viterbi`]. Words are those of
//! [`super::words`]; `transformers` splits at spaces instead.

use ndarray::ArrayView1;

use crate::inference::decode::argmax;
use crate::inference::decode::bare::bare;
use crate::inference::decode::entity::Entity;
use crate::inference::decode::join::{Tagged, join};
use crate::inference::decode::mentions::{TaggedWord, agree};
use crate::inference::decode::source::Source;
use crate::inference::decode::stretches::stretches;
use crate::inference::decode::tag_scheme::TagScheme;
use crate::inference::decode::viterbi::Ends;
use crate::inference::decode::word_scores::WordScores;
use crate::inference::decode::word_tokens::{Word, words_of_tokens};
use crate::inference::decode::words::is_link_word;
use crate::inference::tokenize::Tokens;
use crate::manifest::task::AggregationStrategy;
use crate::text::span::ByteSpan;

/// The entities of `source` in the order of its text. None reaches into a gap or across it.
///
/// `row` gives the logits of each token, one for each tag of `scheme`.
pub fn decode_entities<'l>(
    source: Source<'_>,
    row: impl Fn(usize) -> ArrayView1<'l, f32> + Copy,
    scheme: &TagScheme,
    strategy: AggregationStrategy,
) -> Vec<Entity> {
    let Source { text, usual, tokens, gaps } = source;
    let tokens_by_stretch = || stretches(tagged_tokens(tokens, row, scheme), gaps, |token| token.span).into_iter();
    let words_by_stretch =
        || stretches(words_of_tokens(text, tokens, scheme.skips_blank_tokens), gaps, |word| word.span);
    let entities: Vec<Entity> = match strategy {
        // Tokens as the model tagged them, punctuation too.
        AggregationStrategy::None => {
            return tokens_by_stretch().flatten().filter(Tagged::is_entity).map(raw_entity).collect();
        }
        // Tokens of white space take part, as in the reference, but no entity begins with them or is nothing else.
        AggregationStrategy::Simple => tokens_by_stretch().flat_map(|tokens| join(text, tokens)).collect(),
        AggregationStrategy::First | AggregationStrategy::Average | AggregationStrategy::Max => {
            words_by_stretch().iter().flat_map(|words| join(text, tagged_words(words, row, scheme, strategy))).collect()
        }
        AggregationStrategy::Viterbi => {
            let stretches = words_by_stretch();
            let scores = WordScores::of(source, &stretches, row, scheme);
            let mut tagged: Vec<Vec<TaggedWord>> = (0..stretches.len())
                .map(|index| by_valid_sequence(usual, &stretches, index, &scores, scheme))
                .collect();
            if scheme.one_label_per_name {
                agree(usual, &mut tagged, &scheme.tags, |word| scores.of_word(word));
            }
            tagged.into_iter().flat_map(|words| join(text, words.iter().map(|word| with_tag(word, scheme)))).collect()
        }
    };
    entities.into_iter().filter_map(|entity| Some(Entity { span: bare(text, entity.span)?, ..entity })).collect()
}

fn raw_entity(tagged: Tagged<'_>) -> Entity {
    Entity { label: tagged.tag.raw.clone(), score: tagged.score, span: tagged.span }
}

/// Tokens with their own best tags, those that are only white space among them.
fn tagged_tokens<'m, 'l>(
    tokens: &Tokens,
    row: impl Fn(usize) -> ArrayView1<'l, f32>,
    scheme: &'m TagScheme,
) -> Vec<Tagged<'m>> {
    let tagged = |(token, &span): (usize, &ByteSpan)| {
        let (index, score) = argmax(&scheme.scores(row(token)));
        Tagged { tag: &scheme.tags[index], score, span }
    };
    tokens.spans.iter().enumerate().map(tagged).collect()
}

/// Words with the tags that `strategy` takes from their tokens.
fn tagged_words<'m, 'l>(
    words: &[Word],
    row: impl Fn(usize) -> ArrayView1<'l, f32>,
    scheme: &'m TagScheme,
    strategy: AggregationStrategy,
) -> Vec<Tagged<'m>> {
    let scores_of = |&token: &usize| scheme.scores(row(token));
    let tagged = |word: &Word| {
        let (index, score) = match strategy {
            AggregationStrategy::Average => argmax(&mean(word.tokens.iter().map(scores_of))),
            AggregationStrategy::Max => most_certain(word.tokens.iter().map(scores_of)),
            _ => argmax(&word.tokens.first().map(scores_of).unwrap_or_default()),
        };
        Tagged { tag: &scheme.tags[index], score, span: word.span }
    };
    words.iter().map(tagged).collect()
}

/// The words of the stretch with this index, with the tags of their likeliest valid sequence that cuts no listed name.
fn by_valid_sequence<'w, 'l>(
    usual: &str,
    stretches: &'w [Vec<Word>],
    index: usize,
    scores: &WordScores<'_, impl Fn(usize) -> ArrayView1<'l, f32>>,
    scheme: &TagScheme,
) -> Vec<TaggedWord<'w>> {
    let words = &stretches[index];
    let ends = Ends { is_begin_cut: index > 0, is_end_cut: index + 1 < stretches.len() };
    let rows: Vec<Vec<f32>> = words.iter().map(|word| scores.of_word(word)).collect();
    // A listed name may end in a link word (`Hör zu`).
    let is_link =
        |word: usize| words[word].span.slice(usual).is_some_and(is_link_word) && !scores.listed.ends_at(index, word);
    let likeliest = scheme.transitions.best_sequence(&rows, is_link, ends);
    let tagged = |((tag, row), word): ((usize, &Vec<f32>), _)| TaggedWord { word, tag, score: row[tag] };
    let with_scores = |tags: Vec<usize>| -> Vec<_> { tags.into_iter().zip(&rows).zip(words).map(tagged).collect() };
    let broken = scores.listed.broken(index, &likeliest, &rows);
    if broken.is_empty() {
        return with_scores(likeliest);
    }
    let mut restricted = rows.clone();
    broken.iter().for_each(|name| name.restrict(&mut restricted));
    let mut words = with_scores(scheme.transitions.best_sequence(&restricted, is_link, ends));
    for name in broken {
        let score = words[name.words.start].score;
        words[name.words.clone()].iter_mut().for_each(|word| word.score = score);
    }
    words
}

fn with_tag<'m>(tagged: &TaggedWord<'_>, scheme: &'m TagScheme) -> Tagged<'m> {
    Tagged { tag: &scheme.tags[tagged.tag], score: tagged.score, span: tagged.word.span }
}

fn mean(mut rows: impl Iterator<Item = Vec<f32>>) -> Vec<f32> {
    let mut sum = rows.next().unwrap_or_default();
    let mut n_rows = 1.0;
    for row in rows {
        sum.iter_mut().zip(row).for_each(|(sum, score)| *sum += score);
        n_rows += 1.0;
    }
    sum.into_iter().map(|score| score / n_rows).collect()
}

fn most_certain(rows: impl Iterator<Item = Vec<f32>>) -> (usize, f32) {
    rows.map(|row| argmax(&row)).fold((0, 0.0), |best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// Decodes `text`, cut into `pieces` (`▁`-free, found in order), each with a tag and a score.
    fn decode(
        text: &str,
        strategy: AggregationStrategy,
        tags: &[&str],
        pieces: &[(&str, &str, f32)],
    ) -> Vec<(String, String, f32)> {
        decode_with_gaps(text, &[], strategy, tags, pieces)
    }

    fn decode_with_gaps(
        text: &str,
        gaps: &[ByteSpan],
        strategy: AggregationStrategy,
        tags: &[&str],
        pieces: &[(&str, &str, f32)],
    ) -> Vec<(String, String, f32)> {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let mut tokens = Tokens::default();
        let mut logits = Array2::zeros((pieces.len(), tags.len()));
        let mut from = 0;
        for (row, (piece, tag, score)) in pieces.iter().enumerate() {
            let start = from + text[from..].find(piece).expect("the piece is in the text");
            from = start + piece.len();
            tokens.ids.push(0);
            tokens.word_ids.push(None);
            tokens.spans.push(ByteSpan::new(start, from));
            let rest = (1.0 - score) / (tags.len() - 1) as f32;
            for (column, known) in tags.iter().enumerate() {
                logits[[row, column]] = if known == tag { *score } else { rest }.ln();
            }
        }
        let round = |score: f32| (score * 1000.0).round() / 1000.0;
        let source = Source { text, usual: text, tokens: &tokens, gaps };
        let entities = decode_entities(source, |token| logits.row(token), &TagScheme::of(&tags), strategy);
        entities
            .into_iter()
            .map(|entity| (entity.label, entity.span.slice(text).unwrap().to_owned(), round(entity.score)))
            .collect()
    }

    fn found(label: &str, text: &str, score: f32) -> (String, String, f32) {
        (label.to_owned(), text.to_owned(), score)
    }

    const BIO: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];

    #[test]
    fn a_word_takes_its_tag_by_the_strategy() {
        assert_eq!(mean([vec![0.25, 1.0], vec![0.5, 0.0], vec![0.75, 0.5]].into_iter()), [0.5, 0.5]);
        let pieces = [("Mün", "B-LOC", 0.6), ("chen", "O", 0.9), (")", "O", 0.9)];
        let decode = |strategy| decode("München)", strategy, &BIO, &pieces);
        assert_eq!(decode(AggregationStrategy::First), [found("LOC", "München", 0.6)]);
        assert_eq!(decode(AggregationStrategy::Max), []);
        assert_eq!(decode(AggregationStrategy::Average), []);
        assert_eq!(decode(AggregationStrategy::Simple), [found("LOC", "Mün", 0.6)]);
        assert_eq!(decode(AggregationStrategy::None), [found("B-LOC", "Mün", 0.6)]);
    }

    #[test]
    fn broken_sequences_are_repaired() {
        let first =
            |pieces: &[(&str, &str, f32)]| decode("Angela Merkel Ulm", AggregationStrategy::First, &BIO, pieces);
        let (per, loc) = (found("PER", "Angela Merkel", 0.8), found("LOC", "Ulm", 0.8));
        assert_eq!(
            first(&[("Angela", "I-PER", 0.8), ("Merkel", "I-PER", 0.8), ("Ulm", "I-LOC", 0.8)]),
            [per.clone(), loc.clone()]
        );
        assert_eq!(first(&[("Angela", "B-PER", 0.8), ("Merkel", "I-PER", 0.8), ("Ulm", "B-LOC", 0.8)]), [per, loc]);
        assert_eq!(
            first(&[("Angela", "B-PER", 0.8), ("Merkel", "B-PER", 0.6), ("Ulm", "O", 0.8)]),
            [found("PER", "Angela", 0.8), found("PER", "Merkel", 0.6)]
        );
    }

    #[test]
    fn a_mark_inside_a_name_does_not_break_it() {
        let pieces = |last| [("St", "B-LOC", 0.8), (".", "O", 0.8), ("Pauli", last, 0.8), (".", "O", 0.9)];
        let decode = |last| decode("St. Pauli.", AggregationStrategy::First, &BIO, &pieces(last));
        assert_eq!(decode("I-LOC"), [found("LOC", "St. Pauli", 0.8)]);
        assert_eq!(decode("B-LOC"), [found("LOC", "St", 0.8), found("LOC", "Pauli", 0.8)]);
        assert_eq!(decode("O"), [found("LOC", "St", 0.8)]);
    }

    #[test]
    fn viterbi_keeps_a_name_whole_where_its_words_best_tags_would_cut_it() {
        let tags: Vec<String> = BIO.map(str::to_owned).to_vec();
        let text = "Angela Merkel";
        let spans = vec![ByteSpan::new(0, 6), ByteSpan::new(7, 13)];
        let tokens = Tokens { ids: vec![0, 1], spans, word_ids: vec![None, None] };
        let logits = ndarray::array![[0.01, 0.9, 0.03, 0.03, 0.03], [0.05, 0.05, 0.4, 0.05, 0.45]].mapv(f32::ln);
        let decode = |strategy| {
            let source = Source { text, usual: text, tokens: &tokens, gaps: &[] };
            let entities = decode_entities(source, |token| logits.row(token), &TagScheme::of(&tags), strategy);
            entities.into_iter().map(|e| (e.label, e.span.slice(text).unwrap().to_owned(), e.score)).collect::<Vec<_>>()
        };
        assert_eq!(decode(AggregationStrategy::First).len(), 2);
        let found = decode(AggregationStrategy::Viterbi);
        assert_eq!((found[0].0.as_str(), found[0].1.as_str(), found.len()), ("PER", "Angela Merkel", 1));
        assert!((found[0].2 - 0.65).abs() < 1e-5, "the mean of 0.9 and 0.4, not {}", found[0].2);
    }

    /// In capitals, `VON` is a link word by its usual letter case alone.
    #[test]
    fn link_words_are_looked_up_in_their_usual_letter_case() {
        let scheme = TagScheme::of(&BIO.map(str::to_owned));
        let spans = vec![ByteSpan::new(0, 4), ByteSpan::new(5, 8), ByteSpan::new(9, 12)];
        let tokens = Tokens { ids: vec![0, 1, 2], spans, word_ids: vec![None; 3] };
        let logits = ndarray::array![[0.0, 9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 9.0, 0.0, 0.0], [20.0, 0.0, 0.0, 0.0, 0.0]];
        let text = "ANNA VON sah";
        let found = |usual| {
            let source = Source { text, usual, tokens: &tokens, gaps: &[] };
            let found = decode_entities(source, |token| logits.row(token), &scheme, AggregationStrategy::Viterbi);
            found.iter().map(|entity| entity.span.slice(text).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(found(text), ["ANNA VON"]);
        assert_eq!(found("Anna von sah"), ["ANNA"]);
    }

    #[test]
    fn end_and_single_tags_close_an_entity() {
        let tags = ["O", "B-PER", "I-PER", "E-PER", "S-PER"];
        let decode = |pieces: &[(&str, &str, f32)]| decode("a b c", AggregationStrategy::First, &tags, pieces);
        assert_eq!(
            decode(&[("a", "B-PER", 0.8), ("b", "E-PER", 0.8), ("c", "I-PER", 0.8)]),
            [found("PER", "a b", 0.8), found("PER", "c", 0.8)]
        );
        assert_eq!(
            decode(&[("a", "S-PER", 0.8), ("b", "E-PER", 0.8), ("c", "O", 0.8)]),
            [found("PER", "a", 0.8), found("PER", "b", 0.8)]
        );
    }

    #[test]
    fn a_gap_ends_a_name_under_every_strategy() {
        let text = "Berlin/Hamburg a@ulm.de";
        let pieces =
            [("Berlin", "B-LOC", 0.8), ("/", "I-LOC", 0.8), ("Hamburg", "I-LOC", 0.8), ("a@ulm.de", "B-LOC", 0.9)];
        let gaps = [ByteSpan::new(6, 7), ByteSpan::new(15, 23)];
        for strategy in [
            AggregationStrategy::Simple,
            AggregationStrategy::First,
            AggregationStrategy::Average,
            AggregationStrategy::Max,
            AggregationStrategy::Viterbi,
        ] {
            let found = decode_with_gaps(text, &gaps, strategy, &BIO, &pieces);
            let texts: Vec<(&str, &str)> =
                found.iter().map(|(label, text, _)| (label.as_str(), text.as_str())).collect();
            assert_eq!(texts, [("LOC", "Berlin"), ("LOC", "Hamburg")], "{strategy}");
        }
    }

    #[test]
    fn tags_without_prefixes_join_neighbours_of_one_type() {
        let pieces = [("a", "PER", 0.8), ("b", "PER", 0.6), ("c", "LOC", 0.8)];
        let decoded = decode("a b c", AggregationStrategy::First, &["O", "PER", "LOC"], &pieces);
        assert_eq!(decoded, [found("PER", "a b", 0.7), found("LOC", "c", 0.8)]);
    }

    #[test]
    fn a_token_over_several_words_of_a_script_without_spaces_covers_them() {
        let pieces = [("北京", "B-LOC", 0.8), ("!", "O", 0.8)];
        assert_eq!(decode("北京!", AggregationStrategy::First, &BIO, &pieces), [found("LOC", "北京", 0.8)]);
    }

    #[test]
    fn a_blank_token_has_the_tag_of_its_word_unless_blank_tokens_are_skipped() {
        let text = " Ulm";
        let logits = ndarray::array![[0.0, 0.0, 0.0, 9.0, 0.0], [9.0, 0.0, 0.0, 0.0, 0.0]];
        let decode = |word_ids, skips_blank| {
            let scheme = TagScheme::of(&BIO.map(str::to_owned)).with_blank_tokens_skipped(skips_blank);
            let tokens = Tokens { ids: vec![0, 1], spans: vec![ByteSpan::new(1, 1), ByteSpan::new(1, 4)], word_ids };
            let source = Source { text, usual: text, tokens: &tokens, gaps: &[] };
            decode_entities(source, |token| logits.row(token), &scheme, AggregationStrategy::First).len()
        };
        assert_eq!(decode(vec![Some(0), Some(0)], false), 1);
        assert_eq!(decode(vec![Some(0), Some(1)], false), 0);
        assert_eq!(decode(vec![Some(0), Some(0)], true), 0);
    }
}
