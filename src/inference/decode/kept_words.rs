//! Words of a listed name that stay together: one name from its first word to its last, or outside of all names.

use std::ops::Range;

use crate::inference::decode::argmax;
use crate::inference::decode::label_tags::LabelTags;

/// Words of a stretch that keep the tags of their listed name together.
pub struct KeptWords<'w> {
    pub words: Range<usize>,
    pub tags: &'w LabelTags,
    pub is_no_name: bool,
}

impl KeptWords<'_> {
    /// Whether `tags`, those of the words of the stretch, begin the name and do not continue it to its end; for what is no name, whether it
    /// gets into one. `scores` are those of the words.
    pub fn is_broken(&self, tags: &[usize], scores: &[Vec<f32>]) -> bool {
        if self.is_no_name {
            let is_outside = |tag: &usize| self.tags.first.contains(tag);
            return scores[self.words.clone()].iter().all(|row| is_outside(&argmax(row).0))
                && !tags[self.words.clone()].iter().all(is_outside);
        }
        match tags.get(self.words.clone()).and_then(<[usize]>::split_first) {
            Some((first, others)) => {
                self.tags.first.contains(first) && !others.iter().all(|tag| self.tags.other.contains(tag))
            }
            None => false,
        }
    }

    /// Leaves only the tags that make these words one name. `scores` are those of all words of the stretch.
    pub fn restrict(&self, scores: &mut [Vec<f32>]) {
        let last = self.words.len() - 1;
        for (index, row) in scores[self.words.clone()].iter_mut().enumerate() {
            let allowed = match index {
                0 => &self.tags.first_of_several,
                _ if index == last => &self.tags.other,
                _ => &self.tags.middle,
            };
            row.iter_mut().enumerate().filter(|(tag, _)| !allowed.contains(tag)).for_each(|(_, score)| *score = 0.0);
        }
    }
}
