//! Tasks for Label Studio: the text with a prediction, to be imported as they are.
//!
//! Offsets are Unicode code points, which its editor turns into those of JavaScript. A prediction has one region for each
//! entity, and one for all accepted topics, since a control of choices has one value.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::scored::{Scored, storable};
use crate::score::answer_columns::TASK_NAMES;

/// The controls of a labelling configuration that the regions belong to, and the text that they label.
const TOPICS: &str = "topics";
const ENTITIES: &str = "entities";
const TEXT: &str = TASK_NAMES[0];

#[derive(Serialize)]
pub struct Task<'r> {
    #[serde(serialize_with = "data")]
    data: Scored<'r>,
    predictions: [Prediction<'r>; 1],
}

#[derive(Serialize)]
struct Prediction<'r> {
    model_version: String,
    /// The mean of the regions' scores, by which tasks are sorted; `None` without regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    result: Vec<Region<'r>>,
}

#[derive(Serialize)]
struct Region<'r> {
    id: String,
    from_name: &'static str,
    to_name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    value: RegionValue<'r>,
    score: f32,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RegionValue<'r> {
    Choices { choices: Vec<&'r str> },
    Labels { start: usize, end: usize, text: &'r str, labels: [&'r str; 1] },
}

impl<'r> Task<'r> {
    pub fn new(row: Scored<'r>) -> Self {
        let labels = row.mentions().enumerate().map(|(index, mention)| {
            let entity = mention.entity;
            let labels = [entity.label.as_str()];
            let value = RegionValue::Labels { start: mention.start, end: mention.end, text: &entity.text, labels };
            Region::new(format!("entity-{index}"), ENTITIES, "labels", value, entity.score)
        });
        let result: Vec<Region<'_>> = choices(row).into_iter().chain(labels).collect();
        let sum: f32 = result.iter().map(|region| region.score).sum();
        let score = (!result.is_empty()).then(|| sum / result.len() as f32);
        Self { data: row, predictions: [Prediction { model_version: row.models(), score, result }] }
    }
}

impl<'r> Region<'r> {
    fn new(id: String, from_name: &'static str, kind: &'static str, value: RegionValue<'r>, score: f32) -> Self {
        Self { id, from_name, to_name: TEXT, kind, value, score }
    }
}

/// The accepted topics with the lowest of their scores; `None` where there are none.
fn choices<'r>(row: Scored<'r>) -> Option<Region<'r>> {
    let accepted = || row.answer.topics.iter().flatten().filter(|topic| topic.accepted);
    let score = accepted().map(|topic| topic.score).reduce(f32::min)?;
    let choices = accepted().map(|topic| topic.label.as_str()).collect();
    Some(Region::new("topics".to_owned(), TOPICS, "choices", RegionValue::Choices { choices }, score))
}

/// The columns of the input, and the text.
fn data<S: Serializer>(row: &Scored<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (name, value) in row.passthrough() {
        map.serialize_entry(name, &*storable(value))?;
    }
    map.serialize_entry(TEXT, row.text())?;
    map.end()
}
