//! Whether the disks have the capacity for a model, known before it is downloaded.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::HubError;
use super::download::{Download, RemoteFile};

/// Refuses files that take more than is free: in the cache what is not there yet, and in the models folder all of them.
pub fn check_capacity<'f>(
    download: &Download,
    files: impl IntoIterator<Item = &'f RemoteFile>,
) -> Result<(), HubError> {
    let (mut missing, mut all) = (0_u64, 0_u64);
    for file in files {
        missing = missing.saturating_add(file.n_bytes.saturating_sub(download.n_bytes_cached(file)));
        all = all.saturating_add(file.n_bytes);
    }
    // By device, since both folders may be on one.
    let mut needed: BTreeMap<u64, (PathBuf, u64)> = BTreeMap::new();
    for (folder, n_bytes) in [(&download.cache.dir, missing), (&download.order.models_dir, all)] {
        let folder = existing(folder);
        let device = fs::metadata(&folder).map_err(|source| HubError::io(&folder, source))?.dev();
        let entry = needed.entry(device).or_insert((folder, 0));
        entry.1 = entry.1.saturating_add(n_bytes);
    }
    for (folder, needed) in needed.into_values() {
        let free = free_bytes(&folder)?;
        if free < needed {
            return Err(HubError::DiskFull { folder, free, needed });
        }
    }
    Ok(())
}

/// The nearest folder above `path`, or itself, that exists.
fn existing(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

fn free_bytes(folder: &Path) -> Result<u64, HubError> {
    let found = rustix::fs::statvfs(folder).map_err(|error| HubError::io(folder, error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_the_disk_of_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(&folder.path().join("a/b")), folder.path());
        assert!(free_bytes(folder.path()).unwrap() > 0);
    }
}
