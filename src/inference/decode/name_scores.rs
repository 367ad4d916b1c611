//! How sure the names of a text are: each as its best mention. A threshold on that keeps the mentions of a name together.

use std::collections::HashMap;

use crate::inference::decode::entity::Entity;
use crate::inference::decode::spelling::plain;
use crate::inference::decode::words::genitive_base;

/// For each of the entities of `text`, the best score of its name with its label. Another letter case or a genitive ending makes no
/// other name.
pub fn name_scores(text: &str, entities: &[Entity]) -> Vec<f32> {
    let name = |entity: &Entity| plain(entity.span.slice(text).unwrap_or_default()).to_lowercase();
    let names: Vec<String> = entities.iter().map(name).collect();
    let named =
        || entities.iter().zip(&names).map(|(entity, name)| ((entity.label.as_str(), name.as_str()), entity.score));
    let mut best: HashMap<(&str, &str), f32> = named().map(|(name, _)| (name, 0.0)).collect();
    let keys: Vec<(&str, &str)> = named()
        .map(|((label, name), _)| {
            let nominative = genitive_base(name).map(|base| (label, base));
            nominative.filter(|base| best.contains_key(base)).unwrap_or((label, name))
        })
        .collect();
    for (key, entity) in keys.iter().zip(entities) {
        let score = best.entry(*key).or_default();
        *score = score.max(entity.score);
    }
    keys.iter().map(|key| best[key]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::span::ByteSpan;

    #[test]
    fn a_name_is_as_sure_as_its_best_mention() {
        const TEXT: &str = "WERDER, Werders Werder; O’Hara, O'Hara; Ulm";
        let mut at = 0;
        let mut entity = |name: &str, label: &str, score| {
            let start = at + TEXT[at..].find(name).unwrap();
            at = start + name.len();
            Entity { label: label.to_owned(), score, span: ByteSpan::new(start, at) }
        };
        let entities = [
            entity("WERDER", "ORG", 0.3),
            entity("Werders", "ORG", 0.5),
            entity("Werder", "ORG", 0.4),
            entity("O’Hara", "PER", 0.2),
            entity("O'Hara", "LOC", 0.9),
            entity("Ulm", "LOC", 0.1),
        ];
        assert_eq!(name_scores(TEXT, &entities), [0.5, 0.5, 0.5, 0.2, 0.9, 0.1]);
        assert_eq!(name_scores(TEXT, &entities[3..5]), [0.2, 0.9]);
        assert_eq!(name_scores("", &[]), [0.0; 0]);
    }
}
