//! Why a model cannot be pulled.

use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::ManifestError;

#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error("`{0}` is not the name of a repository; give ORG/NAME, or ORG/NAME@REVISION with a branch, tag or commit")]
    BadRepository(String),
    #[error("the hub's address `{0}` is not a URL; give https://HOST with --endpoint or HF_ENDPOINT")]
    BadEndpoint(String),
    #[error("HF_TOKEN contains a character that tokens never have; set it to the token alone")]
    BadToken,
    #[error("{url}: {message}")]
    Unreachable { url: String, message: String },
    #[error(
        "{repository} is gated: accept its terms at {endpoint}/{repository}, and set HF_TOKEN to a token of that account"
    )]
    Gated { repository: String, endpoint: String },
    #[error(
        "{endpoint} has no repository {repository}, or it is private; check the name, and for a private repository set HF_TOKEN to a token that may read it"
    )]
    NoRepository { repository: String, endpoint: String },
    #[error("{repository} has no revision `{revision}`; give a branch, tag or commit of it after the @")]
    NoRevision { repository: String, revision: String },
    #[error(
        "the hub refuses the token for {repository} ({status}); set HF_TOKEN to a token that is valid and may read the repository, or unset it for a public one"
    )]
    TokenRefused { repository: String, status: u16 },
    #[error("{url}: the hub answers with the status {status}; {remedy}", remedy = status_remedy(*.status))]
    Status { url: String, status: u16 },
    #[error("{url}: {message}; the address must be that of a hub that speaks the API of huggingface.co")]
    BadAnswer { url: String, message: String },
    #[error("{repository} lists a file `{path}`, whose name leads out of its folder; it is not pulled")]
    UnsafePath { repository: String, path: String },
    #[error("{repository} has no {file}; {remedy}")]
    Missing { repository: String, file: String, remedy: &'static str },
    #[error("{repository} has no ONNX file {wanted}; it has {found}")]
    NoSuchOnnx { repository: String, wanted: String, found: String },
    #[error("{repository} has several ONNX files, of which none has a usual name: {found}; name one with --file")]
    Undecided { repository: String, found: String },
    #[error(
        "{folder} has {free} MB free, and {needed} MB are needed; free some, or put the cache (HF_HOME) or the models (--models-dir) on another disk",
        folder = .folder.display(), free = .free / 1_000_000, needed = .needed.div_ceil(1_000_000)
    )]
    DiskFull { folder: PathBuf, free: u64, needed: u64 },
    #[error("{path}: {message}; run the command again, and it continues where it stopped", path = .path)]
    Cut { path: String, message: String },
    #[error(
        "{path} is damaged: the hub says {expected}, and what came has {found}; run the command again, and if it stays so, tell the owner of the repository or of the hub's mirror"
    )]
    Damaged { path: String, expected: String, found: String },
    #[error("{path} exists; replace it with --force, or give another name with --name", path = .0.display())]
    Exists(PathBuf),
    #[error("no folder for the hub's cache: set HF_HOME to one that can be written")]
    NoCache,
    #[error("{path}: {source}; {remedy}", path = path.display(), remedy = io_remedy(source))]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl HubError {
    pub fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

fn status_remedy(status: u16) -> &'static str {
    match status {
        429 => "wait a while, or set HF_TOKEN, which allows more requests",
        500.. => "try again later",
        _ => "check the repository and HF_ENDPOINT",
    }
}

fn io_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose folders that you may write: HF_HOME for the cache, --models-dir for the models"
        }
        io::ErrorKind::StorageFull => "free some disk space, and run the command again",
        _ => "check the disk",
    }
}
