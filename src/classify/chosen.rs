//! Which entities an answer has: those with the scores and labels that a caller names, and what becomes of words derived from names.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::classify::derived::{Derived, name_in};
use crate::classify::error::ClassifyError;
use crate::classify::request::ClassifyOptions;
use crate::inference::decode::entity::Entity;
use crate::inference::decode::name_scores::name_scores;
use crate::manifest::tags::{Tag, entity_labels};
use crate::manifest::task::AggregationStrategy;
use crate::models::registry::Assignment;
use crate::text::span::ByteSpan;
use crate::text::view::{View, ViewRules};

/// The endings that make the label of a derived word, as in GermEval 2014.
const DERIVED_ENDINGS: [&str; 2] = ["deriv", "part"];

impl ClassifyOptions {
    /// Refuses an entity label that the models do not have, and groups of what are no names.
    pub fn check_entities(&self, models: &Assignment) -> Result<(), ClassifyError> {
        let head = models.entities.as_ref().and_then(|model| model.pipeline.entities.as_ref());
        let strategy = self.aggregation.or(head.map(|head| head.aggregation));
        if self.group && strategy == Some(AggregationStrategy::None) {
            return Err(ClassifyError::GroupOfTokens);
        }
        let tags = tags(models);
        // Where no model answers entities, there is nothing to limit.
        if tags.is_empty() {
            return Ok(());
        }
        let known = entity_labels(tags);
        match self.labels.iter().flatten().find(|label| !known.contains(&label.as_str())) {
            None => Ok(()),
            Some(label) => Err(ClassifyError::EntityLabel {
                label: label.clone(),
                known: known.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

/// The entities of `text` that `options` leave. Folding comes before the choice of labels, so that `LOC` finds folded ones too.
pub fn chosen<'e>(
    text: &str,
    entities: &'e [Entity],
    models: &Assignment,
    options: &ClassifyOptions,
) -> Cow<'e, [Entity]> {
    // Here and not where they are decoded, so that metrics and the cache see the same entities whatever a request names.
    let threshold = options.threshold.entities.unwrap_or_else(|| own_threshold(models, options));
    if options.labels.is_none() && options.derived == Derived::Keep && threshold == 0.0 {
        return Cow::Borrowed(entities);
    }
    let scores = match options.threshold.entities {
        None if threshold > 0.0 => name_scores(text, entities),
        _ => entities.iter().map(|entity| entity.score).collect(),
    };
    let types = Types::of(tags(models));
    let wanted = |label: &str| options.labels.as_ref().is_none_or(|labels| labels.iter().any(|known| known == label));
    let choose = |(entity, score): (&Entity, f32)| {
        if score < threshold {
            return None;
        }
        let label = types.of_tag(&entity.label);
        let entity = match (types.name_label(label), options.derived) {
            (Some(_), Derived::Drop) => return None,
            (Some(name), Derived::Fold) => folded(text, entity, label, name),
            _ => entity.clone(),
        };
        wanted(types.of_tag(&entity.label)).then_some(entity)
    };
    Cow::Owned(entities.iter().zip(scores).filter_map(choose).collect())
}

/// The threshold of the model. It is for names, and not for tokens with raw tags.
fn own_threshold(models: &Assignment, options: &ClassifyOptions) -> f32 {
    let head = models.entities.as_ref().and_then(|model| model.pipeline.entities.as_ref());
    let of_names = head.filter(|head| options.aggregation.unwrap_or(head.aggregation) != AggregationStrategy::None);
    of_names.map_or(0.0, |head| head.threshold)
}

pub fn tags(models: &Assignment) -> &[Tag] {
    let head = models.entities.as_ref().and_then(|model| model.pipeline.entities.as_ref());
    head.map_or(&[][..], |head| &head.scheme.tags)
}

/// The entity types of a model.
pub struct Types<'t> {
    labels: Vec<&'t str>,
    /// By raw tag, which is the label of an entity under aggregation `none`.
    by_tag: BTreeMap<&'t str, &'t str>,
}

impl<'t> Types<'t> {
    pub fn of(tags: &'t [Tag]) -> Self {
        let by_tag = tags.iter().map(|tag| (tag.raw.as_str(), tag.label.as_str())).collect();
        Self { labels: entity_labels(tags), by_tag }
    }

    /// The type that an entity's label stands for.
    fn of_tag<'l>(&self, label: &'l str) -> &'l str
    where
        't: 'l,
    {
        if self.labels.contains(&label) { label } else { self.by_tag.get(label).copied().unwrap_or(label) }
    }

    /// The label of the names from which `label` is derived; `None` for a label of names.
    pub fn name_label<'l>(&self, label: &'l str) -> Option<&'l str> {
        let name = DERIVED_ENDINGS.iter().find_map(|ending| label.strip_suffix(ending))?;
        self.labels.contains(&name).then_some(name)
    }
}

/// A derived word with the label and span of its name; a raw tag keeps its prefix.
fn folded(text: &str, entity: &Entity, label: &str, name: &str) -> Entity {
    let is_compound = label.ends_with("part");
    let word = entity.span.slice(text).unwrap_or_default();
    // Markup, references and invisible characters may stand at the hyphen.
    let view = View::of(word, ViewRules { html: true, hyphens: true, line_ends: false });
    let span = match name_in(&view.text, is_compound) {
        Some((start, end)) => {
            let name = view.to_received(ByteSpan::new(start, end));
            ByteSpan::new(entity.span.start + name.start, entity.span.start + name.end)
        }
        None => entity.span,
    };
    Entity { label: entity.label.replace(label, name), span, score: entity.score }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_below_the_threshold_are_left_out() {
        let entity = |score| Entity { label: "LOC".to_owned(), span: ByteSpan::new(0, 3), score };
        let entities = [entity(0.25), entity(0.5), entity(0.75)];
        for (threshold, n_left) in [(None, 3), (Some(0.0), 3), (Some(0.5), 2), (Some(1.0), 0)] {
            let mut options = ClassifyOptions::default();
            options.threshold.entities = threshold;
            assert_eq!(chosen("Ulm", &entities, &Assignment::default(), &options).len(), n_left, "{threshold:?}");
        }
    }

    #[test]
    fn a_compound_is_folded_to_its_name_whatever_stands_at_the_hyphen() {
        for (word, name) in [
            ("US-Beamte", "US"),
            ("US&#45;Beamte", "US"),
            ("US&hyphen;Beamte", "US"),
            ("US<wbr>-Beamte", "US"),
            ("US-<wbr>Beamte", "US"),
            ("US</b>-Beamte", "US"),
            ("US\u{ad}-Beamte", "US"),
            ("US\u{2013}Beamte", "US"),
            ("US&ndash;Beamte", "US"),
            ("US-\nBeamte", "US"),
            ("Anti&#45;<i>Trump</i>&#45;Demo", "Trump"),
            ("Ko\u{308}ln&#45;Fan", "Ko\u{308}ln"),
            ("Bundesligaspiel", "Bundesligaspiel"),
        ] {
            let text = format!("Die {word} kamen");
            let span = ByteSpan::new(4, 4 + word.len());
            let entity = Entity { label: "LOCpart".to_owned(), span, score: 1.0 };
            let folded = folded(&text, &entity, "LOCpart", "LOC");
            assert_eq!((folded.label.as_str(), folded.span.slice(&text)), ("LOC", Some(name)), "{word}");
        }
    }

    #[test]
    fn a_label_is_derived_only_where_the_model_has_the_label_of_its_name() {
        let raw = ["O", "B-LOC", "I-LOC", "B-LOCderiv", "B-Compart", "B-part"].map(str::to_owned);
        let tags = crate::manifest::tags::parse_tags(&raw);
        let types = Types::of(&tags);
        for (label, name) in [("LOCderiv", Some("LOC")), ("LOC", None), ("Compart", None), ("part", None)] {
            assert_eq!(types.name_label(label), name, "{label}");
        }
        assert_eq!((types.of_tag("B-LOCderiv"), types.of_tag("LOC"), types.of_tag("x")), ("LOCderiv", "LOC", "x"));
    }
}
