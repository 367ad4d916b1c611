//! [`Classifier`]: a checked text in, an answer out. HTTP, files and evaluation all call it.
//!
//! Every document runs as a task. It finishes, or meets its deadline, even when nobody polls its request: a client that stops
//! reading keeps no permit of the queue.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt, stream};
use tokio::task::JoinHandle;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::classify::answer::Answer;
use crate::classify::cache::{CacheKey, PredictionCache};
use crate::classify::error::ClassifyError;
use crate::classify::request::{CheckedText, ClassifyOptions};
use crate::classify::shadow::{LiveAnswer, Shadow};
use crate::inference::encoded::Document;
use crate::inference::pipeline::{PredictOptions, Prediction};
use crate::inference::scheduler::{Admission, RequestContext};
use crate::manifest::task::{Task, Tasks};
use crate::models::registry::Assignment;
use crate::system::budget::{MemoryBudget, MemoryUse, Reserved};
use crate::system::metric_names::{DOCUMENTS, DOCUMENTS_CACHED, TOKENS, WINDOWS};
use crate::system::spans::SPANS;

/// The models and options of one request, or of one run over files.
pub struct Classifier {
    pub models: Assignment,
    pub options: ClassifyOptions,
    /// `None`: every text is classified again.
    pub cache: Option<Arc<PredictionCache>>,
    /// The memory that documents under way may take; `None`: as much as they need.
    pub memory: Option<Arc<MemoryBudget>>,
    /// A candidate model that classifies a share of the same texts.
    pub shadow: Option<Arc<Shadow>>,
}

/// A document under way. Dropping it aborts the task, so that an abandoned request costs no further run.
#[derive(Debug)]
pub struct DocumentTask(JoinHandle<Result<Answer, ClassifyError>>);

impl Classifier {
    /// Classifies one document, once there is memory for it. It waits for the memory here, so that of several documents the
    /// first has it first.
    pub async fn start(self: &Arc<Self>, text: CheckedText, context: RequestContext) -> DocumentTask {
        let memory = self.reserve(&text, context).await;
        let classifier = Arc::clone(self);
        let answer = async move { classifier.counted_answer(memory, text, context).await };
        DocumentTask(tokio::spawn(answer.instrument(document_span())))
    }

    /// Classifies one document.
    pub fn classify(self: &Arc<Self>, text: CheckedText, context: RequestContext) -> DocumentTask {
        let classifier = Arc::clone(self);
        let answer = async move {
            let memory = classifier.reserve(&text, context).await;
            classifier.counted_answer(memory, text, context).await
        };
        DocumentTask(tokio::spawn(answer.instrument(document_span())))
    }

    /// Classifies documents, at most `n_at_once` at the same time, and gives their answers in order. An error in place of a
    /// text is passed on.
    ///
    /// A full queue may refuse the first text only, and with it the request. The follow-up documents wait for capacity. Memory is
    /// reserved in their order: an answer that waits for the one before it never holds what that one waits for.
    pub fn classify_all<T, E>(
        self: Arc<Self>,
        texts: T,
        context: RequestContext,
        n_at_once: usize,
    ) -> impl Stream<Item = Result<Answer, E>> + Send + use<T, E>
    where
        T: IntoIterator<Item = Result<CheckedText, E>, IntoIter: Send>,
        E: From<ClassifyError> + Send,
    {
        let mut next = context;
        let start = move |text: Result<CheckedText, E>| {
            let wait = RequestContext { admission: Admission::Wait, ..context };
            let context = if text.is_ok() { std::mem::replace(&mut next, wait) } else { wait };
            let classifier = Arc::clone(&self);
            async move { Ok(classifier.start(text?, context).await) }
        };
        let finish = |task: Result<DocumentTask, E>| async { Ok(task?.await?) };
        stream::iter(texts).then(start).map(finish).buffered(n_at_once)
    }

    async fn counted_answer(
        &self,
        memory: Result<Option<Reserved>, ClassifyError>,
        text: CheckedText,
        context: RequestContext,
    ) -> Result<Answer, ClassifyError> {
        let answer = match memory {
            Ok(memory) => self.answer(&text, memory, context).await,
            Err(error) => Err(error),
        };
        count_document(&answer);
        answer
    }

    async fn answer(
        &self,
        text: &CheckedText,
        mut memory: Option<Reserved>,
        context: RequestContext,
    ) -> Result<Answer, ClassifyError> {
        let (started, options) = (Instant::now(), self.predict_options(context));
        let key = self.cache.as_ref().map(|cache| (cache, CacheKey::new(text.as_str(), &self.models, &options)));
        let known = key.as_ref().and_then(|(cache, key)| cache.get(key));
        let cached = known.is_some();
        let document = Document::new(text.shared());
        let prediction = match known {
            Some(prediction) => prediction,
            None => {
                let prediction = Arc::new(self.models.predict(document.clone(), options).await?);
                if let Some((cache, key)) = key {
                    cache.insert(key, Arc::clone(&prediction));
                }
                prediction
            }
        };
        self.count_by_model(&prediction);
        self.show_to_shadow(text, &document, &prediction, options, (!cached).then(|| started.elapsed()));
        let mut answer = Answer::new(text, &prediction, &self.models, &self.options);
        answer.usage.cached = cached;
        if let Some(memory) = &mut memory {
            // It is less than before, which always fits.
            let _ = memory.resize(answer.n_bytes_about());
        }
        answer.memory = memory;
        Ok(answer)
    }

    /// Counts the document for each model that answered.
    fn count_by_model(&self, prediction: &Prediction) {
        match (&self.models.topics, &self.models.entities) {
            (Some(topics), Some(entities)) if Arc::ptr_eq(topics, entities) => {
                topics.traffic.count(prediction, &[Task::Topics, Task::Entities]);
            }
            (topics, entities) => {
                topics.iter().for_each(|model| model.traffic.count(prediction, &[Task::Topics]));
                entities.iter().for_each(|model| model.traffic.count(prediction, &[Task::Entities]));
            }
        }
    }

    /// The memory for a document, from its text to its answer. Like permits, it is refused or waited for.
    async fn reserve(&self, text: &CheckedText, context: RequestContext) -> Result<Option<Reserved>, ClassifyError> {
        /// Bytes for each byte of a text: its normalized form, tokens, windows, logits and entities.
        const COST: u64 = 32;
        let Some(budget) = &self.memory else { return Ok(None) };
        let n_bytes = COST * text.as_str().len() as u64;
        if context.admission == Admission::Try {
            let reserved = budget.try_reserve(n_bytes, MemoryUse::Document);
            return Ok(Some(reserved?));
        }
        let reserved = tokio::time::timeout_at(context.deadline.into(), budget.reserve(n_bytes, MemoryUse::Document));
        reserved.await.map(Some).map_err(|_| {
            let detail = "the deadline passed while the text waited for memory; send less text at once, or start the server with a higher --request-memory-mb";
            ClassifyError::DeadlineExceeded(detail.to_owned())
        })
    }

    /// Lets the shadow model, if there is one, classify the same text without delaying the answer.
    fn show_to_shadow(
        &self,
        text: &CheckedText,
        document: &Document,
        prediction: &Arc<Prediction>,
        options: PredictOptions,
        elapsed: Option<Duration>,
    ) {
        let Some(shadow) = self.shadow.as_ref().filter(|shadow| shadow.wants_next()).map(Arc::clone) else { return };
        let live = LiveAnswer {
            text: text.joined(),
            document: document.for_later(),
            prediction: Arc::clone(prediction),
            models: self.models.clone(),
            // The candidate is compared by its answers alone.
            options: PredictOptions { evidence: false, ..options },
            elapsed,
        };
        tokio::spawn(async move { shadow.observe(live).await });
    }

    fn predict_options(&self, context: RequestContext) -> PredictOptions {
        PredictOptions {
            tasks: Tasks::BOTH,
            topic_threshold: self.options.threshold.topics,
            aggregation: self.options.aggregation,
            overflow: self.options.overflow,
            text_rules: self.options.text_rules,
            evidence: self.options.evidence,
            context,
        }
    }
}

impl Future for DocumentTask {
    type Output = Result<Answer, ClassifyError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|joined| {
            joined.unwrap_or_else(|_| {
                // Not the panic's message, which may quote the text.
                tracing::error!("the task of a document panicked");
                Err(ClassifyError::Internal("the document could not be classified; see the log of the service".into()))
            })
        })
    }
}

impl Drop for DocumentTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A document within the span of its request.
fn document_span() -> Span {
    let (outcome, tokens, windows, cached) = (Empty, Empty, Empty, Empty);
    tracing::info_span!(target: SPANS, "document", outcome, tokens, windows, cached)
}

fn count_document(answer: &Result<Answer, ClassifyError>) {
    let outcome = answer.as_ref().map_or_else(ClassifyError::code, |_| "ok");
    metrics::counter!(DOCUMENTS.name, "outcome" => outcome).increment(1);
    let span = Span::current();
    span.record("outcome", outcome);
    let Ok(Answer { usage, .. }) = answer else { return };
    span.record("tokens", usage.tokens).record("windows", usage.windows).record("cached", usage.cached);
    if usage.cached {
        metrics::counter!(DOCUMENTS_CACHED.name).increment(1);
        return;
    }
    metrics::counter!(TOKENS.name).increment(usage.tokens as u64);
    metrics::counter!(WINDOWS.name).increment((usage.windows + usage.evidence_windows) as u64);
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::inference::scheduler::{Priority, RequestId};

    /// A classifier without a model, and what takes all of its memory.
    fn without_memory() -> (Arc<Classifier>, Vec<Reserved>) {
        let budget = MemoryBudget::new(1000);
        let taken = [375, 375, 250].map(|n| budget.try_reserve(n, MemoryUse::Document).unwrap());
        assert_eq!(budget.n_used(), budget.max());
        let (models, options) = (Assignment::default(), ClassifyOptions::default());
        let classifier = Classifier { models, options, cache: None, memory: Some(budget), shadow: None };
        (Arc::new(classifier), taken.into())
    }

    fn context(admission: Admission, timeout: Duration) -> RequestContext {
        let deadline = Instant::now() + timeout;
        RequestContext { request: RequestId::next(), priority: Priority::Normal, admission, deadline }
    }

    fn text() -> CheckedText {
        CheckedText::new("Ulm".into(), 10).unwrap()
    }

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn a_new_document_without_memory_is_refused_at_once() {
        let (classifier, _taken) = without_memory();
        let refused = classifier.classify(text(), context(Admission::Try, LONG)).await.unwrap_err();
        assert!(matches!(refused, ClassifyError::MemoryFull(_)), "{refused:?}");
    }

    #[tokio::test]
    async fn an_admitted_document_waits_for_memory_until_its_deadline() {
        let (classifier, taken) = without_memory();
        let late = classifier.classify(text(), context(Admission::Wait, Duration::ZERO)).await.unwrap_err();
        assert!(matches!(late, ClassifyError::DeadlineExceeded(_)), "{late:?}");
        let mut waiting = Box::pin(classifier.start(text(), context(Admission::Wait, LONG)));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(taken);
        let answer = waiting.await.await.unwrap();
        let n_used = classifier.memory.as_ref().unwrap().n_used();
        assert_eq!(n_used, answer.n_bytes_about().min(375), "an answer holds what it takes, and no more");
    }

    #[tokio::test]
    async fn only_the_first_text_of_several_can_be_refused() {
        let (classifier, taken) = without_memory();
        let bad = || Err(ClassifyError::NoTopics);
        let texts = [bad(), Ok(text()), Ok(text()), bad(), Ok(text())];
        let mut answers = Box::pin(classifier.classify_all(texts, context(Admission::Try, LONG), 2));
        assert!(matches!(answers.next().await, Some(Err(ClassifyError::NoTopics))));
        assert!(matches!(answers.next().await, Some(Err(ClassifyError::MemoryFull(_)))));
        assert!(answers.next().now_or_never().is_none());
        drop(taken);
        assert!(matches!(answers.next().await, Some(Ok(_))));
        assert!(matches!(answers.next().await, Some(Err(ClassifyError::NoTopics))));
        assert!(matches!(answers.next().await, Some(Ok(_))));
        assert!(answers.next().await.is_none());
    }
}
