//! The path of a text with random logits: view, tokens, windows, stitching, decoding.
//!
//! The first bytes choose tokenizer, strategy, window, rules and logits; the rest is the text.

#![no_main]

use std::cell::RefCell;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use ndarray::Array2;
use ressort::inference::batch::{BatchLimits, Padding, RunError, WindowHead, WindowLogits};
use ressort::inference::decode::name_weights::NameWeights;
use ressort::inference::decode::names::NameList;
use ressort::inference::decode::tag_scheme::TagScheme;
use ressort::inference::pipeline::{EntityTags, Overflow, Pipeline, PredictError, PredictOptions, Prediction};
use ressort::inference::scheduler::{Admission, RequestContext, Scheduler, SchedulerSettings, Sessions};
use ressort::inference::tokenize::{Tokenizer, Window};
use ressort::inference::windows::Windowing;
use ressort::manifest::TopicHead;
use ressort::manifest::task::{ALL_STRATEGIES, AggregationStrategy, GraphScores, Pooling, ProblemType, TokenPooling};
use ressort::manifest::text_rules::{ALL_RULES, TextRules, TextSwitch};
use ressort::text::span::{OffsetConverter, OffsetUnit};
use ressort::text::truecase::Truecaser;

const MODELS: [&str; 7] = [
    "bert-cased-ner",
    "bert-uncased-ner",
    "deberta-ner",
    "lexicon-ner-unigram",
    "modernbert-ner",
    "roberta-ner",
    "xlmr-ner",
];
const TAGS: [&[&str]; 4] = [
    &["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
    &["O", "B-PER", "I-PER", "E-PER", "S-PER", "B-ORG", "I-ORG", "E-ORG", "S-ORG"],
    &["O", "PER", "LOC"],
    &["I-PER", "O"],
];
const POOLINGS: [Pooling; 4] = [Pooling::Mean, Pooling::Max, Pooling::First, Pooling::TokenMean];
const N_TOPICS: usize = 3;

static TOKENIZERS: LazyLock<[Arc<Tokenizer>; 7]> = LazyLock::new(|| {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models");
    MODELS.map(|model| {
        let tokenizer = Tokenizer::from_file(&models.join(model).join("tokenizer.json"));
        Arc::new(tokenizer.expect("the models of the tests are readable"))
    })
});

/// What the first bytes choose.
struct Choice {
    model: u8,
    strategy: u8,
    length: u8,
    stride: u8,
    rules: u8,
    heads: u8,
    scale: u8,
    seed: u8,
}

impl Choice {
    fn tokenizer(&self) -> &'static Arc<Tokenizer> {
        &TOKENIZERS[usize::from(self.model) % MODELS.len()]
    }

    /// Windows of 6 to 69 tokens, so that a short text has several of them.
    fn windowing(&self) -> Windowing {
        let special = self.tokenizer().special();
        let n_special = special.prefix.len() + special.suffix.len();
        let capacity = 4 + usize::from(self.length % 64);
        let windowing = Windowing::new(capacity + n_special, usize::from(self.stride) % capacity, n_special);
        windowing.expect("the stride is less than the window")
    }

    fn pooling(&self) -> Pooling {
        POOLINGS[usize::from(self.heads) % POOLINGS.len()]
    }

    fn scores(&self) -> Option<GraphScores> {
        [None, None, Some(GraphScores::Sigmoid), Some(GraphScores::Softmax)][usize::from(self.heads >> 2) % 4]
    }

    fn tags(&self) -> &'static [&'static str] {
        TAGS[usize::from(self.heads >> 4) % TAGS.len()]
    }

    /// Makes `pipeline` that of a model like this. It keeps its scheduler, since dropping one takes long.
    fn change(&self, pipeline: &mut Pipeline) {
        let tags: Vec<String> = self.tags().iter().map(|tag| (*tag).to_owned()).collect();
        let problem_type = if self.heads >= 128 { ProblemType::MultiLabel } else { ProblemType::SingleLabel };
        pipeline.truecaser = (self.rules >= 192).then(truecaser);
        pipeline.tokenizer = Arc::clone(self.tokenizer());
        pipeline.windowing = self.windowing();
        pipeline.topics = Some(TopicHead {
            output: "topics".into(),
            scores: self.scores(),
            labels: Vec::new(),
            default_threshold: None,
            problem_type,
            pooling: self.pooling(),
            token_pooling: TokenPooling {
                lead_tokens: (self.rules > 0).then_some(self.rules.into()),
                part_tokens: (self.seed > 0).then_some(self.seed.into()),
            },
            min_letters: usize::from(self.rules % 4),
            temperature: 1.5,
        });
        let scheme = TagScheme::of(&tags).with_graph_scores(self.scores());
        let names = (self.length >= 64).then(|| NameWeights::new(names(), 6.0, &scheme.tags));
        pipeline.entities = Some(EntityTags {
            threshold: 0.0,
            scheme: scheme.with_one_label_per_name(self.length >= 128).with_names(names),
            aggregation: AggregationStrategy::First,
        });
    }

    fn options(&self) -> PredictOptions {
        let switch = |(bit, &rule): (usize, &_)| TextSwitch { rule, is_on: self.rules >> bit & 1 == 0 };
        PredictOptions {
            aggregation: Some(ALL_STRATEGIES[usize::from(self.strategy) % ALL_STRATEGIES.len()]),
            overflow: if self.strategy >= 240 { Overflow::Truncate } else { Overflow::Window },
            evidence: self.scale >= 224,
            text_rules: ALL_RULES.iter().enumerate().map(switch).collect(),
            ..PredictOptions::new(RequestContext::new(Admission::Try, Instant::now() + Duration::from_secs(60)))
        }
    }

    /// Logits of each window: large ones, small ones and equal ones; or scores where the graph gives them.
    fn logits(&self, windows: &[Window]) -> Vec<WindowLogits> {
        let mut random = fastrand::Rng::with_seed(self.seed.into());
        let (scores, scale) = (self.scores(), [1.0, 8.0, 1e4, 1e30][usize::from(self.scale) % 4]);
        let mut next = || match scores {
            Some(_) => [0.0, random.f32(), random.f32(), 1.0][random.usize(..4)],
            None => [0.0, (random.f32() - 0.5) * scale, random.f32() * scale, -scale][random.usize(..4)],
        };
        let mut head = |n_rows, n_labels| Array2::from_shape_simple_fn((n_rows, n_labels), &mut next).into_shared();
        let mut logits = |window: &Window| {
            let (n_tokens, n_tags) = (window.tokens.len(), self.tags().len());
            let topics = match self.pooling() {
                Pooling::TokenMean => WindowHead::Token(head(n_tokens, N_TOPICS)),
                _ => WindowHead::Sequence(head(1, N_TOPICS)),
            };
            let entities = WindowHead::Token(head(n_tokens, n_tags));
            WindowLogits { topics: Some(topics), entities: Some(entities) }
        };
        windows.iter().map(&mut logits).collect()
    }
}

thread_local! {
    static PIPELINE: RefCell<Pipeline> = RefCell::new(Pipeline {
        text_rules: TextRules::default(),
        truecaser: None,
        tokenizer: Arc::clone(&TOKENIZERS[0]),
        windowing: Windowing::new(512, 128, 2).expect("a usual window"),
        scheduler: scheduler(),
        topics: None,
        entities: None,
    });
}

fn truecaser() -> Truecaser {
    Truecaser::parse("Angela\nBerlin\nund\n").unwrap_or_else(|_| panic!("the list is right"))
}

/// Short words, so that random texts have them.
fn names() -> NameList {
    NameList::parse("und\tPER\na\tPER\na b\tPER\na . b\tPER\nBerlin und Angela\tPER\nAngela und\tPER\nDr\tbefore PER\nin\tO\n")
        .unwrap_or_else(|error| panic!("the list is right: {error}"))
}

/// Without a worker: nothing is run.
fn scheduler() -> Scheduler {
    let none = || Err(RunError::NotFinite { output: String::new() });
    let sessions = Sessions { streams: Vec::new(), all_cores: None, make_stream: Arc::new(none) };
    let limits = BatchLimits { max_windows: 1, max_tokens: 1, max_padding: 0.0 };
    let settings = SchedulerSettings { max_queued_windows: 1, limits, padding: Padding::default(), cores: None };
    Scheduler::start(settings, sessions).expect("no thread is started")
}

fn check(text: &str, prediction: &Prediction, is_raw: bool) {
    let topics = prediction.topics.as_deref().expect("topics were requested");
    assert!(topics.len() == if prediction.usage.n_tokens == 0 { 0 } else { N_TOPICS });
    assert!(topics.iter().all(|topic| (0.0..=1.0).contains(&topic.score)), "{topics:?}");
    assert!(topics.is_sorted_by(|a, b| a.score >= b.score), "{topics:?}");
    let passages = prediction.evidence.as_ref().map_or(&[][..], |evidence| &evidence.passages);
    assert!(passages.iter().all(|passage| passage.slice(text).is_some_and(|slice| !slice.is_empty())), "{passages:?}");
    assert!(passages.is_sorted_by(|a, b| a.end <= b.start), "{passages:?}");
    let entities = prediction.entities.as_deref().expect("entities were requested");
    for unit in [OffsetUnit::Byte, OffsetUnit::Codepoint, OffsetUnit::Utf16] {
        let mut converter = OffsetConverter::new(text, unit);
        let mut last = (0, 0);
        for entity in entities {
            let slice = entity.span.slice(text).expect("an entity is a slice of the text as received");
            assert!(is_raw || !slice.trim().is_empty(), "{entity:?}");
            assert_eq!(slice, slice.trim(), "white space at the ends of {entity:?}");
            assert!((0.0..=1.0001).contains(&entity.score), "{entity:?}");
            let span = (converter.convert(entity.span.start), converter.convert(entity.span.end));
            assert!(last.1 <= span.0 && span.0 <= span.1, "{last:?} {span:?}");
            last = span;
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&[model, strategy, length, stride, rules, heads, scale, seed], text)) = input.split_first_chunk() else {
        return;
    };
    let choice = Choice { model, strategy, length, stride, rules, heads, scale, seed };
    let text: Arc<str> = String::from_utf8_lossy(text).replace('\0', " ").into();
    let options = choice.options();
    let mut n_windows = None;
    let predicted = PIPELINE.with_borrow_mut(|pipeline| {
        choice.change(pipeline);
        pipeline.predict_with(Arc::clone(&text), options, |windows| {
            // Evidence reads parts of the text too.
            n_windows.get_or_insert(windows.len());
            assert!(windows.iter().all(|window| window.len() <= choice.windowing().max_length()));
            choice.logits(windows)
        })
    });
    match predicted {
        Ok(prediction) => {
            assert_eq!(Some(prediction.usage.n_windows), n_windows);
            check(&text, &prediction, options.aggregation == Some(AggregationStrategy::None));
        }
        // A text that normalization multiplies, and one that a tokenizer does not take.
        Err(PredictError::Tokenize(_)) => {}
        Err(error) => panic!("{error}"),
    }
});
