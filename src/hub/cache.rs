//! The cache that programs for the hub share, in their layout:
//!
//! ```text
//! models--ORG--NAME/blobs/CHECKSUM            the content of a file; CHECKSUM.part where it is not whole
//! models--ORG--NAME/snapshots/COMMIT/PATH     a link to it
//! models--ORG--NAME/refs/REVISION             the commit of a branch or tag
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::HubError;
use super::checksum::Checksum;
use super::repository::Repository;
use crate::system::atomic_file;

/// The folder of the cache.
#[derive(Debug, Clone)]
pub struct Cache(pub PathBuf);

impl Cache {
    /// `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else in `~/.cache/huggingface`.
    pub fn from_env() -> Result<Self, HubError> {
        let cache = folder_in("HF_HUB_CACHE").or_else(|| Some(home()?.join("hub")));
        cache.map(Self).ok_or(HubError::NoCache)
    }

    pub fn repository(&self, repository: &Repository) -> RepositoryCache {
        let folder = format!("models--{}", repository.id.replace('/', "--"));
        RepositoryCache { dir: self.0.join(folder), revision: repository.revision.clone() }
    }
}

/// `HF_TOKEN`, else the token that `hf auth login` saved. A blank one is none, as for the hub's own programs.
pub fn token_from_env() -> Option<String> {
    let saved = || {
        let file = folder_in("HF_TOKEN_PATH").or_else(|| Some(home()?.join("token")))?;
        fs::read_to_string(file).ok()
    };
    first_token(std::env::var("HF_TOKEN").ok(), saved)
}

fn first_token(given: Option<String>, saved: impl FnOnce() -> Option<String>) -> Option<String> {
    let filled = |token: &String| !token.trim().is_empty();
    given.filter(filled).or_else(|| saved().filter(filled))
}

/// `HF_HOME`, else `huggingface` in the user's cache.
fn home() -> Option<PathBuf> {
    let user_cache = || folder_in("XDG_CACHE_HOME").or_else(|| Some(folder_in("HOME")?.join(".cache")));
    folder_in("HF_HOME").or_else(|| Some(user_cache()?.join("huggingface")))
}

fn folder_in(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// The part of the cache for one repository.
#[derive(Debug, Clone)]
pub struct RepositoryCache {
    pub dir: PathBuf,
    revision: String,
}

impl RepositoryCache {
    /// Where the file with this content is, or will be.
    pub fn blob(&self, checksum: &Checksum) -> PathBuf {
        self.dir.join("blobs").join(checksum.digits())
    }

    /// Where its content is collected.
    pub fn part(&self, checksum: &Checksum) -> PathBuf {
        self.blob(checksum).with_extension("part")
    }

    /// Keeps other processes from collecting the same content until it is dropped, as programs with the crate `hf-hub` do.
    /// Calls `wait` where it has to wait for one.
    pub fn lock(&self, checksum: &Checksum, wait: impl FnOnce()) -> io::Result<File> {
        let path = self.blob(checksum).with_extension("lock");
        fs::create_dir_all(atomic_file::folder_of(&path))?;
        let lock = File::create(path)?;
        if lock.try_lock().is_err() {
            wait();
            lock.lock()?;
        }
        Ok(lock)
    }

    /// Lets the file at `path` of a commit be found by other programs.
    pub fn link(&self, commit: &str, path: &str, checksum: &Checksum) -> io::Result<()> {
        let link = self.dir.join("snapshots").join(commit).join(path);
        let above = "../".repeat(2 + path.matches('/').count());
        let target = Path::new(&above).join("blobs").join(checksum.digits());
        if fs::read_link(&link).is_ok_and(|found| found == target) {
            return Ok(());
        }
        fs::create_dir_all(atomic_file::folder_of(&link))?;
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::os::unix::fs::symlink(target, link)
    }

    /// Notes which commit the revision is.
    pub fn keep_revision(&self, commit: &str) -> io::Result<()> {
        if self.revision == commit {
            return Ok(());
        }
        let path = self.dir.join("refs").join(&self.revision);
        fs::create_dir_all(atomic_file::folder_of(&path))?;
        atomic_file::replace(&path, commit.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_where_other_programs_look_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let repository = "a/b.c@refs/pr/1".parse().unwrap();
        let cache = Cache(folder.path().to_owned()).repository(&repository);
        let (checksum, commit) = (Checksum::parse(&"a".repeat(40)).unwrap(), "c".repeat(40));
        let lock = cache.lock(&checksum, || panic!("nobody else has it")).unwrap();
        fs::write(cache.blob(&checksum), "x").unwrap();
        for path in ["config.json", "onnx/model.onnx", "config.json"] {
            cache.link(&commit, path, &checksum).unwrap();
            let file = folder.path().join("models--a--b.c/snapshots").join(&commit).join(path);
            assert_eq!(fs::read_to_string(file).unwrap(), "x");
        }
        cache.keep_revision(&commit).unwrap();
        let kept = folder.path().join("models--a--b.c/refs/refs/pr/1");
        assert_eq!(fs::read_to_string(kept).unwrap(), commit);
        drop(lock);
    }

    #[test]
    fn a_blank_token_is_none() {
        let token = |given: Option<&str>, saved: Option<&str>| {
            first_token(given.map(str::to_owned), || saved.map(str::to_owned))
        };
        assert_eq!(token(Some("hf_a"), Some("hf_b")).as_deref(), Some("hf_a"));
        for blank in [None, Some(""), Some(" "), Some("\n")] {
            assert_eq!(token(blank, Some("hf_b\n")).as_deref(), Some("hf_b\n"), "{blank:?}");
            assert_eq!(token(blank, blank), None, "{blank:?}");
        }
    }
}
