//! JSON lines: the passthrough fields as they were spelled, then the answer in the API's shape.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::classify::answer::Answer;
use crate::score::answer_columns::{ERROR, EVIDENCE_METHOD, GROUPS};
use crate::score::error::{ReadError, RowError};
use crate::score::row::{Fields, FinishedRow};

pub fn rows(rows: &[&FinishedRow]) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    for row in rows {
        let line = Line { fields: row.passthrough.fields(), answer: row.answer.as_ref() };
        serde_json::to_writer(&mut bytes, &line)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

struct Line<'r> {
    fields: &'r Fields,
    answer: Result<&'r Answer, &'r RowError>,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.fields {
            map.serialize_entry(name, value)?;
        }
        let answer = match self.answer {
            Ok(answer) => answer,
            Err(error) => {
                map.serialize_entry(ERROR, &error.described())?;
                return map.end();
            }
        };
        // The answer's own fields, named in `answer_columns::NESTED_NAMES`.
        if let Some(topics) = &answer.topics {
            map.serialize_entry("topics", topics)?;
        }
        if let Some(entities) = &answer.entities {
            map.serialize_entry("entities", entities)?;
        }
        if let Some(groups) = &answer.groups {
            map.serialize_entry(GROUPS, groups)?;
        }
        if let Some(method) = answer.evidence_method {
            map.serialize_entry(EVIDENCE_METHOD, method)?;
        }
        map.serialize_entry("usage", &answer.usage)?;
        map.serialize_entry("models", &answer.models)?;
        map.end()
    }
}
