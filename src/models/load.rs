//! A model folder made ready to serve: read, opened on the first execution provider that works, run once, and held to its
//! golden examples. What is wrong with a folder is found here and not by the first request.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::inference::arithmetic::ModelArithmetic;
use crate::inference::batch::BatchLimits;
use crate::inference::pipeline::{Pipeline, PredictError, PredictOptions, Prediction};
use crate::inference::scheduler::{
    Admission, Priority, RequestContext, RequestId, Scheduler, SchedulerSettings, SharedCores,
};
use crate::inference::session::Placement;
use crate::inference::settings::RunSettings;
use crate::manifest::task::Task;
use crate::manifest::{GoldenExample, Manifest, TopicLabel};
use crate::models::drift::Samples;
use crate::models::drift::baseline::Baselines;
pub use crate::models::load_error::LoadError;
use crate::models::opening::{DeferredOpening, Opened, OtherSessions, WordLists, n_streams};
use crate::models::sharing::{self, TrialSource};
use crate::models::spec::ModelSpec;
use crate::models::traffic::Traffic;
use crate::models::trial::scores_notes;
use crate::system::background::{self, BackgroundError};
use crate::system::memory::trim_memory;
use crate::system::process;

/// A model that answers.
pub struct Model {
    pub name: String,
    /// The first 16 hexadecimal digits of a SHA-256 over the folder's files.
    pub version: String,
    pub manifest: Manifest,
    pub placement: Placement,
    pub arithmetic: ModelArithmetic,
    pub n_streams: usize,
    /// Runs of more than this time count as stuck.
    pub stuck_after: Duration,
    pub pipeline: Arc<Pipeline>,
    pub traffic: Traffic,
    /// What is normal, where the folder says so.
    baseline: ArcSwapOption<Samples>,
    /// What is special about its scores.
    scores_notes: Vec<String>,
    /// Set once all sessions are open.
    complete: OnceLock<Complete>,
}

/// What is known of a model once all its sessions are open.
struct Complete {
    limits: BatchLimits,
    /// Why windows run alone, where the trial showed a reason.
    reason: Option<String>,
    resident_bytes: Option<u64>,
}

/// What is left to open of a model that answers already.
pub struct Incomplete {
    deferred: DeferredOpening,
    grown: Growth,
}

/// By how much the process has grown for a model, in its steps. Between them other models may be loaded.
#[derive(Debug, Clone, Copy, Default)]
struct Growth(Option<i64>);

impl Model {
    /// Loads a folder at low priority, while other models answer. All its sessions are open then.
    pub async fn load(spec: &ModelSpec, settings: &RunSettings) -> Result<Self, LoadError> {
        let (before, (spec, settings)) = (resident_bytes(), (spec.clone(), settings.clone()));
        let opened = background::run({
            let (spec, settings) = (spec.clone(), settings.clone());
            move || Opened::open(&spec, &settings)
        });
        let (model, incomplete) = Self::checked(&spec, &settings, opened.await??, before).await?;
        incomplete.complete(&model).await?;
        Ok(model)
    }

    /// Loads a folder so far that it answers, at the priority of the process. Whatever can refuse the model was checked.
    pub async fn start(spec: &ModelSpec, settings: &RunSettings) -> Result<(Self, Incomplete), LoadError> {
        let (before, (spec, settings)) = (resident_bytes(), (spec.clone(), settings.clone()));
        let opened = background::on_thread({
            let (spec, settings) = (spec.clone(), settings.clone());
            move || Opened::open(&spec, &settings)
        });
        Self::checked(&spec, &settings, opened.await??, before).await
    }

    /// The model with its first session, held to its golden examples.
    async fn checked(
        spec: &ModelSpec,
        settings: &RunSettings,
        opened: Opened,
        resident_before: Option<u64>,
    ) -> Result<(Self, Incomplete), LoadError> {
        let (model, deferred) = Self::new(spec, settings, opened)?;
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
        // The memory that was used to read the files; the step of another model would return it.
        tokio::task::spawn_blocking(trim_memory).await.map_err(|_| BackgroundError::Broken)?;
        let grown = Growth::default().step(resident_before, resident_bytes());
        Ok((model, Incomplete { deferred, grown }))
    }

    /// Starts the threads that answer. They must not have the low priority of a thread that loads.
    fn new(spec: &ModelSpec, settings: &RunSettings, opened: Opened) -> Result<(Self, DeferredOpening), LoadError> {
        let Opened { manifest, tokenizer, windowing, placement, trial, deferred, .. } = opened;
        let source =
            TrialSource { manifest: &manifest, tokenizer: &tokenizer, windowing, provider: placement.provider };
        let topics = manifest.topics.clone().map(|head| trial.fit_topics(&manifest, head)).transpose()?;
        let WordLists { truecaser, names } = opened.lists;
        let entities = manifest.entities.clone().map(|head| trial.fit_entities(&manifest, head, names)).transpose()?;
        let scheduler = SchedulerSettings {
            max_queued_windows: settings.max_queued_windows,
            limits: BatchLimits::ALONE,
            padding: source.padding(),
            cores: (!placement.provider.is_gpu()).then(|| SharedCores::of_process(n_streams(&placement, settings))),
        };
        let scheduler = Scheduler::start(scheduler, opened.sessions)?;
        let scores_notes = scores_notes(&manifest, topics.as_ref(), entities.as_ref());
        let text_rules = manifest.text_rules;
        let pipeline = Pipeline { text_rules, truecaser, tokenizer, windowing, scheduler, topics, entities };
        let baseline = Baselines::in_folder(&manifest.dir, &opened.version)?;
        let model = Self {
            name: spec.name.clone(),
            version: opened.version,
            n_streams: n_streams(&placement, settings),
            stuck_after: settings.stuck_after(),
            manifest,
            placement,
            arithmetic: opened.arithmetic,
            traffic: Traffic::of(&pipeline),
            baseline: ArcSwapOption::from_pointee(baseline),
            pipeline: Arc::new(pipeline),
            scores_notes,
            complete: OnceLock::new(),
        };
        Ok((model, deferred))
    }

    /// What is normal for this version, where its folder says so.
    pub fn baseline(&self) -> Option<Arc<Samples>> {
        self.baseline.load_full()
    }

    /// Reads the baseline in the folder again, which must still hold this version. One that cannot be read leaves the old one in
    /// use; without a file there is none.
    pub async fn reload_baseline(&self) -> Result<(), LoadError> {
        let (dir, version) = (self.manifest.dir.clone(), self.version.clone());
        let baseline = background::run(move || Baselines::in_folder(&dir, &version)).await??;
        self.baseline.store(baseline.map(Arc::new));
        Ok(())
    }

    /// Which windows share a run.
    pub fn batch_limits(&self) -> BatchLimits {
        self.complete.get().map_or(BatchLimits::ALONE, |complete| complete.limits)
    }

    /// By how much the process grew when the model was loaded, in bytes; `None` where it is not known (yet).
    pub fn resident_bytes(&self) -> Option<u64> {
        self.complete.get().and_then(|complete| complete.resident_bytes)
    }

    /// What is special about how its graph is run, in sentences for the report.
    pub fn notes(&self) -> Vec<String> {
        const PENDING: &str = "whether windows may share a run is still being checked";
        let reason = self.complete.get().map_or_else(|| Some(PENDING.to_owned()), |complete| complete.reason.clone());
        let mut notes = sharing::notes(&self.manifest, reason);
        notes.extend(self.scores_notes.iter().cloned());
        notes
    }

    /// Name, content, and what else its scores depend on.
    pub fn fingerprint(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name,
            "version": self.version,
            "provider": self.placement.provider.to_string(),
            "arithmetic": self.arithmetic.as_str(),
        })
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
        let answer = self.pipeline.predict(example.text.as_str(), options).await;
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

impl Incomplete {
    /// Opens the other sessions of `model`, at low priority. Where that fails, the model continues with its first session.
    pub async fn complete(self, model: &Model) -> Result<(), LoadError> {
        let Self { deferred, grown } = self;
        let before = resident_bytes();
        let scheduler = &model.pipeline.scheduler;
        let opened = async {
            let OtherSessions { streams, sharing } = background::run(move || deferred.open()).await??;
            // The memory that was used to read the files.
            tokio::task::spawn_blocking(trim_memory).await.map_err(|_| BackgroundError::Broken)?;
            streams.into_iter().try_for_each(|stream| scheduler.add_stream(stream))?;
            Ok::<_, LoadError>(sharing)
        };
        let opened = opened.await;
        let (limits, reason) = match &opened {
            Ok(sharing) => (sharing.limits, sharing.reason.clone()),
            Err(error) => (BatchLimits::ALONE, Some(format!("its other sessions cannot be opened: {error}"))),
        };
        scheduler.set_limits(limits);
        let resident_bytes = grown.step(before, resident_bytes()).bytes();
        // Set once, since `complete` consumes what it is made of.
        let _ = model.complete.set(Complete { limits, reason, resident_bytes });
        opened.map(drop)
    }
}

impl Growth {
    /// Adds a step, in which the process may have shrunk.
    fn step(self, before: Option<u64>, after: Option<u64>) -> Self {
        let grown = before.zip(after).map(|(before, after)| after as i64 - before as i64);
        match self.0 {
            None => Self(grown),
            Some(sum) => Self(grown.map(|grown| sum + grown)),
        }
    }

    fn bytes(self) -> Option<u64> {
        self.0.map(|bytes| bytes.max(0) as u64)
    }
}

/// Bytes of memory that the process holds, where `/proc` says it.
pub(crate) fn resident_bytes() -> Option<u64> {
    process::resident_bytes(&std::fs::read_to_string("/proc/self/status").ok()?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::inference::settings::Provider;

    #[test]
    fn a_model_is_not_charged_for_another_that_is_loaded_between_its_steps() {
        let step = |grown: Growth, before, after| grown.step(Some(before), Some(after));
        let (first, second) = (step(Growth::default(), 100, 300), step(Growth::default(), 300, 1000));
        let (first, second) = (step(first, 1000, 1050), step(second, 1050, 950));
        assert_eq!((first.bytes(), second.bytes()), (Some(250), Some(600)));
        assert_eq!(step(Growth::default(), 200, 100).bytes(), Some(0));
        assert_eq!(Growth::default().step(None, Some(1)).bytes(), None);
    }

    #[tokio::test]
    async fn a_model_has_as_many_streams_as_are_set() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/two-heads");
        let spec = ModelSpec { name: "two-heads".to_owned(), path };
        for n_streams in [1, 2, 3] {
            let settings = RunSettings { providers: vec![Provider::Cpu], n_streams, ..RunSettings::default() };
            let model = Model::load(&spec, &settings).await.unwrap();
            assert_eq!(model.pipeline.scheduler.n_streams(), n_streams);
        }
    }

    #[tokio::test]
    async fn models_on_the_cpu_share_the_cores() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/two-heads");
        let spec = ModelSpec { name: "two-heads".to_owned(), path };
        let settings = RunSettings { providers: vec![Provider::Cpu], n_streams: 1, ..RunSettings::default() };
        let model = Model::load(&spec, &settings).await.unwrap();
        let cores = model.pipeline.scheduler.cores().expect("a model on the CPU shares the cores");
        assert!(std::ptr::eq(cores, SharedCores::of_process(1)));
    }
}
