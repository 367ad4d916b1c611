//! The data path, for one document and one model: view the text as a reader would, restore the letter case, tokenize into
//! windows, run, stitch, decode.
//!
//! [`Pipeline::predict`] is the path; its options are in [`PredictOptions`].

mod fuzz;
mod measure;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use ndarray::Array2;
use tracing::Instrument;

use crate::inference::batch::{WindowHead, WindowLogits};
use crate::inference::decode::entities::decode_entities;
use crate::inference::decode::entity::Entity;
use crate::inference::decode::received::in_received_text;
use crate::inference::decode::scores::to_logits;
use crate::inference::decode::source::Source;
use crate::inference::decode::tag_scheme::TagScheme;
use crate::inference::decode::topics::{Topic, decode_topics};
use crate::inference::encoded::{Document, Encoded, Encoding, EncodingKey};
use crate::inference::evidence::{Occlusion, exact, passages};
pub use crate::inference::prediction::{Prediction, TokenCounts, Usage};
use crate::inference::scheduler::{RequestContext, ScheduleError, Scheduler};
use crate::inference::stats::{Stage, stage_span};
use crate::inference::stitch::{TokenRows, owners, pool, stitch};
use crate::inference::token_mean::TokenMean;
use crate::inference::tokenize::{TokenizeError, Tokenizer, Tokens, Window};
use crate::inference::windows::{Sentences, Windowing};
use crate::inference::workers::workers;
use crate::manifest::TopicHead;
use crate::manifest::task::{AggregationStrategy, Tasks};
use crate::manifest::text_rules::{TextRule, TextRules};
use crate::system::choice::UnknownWord;
use crate::text::gaps::{GapRules, gaps};
use crate::text::truecase::Truecaser;
use crate::text::view::ViewRules;

/// A model, ready to read documents.
pub struct Pipeline {
    /// The rules of callers that name none.
    pub text_rules: TextRules,
    /// `None`: the model reads every text in its letter case as received.
    pub truecaser: Option<Truecaser>,
    pub tokenizer: Arc<Tokenizer>,
    pub windowing: Windowing,
    pub scheduler: Scheduler,
    pub topics: Option<TopicHead>,
    pub entities: Option<EntityTags>,
}

/// How the logits of an entity head are read.
pub struct EntityTags {
    pub scheme: TagScheme,
    /// The strategy of callers that name none.
    pub aggregation: AggregationStrategy,
    /// What a name must reach in an answer, for callers that name no threshold; in 0..=1.
    pub threshold: f32,
}

/// What happens to a text that is longer than one window.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(serialize_all = "lowercase", const_into_str, parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::among::<Overflow>)]
pub enum Overflow {
    /// It is read whole, in overlapping windows.
    #[default]
    Window,
    /// Only its first window is read, and the answer says so.
    Truncate,
    /// It is refused.
    Error,
}

/// How a document is read.
#[derive(Debug, Clone, Copy)]
pub struct PredictOptions {
    /// Tasks that the model lacks are passed over.
    pub tasks: Tasks,
    /// In 0..=1; replaces the thresholds of the labels.
    pub topic_threshold: Option<f32>,
    /// `None`: the model's own.
    pub aggregation: Option<AggregationStrategy>,
    pub overflow: Overflow,
    /// Rules without a switch are as the model's folder says, else on.
    pub text_rules: TextRules,
    /// Whether accepted topics come with the passages that carry them.
    pub evidence: bool,
    pub context: RequestContext,
}

#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    #[error(
        "the text has {n_tokens} tokens, and a window of this model holds {capacity}; shorten it, or ask for overflow `window` (reads it whole) or `truncate`"
    )]
    Overflow { n_tokens: usize, capacity: usize },
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

/// A document as its model reads it.
struct Reading {
    encoded: Arc<Encoded>,
    /// Those in `windows`.
    tokens: Arc<Tokens>,
    sentences: Sentences,
    windows: Vec<Window>,
    usage: Usage,
}

/// A document whose windows were run.
struct ReadText {
    reading: Reading,
    /// The tokens of each window.
    ranges: Vec<Range<usize>>,
    logits: Vec<WindowLogits>,
}

/// A document's topic logits.
struct TopicLogits {
    row: Vec<f32>,
    /// `[N, L]`, and how the row came from them, where the head gives logits for each token.
    by_token: Option<(Array2<f32>, TokenMean)>,
}

#[derive(Default)]
struct Decoded {
    prediction: Prediction,
    /// What is left to measure.
    occlusion: Option<Occlusion>,
}

impl PredictOptions {
    /// Both tasks, every entity, the model's own thresholds and strategy, texts read whole.
    pub fn new(context: RequestContext) -> Self {
        Self {
            tasks: Tasks::BOTH,
            topic_threshold: None,
            aggregation: None,
            overflow: Overflow::Window,
            text_rules: TextRules::default(),
            evidence: false,
            context,
        }
    }
}

impl Pipeline {
    /// Reads one document: the whole data path.
    pub async fn predict(
        self: &Arc<Self>,
        document: impl Into<Document>,
        options: PredictOptions,
    ) -> Result<Prediction, PredictError> {
        let run = self.run(document.into(), options).await?;
        let pipeline = Arc::clone(self);
        let decode = move || pipeline.decode(&run, options);
        let started = Instant::now();
        let Decoded { mut prediction, occlusion } =
            workers().run_once(options.context, decode).instrument(stage_span(Stage::Decode)).await?;
        self.scheduler.stats().observe(Stage::Decode, started);
        if let Some(occlusion) = occlusion {
            let (evidence, n_windows) = self.measure(&occlusion, options).await?;
            prediction.evidence = Some(evidence);
            prediction.usage.n_evidence_windows = n_windows;
        }
        Ok(prediction)
    }

    /// From a text to the logits of its windows.
    async fn run(self: &Arc<Self>, document: Document, options: PredictOptions) -> Result<ReadText, PredictError> {
        let admitted = self.scheduler.admit(self.windowing.n_windows_about(&document.text), options.context).await?;
        let started = Instant::now();
        let mut reading = self.prepare(document, options).instrument(stage_span(Stage::Tokenize)).await?;
        self.scheduler.stats().observe(Stage::Tokenize, started);
        let windows = std::mem::take(&mut reading.windows);
        let ranges = windows.iter().map(|window| window.tokens.clone()).collect();
        let logits = self.scheduler.run_admitted(windows, admitted, options.context).await?;
        Ok(ReadText { reading, ranges, logits })
    }

    /// From a text to windows. The tokens may be those that another model has made.
    async fn prepare(self: &Arc<Self>, document: Document, options: PredictOptions) -> Result<Reading, PredictError> {
        let mut first = None;
        let encoding = document.encoding(self.encoding_key(options));
        let encode = async {
            let (encoded, reading) = self.encode(document.text, options).await?;
            first = Some(reading);
            Ok::<_, PredictError>(encoded)
        };
        let encoded = Arc::clone(encoding.get_or_try_init(|| encode).await?);
        match first {
            Some(reading) => reading,
            None => {
                let pipeline = Arc::clone(self);
                workers().run_once(options.context, move || pipeline.read(encoded, options)).await?
            }
        }
    }

    /// From a text to its tokens, in pieces, and in the last piece to its windows.
    async fn encode(
        self: &Arc<Self>,
        text: Arc<str>,
        options: PredictOptions,
    ) -> Result<(Arc<Encoded>, Result<Reading, PredictError>), PredictError> {
        let (pipeline, mut under_way) = (Arc::clone(self), None);
        let rules = view_rules(options.text_rules.or(self.text_rules));
        let mut piece = move || -> Result<Option<_>, PredictError> {
            let Some(encoding) = &mut under_way else {
                under_way = Some(Encoding::begin(Arc::clone(&text), rules, pipeline.truecaser.as_ref()));
                return Ok(None);
            };
            let encoded = encoding.step(&pipeline.tokenizer)?.map(Arc::new);
            Ok(encoded.map(|encoded| (Arc::clone(&encoded), pipeline.read(encoded, options))))
        };
        workers().run(options.context, move || piece().transpose()).await?
    }

    fn encoding_key(&self, options: PredictOptions) -> EncodingKey {
        EncodingKey {
            tokenizer: Arc::clone(&self.tokenizer),
            truecase_digest: self.truecaser.as_ref().map(Truecaser::digest),
            rules: view_rules(options.text_rules.or(self.text_rules)),
        }
    }

    /// From tokens to windows.
    fn read(&self, encoded: Arc<Encoded>, options: PredictOptions) -> Result<Reading, PredictError> {
        let (overflow, rules) = (options.overflow, options.text_rules.or(self.text_rules));
        let mut tokens = Arc::clone(&encoded.tokens);
        let (n_tokens, capacity) = (tokens.ids.len(), self.windowing.capacity());
        let overflows = n_tokens > capacity;
        match overflow {
            Overflow::Error if overflows => return Err(PredictError::Overflow { n_tokens, capacity }),
            Overflow::Truncate if overflows => Arc::make_mut(&mut tokens).truncate(capacity),
            Overflow::Error | Overflow::Window | Overflow::Truncate => {}
        }
        let sentences = match tokens.ids.len() {
            n_tokens if n_tokens <= capacity || !rules.is_on(TextRule::Sentences) => Sentences::unknown(n_tokens),
            _ => Sentences::find(encoded.seen(), &tokens, capacity),
        };
        let ranges = self.windowing.cut(&sentences).into_iter();
        let windows: Vec<Window> = ranges.map(|range| self.tokenizer.window(&tokens, range)).collect();
        let usage = Usage {
            n_tokens: tokens.ids.len(),
            n_windows: windows.len(),
            n_evidence_windows: 0,
            truncated: overflows && overflow == Overflow::Truncate,
        };
        Ok(Reading { encoded, tokens, sentences, windows, usage })
    }

    /// From the windows' logits to what the document says.
    fn decode(&self, run: &ReadText, options: PredictOptions) -> Decoded {
        let ReadText { reading, ranges, logits } = run;
        let owners = owners(&reading.sentences, ranges);
        let mut decoded = Decoded::default();
        decoded.prediction.usage = reading.usage;
        let tokens = TokenCounts { n: reading.tokens.ids.len(), n_unknown: self.tokenizer.n_unknown(&reading.tokens) };
        (decoded.prediction.topic_tokens, decoded.prediction.entity_tokens) = (tokens, tokens);
        if let Some(head) = self.topics.as_ref().filter(|_| options.tasks.topics) {
            let found = self.topic_logits(run, &owners);
            let text = reading.encoded.seen();
            let topics = found.as_ref().map(|found| decode_topics(&found.row, text, head, options.topic_threshold));
            let topics = topics.unwrap_or_default();
            if let Some(found) = found.filter(|_| options.evidence) {
                self.explain(reading, head, found, &topics, &mut decoded);
            }
            decoded.prediction.topics = Some(topics);
        }
        decoded.prediction.entities = self.entities.as_ref().filter(|_| options.tasks.entities).map(|head| {
            let heads =
                logits.iter().filter_map(|window| Some(to_logits(window.entities.as_ref()?, head.scheme.graph_scores)));
            let heads: Vec<Cow<'_, WindowHead>> = heads.collect();
            let rows = TokenRows { owners: &owners, windows: ranges, heads: &heads };
            self.decode_entities(head, reading, rows, options)
        });
        decoded
    }

    /// The document's topic logits; `None` for a text without tokens, which is about nothing.
    fn topic_logits(&self, run: &ReadText, owners: &[usize]) -> Option<TopicLogits> {
        let ReadText { ranges, logits, .. } = run;
        let head = self.topics.as_ref()?;
        let heads = logits.iter().filter_map(|window| Some(to_logits(window.topics.as_ref()?, head.scores)));
        let heads: Vec<Cow<'_, WindowHead>> = heads.collect();
        match heads.first()?.as_ref() {
            WindowHead::Sequence(_) => Some(TopicLogits { row: pool(head.pooling, owners, &heads), by_token: None }),
            WindowHead::Token(_) => {
                let by_token = stitch(owners, ranges, &heads);
                let mean = TokenMean::of(&by_token, head.token_pooling)?;
                Some(TopicLogits { row: mean.row.clone(), by_token: Some((by_token, mean)) })
            }
        }
    }

    /// The evidence for the accepted topics, or what it takes to measure it.
    fn explain(
        &self,
        reading: &Reading,
        head: &TopicHead,
        found: TopicLogits,
        topics: &[Topic],
        decoded: &mut Decoded,
    ) {
        let accepted: Vec<usize> = topics.iter().filter(|topic| topic.accepted).map(|topic| topic.index).collect();
        let encoded = &reading.encoded;
        let passages = passages(encoded.received(), encoded.seen(), |span| encoded.to_received(span), &reading.tokens);
        match found.by_token {
            Some((by_token, mean)) => {
                let evidence = exact(&passages, by_token.view(), &mean, &accepted, head.temperature);
                decoded.prediction.evidence = Some(evidence);
            }
            None => {
                let view = reading.encoded.seen();
                decoded.occlusion = Some(Occlusion::new(view, passages, found.row, accepted, head.temperature));
            }
        }
    }

    /// Entities with spans in the text as received.
    fn decode_entities(
        &self,
        head: &EntityTags,
        reading: &Reading,
        rows: TokenRows<'_, Cow<'_, WindowHead>>,
        options: PredictOptions,
    ) -> Vec<Entity> {
        let strategy = options.aggregation.unwrap_or(head.aggregation);
        let (encoded, text) = (&reading.encoded, reading.encoded.seen());
        let gaps = gaps(text, gap_rules(options.text_rules.or(self.text_rules)));
        let source = Source { text, usual: encoded.in_usual_case(), tokens: &reading.tokens, gaps: &gaps };
        let entities = decode_entities(source, |token| rows.row(token), &head.scheme, strategy);
        // Logits that are no numbers make no entity.
        let kept = entities.into_iter().filter(|entity| entity.score >= 0.0).collect();
        // A composed character may replace white space and a character; the span must not include the white space.
        in_received_text(kept, |span| encoded.to_received(span).trim(encoded.received()))
    }
}

/// The gaps of a text that are looked for.
fn gap_rules(rules: TextRules) -> GapRules {
    GapRules {
        addresses: rules.is_on(TextRule::Addresses),
        boundaries: rules.is_on(TextRule::Boundaries),
        slugs: rules.is_on(TextRule::Slugs),
    }
}

/// The rules that the view of a text follows.
fn view_rules(rules: TextRules) -> ViewRules {
    ViewRules {
        html: rules.is_on(TextRule::Html),
        hyphens: rules.is_on(TextRule::Hyphens),
        line_ends: rules.is_on(TextRule::Boundaries),
    }
}
