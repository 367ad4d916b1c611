//! What the tags of a token classifier mean: BIO, IOB1, IOB2, BIOES, BILOU, BMES, or no prefixes at all.

/// The position of a token in an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    Outside,
    Begin,
    Inside,
    End,
    Single,
}

/// One tag of a model: `B-PER` is the beginning of a `PER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// As the model names it.
    pub raw: String,
    pub position: Position,
    /// The entity type, without prefix; `O` for no entity.
    pub label: String,
}

/// Reads a model's tags. Prefixes count only where every tag but `O` has one, so that a type called `E-Mail` stays whole;
/// without prefixes, neighbouring tokens of one type are one entity.
pub fn parse_tags(raw: &[String]) -> Vec<Tag> {
    let prefixed = raw.iter().filter(|tag| *tag != "O").all(|tag| split_prefix(tag).is_some());
    let parse = |raw: &String| {
        let (position, label) = match split_prefix(raw) {
            _ if raw == "O" => (Position::Outside, raw.as_str()),
            Some(split) if prefixed => split,
            _ => (Position::Inside, raw.as_str()),
        };
        Tag { raw: raw.clone(), position, label: label.to_owned() }
    };
    raw.iter().map(parse).collect()
}

/// The entity types of `tags`, each once, in the order in which the model names them.
pub fn entity_labels(tags: &[Tag]) -> Vec<&str> {
    let mut labels: Vec<&str> = Vec::new();
    for tag in tags.iter().filter(|tag| tag.position != Position::Outside) {
        if !labels.contains(&tag.label.as_str()) {
            labels.push(&tag.label);
        }
    }
    labels
}

fn split_prefix(tag: &str) -> Option<(Position, &str)> {
    let (prefix, label) = tag.split_once(['-', '_']).filter(|(_, label)| !label.is_empty())?;
    let position = match prefix {
        "B" => Position::Begin,
        "I" | "M" => Position::Inside,
        "E" | "L" => Position::End,
        "S" | "U" => Position::Single,
        _ => return None,
    };
    Some((position, label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(tags: &[&str]) -> Vec<(Position, String)> {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        parse_tags(&tags).into_iter().map(|tag| (tag.position, tag.label)).collect()
    }

    #[test]
    fn prefixes_count_only_where_every_tag_has_one() {
        use Position::*;
        let at = |position, label: &str| (position, label.to_owned());
        assert_eq!(positions(&["O", "B-PER", "I-PER"]), [at(Outside, "O"), at(Begin, "PER"), at(Inside, "PER")]);
        assert_eq!(positions(&["S-LOC", "E-LOC", "U_X"]), [at(Single, "LOC"), at(End, "LOC"), at(Single, "X")]);
        assert_eq!(positions(&["O", "PER", "E-Mail"]), [at(Outside, "O"), at(Inside, "PER"), at(Inside, "E-Mail")]);
        assert_eq!(positions(&["B-LOC-deriv"]), [at(Begin, "LOC-deriv")]);
        assert_eq!(positions(&["B-"]), [at(Inside, "B-")]);
    }
}
