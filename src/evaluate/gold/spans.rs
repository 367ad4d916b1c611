//! Reads the entities of a line of JSON. A message names the entity by its number, and what to give instead.

use serde_json::{Map, Value};

use crate::evaluate::document::{LabelledSpan, Slices, in_order};
use crate::manifest::labels::check_label;
use crate::system::choice::{is_near, shortened};

const FIELDS: [&str; 4] = ["start", "end", "label", "text"];

/// The entities of a document.
#[derive(Default)]
pub(super) struct Entities {
    /// In the order of the text, without white space at their ends.
    pub spans: Vec<LabelledSpan>,
    /// How many had white space at an end.
    pub n_trimmed: usize,
}

/// The entities of `text`.
pub(super) fn read(value: &Value, text: &str) -> Result<Entities, String> {
    let entities = value.as_array().ok_or_else(|| {
        format!("`entities` is `{}`; give a list, an empty one where the text has none", shortened(&value.to_string()))
    })?;
    let slices = Slices::of(text);
    let mut read = Entities::default();
    for (index, entity) in entities.iter().enumerate() {
        let checked = span(entity, &slices).map_err(|message| format!("entity {}: {message}", index + 1))?;
        read.n_trimmed += usize::from(checked.was_trimmed);
        read.spans.push(checked.span);
    }
    read.spans = in_order(read.spans);
    Ok(read)
}

struct Checked {
    span: LabelledSpan,
    was_trimmed: bool,
}

fn span(entity: &Value, slices: &Slices) -> Result<Checked, String> {
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
    let (start, end) = (span.start, span.end);
    let span = slices.checked(span, fields.get("text").and_then(Value::as_str))?;
    Ok(Checked { was_trimmed: (span.start, span.end) != (start, end), span })
}

fn field<'f>(fields: &'f Map<String, Value>, name: &'static str) -> Result<&'f Value, String> {
    fields.get(name).ok_or_else(|| {
        let unknown = fields.keys().find(|key| !FIELDS.contains(&key.as_str()) && is_near(key, name));
        let meant = unknown.map(|key| format!("; rename `{key}`")).unwrap_or_default();
        format!("`{name}` is missing{meant}")
    })
}
