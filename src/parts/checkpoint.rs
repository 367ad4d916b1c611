//! The checkpoint file. Its checksum tells a file that was edited or damaged, whose counts would lose or double rows.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::error::PartsError;
use super::folder::is_there;
use super::{ASSEMBLED, CHECKPOINT, ROWS, read_json, write_json};

/// The state of a run that is on the disk. `C` counts what the run has done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint<C> {
    pub position: Position,
    /// Bytes of the rows and of the errors up to `position`.
    pub rows_bytes: u64,
    pub errors_bytes: u64,
    /// CRC-32 of these bytes; `None` in checkpoints of earlier versions.
    #[serde(default)]
    pub rows_crc: Option<u32>,
    #[serde(default)]
    pub errors_crc: Option<u32>,
    pub counts: C,
    /// The file of the folder that is the whole output, once it only has to be moved to its path.
    pub whole: Option<String>,
    /// The size of that file, and its CRC-32.
    pub whole_bytes: Option<u64>,
    #[serde(default)]
    pub whole_crc: Option<u32>,
}

/// The next record to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Index of the source.
    pub source: usize,
    /// Records of it that were read.
    pub record: u64,
}

/// The field of the checksum, which is that of all other fields.
const CHECKSUM: &str = "checksum";

/// The checkpoint in the folder `dir`; `None` where there is none. It may name only files that a run writes itself, since
/// they are cut and moved.
pub fn read_checkpoint<C: DeserializeOwned>(dir: &Path) -> Result<Option<Checkpoint<C>>, PartsError> {
    if !is_there(dir)? {
        return Ok(None);
    }
    let damaged = |message: String| PartsError::Damaged { path: dir.join(CHECKPOINT), message, parts: dir.to_owned() };
    let Some(mut fields) = read_json::<Map<String, Value>>(dir, CHECKPOINT)? else { return Ok(None) };
    let checksum = fields.remove(CHECKSUM);
    if checksum != Some(checksum_of(&fields)) {
        return Err(damaged("has changed since a run wrote it".to_owned()));
    }
    let checkpoint: Checkpoint<C> = serde_json::from_value(Value::Object(fields))
        .map_err(|error| damaged(format!("is not as this version of ressort writes it ({error})")))?;
    match checkpoint.whole.as_deref().filter(|name| ![ROWS, ASSEMBLED].contains(name)) {
        None => Ok(Some(checkpoint)),
        Some(name) => Err(damaged(format!("names `{name}`, which no run writes"))),
    }
}

pub fn write_checkpoint<C: Serialize>(dir: &Path, checkpoint: &Checkpoint<C>) -> Result<(), PartsError> {
    let failed = |error: serde_json::Error| PartsError::write(dir.join(CHECKPOINT), io::Error::from(error));
    let mut fields: Map<String, Value> = match serde_json::to_value(checkpoint).map_err(failed)? {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    fields.insert(CHECKSUM.to_owned(), checksum_of(&fields));
    write_json(dir, CHECKPOINT, &fields)
}

fn checksum_of(fields: &Map<String, Value>) -> Value {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(name, _)| name.as_str());
    let mut hash = Sha256::new();
    for (name, value) in fields {
        hash.update(format!("{name}\0{value}\0"));
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// Whether a run with this checkpoint has saved a row, or its output is whole.
pub fn has_saved<C>(checkpoint: Option<&Checkpoint<C>>) -> bool {
    checkpoint.is_some_and(|it| it.whole.is_some() || it.position != Position::default())
}
