//! `POST /v1/classify`: one text or many documents in, topics and entities out, in the order of the request.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};

use super::App;
use super::body::read_body;
use super::error::{Code, Problem};
use super::observe::count_document;
use super::schema::{ClassifyRequest, DocumentBodyOut, FailureBody, Input, InputDocument, Options, ResultsBody};
use crate::answer::{Answer, AnswerModels, AnswerStyle};
use crate::cache::{CacheKey, PredictionCache};
use crate::pipeline::{PredictError, PredictOptions, Prediction};
use crate::registry::Assignment;
use crate::scheduler::{Admission, RequestId, Turn};
use crate::shadow::{LiveAnswer, Shadow};
use crate::task::Tasks;

/// How many documents of one request are under way at a time: enough to fill every stream, few enough to let other requests in.
const DOCUMENTS_UNDER_WAY: usize = 32;

pub async fn classify(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let deadline = Instant::now() + app.limits.timeout;
    let work = async {
        let body = read_body(request, &app.limits).await?;
        let request = ClassifyRequest::parse(&body, &app.limits)?;
        let job = Job::new(&app, request.options, deadline)?;
        match request.input {
            Input::One(text) => Ok(Json(job.answer(None, text, Admission::Try).await?).into_response()),
            Input::Many(documents) => Ok(Json(job.answer_all(documents).await?).into_response()),
        }
    };
    tokio::time::timeout_at(deadline.into(), work).await.unwrap_or_else(|_| {
        let detail = format!(
            "no answer within {} s; send less text at once, or start the server with a longer --timeout-s",
            app.limits.timeout.as_secs_f32()
        );
        Err(Problem::new(Code::DeadlineExceeded, detail))
    })
}

/// The language of topic labels as the model spells it: `EN` and `en-GB` are `en`.
fn known_language(models: &Assignment, tag: &str) -> Result<String, Problem> {
    let labels = models.topics.as_ref().map_or(&[][..], |model| model.topic_labels());
    let known: BTreeSet<&String> = labels.iter().flat_map(|label| label.names.keys()).collect();
    let primary = tag.split('-').next().unwrap_or_default();
    let found = known.iter().find(|known| known.eq_ignore_ascii_case(tag) || known.eq_ignore_ascii_case(primary));
    found.map(|known| (*known).clone()).ok_or_else(|| {
        let detail = format!("label_language `{tag}` is not one that the model's topics have ({known:?}); leave it out for the labels themselves");
        Problem::new(Code::InvalidRequest, detail)
    })
}

/// A request on its way: its models and how to read with them.
struct Job {
    models: Assignment,
    options: Options,
    style: AnswerStyle,
    request: RequestId,
    deadline: Instant,
    cache: Option<Arc<PredictionCache>>,
    shadow: Option<Arc<Shadow>>,
}

impl Job {
    fn new(app: &App, options: Options, deadline: Instant) -> Result<Self, Problem> {
        let models = app.registry.assign(options.tasks, &options.models)?;
        let label_language = options.label_language.as_deref().map(|tag| known_language(&models, tag)).transpose()?;
        let style = AnswerStyle { top_k: options.top_k, offset_unit: options.offset_unit, label_language };
        Ok(Self {
            models,
            options,
            style,
            request: RequestId::next(),
            deadline,
            cache: app.cache.clone(),
            shadow: app.shadow.load_full(),
        })
    }

    /// All documents, each with an answer or a problem in its place.
    ///
    /// Only the first is refused by a full queue, and with it the request; the others wait for their turn.
    async fn answer_all(&self, documents: Vec<InputDocument>) -> Result<ResultsBody, Problem> {
        let first_good = documents.iter().position(|document| document.text.is_ok());
        let answers = stream::iter(documents.into_iter().enumerate()).map(|(index, document)| async move {
            let admission = if Some(index) == first_good { Admission::Try } else { Admission::Wait };
            match document.text {
                Ok(text) => {
                    self.answer(document.id.clone(), text, admission).await.map_err(|problem| (document.id, problem))
                }
                Err(problem) => Err((document.id, problem)),
            }
        });
        let mut answers = answers.buffered(DOCUMENTS_UNDER_WAY);
        let mut results = Vec::new();
        while let Some(answer) = answers.next().await {
            results.push(match answer {
                Ok(result) => DocumentBodyOut::Result(Box::new(result)),
                Err((_, problem)) if problem.concerns_whole_request() => return Err(problem),
                Err((id, problem)) => DocumentBodyOut::Failure(FailureBody { id, error: problem.body() }),
            });
        }
        Ok(ResultsBody { results, models: AnswerModels::of(&self.models) })
    }

    async fn answer(&self, id: Option<String>, text: Arc<str>, admission: Admission) -> Result<Answer, Problem> {
        let (started, options) = (Instant::now(), self.predict_options(admission));
        let prediction = self.predict(&text, options).await.map_err(Problem::from);
        count_document(prediction.as_ref().map(|prediction| prediction.usage).map_err(|problem| problem.code));
        let prediction = prediction?;
        self.show_to_shadow(&text, &prediction, options, started.elapsed());
        Ok(Answer::new(id, &text, prediction, &self.models, &self.style))
    }

    /// What the models say of the text, now or before.
    async fn predict(&self, text: &Arc<str>, options: PredictOptions) -> Result<Prediction, PredictError> {
        let cache = self.cache.as_ref().map(|cache| (cache, CacheKey::new(text, &self.models, &options)));
        if let Some(known) = cache.as_ref().and_then(|(cache, key)| cache.get(key)) {
            return Ok(known);
        }
        let prediction = self.models.predict(Arc::clone(text), options).await?;
        if let Some((cache, key)) = cache {
            cache.insert(key, &prediction);
        }
        Ok(prediction)
    }

    /// Lets the candidate in the shadow, if there is one, read along in its own time.
    fn show_to_shadow(&self, text: &Arc<str>, prediction: &Prediction, options: PredictOptions, elapsed: Duration) {
        let Some(shadow) = self.shadow.as_ref().filter(|shadow| shadow.wants_next()).map(Arc::clone) else { return };
        let live = LiveAnswer {
            text: Arc::clone(text),
            prediction: prediction.clone(),
            models: self.models.clone(),
            options,
            elapsed,
        };
        tokio::spawn(async move { shadow.observe(live).await });
    }

    fn predict_options(&self, admission: Admission) -> PredictOptions {
        PredictOptions {
            tasks: Tasks::BOTH,
            topic_threshold: self.options.threshold.topics,
            entity_threshold: self.options.threshold.entities.unwrap_or(0.0),
            aggregation: self.options.aggregation,
            overflow: self.options.overflow,
            turn: Turn { request: self.request, priority: self.options.priority, admission, deadline: self.deadline },
        }
    }
}
