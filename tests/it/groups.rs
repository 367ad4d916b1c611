//! How well groups agree with a reader: pairwise precision and recall over labelled articles.
//!
//! `tests/reference/groups.json` has the groups of two and more for 35 texts of `scripts/train/data/news`, as indices of their
//! labelled entities. A reader made them, with what only a reader knows: that `VW` is `Volkswagen` and `Barça` the `FC Barcelona`.
//! Every 22nd text was taken, and twelve that have the most names in several forms.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ressort::classify::chosen::Types;
use ressort::classify::groups::{Labels, groups};
use ressort::classify::kinds::Kinds;
use ressort::inference::decode::entity::Entity;
use ressort::manifest::tags::parse_tags;
use ressort::text::span::ByteSpan;

use crate::support::reference;

/// Texts and entities by id, from the inline markup of `scripts/train/markup.py`.
fn labelled() -> BTreeMap<String, (String, Vec<Entity>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/train/data/news");
    let mut texts = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap().flatten().filter(|file| file.path().extension().is_some()) {
        let content = std::fs::read_to_string(file.path()).unwrap();
        for marked in content.split("\n## id: ").map(|marked| marked.trim_start_matches("## id: ")) {
            let (head, body) = marked.split_once('\n').unwrap();
            texts.insert(head.split(' ').next().unwrap().to_owned(), unmarked(body.trim()));
        }
    }
    texts
}

fn unmarked(marked: &str) -> (String, Vec<Entity>) {
    let (mut text, mut entities, mut start) = (String::new(), Vec::new(), 0);
    let mut rest = marked.chars();
    while let Some(char) = rest.next() {
        match char {
            '\\' => text.extend(rest.next()),
            '[' => start = text.len(),
            ']' => {
                let label = rest.by_ref().skip(1).take_while(|char| *char != ')').collect();
                entities.push(Entity { label, score: 1.0, span: ByteSpan::new(start, text.len()) });
            }
            char => text.push(char),
        }
    }
    (text, entities)
}

/// All pairs of mentions that are in one group.
fn pairs(groups: impl IntoIterator<Item = Vec<usize>>) -> BTreeSet<(usize, usize)> {
    let of_group = |group: Vec<usize>| {
        let with_others =
            |(index, &a): (usize, &usize)| group[index + 1..].iter().map(|&b| (a.min(b), a.max(b))).collect::<Vec<_>>();
        group.iter().enumerate().flat_map(with_others).collect::<Vec<_>>()
    };
    groups.into_iter().flat_map(of_group).collect()
}

/// Prints the figures that `docs/api.md` has: `cargo test --test it groups:: -- --nocapture`.
#[test]
fn groups_agree_with_those_of_a_reader() {
    let gold: BTreeMap<String, Vec<Vec<usize>>> = reference("groups.json");
    let texts = labelled();
    let types =
        ["PER", "LOC", "ORG", "OTH"].map(|name| ["", "deriv", "part"].map(|ending| format!("B-{name}{ending}")));
    let tags = parse_tags(&types.concat());
    let labels = Labels { types: Types::of(&tags), kinds: Kinds::default() };
    let (mut n_right, mut n_found, mut n_gold, mut n_same) = (0, 0, 0, 0);
    for (id, gold) in gold {
        let (text, entities) = &texts[&id];
        let found = pairs(groups(text, None, entities, &labels).into_iter().map(|group| group.mentions));
        let gold = pairs(gold);
        let name = |index: usize| entities[index].span.slice(text).unwrap();
        n_same += gold.iter().filter(|(a, b)| name(*a) == name(*b)).count();
        for (a, b) in found.difference(&gold) {
            println!("{id}: wrong   {} = {}", name(*a), name(*b));
        }
        for (a, b) in gold.difference(&found) {
            println!("{id}: missing {} = {}", name(*a), name(*b));
        }
        n_right += found.intersection(&gold).count();
        n_found += found.len();
        n_gold += gold.len();
    }
    let (precision, recall) = (n_right as f64 / n_found as f64, n_right as f64 / n_gold as f64);
    println!("{n_gold} pairs, {n_same} of the same spelling; precision {precision:.3}, recall {recall:.3}");
    assert!(precision >= 0.97 && recall >= 0.85, "precision {precision:.3}, recall {recall:.3}");
}
