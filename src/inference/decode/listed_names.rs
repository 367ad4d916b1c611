//! What the listed names of one text change in the logits of its words, and which words must stay together.

use std::collections::HashMap;

use ndarray::ArrayView1;

use crate::inference::decode::freed::FreedWord;
use crate::inference::decode::kept_words::KeptWords;
use crate::inference::decode::word_tokens::Word;

/// What a listed name changes in logits: it adds `weight` to those of `tags`, and takes `from_outside` from those of no name.
pub struct LogitBias<'w> {
    pub tags: &'w [usize],
    pub weight: f32,
    pub from_outside: f32,
}

/// The listed names of one text.
#[derive(Default)]
pub struct ListedNames<'w> {
    /// By the first token of each word.
    pub biases: HashMap<usize, LogitBias<'w>>,
    /// By the first token of each word.
    pub freed: HashMap<usize, FreedWord<'w>>,
    /// For each stretch, the names of several words, and what is listed as no name.
    pub kept: Vec<Vec<KeptWords<'w>>>,
    /// The tags of what is no name.
    pub outside: &'w [usize],
}

impl ListedNames<'_> {
    /// The logits of a word's first token, changed by what the list says of the word; `None` where it says nothing.
    pub fn changed(&self, word: &Word, logits: ArrayView1<'_, f32>) -> Option<Vec<f32>> {
        let token = word.first_token();
        let (freed, bias) = (self.freed.get(&token), self.biases.get(&token));
        if freed.is_none() && bias.is_none() {
            return None;
        }
        let mut logits = logits.to_vec();
        if let Some(freed) = freed {
            freed.change(&mut logits);
        }
        if let Some(bias) = bias {
            bias.tags.iter().for_each(|&tag| logits[tag] += bias.weight);
            self.outside.iter().for_each(|&tag| logits[tag] -= bias.from_outside);
        }
        Some(logits)
    }

    /// The names of a stretch that `tags`, those of its words, begin and do not continue to the end, and what is no name but gets into one.
    /// `scores` are those of the words.
    pub fn broken(&self, stretch: usize, tags: &[usize], scores: &[Vec<f32>]) -> Vec<&KeptWords<'_>> {
        let names = self.kept.get(stretch).map_or(&[][..], Vec::as_slice);
        names.iter().filter(|name| name.is_broken(tags, scores)).collect()
    }

    /// Whether a name of several words ends with this word of a stretch.
    pub fn ends_at(&self, stretch: usize, word: usize) -> bool {
        let names = self.kept.get(stretch).map_or(&[][..], Vec::as_slice);
        names.iter().any(|name| !name.is_no_name && name.words.end == word + 1)
    }
}
