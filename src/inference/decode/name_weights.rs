//! What the listed names of a text add to the logits of their words. The module `names` has the rule for each name.
//!
//! A listed name stays whole: where its first word gets its label, its other words continue it (`Blohm und Voss`). The words are then
//! decoded once more, with no other tags for them, and have the score of the first word: if that begins the name, they follow.
//! Words that are listed as no name stay outside in the same way, if each of them alone is outside. Their weight does not ensure it: if
//! the model is sure that the next word continues a name, the likeliest sequence begins that name at them.

use std::collections::HashSet;

use crate::inference::decode::freed::Freeing;
use crate::inference::decode::kept_words::KeptWords;
use crate::inference::decode::label_tags::LabelTags;
use crate::inference::decode::listed_names::{ListedNames, LogitBias};
use crate::inference::decode::names::{Listed, NO_NAME, NameList, is_no_name};
use crate::inference::decode::source::Source;
use crate::inference::decode::titles::{TitledNames, after_initials, announced_label};
use crate::inference::decode::word_tokens::Word;
use crate::inference::decode::words::is_alphanumeric;
use crate::manifest::tags::Tag;

/// What is listed as no name gets that many times the weight: models are surer of abbreviations (`StVO`) than of unknown names.
const FACTOR_OF_NO_NAME: f32 = 1.5;

/// The same for a title with a name after it: models are sure that the two are one name.
const FACTOR_OF_TITLE: f32 = 2.0;

/// The same for the name after a title. A surname may be a common noun.
const FACTOR_AFTER_TITLE: f32 = 1.5;

/// The share of the weight that a compound with a listed name gets.
const SHARE_OF_COMPOUND: f32 = 0.5;

/// The share of the weight that a listed name takes from the logits of no name. The list says that it is a name more surely than which: it
/// may be the beginning of a longer one. An abbreviation (`SDK`, `NJW`) takes nothing, since it may stand for something else.
const SHARE_FROM_NO_NAME: f32 = 0.5;

/// A list of names with what each adds to the logits of a model's tags.
pub struct NameWeights {
    list: NameList,
    weight: f32,
    /// For each label of the list.
    tags: Vec<LabelTags>,
    /// For each label of the list, the label of the names that follow it, and their tags.
    announced: Vec<Option<(String, LabelTags)>>,
    freeing: Freeing,
    /// The tags of what is no name.
    outside: Vec<usize>,
}

impl NameWeights {
    /// `weight` is what a listed name adds to the logits of its tags, among `tags`.
    pub fn new(list: NameList, weight: f32, tags: &[Tag]) -> Self {
        let freeing = Freeing::of(tags);
        let after = |label: &String| announced_label(label).map(|label| (label.to_owned(), LabelTags::of(label, tags)));
        let announced = list.labels.iter().map(after).collect();
        let outside = LabelTags::of(NO_NAME, tags).first;
        let tags = list.labels.iter().map(|label| LabelTags::of(label, tags)).collect();
        Self { list, weight, tags, announced, freeing, outside }
    }

    pub fn n_names(&self) -> usize {
        self.list.n_names()
    }

    pub fn weight(&self) -> f32 {
        self.weight
    }

    /// The listed names of a source, given in stretches that no name reaches across. `read` gives the tag that the model itself finds
    /// likeliest for a word.
    pub fn listed<'t>(
        &self,
        source: Source<'_>,
        stretches: &[Vec<Word>],
        read: impl Fn(&Word) -> &'t Tag,
    ) -> ListedNames<'_> {
        let find = |words: &Vec<Word>| self.list.find_in_usual_case(source.text, source.usual, words);
        let mut found: Vec<Vec<Listed<'_>>> = stretches.iter().map(find).collect();
        let otherwise = self.take_inner(source.text, stretches, &mut found, &read);
        let mut listed = ListedNames { outside: &self.outside, ..ListedNames::default() };
        for (names, words) in found.iter().zip(stretches) {
            let mut kept = Vec::new();
            let names: Vec<&Listed<'_>> = names.iter().filter(|name| !otherwise.contains(name.name)).collect();
            let titled = self.titled(source.usual, words, &names);
            // A surname may be listed as something else.
            let counts = |name: &&&Listed<'_>| name.n_words > 1 || !titled.is_named(name.first);
            for name in names.iter().filter(counts) {
                let is_no_name = self.is_no_name(name);
                let after = titled.after(name.first).zip(self.announced[name.label].as_ref());
                let weight = match after {
                    Some(_) => self.weight * FACTOR_OF_TITLE,
                    None if is_no_name => self.weight * FACTOR_OF_NO_NAME,
                    None => self.weight,
                };
                let tags = &self.tags[name.label];
                let range = name.words();
                for (index, word) in words[range.clone()].iter().enumerate() {
                    let (tags, weight) = match (name.is_part, index) {
                        (true, _) => (&tags.part, weight * SHARE_OF_COMPOUND),
                        (false, 0) => (&tags.first, weight),
                        (false, _) => (&tags.other, weight),
                    };
                    let is_sure = !is_no_name && !tags.is_empty() && name.name.contains(char::is_lowercase);
                    let from_outside = if is_sure { weight * SHARE_FROM_NO_NAME } else { 0.0 };
                    listed.biases.insert(word.first_token(), LogitBias { tags, weight, from_outside });
                }
                if is_no_name && !name.is_part {
                    let kept = after.map(|(_, (label, _))| label.as_str());
                    self.freeing.free(source.text, &words[range.end - 1..], kept, &read, &mut listed.freed);
                }
                if let Some((next, (_, tags))) = after {
                    let weight = self.weight * FACTOR_AFTER_TITLE;
                    let bias = LogitBias { tags: &tags.first, weight, from_outside: 0.0 };
                    listed.biases.insert(words[next].first_token(), bias);
                    for word in &words[next + 1..after_initials(source.usual, words, next)] {
                        let bias = LogitBias { tags: &tags.other, weight, from_outside: 0.0 };
                        listed.biases.insert(word.first_token(), bias);
                    }
                }
                if !name.is_part && (name.n_words > 1 || is_no_name) {
                    kept.push(KeptWords { words: range, tags, is_no_name });
                }
            }
            listed.kept.push(kept);
        }
        listed
    }

    fn titled(&self, usual: &str, words: &[Word], names: &[&Listed<'_>]) -> TitledNames {
        let titles = names.iter().filter(|name| self.announced[name.label].is_some() && !name.is_part);
        let no_names = names.iter().filter(|name| self.is_no_name(name)).map(|name| name.first).collect();
        TitledNames::of(usual, words, titles.map(|title| title.words()), &no_names)
    }

    /// Takes those of the `found` names out that the model reads inside longer names, and gives those whose longer name has another label.
    fn take_inner<'l, 't>(
        &self,
        text: &str,
        stretches: &[Vec<Word>],
        found: &mut [Vec<Listed<'l>>],
        read: impl Fn(&Word) -> &'t Tag,
    ) -> HashSet<&'l str> {
        let mut otherwise = HashSet::new();
        for (names, words) in found.iter_mut().zip(stretches) {
            names.retain(|name| {
                let Some(before) = name.first.checked_sub(1).map(|before| &words[before]) else { return true };
                // The model reads `dpa/lsw` as one name; the code of the desk is none.
                if self.is_no_name(name) && !before.span.slice(text).is_some_and(is_alphanumeric) {
                    return true;
                }
                let tag = read(&words[name.first]);
                let is_inner = tag.extends(read(before));
                if is_inner && tag.label != self.list.labels[name.label] {
                    otherwise.insert(name.name);
                }
                !is_inner
            });
        }
        otherwise
    }

    fn is_no_name(&self, name: &Listed<'_>) -> bool {
        is_no_name(&self.list.labels[name.label])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::decode::entities::decode_entities;
    use crate::inference::decode::entity::Entity;
    use crate::inference::decode::tag_scheme::TagScheme;
    use crate::inference::tokenize::Tokens;
    use crate::manifest::task::AggregationStrategy;
    use crate::text::span::ByteSpan;
    use ndarray::Array2;

    /// The names in `Blohm und Voss baut`, where `Blohm und Voss` is listed as ORG and the model prefers these tags.
    fn decoded(tags: &[&str], preferred: [&str; 4]) -> Vec<(String, String)> {
        decoded_with_scores(tags, preferred).into_iter().map(|(name, _)| name).collect()
    }

    fn decoded_with_scores(tags: &[&str], preferred: [&str; 4]) -> Vec<((String, String), f32)> {
        decoded_text("Blohm und Voss baut", "Blohm und Voss\tORG", tags, &preferred)
    }

    /// The names in a text whose words have single spaces between them.
    fn decoded_text(text: &str, list: &str, tags: &[&str], preferred: &[&str]) -> Vec<((String, String), f32)> {
        let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
        let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
        let spans: Vec<ByteSpan> =
            text.split(' ').map(|word| ByteSpan::new(start(word), start(word) + word.len())).collect();
        let n_words = spans.len();
        let tokens = Tokens { ids: vec![0; n_words], spans, word_ids: vec![None; n_words] };
        let logit = |(word, tag): (usize, usize)| if tags[tag] == preferred[word] { 9.0 } else { 0.0 };
        let logits = Array2::from_shape_fn((n_words, tags.len()), logit);
        let list = NameList::parse(list).unwrap();
        let scheme = TagScheme::of(&tags);
        let weights = NameWeights::new(list, 3.0, &scheme.tags);
        let source = Source { text, usual: text, tokens: &tokens, gaps: &[] };
        let scheme = scheme.with_names(Some(weights));
        let found = decode_entities(source, |token| logits.row(token), &scheme, AggregationStrategy::Viterbi);
        let name = |entity: &Entity| entity.span.slice(text).unwrap().to_owned();
        found.into_iter().map(|entity| ((name(&entity), entity.label), entity.score)).collect()
    }

    fn entity(text: &str, label: &str) -> (String, String) {
        (text.to_owned(), label.to_owned())
    }

    #[test]
    fn a_listed_name_stays_whole_where_its_first_word_has_its_label() {
        let whole = [entity("Blohm und Voss", "ORG")];
        let bio = ["O", "B-ORG", "I-ORG", "B-PER", "I-PER"];
        for preferred in [["B-ORG", "O", "B-ORG", "O"], ["B-ORG", "O", "B-PER", "O"], ["B-ORG", "O", "O", "O"]] {
            assert_eq!(decoded(&bio, preferred), whole, "{preferred:?}");
        }
        // A longer name of the model that begins inside loses its beginning, and no sequence is invalid.
        assert_eq!(decoded(&bio, ["B-ORG", "O", "B-PER", "I-PER"])[..1], whole);
        let bioes = ["O", "B-ORG", "I-ORG", "E-ORG", "S-ORG", "S-PER"];
        assert_eq!(decoded(&bioes, ["S-ORG", "O", "S-PER", "O"]), whole);
        assert_eq!(decoded(&bioes, ["B-ORG", "E-ORG", "S-ORG", "O"]), whole);
        assert_eq!(decoded(&["O", "ORG", "PER"], ["ORG", "O", "PER", "O"]), whole);
    }

    #[test]
    fn only_a_listed_name_may_end_in_a_word_that_links_parts() {
        let bio = ["O", "B-ORG", "I-ORG"];
        let names = |list| -> Vec<String> {
            let found = decoded_text("Die Hör zu und Bild", list, &bio, &["O", "B-ORG", "I-ORG", "O", "B-ORG"]);
            found.into_iter().map(|((name, _), _)| name).collect()
        };
        assert_eq!(names("Hör zu\tORG"), ["Hör zu", "Bild"]);
        assert_eq!(names("Bild\tORG"), ["Hör", "Bild"]);
    }

    #[test]
    fn a_name_that_was_cut_has_the_score_of_its_first_word() {
        let score = |preferred| decoded_with_scores(&["O", "B-ORG", "I-ORG"], preferred)[0].1;
        assert!(score(["B-ORG", "O", "O", "O"]) > 0.99);
        assert!(score(["B-ORG", "I-ORG", "I-ORG", "O"]) > 0.99);
    }

    #[test]
    fn a_listed_name_whose_first_word_is_read_otherwise_is_left_to_the_model() {
        let bio = ["O", "B-ORG", "I-ORG", "B-PER", "I-PER"];
        assert_eq!(decoded(&bio, ["B-PER", "O", "B-ORG", "O"]), [entity("Blohm", "PER"), entity("Voss", "ORG")]);
        assert_eq!(decoded(&bio, ["O", "O", "B-ORG", "O"]), [entity("Voss", "ORG")]);
    }

    /// The names in `text`, whose tokens are its words of letters and its slashes, with these logits and this list.
    fn named(text: &str, list: &str, weight: f32, logits: &[[f32; 5]]) -> Vec<String> {
        let tags = ["O", "B-ORG", "I-ORG", "B-PER", "I-PER"].map(str::to_owned);
        let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
        let words = text.split(' ').flat_map(|word| word.split_inclusive('/'));
        let pieces = words.flat_map(|word| [word.trim_end_matches('/'), &word[word.trim_end_matches('/').len()..]]);
        let spans = pieces.filter(|piece| !piece.is_empty());
        let spans: Vec<ByteSpan> = spans.map(|piece| ByteSpan::new(start(piece), start(piece) + piece.len())).collect();
        let tokens = Tokens { ids: vec![0; spans.len()], word_ids: vec![None; spans.len()], spans };
        let logits = Array2::from_shape_fn((logits.len(), 5), |(token, tag)| logits[token][tag]);
        let scheme = TagScheme::of(&tags);
        let weights = NameWeights::new(NameList::parse(list).unwrap(), weight, &scheme.tags);
        let scheme = scheme.with_names(Some(weights));
        let source = Source { text, usual: text, tokens: &tokens, gaps: &[] };
        let found = decode_entities(source, |token| logits.row(token), &scheme, AggregationStrategy::Viterbi);
        found.iter().map(|entity| format!("{} {}", entity.span.slice(text).unwrap(), entity.label)).collect()
    }

    #[test]
    fn a_listed_name_is_rather_a_name_of_another_label_than_none() {
        let stihl = "Stihl\tORG\nStihl Holding\tORG\nNJW\tORG";
        let none = [4.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(named("Stihl", stihl, 3.0, &[none]), ["Stihl ORG"]);
        assert_eq!(named("Stihl", stihl, 2.0, &[none]), [""; 0]);
        assert_eq!(named("Stihl Holding", stihl, 3.0, &[none, none]), ["Stihl Holding ORG"]);
        assert_eq!(named("Stihl", stihl, 3.0, &[[4.0, 0.0, 0.0, 3.5, 0.0]]), ["Stihl PER"]);
        // An abbreviation may stand for something else.
        assert_eq!(named("NJW", stihl, 3.0, &[none]), [""; 0]);
    }

    #[test]
    fn what_is_no_name_gets_more_than_the_weight() {
        let logits = [[0.0, 4.0, 0.0, 0.0, 0.0]];
        assert_eq!(named("StVO", "StVO\tO", 2.0, &logits), ["StVO ORG"]);
        assert_eq!(named("StVO", "StVO\tO", 3.0, &logits), [""; 0]);
        assert_eq!(named("StVO", "StVO\tPER", 3.0, &logits), ["StVO ORG"]);
    }

    #[test]
    fn what_is_no_name_stays_outside_where_the_sequence_would_take_it_in() {
        // The model alone reads a person, and then the middle of an organisation.
        let logits = [[0.0, 0.9, 0.0, 1.0, 0.0], [0.0, 0.0, 4.0, 1.0, 0.0]];
        assert_eq!(named("KHK Lorenz", "StVO\tO", 1.0, &logits), ["KHK Lorenz ORG"]);
        assert_eq!(named("KHK Lorenz", "KHK\tO", 1.0, &logits), ["Lorenz PER"]);
        let logits = [[0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 4.0, 3.0, 0.0], [0.0, 0.0, 4.0, 0.0, 3.0]];
        assert_eq!(named("KHK Sabine Ruppert", "StVO\tO", 1.0, &logits), ["KHK Sabine Ruppert ORG"]);
        assert_eq!(named("KHK Sabine Ruppert", "KHK\tO", 1.0, &logits), ["Sabine Ruppert PER"]);
    }

    #[test]
    fn a_name_after_what_is_no_name_has_another_label() {
        let logits = [[0.0, 4.0, 0.0, 0.0, 0.0], [0.0, 0.0, 8.0, 1.0, 3.0], [0.0, 0.0, 8.0, 0.0, 3.0]];
        assert_eq!(named("KHK Lorenz Maria", "StVO\tO", 6.0, &logits), ["KHK Lorenz Maria ORG"]);
        assert_eq!(named("KHK Lorenz Maria", "KHK\tO", 6.0, &logits), ["Lorenz Maria PER"]);
    }

    #[test]
    fn a_name_follows_a_title() {
        const TITLE: &str = "KHK\tbefore PER";
        // The model reads an organisation, or takes the title into the person.
        let one_name = [[0.0, 4.0, 0.0, 0.0, 0.0], [0.0, 0.0, 4.0, -1.0, 0.0]];
        let one_person = [[0.0, 0.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0, 4.0]];
        let unknown = [[0.0, 4.0, 0.0, 0.0, 0.0], [4.0, 0.0, 0.0, 0.0, 0.0]];
        for logits in [&one_name, &one_person] {
            assert_eq!(named("KHK Lorenz", "KHK\tO", 3.0, logits), [""; 0]);
            assert_eq!(named("KHK Lorenz", TITLE, 3.0, logits), ["Lorenz PER"]);
        }
        assert_eq!(named("KHK Lorenz", TITLE, 3.0, &unknown), ["Lorenz PER"]);
        assert_eq!(named("KHK lorenz", TITLE, 3.0, &unknown), [""; 0]);
        // A surname may be listed as a company, and a title may follow a title.
        assert_eq!(named("KHK Lorenz", &format!("{TITLE}\nLorenz\tORG"), 3.0, &unknown), ["Lorenz PER"]);
        assert_eq!(named("KHK Dr", &format!("{TITLE}\nDr\tO"), 3.0, &unknown), [""; 0]);
        let of_three = [one_name[0], one_name[1], [0.0, 0.0, 4.0, 0.0, -1.0]];
        assert_eq!(named("KHK Heinz Pfaff", TITLE, 3.0, &of_three), ["Heinz Pfaff PER"]);
        let (two, two_logits) = (format!("{TITLE}\nPOM\tbefore PER"), [unknown[0], unknown[0], unknown[1]]);
        assert_eq!(named("KHK POM Braun", &two, 3.0, &two_logits), ["Braun PER"]);
        let more = [unknown[0], unknown[1], [0.0, 1.0, 0.0, 0.0, 0.0]];
        let company = format!("{TITLE}\nBayern München\tORG");
        assert_eq!(named("KHK Bayern München", &company, 4.0, &more), ["Bayern München ORG"]);
    }

    #[test]
    fn what_is_no_name_is_none_after_a_slash_either() {
        let inside = [0.0, 0.0, 4.0, 0.0, 0.0];
        let logits = [[0.0, 4.0, 0.0, 0.0, 0.0], inside, inside];
        assert_eq!(named("dpa/lsw", "lsw\tPER", 6.0, &logits), ["dpa/lsw ORG"]);
        assert_eq!(named("dpa/lsw", "lsw\tO", 6.0, &logits), ["dpa ORG"]);
    }

    #[test]
    fn a_name_that_ends_a_longer_one_of_another_label_has_no_weight_in_the_text() {
        let (first, last) = ([0.0, 0.0, 0.0, 9.0, 0.0], [0.0, 0.0, 0.0, 0.0, 9.0]);
        let doubtful = [0.0, 0.0, 0.0, 1.0, 0.0];
        let logits = [doubtful, first, last];
        let found = |list| named("Henkel Christoph Henkel", list, 3.0, &logits);
        assert_eq!(found("Henkel\tORG"), ["Henkel PER", "Christoph Henkel PER"]);
        let other = [doubtful, first, [0.0, 0.0, 0.0, 9.0, 0.0]];
        let found = named("Henkel Christoph Henkel", "Henkel\tORG", 3.0, &other);
        assert_eq!(found, ["Henkel ORG", "Christoph PER", "Henkel PER"]);
        // A longer name of the same label speaks for the listed one.
        let of_company = [doubtful, [0.0, 9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 9.0, 0.0, 0.0]];
        let found = named("Henkel Stiftung Henkel", "Henkel\tORG", 3.0, &of_company);
        assert_eq!(found, ["Henkel ORG", "Stiftung Henkel ORG"]);
    }
}
