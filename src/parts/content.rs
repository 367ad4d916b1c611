//! The content of the files of a run: it must be what the checkpoint counts. Rows that somebody edited are not published.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crc32fast::Hasher;

use super::checkpoint::Checkpoint;
use super::error::PartsError;
use super::{ERRORS, ROWS};

/// The checksum of bytes with the checksum `crc`, followed by `bytes`.
pub fn extended(crc: u32, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(crc);
    hasher.update(bytes);
    hasher.finalize()
}

/// The checksum of the first `n_bytes` of a file.
pub fn crc_of(file: &mut File, n_bytes: u64) -> io::Result<u32> {
    const BUFFER_BYTES: usize = 1024 * 1024;
    let (mut hasher, mut left) = (Hasher::new(), n_bytes);
    let mut buffer = vec![0; BUFFER_BYTES.min(usize::try_from(n_bytes).unwrap_or(BUFFER_BYTES))];
    file.seek(SeekFrom::Start(0))?;
    while left > 0 {
        let n_wanted = buffer.len().min(usize::try_from(left).unwrap_or(BUFFER_BYTES));
        file.read_exact(&mut buffer[..n_wanted])?;
        hasher.update(&buffer[..n_wanted]);
        left -= n_wanted as u64;
    }
    Ok(hasher.finalize())
}

/// Opens the rows and the errors to append to, both cut to what the checkpoint counts, which gets their checksums.
pub fn open_files<C>(dir: &Path, checkpoint: &mut Checkpoint<C>) -> Result<(File, File), PartsError> {
    let (rows, rows_crc) = open_at(dir, ROWS, checkpoint.rows_bytes, checkpoint.rows_crc)?;
    let (errors, errors_crc) = open_at(dir, ERRORS, checkpoint.errors_bytes, checkpoint.errors_crc)?;
    (checkpoint.rows_crc, checkpoint.errors_crc) = (Some(rows_crc), Some(errors_crc));
    Ok((rows, errors))
}

/// Opens a file to append to, cut to `n_bytes`, and gives the checksum of its content.
fn open_at(dir: &Path, name: &str, n_bytes: u64, crc: Option<u32>) -> Result<(File, u32), PartsError> {
    let path = dir.join(name);
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
    let mut file = file.map_err(|error| PartsError::write(&path, error))?;
    let found = file.metadata().map_err(|error| PartsError::write(&path, error))?.len();
    if found < n_bytes {
        return Err(wrong_size(path, found, n_bytes, dir));
    }
    let found = crc_of(&mut file, n_bytes).map_err(|source| PartsError::Read { path: path.clone(), source })?;
    check_crc(&path, found, crc, dir)?;
    file.set_len(n_bytes)
        .and_then(|()| file.seek(SeekFrom::Start(n_bytes)))
        .map_err(|error| PartsError::write(&path, error))?;
    Ok((file, found))
}

/// Fails where a part of a whole output is not what the checkpoint says. It may have been moved to its path already.
pub fn check_whole<C>(dir: &Path, whole: &str, checkpoint: &Checkpoint<C>) -> Result<(), PartsError> {
    for (name, n_bytes, crc) in [
        (whole, checkpoint.whole_bytes, checkpoint.whole_crc),
        (ERRORS, Some(checkpoint.errors_bytes), checkpoint.errors_crc),
    ] {
        let path = dir.join(name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(PartsError::Read { path, source }),
        };
        let read = file.metadata().and_then(|metadata| {
            let is_size = Some(metadata.len()) == n_bytes;
            Ok((metadata.len(), if is_size { crc_of(&mut file, metadata.len())? } else { 0 }))
        });
        let (n_found, found) = read.map_err(|source| PartsError::Read { path: path.clone(), source })?;
        if Some(n_found) != n_bytes {
            return Err(wrong_size(path, n_found, n_bytes.unwrap_or(0), dir));
        }
        check_crc(&path, found, crc, dir)?;
    }
    Ok(())
}

fn check_crc(path: &Path, found: u32, crc: Option<u32>, dir: &Path) -> Result<(), PartsError> {
    match crc.is_none_or(|crc| crc == found) {
        true => Ok(()),
        false => {
            let message = "has changed since a run wrote it".to_owned();
            Err(PartsError::Damaged { path: path.to_owned(), message, parts: dir.to_owned() })
        }
    }
}

fn wrong_size(path: PathBuf, found: u64, n_bytes: u64, dir: &Path) -> PartsError {
    let message = format!("has {found} bytes where the checkpoint counts {n_bytes}");
    PartsError::Damaged { path, message, parts: dir.to_owned() }
}
