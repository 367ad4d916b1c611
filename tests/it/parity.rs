//! Answers held against what `transformers` and PyTorch gave for the same models and texts.

use std::path::Path;

use ressort::inference::arithmetic::{Arithmetic, ModelArithmetic, processor_saturates};
use ressort::inference::batch::{Batch, HeadOutput, Padding, Run};
use ressort::inference::session::{OrtSession, SessionOptions, SharedModel};
use ressort::inference::settings::Provider;
use ressort::inference::tokenize::{Tokenizer, Window};
use ressort::manifest::tags::Position;
use ressort::manifest::task::AggregationStrategy;
use ressort::manifest::{IntegerProducts, Manifest, OnnxFile};
use ressort::models::load::Model;
use ressort::text::span::{OffsetConverter, OffsetUnit};
use ressort::text::view::{View, ViewRules};
use serde::Deserialize;
use serde_json::Value;

use crate::support::{aggregated, found, load, models_dir, options, predict, reference};

#[derive(Deserialize)]
struct Reference<M> {
    models: Vec<M>,
}

#[derive(Deserialize)]
struct ModelCases<C> {
    model: String,
    cases: Vec<C>,
}

#[derive(Deserialize)]
struct LogitsModel {
    model: String,
    outputs: Vec<String>,
    cases: Vec<Value>,
}

#[derive(Deserialize)]
struct ScoresCase {
    text: String,
    scores: Vec<LabelScore>,
}

#[derive(Deserialize)]
struct LabelScore {
    label: String,
    score: f32,
}

const TOLERANCE: f32 = 1e-4;

/// All numbers of nested arrays, in order.
fn flatten(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(values) => values.iter().flat_map(flatten).collect(),
        number => vec![number.as_f64().expect("a number") as f32],
    }
}

fn numbers(head: &HeadOutput) -> Vec<f32> {
    match head {
        HeadOutput::Sequence(logits) => logits.iter().copied().collect(),
        HeadOutput::Token(logits) => logits.iter().copied().collect(),
    }
}

fn session(manifest: &Manifest, n_threads: usize, asked: Arithmetic) -> OrtSession {
    let arithmetic = ModelArithmetic::new(manifest.graph.integer_products, asked);
    let model = SharedModel::new(&OnnxFile::read(&manifest.onnx_file).unwrap()).unwrap();
    let timeout = std::time::Duration::from_secs(60);
    OrtSession::open(manifest, SessionOptions { provider: Provider::Cpu, arithmetic, n_threads, timeout }, &model)
        .unwrap()
}

#[test]
fn ids_and_logits_are_those_of_pytorch_for_every_family() {
    let reference: Reference<LogitsModel> = reference("logits.json");
    let mut n_cases = 0;
    for LogitsModel { model, outputs, cases } in reference.models {
        let manifest = Manifest::read(&models_dir().join(&model)).unwrap();
        let tokenizer = Tokenizer::from_file(&manifest.tokenizer_file()).unwrap();
        let mut session = session(&manifest, 1, Arithmetic::Exact);
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let tokens = tokenizer.tokenize(&View::of(text, ViewRules::default()).text).unwrap();
            let window = tokenizer.window(&tokens, 0..tokens.ids.len().min(manifest.max_length - 2));
            let ids: Vec<u32> = flatten(&case["input_ids"]).into_iter().map(|id| id as u32).collect();
            assert_eq!(window.input_ids, ids, "{model}: {text:?}");
            let answer = session.run(&Batch::new(&[&window], Padding::default())).unwrap();
            for output in &outputs {
                let is_topics = manifest.topics.as_ref().is_some_and(|head| head.output == *output);
                let head = if is_topics { &answer.topics } else { &answer.entities };
                let (expected, given) = (flatten(&case[output]), numbers(head.as_ref().unwrap()));
                assert_eq!(expected.len(), given.len(), "{model} {output}: {text:?}");
                let off = expected.iter().zip(&given).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off <= TOLERANCE, "{model} {output}: {text:?} is off by {off}");
            }
            n_cases += 1;
        }
    }
    assert!(n_cases >= 100, "only {n_cases} cases were held against the reference");
}

#[test]
fn a_run_on_several_threads_gives_the_same_bits() {
    let manifest = Manifest::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models/ressort"))).unwrap();
    let [mut one, mut three] = [1, 3].map(|n_threads| session(&manifest, n_threads, Arithmetic::Exact));
    for length in [3, 17, 64, 128] {
        let input_ids: Vec<u32> = (0..length).map(|i| 5 + i * 97 % 5000).collect();
        let window = Window { tokens: 0..input_ids.len(), input_ids, n_prefix: 0 };
        let batch = Batch::new(&[&window], Padding::default());
        assert_eq!(one.run(&batch).unwrap(), three.run(&batch).unwrap(), "{length} tokens");
    }
}

/// The weights of `bert-cased-ner-int8` reach 127 side by side. Where the processor clips sums, its logits are off by more than 1
/// without the exact arithmetic, which `ids_and_logits_are_those_of_pytorch_for_every_family` then holds too.
#[test]
fn a_model_that_may_saturate_is_exact_by_default() {
    let manifest = Manifest::read(&models_dir().join("bert-cased-ner-int8")).unwrap();
    let products = manifest.graph.integer_products;
    assert_eq!(products, IntegerProducts::MaySaturate);
    let [default, fast] = [Arithmetic::default(), Arithmetic::Fast].map(|asked| ModelArithmetic::new(products, asked));
    assert_eq!(default.as_str(), "exact");
    assert_eq!(fast.as_str(), if processor_saturates() { "saturating" } else { "exact" });
    let ids = (0..64).map(|i| 5 + i * 37 % 400).collect::<Vec<u32>>();
    let batch = Batch::new(&[&Window { tokens: 0..ids.len(), input_ids: ids, n_prefix: 0 }], Padding::default());
    let [exact, fast] = [Arithmetic::Exact, Arithmetic::Fast]
        .map(|asked| numbers(&session(&manifest, 1, asked).run(&batch).unwrap().entities.unwrap()));
    let off = exact.iter().zip(&fast).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert_eq!(off > 0.1, processor_saturates(), "the arithmetics differ by {off}");
}

#[test]
fn the_models_that_ship_cannot_saturate_on_any_processor() {
    for name in ["ressort", "ressort-mini"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name);
        assert_eq!(Manifest::read(&folder).unwrap().graph.integer_products, IntegerProducts::Safe, "{name}");
    }
}

#[tokio::test]
async fn topic_scores_are_those_of_the_text_classification_pipeline() {
    let reference: Reference<ModelCases<ScoresCase>> = reference("text_classification.json");
    for ModelCases { model: name, cases } in reference.models {
        let model = load(&name).await;
        for ScoresCase { text, scores } in cases {
            let topics = predict(&model, &text, options()).await.topics.unwrap();
            assert_eq!(topics.len(), scores.len(), "{name}: {text:?}");
            for (topic, expected) in topics.iter().zip(&scores) {
                assert_eq!(model.topic_labels()[topic.index].label, expected.label, "{name}: {text:?}");
                assert!((topic.score - expected.score).abs() <= TOLERANCE, "{name}: {text:?}");
            }
        }
    }
}

/// The entities of one strategy as (label, score, start, end) in code points.
async fn entities(model: &Model, text: &str, strategy: AggregationStrategy) -> Vec<(String, f32, usize, usize)> {
    let entities = predict(model, text, aggregated(strategy)).await.entities.unwrap();
    let mut offsets = OffsetConverter::new(text, OffsetUnit::Codepoint);
    let mut at = |byte| offsets.convert(byte);
    entities
        .into_iter()
        .map(|entity| (entity.label, entity.score, at(entity.span.start), at(entity.span.end)))
        .collect()
}

fn knows_ends(model: &Model) -> bool {
    let tags = &model.pipeline.entities.as_ref().unwrap().scheme.tags;
    tags.iter().any(|tag| matches!(tag.position, Position::End | Position::Single))
}

#[tokio::test]
async fn entities_are_those_of_the_token_classification_pipeline() {
    let reference: Reference<ModelCases<Value>> = reference("token_classification.json");
    let mut n_entities = 0;
    for ModelCases { model: name, cases } in reference.models {
        let model = load(&name).await;
        for case in cases {
            let text = case["text"].as_str().unwrap();
            for word in ["none", "simple", "first", "average", "max"] {
                // The reference knows no `E-` and `S-`, so that with them only its tokens are right.
                let Some(expected) = case[word].as_array().filter(|_| word == "none" || !knows_ends(&model)) else {
                    continue;
                };
                let given = entities(&model, text, word.parse().unwrap()).await;
                let brief: Vec<_> = given.iter().map(|(label, _, start, end)| (label.as_str(), *start, *end)).collect();
                let label =
                    |entity: &Value| entity["entity_group"].as_str().or(entity["entity"].as_str()).unwrap().to_owned();
                // A token's span may include the space before it (`▁Merkel`); no entity begins with one. A token that is
                // nothing else is an entity there, and none here.
                let is_space = |at: u64| text.chars().nth(at as usize).is_some_and(char::is_whitespace);
                let end = |entity: &Value| entity["end"].as_u64().unwrap();
                let start = |entity: &Value| {
                    (entity["start"].as_u64().unwrap()..end(entity)).find(|&at| !is_space(at)).unwrap_or(end(entity))
                };
                let has_text = |entity: &&Value| start(entity) != end(entity);
                let mut expected: Vec<&Value> = expected.iter().filter(has_text).collect();
                // A character of two tokens is one entity here, that of the likelier token.
                expected.dedup_by(|next, kept| {
                    let is_same = (start(next), end(next)) == (start(kept), end(kept));
                    if is_same && next["score"].as_f64() > kept["score"].as_f64() {
                        std::mem::swap(next, kept);
                    }
                    is_same
                });
                let wanted: Vec<_> = expected.iter().map(|e| (label(e), start(e) as usize, end(e) as usize)).collect();
                let wanted: Vec<_> = wanted.iter().map(|(label, start, end)| (label.as_str(), *start, *end)).collect();
                assert_eq!(brief, wanted, "{name} {word}: {text:?}");
                for ((_, score, ..), expected) in given.iter().zip(&expected) {
                    let expected = expected["score"].as_f64().unwrap() as f32;
                    assert!((score - expected).abs() <= TOLERANCE, "{name} {word}: {text:?}");
                }
                n_entities += expected.len();
            }
        }
    }
    assert!(n_entities >= 1000, "only {n_entities} entities were held against the reference");
}

#[derive(Deserialize)]
struct Differences {
    cases: Vec<Difference>,
}

#[derive(Deserialize)]
struct Difference {
    model: String,
    text: String,
    why: String,
    /// `None` where the reference is right; it is listed here with its mistakes.
    right: Option<Vec<RightEntity>>,
    transformers: std::collections::BTreeMap<String, Vec<Value>>,
}

#[derive(Deserialize)]
struct RightEntity {
    label: String,
    text: String,
}

/// Entities as a cell of a table, white space made visible.
fn cell(entities: impl IntoIterator<Item = (String, String)>) -> String {
    let shown = |(label, text): (String, String)| format!("{label} {}", text.escape_debug());
    let entities: Vec<String> = entities.into_iter().map(shown).collect();
    if entities.is_empty() { "nothing".to_owned() } else { entities.join(", ") }
}

#[tokio::test]
async fn where_the_reference_is_wrong_the_answer_is_right() {
    let reference: Differences = reference("pipeline_differences.json");
    let mut table =
        vec!["| text | strategy | transformers 5.23.0 | ressort |".to_owned(), "|---|---|---|---|".to_owned()];
    for Difference { model: name, text, why, right, transformers } in reference.cases {
        let model = load(&name).await;
        for (word, theirs) in transformers {
            let prediction = predict(&model, &text, aggregated(word.parse().unwrap())).await;
            let ours = found(&prediction, &text);
            if let Some(right) = &right {
                let right: Vec<_> = right.iter().map(|entity| (entity.label.clone(), entity.text.as_str())).collect();
                assert_eq!(ours, right, "{name} {word}: {text:?} ({why})");
            }
            let offset = |entity: &Value, key: &str| entity[key].as_u64().unwrap() as usize;
            let surface =
                |entity: &Value| text.chars().take(offset(entity, "end")).skip(offset(entity, "start")).collect();
            let theirs =
                theirs.iter().map(|entity| (entity["entity_group"].as_str().unwrap().to_owned(), surface(entity)));
            let ours = ours.into_iter().map(|(label, text)| (label, text.to_owned()));
            let start: String = text.chars().take(60).collect();
            table.push(format!("| {} | {word} | {} | {} |", start.escape_debug(), cell(theirs), cell(ours)));
        }
    }
    insta::assert_snapshot!("pipeline_differences", table.join("\n"));
}
