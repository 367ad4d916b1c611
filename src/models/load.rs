//! A model folder made ready to serve: read, opened on the first execution provider that works, run once, and held to its
//! golden examples. What is wrong with a folder is found here and not by the first request.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use crate::inference::arithmetic::ModelArithmetic;
use crate::inference::batch::{BatchLimits, Run, RunError};
use crate::inference::pipeline::{Pipeline, PredictError, PredictOptions, Prediction};
use crate::inference::scheduler::Priority;
use crate::inference::scheduler::{Admission, RequestContext, RequestId, Scheduler, SchedulerSettings, Sessions};
use crate::inference::session::{OrtSession, Placement, SessionError, SessionOptions, SharedModel, place};
use crate::inference::settings::{Batching, RunSettings};
use crate::inference::tokenize::{TokenizeError, Tokenizer};
use crate::inference::windows::Windowing;
use crate::manifest::task::Task;
use crate::manifest::{FolderFiles, GoldenExample, Manifest, ManifestError, TopicLabel, check_expansion};
use crate::models::fit::{self, FitError};
use crate::models::sharing::{self, Sharing, TrialSource};
use crate::models::spec::ModelSpec;
use crate::models::trial::{Trial, TrialError, scores_notes};
use crate::system::background::{self, BackgroundError};
use crate::system::memory::trim_memory;
use crate::text::truecase::{TruecaseError, Truecaser};

/// A model that answers.
pub struct Model {
    pub name: String,
    /// The first 16 hexadecimal digits of a SHA-256 over the folder's files.
    pub version: String,
    pub manifest: Manifest,
    pub placement: Placement,
    pub arithmetic: ModelArithmetic,
    pub n_streams: usize,
    pub batch_limits: BatchLimits,
    /// What is special about how its graph is run, in sentences for the report.
    pub notes: Vec<String>,
    /// Runs of more than this time count as stuck.
    pub stuck_after: Duration,
    /// By how much the process grew when the model was loaded, in bytes; `None` where the system doesn't say.
    pub resident_bytes: Option<u64>,
    pub pipeline: Arc<Pipeline>,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Fit(#[from] FitError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Tokenizer(#[from] TokenizeError),
    #[error(transparent)]
    Truecase(#[from] TruecaseError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Trial(#[from] TrialError),
    #[error("{path}: {message}", path = path.display())]
    Unfit { path: PathBuf, message: String },
    #[error("{path}: golden example {text:?}: {message}; the model is not what it was, or the example is wrong", path = path.display())]
    Golden { path: PathBuf, text: String, message: String },
    #[error("a worker thread cannot be started")]
    Thread(#[from] std::io::Error),
    #[error("loading broke down")]
    Background(#[from] BackgroundError),
}

impl Model {
    /// Loads a folder and checks all that can be checked before the first request.
    pub async fn load(spec: &ModelSpec, settings: &RunSettings) -> Result<Self, LoadError> {
        let (spec, settings) = (spec.clone(), settings.clone());
        let before = resident_bytes();
        let opened = background::run(move || open(&spec, &settings)).await?;
        // The memory that was used to read the files.
        tokio::task::spawn_blocking(trim_memory).await.map_err(|_| BackgroundError::Broken)?;
        let grown = before.zip(resident_bytes()).map(|(before, after)| after.saturating_sub(before));
        // Here and not there: the threads that answer must not have the low priority of the one that loads.
        let model = opened?(grown)?;
        for example in &model.manifest.golden {
            model.check_golden(example).await?;
        }
        tracing::info!(
            model = model.name,
            version = model.version,
            arithmetic = model.arithmetic.as_str(),
            reason = model.arithmetic.reason(),
            "model loaded"
        );
        Ok(model)
    }

    pub fn answers(&self, task: Task) -> bool {
        self.manifest.tasks().contains(&task)
    }

    /// Labels of the topic head, in the order of the logits.
    pub fn topic_labels(&self) -> &[TopicLabel] {
        self.pipeline.topics.as_ref().map_or(&[], |head| &head.labels)
    }

    async fn check_golden(&self, example: &GoldenExample) -> Result<(), LoadError> {
        const TIMEOUT: Duration = Duration::from_secs(60);
        let deadline = Instant::now() + TIMEOUT;
        let (request, priority, admission) = (RequestId::next(), Priority::Normal, Admission::Wait);
        let options = PredictOptions::new(RequestContext { request, priority, admission, deadline });
        let text: Arc<str> = example.text.as_str().into();
        let answer = self.pipeline.predict(Arc::clone(&text), options).await;
        let fault = match answer {
            Ok(prediction) => self.golden_fault(example, &prediction),
            Err(error) => Some(PredictError::to_string(&error)),
        };
        fault.map_or(Ok(()), |message| {
            Err(LoadError::Golden { path: self.manifest.dir.join("ressort.toml"), text: example.text.clone(), message })
        })
    }

    /// What of the example the prediction lacks.
    fn golden_fault(&self, example: &GoldenExample, prediction: &Prediction) -> Option<String> {
        let labels = self.topic_labels();
        let topics = prediction.topics.iter().flatten().filter(|topic| topic.accepted);
        let accepted: Vec<&str> =
            topics.filter_map(|topic| labels.get(topic.index)).map(|label| label.label.as_str()).collect();
        let entities = prediction.entities.iter().flatten();
        let found: Vec<(&str, &str)> =
            entities.filter_map(|entity| Some((entity.span.slice(&example.text)?, entity.label.as_str()))).collect();
        let topic = example.topics.iter().find(|topic| !accepted.contains(&topic.as_str()));
        let entity = example.entities.iter().find(|(text, label)| !found.contains(&(text, label)));
        match (topic, entity) {
            (Some(topic), _) => Some(format!("topic `{topic}` is not accepted, only {accepted:?}")),
            (None, Some((text, label))) => Some(format!("entity `{text}` ({label}) is not found, only {found:?}")),
            (None, None) => None,
        }
    }
}

/// Reads, opens and tries a model. The closure that it returns starts the threads, and takes by how many bytes the process grew.
fn open(
    spec: &ModelSpec,
    settings: &RunSettings,
) -> Result<impl FnOnce(Option<u64>) -> Result<Model, LoadError> + Send + use<>, LoadError> {
    fit::check_before_reading(spec, &settings.system_root)?;
    let opened = read(FolderFiles::new(&spec.path), settings)?;
    let Opened { manifest, tokenizer, truecaser, placement, mut sessions, version } = opened;
    let n_special = tokenizer.special().prefix.len() + tokenizer.special().suffix.len();
    let windowing = Windowing::new(manifest.max_length, manifest.stride, n_special)?;
    check_vocabulary(&manifest, &tokenizer)?;
    let arithmetic = ModelArithmetic::new(manifest.graph.integer_products, settings.arithmetic);
    let source = TrialSource { manifest: &manifest, tokenizer: &tokenizer, windowing, provider: placement.provider };
    let trial = Trial::run(source, &mut sessions)?;
    let limits = sharing::limits(&manifest, placement.provider, settings.batching);
    let Sharing { limits, reason } = Sharing::find(source, limits, &mut sessions.streams);
    let max_queued_windows = settings.max_queued_windows;
    let scheduler = SchedulerSettings { max_queued_windows, limits, padding: source.padding() };
    let topics = manifest.topics.clone().map(|head| trial.fit_topics(&manifest, head)).transpose()?;
    let entities = manifest.entities.clone().map(|head| trial.fit_entities(&manifest, head)).transpose()?;
    let (name, n_streams, stuck_after) = (spec.name.clone(), sessions.streams.len(), settings.stuck_after());
    let text_rules = manifest.text_rules;
    let mut notes = sharing::notes(&manifest, reason);
    notes.extend(scores_notes(&manifest, topics.as_ref(), entities.as_ref()));
    Ok(move |resident_bytes| {
        let scheduler = Scheduler::start(scheduler, sessions)?;
        let pipeline = Arc::new(Pipeline { text_rules, truecaser, tokenizer, windowing, scheduler, topics, entities });
        Ok(Model {
            name,
            version,
            manifest,
            placement,
            arithmetic,
            n_streams,
            batch_limits: limits,
            notes,
            stuck_after,
            resident_bytes,
            pipeline,
        })
    })
}

/// A model folder that was read, with its sessions.
struct Opened {
    manifest: Manifest,
    tokenizer: Arc<Tokenizer>,
    truecaser: Option<Truecaser>,
    placement: Placement,
    sessions: Sessions,
    version: String,
}

/// Reads the folder and opens its sessions. The tokenizer, which can take as long, is read at the same time.
fn read(mut files: FolderFiles, settings: &RunSettings) -> Result<Opened, LoadError> {
    let path = files.dir.join("tokenizer.json");
    // What is wrong with the rest of the folder is reported first.
    let json = files.read(&path);
    std::thread::scope(|scope| {
        let tokenizer = scope.spawn(|| {
            let json = json?;
            check_expansion(&path, &json)?;
            Ok::<_, LoadError>(Tokenizer::shared(&path, &json)?)
        });
        let manifest = Manifest::of(&mut files)?;
        let truecaser = match &manifest.truecase_file {
            Some(path) => Some(Truecaser::from_bytes(path, &files.read(path)?)?),
            None => None,
        };
        let (placement, sessions, version) = open_sessions(&manifest, files, settings)?;
        let tokenizer = tokenizer.join().map_err(|_| BackgroundError::Broken)??;
        Ok(Opened { manifest, tokenizer, truecaser, placement, sessions, version })
    })
}

/// Opens all sessions of a model, and hashes the files that it was made of, which are dropped here.
fn open_sessions(
    manifest: &Manifest,
    mut files: FolderFiles,
    settings: &RunSettings,
) -> Result<(Placement, Sessions, String), LoadError> {
    let onnx = files.onnx(&manifest.onnx_file)?;
    onnx.check_unchanged()?;
    std::thread::scope(|scope| {
        // In parallel: both take a while for a large file.
        let version = scope.spawn(|| files.version());
        let model = SharedModel::new(&onnx)?;
        let placement = place(manifest, &model, settings)?;
        let sessions = sessions(manifest, &placement, settings, model.clone())?;
        let version = version.join().map_err(|_| BackgroundError::Broken)??;
        model.remove_name();
        Ok((placement, sessions, version))
    })
}

/// The sessions of a model: on the CPU streams of one thread each, on a GPU one stream, which is fed larger batches.
fn sessions(
    manifest: &Manifest,
    placement: &Placement,
    settings: &RunSettings,
    model: SharedModel,
) -> Result<Sessions, LoadError> {
    let n_streams = if placement.provider.is_gpu() { 1 } else { settings.n_streams.max(1) };
    let open = {
        let (manifest, provider, timeout) = (manifest.clone(), placement.provider, settings.run_timeout);
        let arithmetic = ModelArithmetic::new(manifest.graph.integer_products, settings.arithmetic);
        move |n_threads| {
            let options = SessionOptions { provider, arithmetic, n_threads, timeout };
            OrtSession::open(&manifest, options, &model).map(|session| Box::new(session) as Box<dyn Run>)
        }
    };
    let (streams, all_cores) = std::thread::scope(|scope| {
        let streams: Vec<_> = (0..n_streams).map(|_| scope.spawn(|| open(1))).collect();
        let all_cores = uses_all_cores(manifest, placement, settings).then(|| scope.spawn(|| open(n_streams)));
        let streams = streams.into_iter().map(opened).collect::<Result<Vec<_>, _>>();
        Ok::<_, LoadError>((streams?, all_cores.map(opened).transpose()?))
    })?;
    let make_stream = move || open(1).map_err(|error| RunError::Failed { shape: (0, 0), message: error.to_string() });
    Ok(Sessions { streams, all_cores, make_stream: Box::new(make_stream) })
}

fn opened(thread: ScopedJoinHandle<Result<Box<dyn Run>, SessionError>>) -> Result<Box<dyn Run>, LoadError> {
    Ok(thread.join().map_err(|_| BackgroundError::Broken)??)
}

/// Whether a run that is alone is computed on all cores.
///
/// Times faster on two cores than on one, for a window of 32 to 256 tokens: 1.7 to 1.8 for XLM-R's base shape in fp32 (342 MB
/// of weights a run), 1.3 to 1.6 for one of 12 layers of 384 in fp32 (85 MB), 1.05 to 1.4 for the base shape in int8 (86 MB),
/// 0.8 to 1.2 for the model that ships (29 MB).
fn uses_all_cores(manifest: &Manifest, placement: &Placement, settings: &RunSettings) -> bool {
    const MIN_BYTES: u64 = 64_000_000;
    let cores_look_on = !placement.provider.is_gpu() && settings.n_streams > 1;
    cores_look_on && settings.batching == Batching::Shared && manifest.graph.n_bytes_a_run >= MIN_BYTES
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

/// Bytes of memory that the process holds, where `/proc` says it.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
