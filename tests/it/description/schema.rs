//! Values against the schemas of the description.

use serde_json::{Map, Value, json};

/// Holds a value against a schema. A keyword that this does not know is an error, so that none is passed over.
pub fn check(description: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => return check(description, description.pointer(&reference[1..]).ok_or(reference)?, value),
        None => schema.as_object().ok_or("no schema")?,
    };
    let inner = |schema: &Value, value: &Value| check(description, schema, value);
    let number = value.as_f64();
    for (keyword, rule) in schema {
        let holds = match keyword.as_str() {
            "description" | "default" | "format" | "example" | "examples" | "title" | "pattern" => true,
            "type" => {
                rule.as_array().map_or(&[rule.clone()][..], |types| types).iter().any(|name| is_of_type(name, value))
            }
            "enum" => rule.as_array().is_some_and(|values| values.contains(value)),
            "minimum" => number.is_none_or(|number| number >= rule.as_f64().unwrap_or(f64::NAN)),
            "maximum" => number.is_none_or(|number| number <= rule.as_f64().unwrap_or(f64::NAN)),
            "exclusiveMinimum" => number.is_none_or(|number| number > rule.as_f64().unwrap_or(f64::NAN)),
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap_or(u64::MAX)),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap_or(0)),
            "items" => value.as_array().into_iter().flatten().try_for_each(|item| inner(rule, item)).map(|()| true)?,
            "required" => {
                let has = |name: &Value| value.get(name.as_str().unwrap_or_default()).is_some();
                !value.is_object() || rule.as_array().is_some_and(|names| names.iter().all(has))
            }
            "propertyNames" => {
                let names = value.as_object().into_iter().flat_map(Map::keys);
                names.map(|name| json!(name)).try_for_each(|name| inner(rule, &name)).map(|()| true)?
            }
            "properties" => {
                let fields = value.as_object().into_iter().flatten();
                let known = fields.filter_map(|(name, field)| Some((name, rule.get(name)?, field)));
                for (name, schema, field) in known {
                    inner(schema, field).map_err(|why| format!("{name}: {why}"))?;
                }
                true
            }
            "additionalProperties" => {
                let is_known =
                    |name: &&String| schema.get("properties").is_none_or(|known| known.get(name.as_str()).is_none());
                let others: Vec<&String> = value.as_object().into_iter().flat_map(Map::keys).filter(is_known).collect();
                match rule {
                    Value::Bool(is_allowed) => *is_allowed || others.is_empty(),
                    schema => others.iter().try_for_each(|name| inner(schema, &value[name.as_str()])).map(|()| true)?,
                }
            }
            "anyOf" => rule.as_array().is_some_and(|schemas| schemas.iter().any(|schema| inner(schema, value).is_ok())),
            "oneOf" => rule
                .as_array()
                .is_some_and(|schemas| schemas.iter().filter(|schema| inner(schema, value).is_ok()).count() == 1),
            _ => return Err(format!("the keyword {keyword} is not known here")),
        };
        if !holds {
            return Err(format!("{keyword} {rule} is not met by {value}"));
        }
    }
    Ok(())
}

fn is_of_type(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        Some("number") => value.is_number(),
        Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    }
}
