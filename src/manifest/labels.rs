//! The labels of a `config.json`, in the order of the logits, in all the ways in which programs write them: `id2label` as an
//! object or a list, `label2id` alone, ids and labels as numbers or strings. Also what every label must be.

use serde_json::Value;

use crate::system::choice::shortened;

/// Refuses a label that is empty, or begins or ends with white space: readers cannot tell it from the label without.
pub fn check_label(label: &str) -> Result<(), String> {
    match label {
        "" => Err("a label is empty; give it a name".to_owned()),
        label if label.trim() != label => {
            let label = shortened(label);
            Err(format!("the label {label:?} begins or ends with white space; take that away"))
        }
        _ => Ok(()),
    }
}

/// The labels by falling precedence of `id2label` and `label2id`; none where both are empty or missing.
///
/// # Errors
/// Names an id that is missing, given twice or no number, and a label that is none.
pub fn labels(id2label: Option<&Value>, label2id: Option<&Value>) -> Result<Vec<String>, String> {
    let is_given = |value: &&Value| match value {
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(entries) => !entries.is_empty(),
        value => !value.is_null(),
    };
    match (id2label.filter(is_given), label2id.filter(is_given)) {
        (Some(Value::Array(labels)), _) => labels.iter().enumerate().map(|(id, label)| name(id, label)).collect(),
        (Some(Value::Object(labels)), _) => {
            let labelled = |(id, label): (&String, &Value)| {
                let id = id_of_text(id).ok_or_else(|| no_id("id2label", id))?;
                Ok((id, name(id, label)?))
            };
            in_order("id2label", labels.iter().map(labelled).collect::<Result<_, String>>()?)
        }
        (None, Some(Value::Object(ids))) => {
            let labelled = |(label, id): (&String, &Value)| {
                Ok((id_of(id).ok_or_else(|| no_id("label2id", &id.to_string()))?, label.clone()))
            };
            in_order("label2id", ids.iter().map(labelled).collect::<Result<_, String>>()?)
        }
        (None, None) => Ok(Vec::new()),
        _ => Err("id2label is neither an object of ids and labels nor a list of labels".to_owned()),
    }
}

fn in_order(key: &str, mut labels: Vec<(usize, String)>) -> Result<Vec<String>, String> {
    labels.sort();
    let last = labels.len().saturating_sub(1);
    let wrong = labels.iter().enumerate().find(|(expected, (id, _))| expected != id);
    match wrong {
        None => Ok(labels.into_iter().map(|(_, label)| label).collect()),
        Some((expected, (id, label))) => {
            let what = match *id < expected {
                true => format!("`{label}` has id {id} a second time"),
                false => format!("id {expected} is missing"),
            };
            let n = labels.len();
            Err(format!(
                "{key} has {n} labels whose ids are not 0 to {last} ({what}); number them in the order of the logits"
            ))
        }
    }
}

fn name(id: usize, label: &Value) -> Result<String, String> {
    match label {
        Value::String(label) => Ok(label.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(word) => Ok(word.to_string()),
        other => Err(format!("id2label has {other} for id {id}; give each id a name")),
    }
}

fn no_id(key: &str, found: &str) -> String {
    format!(
        "{key} has the id {found}, which is not a whole number of at least 0; number the labels in the order of the logits"
    )
}

fn id_of(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => id_of_text(text),
        Value::Number(number) => {
            let whole = number.as_f64().filter(|id| id.fract() == 0.0 && (0.0..1e9).contains(id))?;
            Some(whole as usize)
        }
        _ => None,
    }
}

fn id_of_text(text: &str) -> Option<usize> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_are_read_in_every_form_in_the_order_of_their_ids() {
        let (none, abc) = (Value::Null, ["a", "b", "c"]);
        for (id2label, label2id) in [
            (json!({"0": "a", "1": "b", "2": "c"}), none.clone()),
            (json!({"2": "c", "1": "b", "0": "a"}), json!({"x": 0})),
            (json!(["a", "b", "c"]), none.clone()),
            (none.clone(), json!({"c": 2, "a": 0, "b": 1})),
            (json!({}), json!({"c": "2", "a": "0", "b": 1.0})),
            (json!([]), json!({"a": 0, "b": 1, "c": 2})),
        ] {
            assert_eq!(labels(Some(&id2label), Some(&label2id)).unwrap(), abc, "{id2label} {label2id}");
        }
        let many: serde_json::Map<String, Value> =
            (0..12).map(|id| (id.to_string(), json!(format!("L{id}")))).collect();
        assert_eq!(labels(Some(&many.into()), None).unwrap()[10], "L10");
        assert_eq!(labels(Some(&json!({"0": 0, "1": 1.5, "2": true})), None).unwrap(), ["0", "1.5", "true"]);
        assert!(labels(None, Some(&none)).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_with_ids_or_labels_is_named() {
        for (id2label, label2id, part) in [
            (json!({"0": "O", "2": "PER"}), Value::Null, "ids are not 0 to 1 (id 1 is missing)"),
            (json!({"1": "O", "2": "PER"}), Value::Null, "id 0 is missing"),
            (Value::Null, json!({"a": 0, "b": 0}), "`b` has id 0 a second time"),
            (Value::Null, json!({"a": -1}), "label2id has the id -1"),
            (json!({"O": 0}), Value::Null, "id2label has the id O"),
            (json!({"0": null}), Value::Null, "null for id 0"),
            (json!("O"), Value::Null, "neither an object"),
        ] {
            let error = labels(Some(&id2label), Some(&label2id)).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
