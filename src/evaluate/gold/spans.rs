//! Reads the entities of a line of JSON. A message names the entity by its number, and what to give instead.

use serde_json::{Map, Value};

use crate::evaluate::document::{LabelledSpan, Slices, in_order};
use crate::manifest::labels::check_label;
use crate::system::choice::{is_near, shortened};

const FIELDS: [&str; 4] = ["start", "end", "label", "text"];

/// The entities of `text`, in its order.
pub(super) fn read(value: &Value, text: &str) -> Result<Vec<LabelledSpan>, String> {
    let entities = value.as_array().ok_or_else(|| {
        format!("`entities` is `{}`; give a list, an empty one where the text has none", shortened(&value.to_string()))
    })?;
    let slices = Slices::of(text);
    let read = |(index, entity): (usize, &Value)| {
        span(entity, &slices).map_err(|message| format!("entity {}: {message}", index + 1))
    };
    Ok(in_order(entities.iter().enumerate().map(read).collect::<Result<_, String>>()?))
}

fn span(entity: &Value, slices: &Slices) -> Result<LabelledSpan, String> {
    let fields = entity.as_object().ok_or_else(|| {
        let found = shortened(&entity.to_string());
        format!("it is `{found}`; give an object such as {{\"start\": 0, \"end\": 4, \"label\": \"LOC\"}}")
    })?;
    let offset = |name| {
        let value = field(fields, name)?;
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| {
            format!("`{name}` is `{}`; give a whole number of characters", shortened(&value.to_string()))
        })
    };
    let label = field(fields, "label")?;
    let label =
        label.as_str().ok_or_else(|| format!("`label` is `{}`; give a string", shortened(&label.to_string())))?;
    check_label(label)?;
    let span = LabelledSpan::new(offset("start")?, offset("end")?, label);
    if let Some(field) = fields.get("field").filter(|field| *field != "text") {
        let field = shortened(&field.to_string());
        return Err(format!("its `field` is `{field}`, and offsets count in `text`; leave it out, or join both texts"));
    }
    slices.check(&span, fields.get("text").and_then(Value::as_str))?;
    Ok(span)
}

fn field<'f>(fields: &'f Map<String, Value>, name: &'static str) -> Result<&'f Value, String> {
    fields.get(name).ok_or_else(|| {
        let unknown = fields.keys().find(|key| !FIELDS.contains(&key.as_str()) && is_near(key, name));
        let meant = unknown.map(|key| format!("; rename `{key}`")).unwrap_or_default();
        format!("`{name}` is missing{meant}")
    })
}
