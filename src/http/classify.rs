//! `POST /v1/classify`: one text or many documents in, topics and entities out, in the order of the request.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};

use super::App;
use super::body::read_body;
use super::error::{Code, Problem};
use super::observe::count_document;
use super::schema::{ClassifyRequest, DocumentBodyOut, FailureBody, Input, InputDocument, Options, ResultsBody};
use crate::classify::answer::{Answer, AnswerModels, AnswerStyle};
use crate::classify::cache::{CacheKey, PredictionCache};
use crate::classify::shadow::{LiveAnswer, Shadow};
use crate::inference::pipeline::{PredictError, PredictOptions, Prediction};
use crate::inference::scheduler::{Admission, RequestContext, RequestId};
use crate::manifest::task::Tasks;
use crate::models::registry::Assignment;

/// How many documents of one request are under way at a time: enough to fill every stream, few enough to let other requests in.
const DOCUMENTS_UNDER_WAY: usize = 32;

const JSON_LINES: &str = "application/x-ndjson";

pub async fn classify(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let deadline = Instant::now() + app.limits.timeout;
    let in_lines = accepts_lines(request.headers());
    let work = async {
        let body = read_body(request, &app.limits).await?;
        let request = ClassifyRequest::parse(&body, &app.limits)?;
        let job = Job::new(&app, request.options, deadline)?;
        match request.input {
            Input::One(text) => Ok(Json(job.answer(None, text, Admission::Try).await?).into_response()),
            Input::Many(documents) if in_lines => Arc::new(job).answer_in_lines(documents).await,
            Input::Many(documents) => Ok(Json(Arc::new(job).answer_all(documents).await?).into_response()),
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

/// Whether the caller asks for JSON lines.
fn accepts_lines(headers: &HeaderMap) -> bool {
    let accepted =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    let mut media_types = accepted.filter_map(|range| range.split(';').next());
    media_types.any(|media_type| media_type.trim().eq_ignore_ascii_case(JSON_LINES))
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

/// A document of many: its answer, or its id and what is wrong.
struct DocumentAnswer(Result<Answer, (Option<String>, Problem)>);

impl DocumentAnswer {
    /// A problem that is none of the document's own.
    fn fault_of_service(&self) -> Option<Problem> {
        let (_, problem) = self.0.as_ref().err()?;
        problem.concerns_whole_request().then(|| problem.clone())
    }

    fn into_body(self) -> DocumentBodyOut {
        match self.0 {
            Ok(result) => DocumentBodyOut::Result(Box::new(result)),
            Err((id, problem)) => DocumentBodyOut::Failure(FailureBody { id, error: problem.body() }),
        }
    }

    fn into_line(self) -> String {
        // Plain structs of strings and numbers: there is nothing that cannot be written.
        let line = serde_json::to_string(&self.into_body()).unwrap_or_default();
        line + "\n"
    }
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
    async fn answer_all(self: Arc<Self>, documents: Vec<InputDocument>) -> Result<ResultsBody, Problem> {
        let models = AnswerModels::of(&self.models);
        let mut answers = pin!(self.answers(documents));
        let mut results = Vec::new();
        while let Some(answer) = answers.next().await {
            if let Some(problem) = answer.fault_of_service() {
                return Err(problem);
            }
            results.push(answer.into_body());
        }
        Ok(ResultsBody { results, models })
    }

    /// A line for each document as soon as it and those before it are done. A status can be given until the first goes out.
    async fn answer_in_lines(self: Arc<Self>, documents: Vec<InputDocument>) -> Result<Response, Problem> {
        let n_before = documents.iter().take_while(|document| document.text.is_err()).count();
        let mut answers = Box::pin(self.answers(documents));
        let first: Vec<DocumentAnswer> = answers.by_ref().take(n_before + 1).collect().await;
        if let Some(problem) = first.iter().find_map(DocumentAnswer::fault_of_service) {
            return Err(problem);
        }
        let lines = stream::iter(first).chain(answers).map(|answer| Ok::<_, Infallible>(answer.into_line()));
        Ok(([(CONTENT_TYPE, JSON_LINES)], Body::from_stream(lines)).into_response())
    }

    /// The documents' answers in order.
    ///
    /// Only the first is refused by a full queue, and with it the request; the others wait for their turn.
    fn answers(self: Arc<Self>, documents: Vec<InputDocument>) -> impl Stream<Item = DocumentAnswer> + Send + use<> {
        let first_good = documents.iter().position(|document| document.text.is_ok());
        let answer = move |(index, document): (usize, InputDocument)| {
            let job = Arc::clone(&self);
            async move {
                let admission = if Some(index) == first_good { Admission::Try } else { Admission::Wait };
                let answer = match document.text {
                    Ok(text) => job.answer(document.id.clone(), text, admission).await,
                    Err(problem) => Err(problem),
                };
                DocumentAnswer(answer.map_err(|problem| (document.id, problem)))
            }
        };
        stream::iter(documents.into_iter().enumerate()).map(answer).buffered(DOCUMENTS_UNDER_WAY)
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
            context: RequestContext {
                request: self.request,
                priority: self.options.priority,
                admission,
                deadline: self.deadline,
            },
        }
    }
}
