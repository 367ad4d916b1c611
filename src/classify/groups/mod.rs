//! The mentions of one document that are one entity: `Wladimir Putin`, `Putins` and `Putin-Vertraute`; `USA` and `US-`.
//!
//! Mentions are compared within one label by rules that a reader can follow; `cases.rs` is their table. Nothing is known but the
//! text, so that a name which could be short for two others (`Trump`, where there are `Donald` and `Melania Trump`) stays alone.

mod links;
mod names;
mod salience;

#[cfg(test)]
mod cases;

use std::collections::{BTreeMap, BTreeSet};

use self::links::{Known, Links, link, remove_inflection};
use self::names::{Form, Name, abbreviates};
pub use self::salience::title;
use self::salience::weight;
use crate::classify::chosen::Types;
use crate::classify::derived::is_abbreviation;
use crate::classify::kinds::Kinds;
use crate::inference::decode::entity::Entity;
use crate::text::span::ByteSpan;

/// Mentions that are one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its fullest name, in the nominative where the text shows it.
    pub name: String,
    pub label: String,
    /// Indices of the entities, in the order of the text.
    pub mentions: Vec<usize>,
    /// Its share of the document, in 0..=1; those of all groups sum to 1.
    pub salience: f32,
    /// The names of other groups that it could be short for; empty, or two and more.
    pub may_be: Vec<String>,
}

/// What the labels of entities mean.
pub struct Labels<'m> {
    pub types: Types<'m>,
    pub kinds: Kinds,
}

/// A mention's name and the label under which it is compared.
struct Mention<'e> {
    family: &'e str,
    name: Name,
}

/// The groups of `entities`, which are in the order of `text`; the most salient first. Each entity is in one group.
pub fn groups(text: &str, title: Option<ByteSpan>, entities: &[Entity], labels: &Labels<'_>) -> Vec<Group> {
    let mentions: Vec<Mention<'_>> = entities.iter().map(|entity| Mention::of(text, entity, labels)).collect();
    let mut ids: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let (mut known, mut families): (Vec<Known>, BTreeMap<&str, Vec<usize>>) = Default::default();
    let id_of = |mention: &'_ Mention<'_>| -> Known {
        Known { shown: mention.name.shown.clone(), words: mention.name.words.clone(), n_inflected: 0 }
    };
    let mut name_of = Vec::with_capacity(mentions.len());
    for mention in &mentions {
        let id = *ids.entry((mention.family, &mention.name.shown)).or_insert_with(|| {
            known.push(id_of(mention));
            families.entry(mention.family).or_default().push(known.len() - 1);
            known.len() - 1
        });
        name_of.push(id);
    }
    let mut links = Links::new(known.len());
    for (family, ids) in &families {
        let mut names: Vec<Known> = ids.iter().map(|id| known[*id].clone()).collect();
        remove_inflection(&mut names);
        ids.iter().zip(names).for_each(|(id, name)| known[*id] = name);
        link(labels.kinds.of_label(family), &known, ids, &mut links);
    }
    link_brackets(text, entities, &mentions, &name_of, &mut links);
    collect(text, title, entities, &mentions, &known, &name_of, &links)
}

impl<'e> Mention<'e> {
    fn of(text: &str, entity: &'e Entity, labels: &'e Labels<'_>) -> Self {
        let word = entity.span.slice(text).unwrap_or_default();
        let label = entity.label.as_str();
        let Some(base) = labels.types.name_label(label) else {
            return Self { family: label, name: Name::of(word, Form::Plain(labels.kinds.of_label(label))) };
        };
        let kind = labels.kinds.of_label(base);
        let form = if label.ends_with("part") { Form::Compound(kind) } else { Form::Derived(kind) };
        let name = Name::of(word, form);
        Self { family: if name.is_part { base } else { label }, name }
    }
}

/// Joins a name with the abbreviation in brackets right after it: `Bundesverfassungsgericht (BVerfG)`.
fn link_brackets(text: &str, entities: &[Entity], mentions: &[Mention<'_>], name_of: &[usize], links: &mut Links) {
    for index in 1..entities.len() {
        let (long, short) = (&mentions[index - 1], &mentions[index]);
        let between = text.get(entities[index - 1].span.end..entities[index].span.start).unwrap_or_default();
        let is_closed = text.get(entities[index].span.end..).is_some_and(|rest| rest.starts_with(')'));
        let is_bracket = between.trim() == "(" && is_closed && long.family == short.family;
        let capitals = short.name.shown.chars().filter(|char| char.is_uppercase()).collect::<String>();
        if is_bracket && is_abbreviation(&capitals) && abbreviates(&short.name.shown, &long.name.shown) {
            links.join(name_of[index - 1], name_of[index]);
        }
    }
}

/// The groups of linked names.
fn collect(
    text: &str,
    title: Option<ByteSpan>,
    entities: &[Entity],
    mentions: &[Mention<'_>],
    known: &[Known],
    name_of: &[usize],
    links: &Links,
) -> Vec<Group> {
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (mention, name) in name_of.iter().enumerate() {
        members.entry(links.root(*name)).or_default().push(mention);
    }
    let name = |members: &Vec<usize>| fullest(members.iter().map(|mention| name_of[*mention]), known);
    let names: BTreeMap<usize, String> = members.iter().map(|(root, members)| (*root, name(members))).collect();
    let weights = entities.iter().map(|entity| weight(entity.span, text.len(), title)).collect::<Vec<f32>>();
    let total: f32 = weights.iter().sum();
    let group = |(root, members): (usize, Vec<usize>)| {
        let of_group: BTreeSet<usize> = members.iter().map(|mention| name_of[*mention]).collect();
        let may_be =
            of_group.iter().filter_map(|name| links.ambiguous.get(name)).flatten().map(|name| links.root(*name));
        let may_be: BTreeSet<usize> = may_be.filter(|other| *other != root).collect();
        let label = members.iter().map(|mention| mentions[*mention].family).next().unwrap_or_default();
        Group {
            name: names[&root].clone(),
            label: label.to_owned(),
            salience: members.iter().map(|mention| weights[*mention]).sum::<f32>() / total,
            may_be: if may_be.len() > 1 { may_be.iter().map(|root| names[root].clone()).collect() } else { Vec::new() },
            mentions: members,
        }
    };
    let mut groups: Vec<Group> = members.into_iter().map(group).collect();
    groups.sort_by(|a, b| b.salience.total_cmp(&a.salience).then(a.mentions.cmp(&b.mentions)));
    groups
}

/// The name with the most words, then with the fewest initials, then without inflection, then no abbreviation or the longest
/// one, then the most frequent, then the first.
fn fullest(members: impl Iterator<Item = usize>, known: &[Known]) -> String {
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for name in members {
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let rank = |(name, count): &(usize, usize)| {
        let name = &known[*name];
        let n_letters = name.shown.chars().filter(|char| char.is_alphanumeric()).count();
        let is_abbreviated =
            !name.shown.contains(' ') && name.shown.chars().filter(|char| char.is_uppercase()).count() > 1;
        let letters = if is_abbreviated { n_letters } else { usize::MAX };
        let n_initials = name.words.iter().filter(|word| word.chars().count() == 1).count();
        (name.words.len(), std::cmp::Reverse(n_initials), name.n_inflected == 0, letters, *count)
    };
    // The maximum is the last of equals, so the names are taken in reverse.
    let Some((best, _)) = counts.iter().rev().max_by_key(|name| rank(name)) else { return String::new() };
    known[*best].uninflected().to_owned()
}
