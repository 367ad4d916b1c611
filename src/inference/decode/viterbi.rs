//! The likeliest sequence of tags that breaks no rule of its scheme: no `I-PER` without a beginning, no `B-PER` left open
//! where the scheme has `E-PER`. Taking each word's best tag instead lets one doubtful word cut a name in two.

use crate::manifest::tags::{Position, Tag};

/// Which tag may follow which, for one model's tags.
#[derive(Debug, Clone)]
pub struct Transitions {
    /// For each tag, those that may precede it, by index.
    predecessors: Vec<Vec<usize>>,
    first: Vec<bool>,
    last: Vec<bool>,
    /// For each tag, those that may precede it on a word that links parts of a name: outside, or in the same name.
    after_link: Vec<Vec<usize>>,
    /// Whether a sequence may end with the tag on such a word.
    last_on_link: Vec<bool>,
}

/// Whether a sequence was cut out of a longer one, so that a name may continue from before it or after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ends {
    pub is_begin_cut: bool,
    pub is_end_cut: bool,
}

impl Transitions {
    /// The rules that `tags` themselves show: a type has to be begun if it has a `B-` tag, and to be closed if it has an `E-`
    /// tag. Tags without prefixes may follow each other freely.
    pub fn of(tags: &[Tag]) -> Self {
        let has = |position, label: &str| tags.iter().any(|tag| tag.position == position && tag.label == label);
        let must_continue = |tag: &Tag| tag.continues() && has(Position::Begin, &tag.label);
        let stays_open = |tag: &Tag| tag.may_be_continued() && has(Position::End, &tag.label);
        let may_follow =
            |tag: &Tag, previous: &Tag| tag.extends(previous) || (!must_continue(tag) && !stays_open(previous));
        let predecessors = |tag| (0..tags.len()).filter(|&previous| may_follow(tag, &tags[previous])).collect();
        let predecessors: Vec<Vec<usize>> = tags.iter().map(predecessors).collect();
        // In a scheme without `O`, every word is part of a name.
        let has_outside = tags.iter().any(|tag| tag.position == Position::Outside);
        let may_be_link = |tag: &Tag| !has_outside || tag.position == Position::Outside;
        let after_link = |(tag, before): (&Tag, &Vec<usize>)| {
            let may_precede = |previous: &Tag| may_be_link(previous) || tag.extends(previous);
            before.iter().copied().filter(|&previous| may_precede(&tags[previous])).collect()
        };
        Self {
            after_link: tags.iter().zip(&predecessors).map(after_link).collect(),
            last_on_link: tags.iter().map(may_be_link).collect(),
            predecessors,
            first: tags.iter().map(|tag| !must_continue(tag)).collect(),
            last: tags.iter().map(|tag| !stays_open(tag)).collect(),
        }
    }

    /// The valid tag sequence with the highest product of scores, one tag for each row of `scores` (`[N][L]`, each row a
    /// distribution). Where no sequence is valid, as in a scheme without `O`, each row has its best tag.
    ///
    /// `is_link` says which words link parts of a name, so that no name ends in them.
    pub fn best_sequence(&self, scores: &[Vec<f32>], is_link: impl Fn(usize) -> bool, ends: Ends) -> Vec<usize> {
        let Some((head, rest)) = scores.split_first() else { return Vec::new() };
        let may_begin = |may: bool| may || ends.is_begin_cut;
        let ends_on_link = is_link(rest.len());
        let may_end = |tag: &usize| (self.last[*tag] || ends.is_end_cut) && (self.last_on_link[*tag] || !ends_on_link);
        // In f64, so that a long text does not round small differences away.
        let mut sums: Vec<f64> =
            log(head).zip(&self.first).map(|(score, &may)| only_if(may_begin(may), score)).collect();
        let mut backpointers: Vec<Vec<usize>> = Vec::with_capacity(rest.len());
        for (before, row) in rest.iter().enumerate() {
            let predecessors = if is_link(before) { &self.after_link } else { &self.predecessors };
            let best: Vec<usize> = predecessors.iter().map(|tags| best_of(&sums, tags.iter().copied())).collect();
            sums = log(row)
                .zip(&best)
                .map(|(score, &previous)| score + sums.get(previous).unwrap_or(&f64::NEG_INFINITY))
                .collect();
            backpointers.push(best);
        }
        let mut tag = best_of(&sums, (0..sums.len()).filter(may_end));
        if sums.get(tag).is_none_or(|&sum| sum == f64::NEG_INFINITY) {
            return scores.iter().map(|row| crate::inference::decode::argmax(row).0).collect();
        }
        let mut sequence = vec![tag];
        for previous in backpointers.iter().rev() {
            tag = previous[tag];
            sequence.push(tag);
        }
        sequence.reverse();
        sequence
    }
}

/// The natural logarithms of scores, the smallest ones held above zero, so that a valid sequence always has a finite sum.
fn log(scores: &[f32]) -> impl Iterator<Item = f64> {
    scores.iter().map(|&score| f64::from(score.max(f32::MIN_POSITIVE)).ln())
}

fn only_if(may: bool, score: f64) -> f64 {
    if may { score } else { f64::NEG_INFINITY }
}

/// The candidate with the largest sum, the first of equals; beyond the end if there is no candidate.
fn best_of(sums: &[f64], candidates: impl Iterator<Item = usize>) -> usize {
    let better = |best: usize, next: usize| {
        let known = sums.get(best).copied();
        if known.is_none_or(|known| sums[next] > known) { next } else { best }
    };
    candidates.fold(usize::MAX, better)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tags::parse_tags;
    use proptest::prelude::*;

    const BIO: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
    const BIOES: [&str; 5] = ["O", "B-PER", "I-PER", "E-PER", "S-PER"];

    fn tags(names: &[&str]) -> Vec<Tag> {
        parse_tags(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    fn best<'t>(names: &[&'t str], scores: &[Vec<f32>]) -> Vec<&'t str> {
        Transitions::of(&tags(names))
            .best_sequence(scores, |_| false, Ends::default())
            .into_iter()
            .map(|tag| names[tag])
            .collect()
    }

    #[test]
    fn a_doubtful_word_goes_with_its_sure_neighbours() {
        let sure_begin = vec![0.02, 0.9, 0.02, 0.04, 0.02];
        let doubtful = vec![0.1, 0.05, 0.4, 0.05, 0.4001];
        assert_eq!(best(&BIO, &[sure_begin, doubtful.clone()]), ["B-PER", "I-PER"]);
        assert_eq!(best(&BIO, &[doubtful]), ["O"]);
    }

    #[test]
    fn a_name_does_not_end_in_a_word_that_links_its_parts() {
        let tags = tags(&BIO);
        let linked = |rows: &[Vec<f32>]| {
            let sequence = Transitions::of(&tags).best_sequence(rows, |word| word == 1, Ends::default());
            sequence.into_iter().map(|tag| BIO[tag]).collect::<Vec<_>>()
        };
        let row = |o, b_per, i_per, b_loc, i_loc| vec![o, b_per, i_per, b_loc, i_loc];
        let (first, link) = (row(0.02, 0.9, 0.02, 0.04, 0.02), row(0.3, 0.01, 0.65, 0.01, 0.03));
        let (surname, town) = (row(0.02, 0.5, 0.45, 0.02, 0.01), row(0.02, 0.02, 0.02, 0.93, 0.01));
        let eckart_von_klaeden = [first.clone(), link.clone(), surname];
        assert_eq!(best(&BIO, &eckart_von_klaeden), ["B-PER", "I-PER", "B-PER"]);
        assert_eq!(linked(&eckart_von_klaeden), ["B-PER", "I-PER", "I-PER"]);
        assert_eq!(linked(&[first.clone(), link.clone(), town]), ["B-PER", "O", "B-LOC"]);
        assert_eq!(linked(&[first.clone(), link.clone()]), ["B-PER", "O"]);
        assert_eq!(linked(&[row(0.9, 0.02, 0.02, 0.04, 0.02), row(0.1, 0.02, 0.02, 0.8, 0.06)]), ["O", "O"]);
        let without_outside = Transitions::of(&self::tags(&["PER", "LOC"]));
        let scores = [vec![0.9, 0.1], vec![0.9, 0.1], vec![0.1, 0.9]];
        assert_eq!(without_outside.best_sequence(&scores, |_| true, Ends::default()), [0, 0, 1]);
    }

    #[test]
    fn what_a_scheme_closes_is_closed() {
        let open = vec![0.1, 0.6, 0.1, 0.1, 0.1];
        assert_eq!(best(&BIOES, std::slice::from_ref(&open)), ["O"]);
        assert_eq!(best(&BIOES, &[open.clone(), open]), ["B-PER", "E-PER"]);
    }

    #[test]
    fn an_end_without_a_beginning_ends_what_is_inside() {
        let (inside, end) = (vec![0.1, 0.8, 0.1], vec![0.1, 0.1, 0.8]);
        let rules = ["O", "I-PER", "E-PER"];
        assert_eq!(best(&rules, &[inside.clone(), inside.clone(), end.clone()]), ["I-PER", "I-PER", "E-PER"]);
        assert_eq!(best(&rules, &[end, inside]), ["E-PER", "O"]);
    }

    #[test]
    fn tags_without_prefixes_and_types_without_a_beginning_are_free() {
        assert_eq!(best(&["O", "PER"], &[vec![0.1, 0.9], vec![0.1, 0.9]]), ["PER", "PER"]);
        assert_eq!(best(&["O", "I-PER"], &[vec![0.9, 0.1], vec![0.1, 0.9]]), ["O", "I-PER"]);
        assert_eq!(best(&["B-PER", "E-PER"], &[vec![0.9, 0.1]]), ["B-PER"]);
        assert!(best(&BIO, &[]).is_empty());
    }

    #[test]
    fn a_name_may_continue_across_a_cut() {
        let (inside, begin) = (vec![0.1, 0.05, 0.8, 0.03, 0.02], vec![0.1, 0.8, 0.04, 0.03, 0.03]);
        let rules = Transitions::of(&tags(&BIOES));
        let best = |row: &Vec<f32>, is_begin_cut, is_end_cut| {
            BIOES[rules.best_sequence(std::slice::from_ref(row), |_| false, Ends { is_begin_cut, is_end_cut })[0]]
        };
        assert_eq!(
            [best(&inside, true, true), best(&inside, true, false), best(&inside, false, false)],
            ["I-PER", "O", "O"]
        );
        assert_eq!([best(&begin, false, true), best(&begin, false, false)], ["B-PER", "O"]);
    }

    fn distributions() -> impl Strategy<Value = Vec<Vec<f32>>> {
        prop::collection::vec(prop::collection::vec(0.0f32..1.0, 5), 1..6)
    }

    /// Every sequence of five tags, as long as `n` says.
    fn all_sequences(n: usize) -> Vec<Vec<usize>> {
        (0..5usize.pow(n as u32))
            .map(|code| (0..n).map(|position| code / 5usize.pow(position as u32) % 5).collect())
            .collect()
    }

    proptest! {
        #[test]
        fn no_valid_sequence_is_likelier(scores in distributions(), closed in any::<bool>()) {
            let rules = Transitions::of(&tags(if closed { &BIOES } else { &BIO }));
            let is_valid = |sequence: &[usize]| {
                rules.first[sequence[0]]
                    && rules.last[sequence[sequence.len() - 1]]
                    && sequence.windows(2).all(|pair| rules.predecessors[pair[1]].contains(&pair[0]))
            };
            let sum = |sequence: &[usize]| -> f32 {
                sequence.iter().zip(&scores).map(|(&tag, row)| row[tag].max(f32::MIN_POSITIVE).ln()).sum()
            };
            let found = rules.best_sequence(&scores, |_| false, Ends::default());
            prop_assert!(is_valid(&found));
            let linked = rules.best_sequence(&scores, |word| word % 2 == 1, Ends::default());
            prop_assert!(is_valid(&linked));
            let tags = tags(if closed { &BIOES } else { &BIO });
            let ends_name = |(word, &tag): (usize, &usize)| {
                let is_continued = linked.get(word + 1).is_some_and(|&next| tags[next].extends(&tags[tag]));
                tags[tag].position != Position::Outside && !is_continued
            };
            prop_assert!(!linked.iter().enumerate().skip(1).step_by(2).any(ends_name));
            let likeliest = all_sequences(scores.len()).into_iter().filter(|s| is_valid(s)).map(|s| sum(&s));
            prop_assert!(sum(&found) >= likeliest.fold(f32::NEG_INFINITY, f32::max) - 1e-3);
        }
    }
}
