//! Models from a Hugging Face hub: the files of a repository that are served become a model folder.
//!
//! [`pull`] is the way in. Files are kept in the hub's cache under their checksums, and copied from there. So a download that was
//! cut continues, and a model folder appears whole.
//!
//! The crate `hf-hub` 0.5 is not used. It verifies no checksum, takes paths in its cache from headers of the server, sends the token
//! to the hosts of redirects, appends to a partial file whatever range the server sends, and needs `option-ext` (MPL-2.0).

mod cache;
mod checksum;
mod client;
mod disk;
mod download;
mod error;
mod folder;
mod listing;
mod repository;
mod selection;

use std::path::PathBuf;

pub use cache::{Cache, token_from_env};
pub use client::{DEFAULT_ENDPOINT, Hub};
pub use error::HubError;
pub use repository::Repository;
pub use selection::{Choice, FilePrecision};

use self::disk::check_capacity;
use self::download::{Download, Fetched};
use self::folder::NewFolder;
use self::listing::ListedFile;
use self::selection::RepositoryLayout;
use crate::manifest::{NamedFiles, OnnxFile};
use crate::system::progress::Progress;

/// What is pulled, and where to.
#[derive(Debug, Clone)]
pub struct PullOrder {
    pub repository: Repository,
    pub choice: Choice,
    /// The models folder.
    pub models_dir: PathBuf,
    /// The name of the model folder in it.
    pub name: String,
    /// Whether a folder of that name is replaced.
    pub force: bool,
}

/// What was pulled.
#[derive(Debug)]
pub struct Pulled {
    pub folder: PathBuf,
    /// The commit of the repository, 40 hexadecimal digits.
    pub commit: String,
    pub files: Vec<PulledFile>,
}

/// A file of the new folder.
#[derive(Debug)]
pub struct PulledFile {
    /// Relative to the folder.
    pub path: String,
    pub n_bytes: u64,
    /// Whether the cache had all of it.
    pub was_cached: bool,
}

/// Pulls a model.
///
/// # Errors
/// Names the file or limit at fault and the remedy. What was downloaded stays in the cache, and no model folder has changed.
pub fn pull(hub: &Hub, cache: &Cache, order: &PullOrder, progress: &Progress) -> Result<Pulled, HubError> {
    NewFolder::check_name(order)?;
    progress.stage(&format!("asking {} for {}", hub.endpoint(), order.repository));
    let listing = hub.listing(&order.repository)?;
    let layout = RepositoryLayout::of(&order.repository, &listing)?;
    let mut download = Download::new(hub, cache.repository(&order.repository), &listing.commit, order, progress);
    let named = named_files(&layout, &mut download)?;
    let onnx = layout.choose_onnx(&order.choice, named.onnx.as_deref())?;
    let fetched = fetch(&layout, onnx, &named, &mut download)?;
    download.keep_revision()?;
    progress.stage("copying the files into the model folder");
    let folder = NewFolder::create(order)?;
    let files = fetched.iter().map(|file| layout.pulled(file)).collect();
    folder.fill(&layout, &fetched, onnx)?;
    folder.record(hub, &listing, &fetched)?;
    Ok(Pulled { folder: folder.publish()?, commit: listing.commit.clone(), files })
}

/// The files that the `ressort.toml` of the repository names; none where there is none.
fn named_files(layout: &RepositoryLayout, download: &mut Download) -> Result<NamedFiles, HubError> {
    let Some(toml) = layout.manifest() else { return Ok(NamedFiles::default()) };
    let toml = download.identify(toml)?;
    check_capacity(download, [&toml])?;
    let fetched = download.fetch(&toml)?;
    let text = std::fs::read(&fetched.blob).map_err(|source| HubError::io(&fetched.blob, source))?;
    Ok(NamedFiles::of(&text, layout.manifest_path().as_ref())?)
}

/// Downloads what the service reads of the model: the ONNX file says at its end which data files it has.
fn fetch(
    layout: &RepositoryLayout,
    onnx: &ListedFile,
    named: &NamedFiles,
    download: &mut Download,
) -> Result<Vec<Fetched>, HubError> {
    let served = download.identify_all(&layout.served(onnx, named)?)?;
    let probable = download.identify_all(&layout.probable_data(onnx))?;
    check_capacity(download, served.iter().chain(&probable))?;
    download.expect(served.iter().chain(&probable));
    let mut fetched = Vec::new();
    for file in &served {
        fetched.push(download.fetch(file)?);
    }
    let Some(model) = fetched.iter().find(|file| file.remote.path == onnx.path) else { return Ok(fetched) };
    let data = layout.data(onnx, &OnnxFile::external_files(&model.blob)?)?;
    let data = download.identify_all(&data)?;
    check_capacity(download, served.iter().chain(&data))?;
    for file in &data {
        fetched.push(download.fetch(file)?);
    }
    Ok(fetched)
}
