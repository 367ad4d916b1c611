//! One name has one label in a document: doubtful mentions of a name take the reading that all mentions together
//! support, and a mention that was missed is found. A mention that is clear (`Bayern` the club) keeps its own reading.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::inference::decode::spelling::plain;
use crate::inference::decode::word_tokens::Word;
use crate::inference::decode::words::genitive_base;
use crate::manifest::tags::{Position, Tag};

/// A mention is clear if its own reading is at least this many times as likely as that of the others.
const CLEAR: f64 = 12.0;

/// The least score of a label that others are compared with: no single word rules a label out.
const LEAST_SCORE: f64 = 1e-6;

/// Longer names are left as they are: they hardly repeat, and each length costs a pass over the text.
const MAX_WORDS: usize = 8;

/// A word with its tag, an index into the tags of the model.
pub struct TaggedWord<'w> {
    pub word: &'w Word,
    pub tag: usize,
    pub score: f32,
}

/// A stretch by its index, and the words of the mention in it.
#[derive(Debug, Clone)]
struct Mention {
    stretch: usize,
    words: Range<usize>,
}

/// What a mention may be read as: a label, and a tag for each of its words.
struct Reading<'t> {
    label: &'t str,
    tags: Vec<usize>,
}

impl Reading<'_> {
    fn is_without_start(&self, tags: &[Tag]) -> bool {
        self.tags.first().is_some_and(|&tag| tags[tag].continues())
    }
}

/// Gives the mentions of each name in `stretches` one reading, where no mention is clear in another.
///
/// `word_scores` gives the scores of one word's tags, with the weights of listed names.
pub fn agree(text: &str, stretches: &mut [Vec<TaggedWord<'_>>], tags: &[Tag], word_scores: impl Fn(&Word) -> Vec<f32>) {
    for mentions in repeated(text, stretches, tags) {
        let readings = readings(&mentions, stretches, tags);
        if readings.len() < 2 {
            continue;
        }
        let scores_of = |mention: &Mention| {
            stretches[mention.stretch][mention.words.clone()].iter().map(|tagged| word_scores(tagged.word)).collect()
        };
        let scores: Vec<Vec<Vec<f32>>> = mentions.iter().map(scores_of).collect();
        let likelihoods: Vec<Vec<f64>> = scores
            .iter()
            .map(|words| readings.iter().map(|reading| likelihood(words, reading.label, tags)).collect())
            .collect();
        let best = likeliest(&likelihoods);
        let reading = &readings[best];
        // A changed mention gets the mean score over all mentions: its own score was for the tag that it lost.
        let means: Vec<f32> = (0..)
            .zip(&reading.tags)
            .map(|(position, &tag): (usize, _)| scores.iter().map(|words| words[position][tag]).sum::<f32>())
            .map(|sum| sum / scores.len() as f32)
            .collect();
        for (mention, likelihoods) in mentions.iter().zip(&likelihoods) {
            let given = label(mention, stretches, tags);
            let kept = readings.iter().position(|reading| reading.label == given).unwrap_or(best);
            let is_clear = likelihoods[kept] - likelihoods[best] >= CLEAR.ln();
            if kept == best || is_clear || would_join(reading, mention, stretches, tags) {
                continue;
            }
            let words = &mut stretches[mention.stretch][mention.words.clone()];
            for ((tagged, &tag), &score) in words.iter_mut().zip(&reading.tags).zip(&means) {
                (tagged.tag, tagged.score) = (tag, score);
            }
        }
    }
}

/// Whether this reading would merge the mention with a neighbouring word. It happens only in a scheme without `B-` tags, where
/// neighbours of one type are one name.
fn would_join(reading: &Reading<'_>, mention: &Mention, stretches: &[Vec<TaggedWord<'_>>], tags: &[Tag]) -> bool {
    let words = &stretches[mention.stretch];
    let before = mention.words.start.checked_sub(1).and_then(|index| words.get(index));
    reading.is_without_start(tags)
        && [before, words.get(mention.words.end)]
            .into_iter()
            .flatten()
            .any(|neighbour| label_of(neighbour, tags) == reading.label)
}

/// The mentions of each name that the text has more than once, those among them that got no label.
fn repeated(text: &str, stretches: &[Vec<TaggedWord<'_>>], tags: &[Tag]) -> Vec<Vec<Mention>> {
    let found = found(stretches, tags);
    let name = |mention: &Mention| {
        let words = &stretches[mention.stretch][mention.words.clone()];
        text.get(words.first()?.word.span.start..words.last()?.word.span.end).map(plain)
    };
    // For each name that the tags mark, its number of words.
    let lengths: HashMap<Cow<'_, str>, usize> =
        found.iter().filter_map(|mention| Some((name(mention)?, mention.words.len()))).collect();
    let canonical = |name: &str, length: usize| -> Option<&str> {
        let of_length =
            |name| lengths.get_key_value(name).filter(|&(_, known)| *known == length).map(|(name, _)| &**name);
        genitive_base(name).and_then(of_length).or_else(|| of_length(name))
    };
    let mut groups: BTreeMap<(usize, &str), Vec<Mention>> = BTreeMap::new();
    let is_outside = |tagged: &TaggedWord<'_>| tags[tagged.tag].position == Position::Outside;
    let mut is_free: Vec<Vec<bool>> = stretches.iter().map(|words| words.iter().map(is_outside).collect()).collect();
    for mention in found {
        let length = mention.words.len();
        if let Some(name) = name(&mention).and_then(|name| canonical(&name, length)) {
            groups.entry((length, name)).or_default().push(mention);
        }
    }
    let mut searched: Vec<usize> = groups.keys().map(|(length, _)| *length).collect();
    searched.dedup();
    // Longer names first, so that `Günter Grass` takes its words before `Grass` does.
    for length in searched.into_iter().rev() {
        for (stretch, words) in stretches.iter().enumerate() {
            for first in 0..(words.len() + 1).saturating_sub(length) {
                let mention = Mention { stretch, words: first..first + length };
                if !is_free[stretch][mention.words.clone()].iter().all(|free| *free) {
                    continue;
                }
                let Some(name) = name(&mention).and_then(|name| canonical(&name, length)) else { continue };
                is_free[stretch][mention.words.clone()].fill(false);
                groups.entry((length, name)).or_default().push(mention);
            }
        }
    }
    let mut repeated: Vec<Vec<Mention>> = groups.into_values().filter(|mentions| mentions.len() > 1).collect();
    repeated.iter_mut().for_each(|mentions| mentions.sort_unstable_by_key(|m| (m.stretch, m.words.start)));
    repeated
}

/// The names that the tags mark, up to `MAX_WORDS` long.
fn found(stretches: &[Vec<TaggedWord<'_>>], tags: &[Tag]) -> Vec<Mention> {
    let mut found: Vec<Mention> = Vec::new();
    for (stretch, words) in stretches.iter().enumerate() {
        let mut open: Option<(Mention, &Tag)> = None;
        for (index, tagged) in words.iter().enumerate() {
            let tag = &tags[tagged.tag];
            match open.as_mut() {
                Some((mention, last)) if tag.extends(last) => {
                    mention.words.end = index + 1;
                    *last = tag;
                }
                _ => {
                    found.extend(open.take().map(|(mention, _)| mention));
                    if tag.position != Position::Outside {
                        open = Some((Mention { stretch, words: index..index + 1 }, tag));
                    }
                }
            }
        }
        found.extend(open.map(|(mention, _)| mention));
    }
    found.retain(|mention| mention.words.len() <= MAX_WORDS);
    found
}

/// The readings that the mentions have, each label once, in the order of the text. The tags are those of the first mention that is
/// whole: one at a cut may lack its beginning.
fn readings<'t>(mentions: &[Mention], stretches: &[Vec<TaggedWord<'_>>], tags: &'t [Tag]) -> Vec<Reading<'t>> {
    let mut readings: Vec<Reading<'t>> = Vec::new();
    for mention in mentions {
        let words = &stretches[mention.stretch][mention.words.clone()];
        let reading =
            Reading { label: label(mention, stretches, tags), tags: words.iter().map(|tagged| tagged.tag).collect() };
        match readings.iter_mut().find(|known| known.label == reading.label) {
            Some(known) if known.is_without_start(tags) && !reading.is_without_start(tags) => *known = reading,
            Some(_) => {}
            None => readings.push(reading),
        }
    }
    readings
}

fn label<'t>(mention: &Mention, stretches: &[Vec<TaggedWord<'_>>], tags: &'t [Tag]) -> &'t str {
    label_of(&stretches[mention.stretch][mention.words.start], tags)
}

fn label_of<'t>(tagged: &TaggedWord<'_>, tags: &'t [Tag]) -> &'t str {
    name_label(&tags[tagged.tag])
}

/// The label of a name's tag; all tags for no name share one.
fn name_label(tag: &Tag) -> &str {
    if tag.position == Position::Outside { "" } else { &tag.label }
}

/// The logarithm of how likely it is that these words have the label, as a mean, so that long names are not clearer than short ones.
fn likelihood(words: &[Vec<f32>], label: &str, tags: &[Tag]) -> f64 {
    let of_label = |scores: &Vec<f32>| {
        let scores = scores.iter().zip(tags).filter(|(_, tag)| name_label(tag) == label);
        scores.map(|(score, _)| f64::from(*score)).sum::<f64>().max(LEAST_SCORE).ln()
    };
    words.iter().map(of_label).sum::<f64>() / words.len() as f64
}

/// The reading that all mentions together support best, the first of equals.
fn likeliest(likelihoods: &[Vec<f64>]) -> usize {
    let n_readings = likelihoods.first().map_or(0, Vec::len);
    let sums = (0..n_readings).map(|reading| likelihoods.iter().map(|of_mention| of_mention[reading]).sum::<f64>());
    let better = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    sums.enumerate().fold((0, f64::NEG_INFINITY), better).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::decode::entities::decode_entities;
    use crate::inference::decode::source::Source;
    use crate::inference::decode::tag_scheme::TagScheme;
    use crate::inference::tokenize::Tokens;
    use crate::manifest::tags::parse_tags;
    use crate::manifest::task::AggregationStrategy;
    use crate::text::span::ByteSpan;
    use proptest::prelude::*;

    const TAGS: [&str; 5] = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"];

    // Python's tests of `agree` have the same.
    const PERSON: [f32; 5] = [0.05, 0.8, 0.05, 0.05, 0.05];
    const MORE_OF_PERSON: [f32; 5] = [0.05, 0.05, 0.8, 0.05, 0.05];
    const DOUBTFUL: [f32; 5] = [0.1, 0.3, 0.0, 0.6, 0.0];
    const CLEAR: [f32; 5] = [0.02, 0.04, 0.02, 0.9, 0.02];
    const MISSED: [f32; 5] = [0.6, 0.3, 0.02, 0.06, 0.02];
    const NOTHING: [f32; 5] = [0.96, 0.01, 0.01, 0.01, 0.01];

    fn words(text: &str) -> Vec<Word> {
        let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
        let span = |word: &str| ByteSpan::new(start(word), start(word) + word.len());
        text.split(' ').enumerate().map(|(token, word)| Word { span: span(word), tokens: vec![token] }).collect()
    }

    /// The tags of the words of `text`, given those of `tags` and these scores of each word, after `agree`.
    fn agreed(text: &str, given: &[&str], scores: &[[f32; 5]], stretch_ends: &[usize]) -> Vec<(&'static str, f32)> {
        let words = words(text);
        let index = |tag: &str| TAGS.iter().position(|known| *known == tag).expect("a tag");
        let mut tagged = words.iter().zip(given).enumerate().map(|(position, (word, tag))| {
            let tag = index(tag);
            TaggedWord { word, tag, score: scores[position][tag] }
        });
        let mut stretches: Vec<Vec<TaggedWord>> = Vec::new();
        let mut begin = 0;
        for &end in stretch_ends {
            stretches.push(tagged.by_ref().take(end - begin).collect());
            begin = end;
        }
        stretches.push(tagged.collect());
        let own = |word: &Word| scores[word.first_token()].to_vec();
        agree(text, &mut stretches, &parse_tags(&TAGS.map(str::to_owned)), own);
        let round = |score: f32| (score * 1000.0).round() / 1000.0;
        stretches.iter().flatten().map(|tagged| (TAGS[tagged.tag], round(tagged.score))).collect()
    }

    fn tags(found: &[(&'static str, f32)]) -> Vec<&'static str> {
        found.iter().map(|(tag, _)| *tag).collect()
    }

    #[test]
    fn doubtful_mentions_take_the_reading_of_the_others_and_their_mean_score() {
        let given = ["B-PER", "B-PER", "B-ORG", "O"];
        let found = agreed("Grass Grass Grass Grass", &given, &[PERSON, PERSON, DOUBTFUL, MISSED], &[]);
        assert_eq!(found, [("B-PER", 0.8), ("B-PER", 0.8), ("B-PER", 0.55), ("B-PER", 0.55)]);
    }

    #[test]
    fn a_clear_mention_keeps_its_reading() {
        let found = agreed("Grass Grass Grass", &["B-PER", "B-PER", "B-ORG"], &[PERSON, PERSON, CLEAR], &[]);
        assert_eq!(tags(&found), ["B-PER", "B-PER", "B-ORG"]);
    }

    #[test]
    fn a_name_that_is_none_elsewhere_is_dropped() {
        let found = agreed("Golf Golf Golf", &["O", "O", "B-ORG"], &[NOTHING, NOTHING, DOUBTFUL], &[]);
        assert_eq!(tags(&found), ["O", "O", "O"]);
    }

    #[test]
    fn names_of_several_words_are_compared_as_a_whole_and_in_every_stretch() {
        let text = "Günter Grass | Günter Grass | Grass";
        let given = ["B-PER", "I-PER", "O", "B-ORG", "I-ORG", "O", "O"];
        let more = [0.02, 0.02, 0.3, 0.02, 0.6];
        let scores = [PERSON, MORE_OF_PERSON, NOTHING, DOUBTFUL, more, NOTHING, NOTHING];
        let expected = ["B-PER", "I-PER", "O", "B-PER", "I-PER", "O", "O"];
        for ends in [&[][..], &[3], &[2, 5]] {
            assert_eq!(tags(&agreed(text, &given, &scores, ends)), expected, "{ends:?}");
        }
        // Half of a name at the end of a stretch is no mention of it.
        assert_eq!(tags(&agreed(text, &given, &scores, &[4])), given);
    }

    #[test]
    fn a_genitive_is_a_mention_where_the_document_has_its_base() {
        let of = |text| tags(&agreed(text, &["B-PER", "O"], &[PERSON, MISSED], &[]));
        assert_eq!(of("Putin Putins"), ["B-PER", "B-PER"]);
        assert_eq!(of("Grass Grass’"), ["B-PER", "B-PER"]);
        assert_eq!(of("Putins Putin"), ["B-PER", "O"]);
    }

    #[test]
    fn mentions_may_differ_in_typography() {
        let of = |text| tags(&agreed(text, &["B-PER", "O"], &[PERSON, MISSED], &[]));
        assert_eq!(of("O’Neill O'Neill"), ["B-PER", "B-PER"]);
        assert_eq!(of("O'Neill O’Neills"), ["B-PER", "B-PER"]);
        assert_eq!(of("O'Neill ONeill"), ["B-PER", "O"]);
    }

    #[test]
    fn a_mention_that_a_cut_left_without_its_beginning_does_not_speak_against_whole_ones() {
        let inside = [0.01, 0.01, 0.9, 0.04, 0.04];
        let whole = [0.01, 0.97, 0.005, 0.01, 0.005];
        let given = ["I-PER", "B-PER", "B-PER", "O"];
        let found = agreed("Grass Grass Grass Grass", &given, &[inside, whole, whole, MISSED], &[1, 2, 3]);
        assert_eq!(tags(&found), ["I-PER", "B-PER", "B-PER", "B-PER"]);
    }

    #[test]
    fn a_mention_does_not_join_its_neighbour_where_tags_have_no_beginning() {
        let plain = parse_tags(&["O", "PER", "LOC"].map(str::to_owned));
        let words = words("Paris Hilton | Paris | Paris");
        let rows =
            [[0.1, 0.3, 0.6], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05], [0.1, 0.8, 0.1]];
        let tagged = words.iter().zip([2, 1, 0, 1, 0, 1]).map(|(word, tag)| TaggedWord { word, tag, score: 0.6 });
        let mut stretches = vec![tagged.collect::<Vec<_>>()];
        agree("Paris Hilton | Paris | Paris", &mut stretches, &plain, |word| rows[word.first_token()].to_vec());
        assert_eq!(stretches[0].iter().map(|tagged| tagged.tag).collect::<Vec<_>>(), [2, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn words_inside_of_longer_names_are_no_mentions() {
        let given = ["B-PER", "B-ORG", "I-ORG"];
        let more = [0.2, 0.3, 0.1, 0.1, 0.3];
        assert_eq!(tags(&agreed("Bosch Robert Bosch", &given, &[PERSON, CLEAR, more], &[])), given);
    }

    #[test]
    fn with_one_label_per_name_its_mentions_agree_also_where_one_has_lost_its_case() {
        let tags: Vec<String> = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"].map(str::to_owned).to_vec();
        let (usual, in_capitals) = ("Ulm, Ulm", "Ulm, ULM");
        let spans = vec![ByteSpan::new(0, 3), ByteSpan::new(3, 4), ByteSpan::new(5, 8)];
        let tokens = Tokens { ids: vec![0, 1, 2], spans, word_ids: vec![None; 3] };
        let logits =
            ndarray::array![[0.02, 0.04, 0.02, 0.9, 0.02], [0.9, 0.02, 0.02, 0.04, 0.02], [0.6, 0.05, 0.02, 0.3, 0.03]];
        let logits = logits.mapv(f32::ln);
        let labels = |one_label_per_name, text, usual| {
            let scheme = TagScheme::of(&tags).with_one_label_per_name(one_label_per_name);
            let source = Source { text, usual, tokens: &tokens, gaps: &[] };
            let found = decode_entities(source, |token| logits.row(token), &scheme, AggregationStrategy::Viterbi);
            found.into_iter().map(|entity| entity.label).collect::<Vec<_>>()
        };
        assert_eq!(labels(false, usual, usual), ["LOC"]);
        assert_eq!(labels(true, usual, usual), ["LOC", "LOC"]);
        assert_eq!(labels(true, in_capitals, in_capitals), ["LOC"]);
        assert_eq!(labels(true, in_capitals, usual), ["LOC", "LOC"]);
    }

    proptest! {
        #[test]
        fn every_result_is_a_valid_sequence(
            picks in prop::collection::vec((0usize..3, 0usize..5, prop::collection::vec(0.01f32..1.0, 5)), 1..12)
        ) {
            let text = picks.iter().map(|(word, ..)| ["Ulm", "Ulms", "Bonn"][*word]).collect::<Vec<_>>().join(" ");
            let mut given: Vec<&str> = Vec::new();
            for (_, tag, _) in &picks {
                let follows = given.last().is_some_and(|last| last.ends_with(&TAGS[*tag][1..]));
                given.push(if TAGS[*tag].starts_with('I') && !follows { "O" } else { TAGS[*tag] });
            }
            let scores: Vec<[f32; 5]> = picks.iter().map(|(.., row)| {
                let sum: f32 = row.iter().sum();
                std::array::from_fn(|tag| row[tag] / sum)
            }).collect();
            let found = tags(&agreed(&text, &given, &scores, &[]));
            agreed(&text, &given, &scores, &[picks.len() / 2]);
            for (index, tag) in found.iter().enumerate() {
                let is_valid = !tag.starts_with('I') || index > 0 && found[index - 1].ends_with(&tag[1..]);
                prop_assert!(is_valid, "{found:?} from {given:?}");
            }
        }
    }
}
