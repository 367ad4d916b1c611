//! Whether the inputs are still what they were before anything was read of them. What was read of a file that has changed may be
//! of two versions.

use std::io;
use std::path::Path;

use super::error::ScoreError;
use super::inputs::{Location, Source};
use crate::system::file_stamp::FileStamp;

/// The stamps of all inputs.
#[derive(Debug)]
pub struct Unchanged {
    sources: Vec<WatchedSource>,
}

#[derive(Debug)]
struct WatchedSource {
    name: String,
    has_texts: bool,
    /// One for each file; `None` for a pipe.
    stamps: Vec<Option<FileStamp>>,
}

impl Unchanged {
    pub fn new(sources: &[Source]) -> Result<Self, ScoreError> {
        let watched = |source: &Source| {
            let stamps = match &source.location {
                // A file, where the shell has opened one.
                Location::Stdin => vec![stamp(Path::new("/dev/stdin")).unwrap_or(None)],
                _ => source.paths().iter().map(read_stamp).collect::<Result<_, _>>()?,
            };
            let has_texts = matches!(source.location, Location::Texts(_));
            Ok(WatchedSource { name: source.name.clone(), has_texts, stamps })
        };
        Ok(Self { sources: sources.iter().map(watched).collect::<Result<_, ScoreError>>()? })
    }

    /// Fails where the source with this index has changed. Of many texts this looks at the last of the `n_read` that were read.
    pub fn check(&self, source: usize, n_read: u64) -> Result<(), ScoreError> {
        let Some(watched) = self.sources.get(source) else { return Ok(()) };
        let index = match watched.has_texts {
            true => usize::try_from(n_read).ok().and_then(|n| n.checked_sub(1)),
            false => Some(0),
        };
        let stamp = index.and_then(|index| watched.stamps.get(index)?.as_ref());
        match stamp.filter(|stamp| !stamp.is_current()) {
            None => Ok(()),
            Some(stamp) if watched.has_texts => Err(ScoreError::InputChanged { name: name_of(&stamp.path) }),
            Some(_) => Err(ScoreError::InputChanged { name: watched.name.clone() }),
        }
    }
}

fn read_stamp(path: impl AsRef<Path>) -> Result<Option<FileStamp>, ScoreError> {
    let path = path.as_ref();
    stamp(path).map_err(|error| ScoreError::read(&name_of(path), error))
}

fn stamp(path: &Path) -> io::Result<Option<FileStamp>> {
    let metadata = path.metadata()?;
    Ok(metadata.is_file().then(|| FileStamp::new(path, &metadata)))
}

fn name_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
