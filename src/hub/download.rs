//! Files of one commit come into the cache, each verified. A download that is cut continues, in this run or in a later one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cache::RepositoryCache;
use super::checksum::Checksum;
use super::client::{Content, Hub, Refusal};
use super::listing::ListedFile;
use super::{HubError, PullOrder};
use crate::system::atomic_file::{folder_of, sync_folder};
use crate::system::progress::Progress;

/// Requests in a row that bring nothing, before a download is given up.
const MAX_ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// A file whose size and checksum are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Relative to the repository.
    pub path: String,
    pub n_bytes: u64,
    pub checksum: Checksum,
}

/// A file that the cache has.
#[derive(Debug)]
pub struct Fetched {
    pub remote: RemoteFile,
    /// The file in the cache.
    pub blob: PathBuf,
    pub was_cached: bool,
}

/// The download of one pull.
pub struct Download<'d> {
    hub: &'d Hub,
    pub cache: RepositoryCache,
    commit: &'d str,
    pub order: &'d PullOrder,
    progress: &'d Progress,
    /// Bytes of the files that are done.
    n_done: u64,
}

impl<'d> Download<'d> {
    pub fn new(
        hub: &'d Hub,
        cache: RepositoryCache,
        commit: &'d str,
        order: &'d PullOrder,
        progress: &'d Progress,
    ) -> Self {
        Self { hub, cache, commit, order, progress, n_done: 0 }
    }

    /// Has the progress count up to the size of these files.
    pub fn expect<'f>(&mut self, files: impl IntoIterator<Item = &'f RemoteFile>) {
        self.n_done = 0;
        self.progress.expect(Some(files.into_iter().map(|file| file.n_bytes).fold(0, u64::saturating_add)));
    }

    pub fn identify_all(&self, files: &[&ListedFile]) -> Result<Vec<RemoteFile>, HubError> {
        files.iter().map(|file| self.identify(file)).collect()
    }

    /// Asks for the size and the checksum of a file where the listing lacks them.
    pub fn identify(&self, file: &ListedFile) -> Result<RemoteFile, HubError> {
        let known = |n_bytes, checksum| RemoteFile { path: file.path.clone(), n_bytes, checksum };
        if let (Some(n_bytes), Some(checksum)) = (file.n_bytes, &file.checksum) {
            return Ok(known(n_bytes, checksum.clone()));
        }
        let content = self.open(&file.path, 0).map_err(|refusal| refusal.into_error(&file.path))?;
        let missing = |what: &str| HubError::BadAnswer {
            url: self.hub.endpoint().to_owned(),
            message: format!("it gives no {what} of {}", file.path),
        };
        let n_bytes = file.n_bytes.or(content.n_bytes).ok_or_else(|| missing("size"))?;
        let checksum = file.checksum.clone().or(content.checksum).ok_or_else(|| missing("checksum"))?;
        Ok(known(n_bytes, checksum))
    }

    /// Bytes of a file that need no download.
    pub fn n_bytes_cached(&self, file: &RemoteFile) -> u64 {
        let found = [self.cache.blob(&file.checksum), self.cache.part(&file.checksum)];
        found
            .iter()
            .filter_map(|path| fs::metadata(path).ok())
            .map(|found| found.len().min(file.n_bytes))
            .max()
            .unwrap_or(0)
    }

    /// Brings a file into the cache, unless it is there.
    pub fn fetch(&mut self, file: &RemoteFile) -> Result<Fetched, HubError> {
        let blob = self.cache.blob(&file.checksum);
        let at = |source| HubError::io(&blob, source);
        let wait = || self.progress.stage(&format!("waiting for another process, which downloads {}", file.path));
        let _lock = self.cache.lock(&file.checksum, wait).map_err(at)?;
        let was_cached = check(file, &blob).is_ok();
        if !was_cached {
            let part = self.cache.part(&file.checksum);
            self.collect(file, &part)?;
            fs::rename(&part, &blob).and_then(|()| sync_folder(folder_of(&blob))).map_err(at)?;
        }
        self.cache.link(self.commit, &file.path, &file.checksum).map_err(at)?;
        self.n_done = self.n_done.saturating_add(file.n_bytes);
        self.progress.show(self.n_done, &file.path);
        Ok(Fetched { remote: file.clone(), blob, was_cached })
    }

    /// Notes in the cache which commit was pulled.
    pub fn keep_revision(&self) -> Result<(), HubError> {
        self.cache.keep_revision(self.commit).map_err(|source| HubError::io(&self.cache.dir, source))
    }

    /// Completes the file at `part` and verifies it. What an earlier run left may be damaged, so it counts once only.
    fn collect(&self, file: &RemoteFile, part: &Path) -> Result<(), HubError> {
        let had_part = part.exists();
        self.complete(file, part)?;
        let Err(damage) = check(file, part) else { return Ok(()) };
        fs::remove_file(part).map_err(|source| HubError::io(part, source))?;
        if !had_part {
            return Err(damage);
        }
        self.complete(file, part)?;
        check(file, part).inspect_err(|_| drop(fs::remove_file(part)))
    }

    /// Requests what `part` lacks until it has all bytes.
    fn complete(&self, file: &RemoteFile, part: &Path) -> Result<(), HubError> {
        let at = |source| HubError::io(part, source);
        let mut out = OpenOptions::new().append(true).create(true).open(part).map_err(at)?;
        let mut length = out.metadata().map_err(at)?.len();
        if length > file.n_bytes {
            out.set_len(0).map_err(at)?;
            length = 0;
        }
        let (mut longest, mut n_failed) = (length, 0);
        while length < file.n_bytes {
            let (now, failure) = self.append(file, &mut out, length).map_err(|error| error.into_hub_error(part))?;
            n_failed = if now > longest { 1 } else { n_failed + 1 };
            (length, longest) = (now, longest.max(now));
            if n_failed > MAX_ATTEMPTS {
                return Err(HubError::Cut { path: file.path.clone(), message: failure });
            }
            if length < file.n_bytes {
                // A hub or network that just failed needs time to recover: 0.2 s, then twice as long after each failure.
                std::thread::sleep(FIRST_WAIT * 2_u32.pow(n_failed - 1));
            }
        }
        out.sync_all().map_err(at)
    }

    /// Appends what one request gives to the `length` bytes that `out` has. Returns the new length, and why the answer ended.
    fn append(&self, file: &RemoteFile, out: &mut File, mut length: u64) -> Result<(u64, String), AppendError> {
        let mut content = match self.open(&file.path, length) {
            Ok(content) => content,
            Err(Refusal::Passing(message)) => return Ok((length, message)),
            Err(Refusal::Final(error)) => return Err(AppendError::Hub(error)),
            Err(Refusal::NoSuchRange) => return Ok((length, "the hub has fewer bytes than it says".to_owned())),
        };
        if content.start != length {
            // Some servers ignore the range and send the whole file.
            out.set_len(0)?;
            length = 0;
            if content.start > 0 {
                return Ok((length, "the hub sent another part than the one asked for".to_owned()));
            }
        }
        let mut buffer = vec![0; 1 << 16];
        while length < file.n_bytes {
            let n_bytes = match content.body.read(&mut buffer) {
                Ok(0) => return Ok((length, "the connection was closed".to_owned())),
                Ok(n_bytes) => n_bytes.min(usize::try_from(file.n_bytes - length).unwrap_or(usize::MAX)),
                Err(error) => return Ok((length, format!("the connection failed ({error})"))),
            };
            out.write_all(&buffer[..n_bytes])?;
            length += n_bytes as u64;
            self.progress.show(self.n_done.saturating_add(length), &file.path);
        }
        Ok((length, String::new()))
    }

    fn open(&self, path: &str, start: u64) -> Result<Content, Refusal> {
        self.hub.open(&self.order.repository, self.commit, path, start)
    }
}

/// Why bytes cannot be appended, where another request would not help.
enum AppendError {
    Hub(HubError),
    Write(io::Error),
}

impl From<io::Error> for AppendError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl AppendError {
    fn into_hub_error(self, part: &Path) -> HubError {
        match self {
            Self::Hub(error) => error,
            Self::Write(source) => HubError::io(part, source),
        }
    }
}

impl Refusal {
    fn into_error(self, path: &str) -> HubError {
        let cut = |message| HubError::Cut { path: path.to_owned(), message };
        match self {
            Self::Final(error) => error,
            Self::Passing(message) => cut(message),
            Self::NoSuchRange => cut("the hub has no first byte of it".to_owned()),
        }
    }
}

/// Whether the file at `path` has the size and the checksum that the hub says.
fn check(file: &RemoteFile, path: &Path) -> Result<(), HubError> {
    let at = |source| HubError::io(path, source);
    let damaged = |expected: String, found: String| HubError::Damaged { path: file.path.clone(), expected, found };
    let n_bytes = fs::metadata(path).map_err(at)?.len();
    if n_bytes != file.n_bytes {
        return Err(damaged(format!("{} bytes", file.n_bytes), format!("{n_bytes} bytes")));
    }
    let found = file.checksum.of_file(path).map_err(at)?;
    match found == file.checksum {
        true => Ok(()),
        false => Err(damaged(file.checksum.to_string(), found.digits().to_owned())),
    }
}
