//! From a model folder to its first session, and later to the others.
//!
//! One session is enough to answer, and everything that can refuse a model is checked on it. So a model answers before the other
//! sessions are open, and before a trial shows whether windows may share a run. Both only make it faster.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};

use crate::inference::arithmetic::ModelArithmetic;
use crate::inference::batch::{BatchLimits, Run, RunError};
use crate::inference::decode::names::{NameList, NameListError};
use crate::inference::scheduler::{MakeRun, Sessions};
use crate::inference::session::{OrtSession, Placement, SessionError, SessionOptions, SharedModel, place};
use crate::inference::settings::{Batching, RunSettings};
use crate::inference::tokenize::Tokenizer;
use crate::inference::windows::Windowing;
use crate::manifest::{FolderFiles, Manifest, check_expansion};
use crate::models::fit;
use crate::models::load_error::LoadError;
use crate::models::sharing::{self, Sharing, TrialSource};
use crate::models::spec::ModelSpec;
use crate::models::trial::{Trial, check_session};
use crate::system::background::BackgroundError;
use crate::text::truecase::Truecaser;

/// A model folder that was read, with the first session and what its trial showed.
pub struct Opened {
    pub manifest: Manifest,
    pub tokenizer: Arc<Tokenizer>,
    pub lists: WordLists,
    pub windowing: Windowing,
    pub placement: Placement,
    pub arithmetic: ModelArithmetic,
    pub version: String,
    pub sessions: Sessions,
    pub trial: Trial,
    pub deferred: DeferredOpening,
}

/// The lists of words that a model folder names.
pub struct WordLists {
    pub truecaser: Option<Truecaser>,
    /// The list of names and its path. Its labels are checked when the tags of the model are known.
    pub names: Option<(PathBuf, NameList)>,
}

/// The part of the opening that may wait until after the first answer.
pub struct DeferredOpening {
    manifest: Manifest,
    tokenizer: Arc<Tokenizer>,
    windowing: Windowing,
    placement: Placement,
    opener: Opener,
    n_streams: usize,
    /// Which windows may share a run, if the trial shows that padding and other windows change no logits.
    limits: BatchLimits,
    /// The result of the trial of `limits`; `None` before it ran.
    sharing: Option<Sharing>,
}

/// The other sessions of a model, and which windows share a run.
pub struct OtherSessions {
    pub streams: Vec<Box<dyn Run>>,
    pub sharing: Sharing,
}

/// Opens a session that computes on this number of threads.
type OpenSession = dyn Fn(usize) -> Result<Box<dyn Run>, SessionError> + Send + Sync;

/// Opens sessions of one model.
#[derive(Clone)]
struct Opener {
    open: Arc<OpenSession>,
    model: SharedModel,
}

impl Opened {
    /// Reads a folder, opens the first session and tries it.
    pub fn open(spec: &ModelSpec, settings: &RunSettings) -> Result<Self, LoadError> {
        fit::check_before_reading(spec, &settings.system_root)?;
        let mut files = FolderFiles::new(&spec.path);
        let path = files.dir.join("tokenizer.json");
        // What is wrong with the rest of the folder is reported first.
        let json = files.read(&path);
        std::thread::scope(|scope| {
            // At the same time, since it can take as long as the weights.
            let tokenizer = scope.spawn(|| {
                let json = json?;
                check_expansion(&path, &json)?;
                Ok::<_, LoadError>(Tokenizer::shared(&path, &json)?)
            });
            let manifest = Manifest::of(&mut files)?;
            let lists = PendingLists::start(scope, &manifest, &mut files)?;
            let onnx = files.onnx(&manifest.onnx_file)?;
            onnx.check_unchanged()?;
            // The files are dropped as soon as they are hashed.
            let version = scope.spawn(move || files.version());
            let model = SharedModel::new(&onnx)?;
            drop(onnx);
            let placement = place(&manifest, &model, settings)?;
            let first = FirstSession::open(&manifest, &placement, settings, model)?;
            let tokenizer = joined(tokenizer)?;
            first.tried(manifest, tokenizer, lists.joined()?, placement, settings, || joined(version))
        })
    }
}

/// The lists while they are read. The list of names is long, so a thread reads it while the first session opens.
struct PendingLists<'scope> {
    truecaser: Option<Truecaser>,
    names: Option<ScopedJoinHandle<'scope, Result<(PathBuf, NameList), NameListError>>>,
}

impl<'scope> PendingLists<'scope> {
    fn start(
        scope: &'scope Scope<'scope, '_>,
        manifest: &Manifest,
        files: &mut FolderFiles,
    ) -> Result<Self, LoadError> {
        let truecaser = match &manifest.truecase_file {
            Some(path) => Some(Truecaser::from_bytes(path, &files.read(path)?)?),
            None => None,
        };
        let names = match manifest.entities.as_ref().and_then(|head| head.names_file.as_ref()) {
            Some(path) => {
                let (path, list) = (path.clone(), files.read(path)?);
                Some(scope.spawn(move || NameList::from_bytes(&path, &list).map(|list| (path, list))))
            }
            None => None,
        };
        Ok(Self { truecaser, names })
    }

    fn joined(self) -> Result<WordLists, LoadError> {
        Ok(WordLists { truecaser: self.truecaser, names: self.names.map(joined).transpose()? })
    }
}

/// The first session of a model.
struct FirstSession {
    session: Box<dyn Run>,
    is_all_cores: bool,
    opener: Opener,
}

impl FirstSession {
    /// The session that computes on all cores, where there is one, else a stream.
    fn open(
        manifest: &Manifest,
        placement: &Placement,
        settings: &RunSettings,
        model: SharedModel,
    ) -> Result<Self, LoadError> {
        let opener = Opener::new(manifest, placement, settings, model);
        let is_all_cores = uses_all_cores(manifest, placement, settings);
        let session = (opener.open)(if is_all_cores { settings.n_streams } else { 1 })?;
        Ok(Self { session, is_all_cores, opener })
    }

    /// Runs the session on trial windows and assembles the opened model. Refused are a vocabulary, a length of windows and outputs
    /// that do not fit the model.
    fn tried(
        mut self,
        manifest: Manifest,
        tokenizer: Arc<Tokenizer>,
        lists: WordLists,
        placement: Placement,
        settings: &RunSettings,
        version: impl FnOnce() -> Result<String, LoadError>,
    ) -> Result<Opened, LoadError> {
        let n_special = tokenizer.special().prefix.len() + tokenizer.special().suffix.len();
        let windowing = Windowing::new(manifest.max_length, manifest.stride, n_special)?;
        check_vocabulary(&manifest, &tokenizer)?;
        let source =
            TrialSource { manifest: &manifest, tokenizer: &tokenizer, windowing, provider: placement.provider };
        let trial = Trial::run(source, self.session.as_mut())?;
        let n_streams = n_streams(&placement, settings) - usize::from(!self.is_all_cores);
        let limits = sharing::limits(&manifest, placement.provider, settings.batching);
        // With no other session to open, the trial of shared runs takes the first, before that answers.
        let sharing = (n_streams == 0).then(|| Sharing::find(source, limits, self.session.as_mut()));
        let Self { session, is_all_cores, opener } = self;
        let (streams, all_cores) = if is_all_cores { (Vec::new(), Some(session)) } else { (vec![session], None) };
        let sessions = Sessions { streams, all_cores, make_stream: opener.make_stream() };
        let deferred = DeferredOpening {
            manifest: manifest.clone(),
            tokenizer: Arc::clone(&tokenizer),
            windowing,
            placement: placement.clone(),
            opener,
            n_streams,
            limits,
            sharing,
        };
        let arithmetic = ModelArithmetic::new(manifest.graph.integer_products, settings.arithmetic);
        let version = version()?;
        Ok(Opened { manifest, tokenizer, lists, windowing, placement, arithmetic, version, sessions, trial, deferred })
    }
}

impl DeferredOpening {
    /// Opens the other streams side by side, and finds out on one of them which windows share a run.
    pub fn open(self) -> Result<OtherSessions, LoadError> {
        let provider = self.placement.provider;
        let source =
            TrialSource { manifest: &self.manifest, tokenizer: &self.tokenizer, windowing: self.windowing, provider };
        let open = || -> Result<Box<dyn Run>, LoadError> {
            let mut session = (self.opener.open)(1)?;
            check_session(source, session.as_mut())?;
            Ok(session)
        };
        let (mut streams, mut sharing) = (Vec::new(), self.sharing.clone());
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.n_streams).map(|_| scope.spawn(open)).collect();
            for thread in threads {
                let mut stream = joined(thread)?;
                sharing.get_or_insert_with(|| Sharing::find(source, self.limits, stream.as_mut()));
                streams.push(stream);
            }
            Ok::<_, LoadError>(())
        })?;
        let sharing = sharing.unwrap_or(Sharing { limits: BatchLimits::ALONE, reason: None });
        Ok(OtherSessions { streams, sharing })
    }
}

impl Drop for DeferredOpening {
    /// Unlinks the file of the weights, so that nothing stays on the disk. A session that later replaces a panicked one needs more memory
    /// while it opens.
    fn drop(&mut self) {
        self.opener.model.remove_name();
    }
}

impl Opener {
    fn new(manifest: &Manifest, placement: &Placement, settings: &RunSettings, model: SharedModel) -> Self {
        let (manifest, provider, timeout) = (manifest.clone(), placement.provider, settings.run_timeout);
        let arithmetic = ModelArithmetic::new(manifest.graph.integer_products, settings.arithmetic);
        let shared = model.clone();
        let open = move |n_threads| {
            let options = SessionOptions { provider, arithmetic, n_threads, timeout };
            OrtSession::open(&manifest, options, &shared).map(|session| Box::new(session) as Box<dyn Run>)
        };
        Self { open: Arc::new(open), model }
    }

    fn make_stream(&self) -> MakeRun {
        let open = Arc::clone(&self.open);
        Arc::new(move || open(1).map_err(|error| RunError::Failed { shape: (0, 0), message: error.to_string() }))
    }
}

/// The number of streams, at least 1: on the CPU `n_streams` of one thread each; on a GPU one, which gets larger batches.
pub fn n_streams(placement: &Placement, settings: &RunSettings) -> usize {
    if placement.provider.is_gpu() { 1 } else { settings.n_streams.max(1) }
}

/// Whether a run that is alone is computed on all cores.
///
/// Times faster on two cores than on one, for a window of 32 to 256 tokens: 1.7 to 1.8 for XLM-R's base shape in fp32 (342 MB
/// of weights a run), 1.3 to 1.6 for one of 12 layers of 384 in fp32 (85 MB), 1.05 to 1.4 for the base shape in int8 (86 MB),
/// 0.8 to 1.2 for the first model that shipped (29 MB).
fn uses_all_cores(manifest: &Manifest, placement: &Placement, settings: &RunSettings) -> bool {
    const MIN_BYTES: u64 = 64_000_000;
    let has_idle_cores = !placement.provider.is_gpu() && settings.n_streams > 1;
    has_idle_cores && settings.batching == Batching::Shared && manifest.graph.n_bytes_a_run >= MIN_BYTES
}

/// A tokenizer with more tokens than the embedding table has rows belongs to another model.
fn check_vocabulary(manifest: &Manifest, tokenizer: &Tokenizer) -> Result<(), LoadError> {
    match manifest.vocab_size.filter(|&size| tokenizer.largest_id() >= size) {
        None => Ok(()),
        Some(size) => Err(LoadError::Unfit {
            path: manifest.tokenizer_file(),
            message: format!(
                "the tokenizer gives ids up to {}, but the model has {size} embeddings (vocab_size in config.json); copy the tokenizer that the model was trained with",
                tokenizer.largest_id()
            ),
        }),
    }
}

/// The result of a thread; [`BackgroundError::Broken`] if it panicked.
fn joined<T, E>(thread: ScopedJoinHandle<Result<T, E>>) -> Result<T, LoadError>
where
    LoadError: From<E>,
{
    Ok(thread.join().map_err(|_| BackgroundError::Broken)??)
}
