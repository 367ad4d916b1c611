//! The pieces of the data path but for the model's run, on one article: `cargo bench`, or `cargo bench -- words`.
//!
//! They are small next to a run of the shipped model, which takes several milliseconds a window. They must stay so.

use std::hint::black_box;
use std::path::Path;
use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use ndarray::Array2;
use ressort::classify::answer::{Answer, AnswerEntity, AnswerModel, AnswerModels, AnswerTopic, AnswerUsage};
use ressort::inference::batch::{Batch, Padding, WindowHead};
use ressort::inference::decode::entities::decode_entities;
use ressort::inference::decode::entity::Entity;
use ressort::inference::decode::names::NameList;
use ressort::inference::decode::source::Source;
use ressort::inference::decode::tag_scheme::TagScheme;
use ressort::inference::decode::topics::decode_topics;
use ressort::inference::decode::words::words;
use ressort::inference::stitch::{owners, stitch};
use ressort::inference::tokenize::{Tokenizer, Tokens, Window};
use ressort::inference::windows::{Sentences, Windowing};
use ressort::manifest::task::AggregationStrategy;
use ressort::manifest::{Manifest, TopicHead};
use ressort::text::gaps::{GapRules, gaps};
use ressort::text::span::{OffsetConverter, OffsetUnit};
use ressort::text::view::{View, ViewRules};

/// About a column of a newspaper: 2,400 characters.
static ARTICLE: LazyLock<String> = LazyLock::new(|| {
    "Brüssel (dpa) - Die EU-Kommission will Verbraucher*innen besser vor Chemikalien in Spielzeug schützen. „Kinder \
     müssen sicher spielen können“, sagte Kommissionspräsidentin Ursula von der Leyen am Mittwoch. Das Europaparlament \
     in Straßburg muss den Plänen noch zustimmen. "
        .repeat(9)
});
static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ressort");
    Manifest::read(&folder).expect("the model that ships")
});
static TOKENIZER: LazyLock<Tokenizer> =
    LazyLock::new(|| Tokenizer::from_file(&MANIFEST.tokenizer_file()).expect("its tokenizer"));
static WINDOWING: LazyLock<Windowing> = LazyLock::new(|| {
    let special = TOKENIZER.special();
    let n_special = special.prefix.len() + special.suffix.len();
    Windowing::new(MANIFEST.max_length, MANIFEST.stride, n_special).expect("its windows advance")
});
static TOKENS: LazyLock<Tokens> = LazyLock::new(|| TOKENIZER.tokenize(&ARTICLE).expect("a plain text"));
static SENTENCES: LazyLock<Sentences> = LazyLock::new(|| Sentences::find(&ARTICLE, &TOKENS, WINDOWING.capacity()));
static WINDOWS: LazyLock<Vec<Window>> = LazyLock::new(cut_windows);
static SCHEME: LazyLock<TagScheme> =
    LazyLock::new(|| TagScheme::of(&MANIFEST.entities.as_ref().expect("an entity head").tags));
static TOPICS: LazyLock<&TopicHead> = LazyLock::new(|| MANIFEST.topics.as_ref().expect("a topic head"));

fn main() {
    divan::main();
}

fn cut_windows() -> Vec<Window> {
    let ranges = WINDOWING.cut(&SENTENCES).into_iter();
    ranges.map(|range| TOKENIZER.window(&TOKENS, range)).collect()
}

/// Logits that make a name of every fourth token or so, as articles have them.
fn entity_logits(n_tokens: usize) -> Array2<f32> {
    Array2::from_shape_fn((n_tokens, SCHEME.tags.len()), |(token, tag)| match (token / 2) % 4 {
        0 => ((token + tag * 7) % 11) as f32,
        _ => {
            if tag == 0 {
                9.0
            } else {
                0.5
            }
        }
    })
}

fn source() -> Source<'static> {
    Source { text: &ARTICLE, usual: &ARTICLE, tokens: &TOKENS, gaps: &[] }
}

fn entities() -> Vec<Entity> {
    let logits = entity_logits(TOKENS.ids.len());
    decode_entities(source(), |token| logits.row(token), &SCHEME, AggregationStrategy::First)
}

#[divan::bench]
fn finding_gaps(bencher: Bencher) {
    let rules = GapRules { addresses: true, boundaries: true, slugs: true };
    bencher.counter(BytesCount::of_str(ARTICLE.as_str())).bench(|| gaps(black_box(&ARTICLE), rules));
}

#[divan::bench]
fn viewing(bencher: Bencher) {
    let rules = ViewRules { html: true, hyphens: true, line_ends: true };
    bencher.counter(BytesCount::new(ARTICLE.len())).bench(|| View::of(black_box(&ARTICLE), rules));
}

#[divan::bench]
fn reading_names(bencher: Bencher) {
    let head = MANIFEST.entities.as_ref().expect("an entity head");
    let file = head.names_file.as_ref().expect("the model that ships has a list of names");
    let list = std::fs::read_to_string(file).expect("a list of names");
    bencher.counter(ItemsCount::new(list.lines().count())).bench(|| NameList::parse(black_box(&list)));
}

#[divan::bench]
fn finding_words(bencher: Bencher) {
    bencher.counter(BytesCount::new(ARTICLE.len())).bench(|| words(black_box(&ARTICLE)));
}

#[divan::bench]
fn tokenizing(bencher: Bencher) {
    bencher.counter(ItemsCount::new(TOKENS.ids.len())).bench(|| TOKENIZER.tokenize(black_box(&ARTICLE)));
}

#[divan::bench]
fn cutting_windows(bencher: Bencher) {
    bencher.counter(ItemsCount::new(WINDOWS.len())).bench(cut_windows);
}

#[divan::bench]
fn finding_sentences(bencher: Bencher) {
    let find = || Sentences::find(black_box(&ARTICLE), &TOKENS, WINDOWING.capacity());
    bencher.counter(BytesCount::of_str(ARTICLE.as_str())).bench(find);
}

#[divan::bench]
fn making_batches(bencher: Bencher) {
    let alone = || WINDOWS.iter().map(|window| Batch::new(&[window], Padding::default())).collect::<Vec<_>>();
    bencher.counter(ItemsCount::new(WINDOWS.len())).bench(alone);
}

#[divan::bench]
fn stitching(bencher: Bencher) {
    let ranges: Vec<_> = WINDOWS.iter().map(|window| window.tokens.clone()).collect();
    let heads: Vec<_> = ranges.iter().map(|range| WindowHead::Token(entity_logits(range.len()).into())).collect();
    let heads: Vec<_> = heads.iter().collect();
    bencher.counter(ItemsCount::new(TOKENS.ids.len())).bench(|| {
        let owners = owners(black_box(&SENTENCES), &ranges);
        stitch(&owners, &ranges, &heads)
    });
}

#[divan::bench(args = [AggregationStrategy::None, AggregationStrategy::First, AggregationStrategy::Viterbi])]
fn decoding_entities(bencher: Bencher, strategy: &AggregationStrategy) {
    let logits = entity_logits(TOKENS.ids.len());
    let counted = bencher.counter(ItemsCount::new(TOKENS.ids.len()));
    counted.bench(|| decode_entities(source(), |token| black_box(&logits).row(token), &SCHEME, *strategy));
}

#[divan::bench]
fn decoding_topics(bencher: Bencher) {
    let logits: Vec<f32> = (0..TOPICS.labels.len()).map(|index| (index * 5 % 13) as f32 - 6.0).collect();
    bencher.bench(|| decode_topics(black_box(&logits), &ARTICLE, &TOPICS, None));
}

#[divan::bench]
fn converting_places(bencher: Bencher) {
    let entities = entities();
    bencher.counter(ItemsCount::new(entities.len())).bench(|| {
        let mut offsets = OffsetConverter::new(&ARTICLE, OffsetUnit::Codepoint);
        entities.iter().map(|entity| offsets.convert(entity.span.start)).max()
    });
}

#[divan::bench]
fn writing_json(bencher: Bencher) {
    let answer = answer();
    bencher.counter(ItemsCount::new(1usize)).bench(|| serde_json::to_vec(black_box(&answer)));
}

/// What a client gets for the article.
fn answer() -> Answer {
    let model = || AnswerModel { name: "ressort".to_owned(), version: "0123456789abcdef".to_owned() };
    let topic = |label: &ressort::manifest::TopicLabel| AnswerTopic {
        label: label.label.clone(),
        score: 0.25,
        accepted: false,
        code: label.code.clone(),
        index: 0,
        logit: 0.0,
        evidence: None,
    };
    let entity = |entity: Entity| AnswerEntity {
        text: entity.span.slice(&ARTICLE).unwrap_or_default().to_owned(),
        label: entity.label,
        score: entity.score,
        field: None,
        start: entity.span.start,
        end: entity.span.end,
    };
    Answer {
        id: None,
        topics: Some(TOPICS.labels.iter().take(5).map(topic).collect()),
        entities: Some(entities().into_iter().map(entity).collect()),
        groups: None,
        evidence_method: None,
        usage: AnswerUsage {
            characters: 2400,
            tokens: TOKENS.ids.len(),
            windows: 1,
            evidence_windows: 0,
            truncated: false,
            cached: false,
        },
        models: AnswerModels { topics: Some(model()), entities: Some(model()) },
        memory: None,
    }
}
