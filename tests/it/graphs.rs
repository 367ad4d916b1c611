//! Graphs as people bring them: kinds and names of inputs, fixed shapes, kinds of outputs, and padding that changes answers.

use std::sync::Arc;

use ressort::inference::pipeline::Prediction;
use ressort::models::load::Model;
use ressort::models::spec::ModelSpec;
use tempfile::TempDir;

use crate::support::{copy_of, edit_json, options, predict, refusal, settings, write};
use crate::tiny_graph::{BFLOAT16, BOOL, FLOAT16, FLOAT32, FLOAT64, INT32, INT64, TinyGraph};

/// More than the vocabulary of the test models has.
const N_IDS: usize = 400;
pub const LABELS: [&str; 3] = ["Politik", "Sport", "Kultur"];
pub const TEXTS: [&str; 4] = [
    "Angela Merkel",
    "Angela Merkel sprach in Berlin.",
    "Die Bank in New York meldet Gewinn, und Angela Merkel reist nach Paris.",
    "Berlin",
];

/// The names and kinds of a graph's values.
pub struct Names {
    ids: (&'static str, i32),
    mask: (&'static str, i32),
    /// Windows and tokens of each input; 0 where a run decides.
    shape: [i64; 2],
}

pub const USUAL: Names = Names { ids: ("input_ids", INT64), mask: ("attention_mask", INT64), shape: [0, 0] };

/// Numbers that differ from token to token and label to label.
fn number(id: usize, label: usize) -> f32 {
    ((id * 37 + label * 101) % 61) as f32 / 10.0 - 3.0
}

/// `token_logits`, `[B, T, L]`.
pub fn token_logits(names: &Names, n_labels: usize) -> TinyGraph {
    let (graph, (ids, kind)) = (TinyGraph::default(), names.ids);
    let graph = graph.input(ids, kind, &names.shape).table("table", N_IDS, n_labels, number);
    graph.node("Gather", &["table", ids], "token_logits")
}

/// `mean`, `[B, 1, L]`: the mean over the tokens that the mask leaves.
pub fn masked_mean(names: &Names, n_labels: usize) -> TinyGraph {
    let (mask, kind) = names.mask;
    let graph = token_logits(names, n_labels).input(mask, kind, &names.shape).integers("one", &[1]);
    let graph = graph.node_with("Cast", &[mask], "weights", &[("to", FLOAT32.into())]);
    let graph = graph.node("Unsqueeze", &["weights", "one"], "row").node("MatMul", &["row", "token_logits"], "sum");
    let graph = graph.integers("two", &[2]).node("ReduceSum", &["row", "two"], "n_tokens");
    graph.node("Div", &["sum", "n_tokens"], "mean")
}

/// `logits`, `[B, L]`.
pub fn classifier(names: &Names, n_labels: usize) -> TinyGraph {
    let graph = masked_mean(names, n_labels).node("Squeeze", &["mean", "one"], "logits");
    graph.output("logits", FLOAT32, &[0, n_labels as i64])
}

/// A folder with the tokenizer of `lexicon-topics`.
pub fn folder(graph: TinyGraph, labels: &[&str]) -> TempDir {
    let folder = copy_of("lexicon-topics");
    graph.save(&folder.path().join("model.onnx"));
    edit_json(&folder, "config.json", |config| {
        let id2label = labels.iter().enumerate().map(|(id, label)| (id.to_string(), (*label).into()));
        config.insert("id2label".into(), serde_json::Value::Object(id2label.collect()));
        for key in ["label2id", "problem_type", "vocab_size"] {
            config.remove(key);
        }
    });
    folder
}

pub fn as_tagger(folder: &TempDir) {
    edit_json(folder, "config.json", |config| {
        config.insert("architectures".into(), serde_json::json!(["BertForTokenClassification"]));
    });
}

pub async fn load(folder: &TempDir) -> Model {
    let spec = ModelSpec { name: "tiny".into(), path: folder.path().to_owned() };
    Model::load(&spec, &settings())
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
}

/// Checks that a note of the model's report says `part`.
pub fn with_note(model: &Model, part: &str) {
    assert!(model.notes().iter().any(|note| note.contains(part)), "{part:?} is missing in {:?}", model.notes());
}

/// The scores of a text in the order of the labels.
fn scores(prediction: &Prediction) -> Vec<f32> {
    let mut topics = prediction.topics.clone().unwrap();
    topics.sort_by_key(|topic| topic.index);
    topics.iter().map(|topic| topic.score).collect()
}

pub async fn scores_of(folder: &TempDir, text: &str) -> Vec<f32> {
    scores(&predict(&load(folder).await, text, options()).await)
}

pub fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, context: &str) {
    assert_eq!(found.len(), expected.len(), "{context}");
    let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off <= tolerance, "{context}: {found:?} instead of {expected:?}");
}

#[tokio::test]
async fn inputs_of_other_kinds_names_and_shapes_give_the_same_answers() {
    let usual = load(&folder(classifier(&USUAL, 3), &LABELS)).await;
    assert_eq!((usual.batch_limits().max_windows, usual.notes().len()), (8, 0));
    let model_inputs = "[model.inputs]\ninput_ids = \"a\"\nattention_mask = \"b\"\n";
    for (names, toml, note) in [
        (Names { ids: ("input_ids", INT32), mask: ("attention_mask", INT32), ..USUAL }, "", "is given as int32"),
        (Names { mask: ("attention_mask", FLOAT32), ..USUAL }, "", "is given as float32"),
        (Names { mask: ("attention_mask", BOOL), ..USUAL }, "", "is given as bool"),
        (
            Names { ids: ("input_ids:0", INT64), mask: ("input_mask:0", INT64), ..USUAL },
            "",
            "`input_mask:0` gets attention_mask",
        ),
        (Names { ids: ("input.1", INT64), ..USUAL }, "", "`input.1` gets input_ids"),
        (Names { ids: ("a", INT64), mask: ("b", INT64), ..USUAL }, model_inputs, "`b` gets attention_mask"),
        (Names { shape: [2, 0], ..USUAL }, "", "every run to 2 window(s)"),
        (Names { shape: [1, 0], ..USUAL }, "", "every run to 1 window(s)"),
        (Names { shape: [0, 32], ..USUAL }, "", "every window to 32 tokens"),
        (Names { shape: [1, 32], ..USUAL }, "", "every window to 32 tokens"),
    ] {
        let folder = folder(classifier(&names, 3), &LABELS);
        if !toml.is_empty() {
            write(&folder, "ressort.toml", toml);
        }
        let model = load(&folder).await;
        with_note(&model, note);
        for text in TEXTS.map(str::to_owned).into_iter().chain([TEXTS[2].repeat(10)]) {
            let expected = scores(&predict(&usual, &text, options()).await);
            let found = predict(&model, &text, options()).await;
            assert_close(&scores(&found), &expected, 1e-5, &format!("{note}: {text}"));
        }
    }
}

#[tokio::test]
async fn a_text_longer_than_a_fixed_length_is_read_in_windows() {
    let folder = folder(classifier(&Names { shape: [0, 16], ..USUAL }, 3), &LABELS);
    let model = load(&folder).await;
    let prediction = predict(&model, &TEXTS[2].repeat(5), options()).await;
    assert_eq!(model.manifest.max_length, 16);
    assert!(prediction.usage.n_windows > 3, "{:?}", prediction.usage);
    write(&folder, "ressort.toml", "[model]\nmax_length = 20\n");
    let message = refusal(folder.path().to_owned()).await;
    assert!(message.contains("fixed to 16 tokens, and windows have 20"), "{message}");
}

/// Each token's logits are the number of its position.
#[tokio::test]
async fn position_ids_count_from_zero_and_in_roberta_from_the_padding_id() {
    for (family, pad_token_id, first) in [("bert", 0, 0.0), ("xlm-roberta", 1, 2.0), ("roberta", 3, 4.0)] {
        let names = Names { ids: ("input_ids", INT64), ..USUAL };
        let graph = token_logits(&names, 2).input("position_ids", INT64, &[0, 0]);
        let graph = graph.table("positions", 64, 2, |position, label| if label == 0 { position as f32 } else { 0.0 });
        let graph =
            graph.node("Gather", &["positions", "position_ids"], "logits").output("logits", FLOAT32, &[0, 0, 2]);
        let folder = folder(graph, &LABELS[..2]);
        edit_json(&folder, "config.json", |config| {
            config.insert("model_type".into(), family.into());
            config.insert("pad_token_id".into(), pad_token_id.into());
        });
        let model = load(&folder).await;
        let prediction = predict(&model, "Angela Merkel sprach in Berlin.", options()).await;
        // The mean over the text's tokens, which follow one special token.
        let mean = first + 1.0 + (prediction.usage.n_tokens as f32 - 1.0) / 2.0;
        let expected = 1.0 / (1.0 + (-mean).exp());
        assert_close(&scores(&prediction), &[expected, 1.0 - expected], 1e-5, family);
    }
}

#[tokio::test]
async fn outputs_of_other_kinds_names_and_shapes_give_the_same_answers() {
    let expected = scores_of(&folder(classifier(&USUAL, 3), &LABELS), TEXTS[1]).await;
    let cast = |kind: i32| {
        let graph = masked_mean(&USUAL, 3).node("Squeeze", &["mean", "one"], "f32");
        graph.node_with("Cast", &["f32"], "logits", &[("to", kind.into())]).output("logits", kind, &[0, 3])
    };
    let row_of_one = |sizes: &[i64]| masked_mean(&USUAL, 3).output("mean", FLOAT32, sizes);
    let among_others = || {
        let graph = masked_mean(&USUAL, 3).node("Squeeze", &["mean", "one"], "output_0");
        let graph = graph.node_with("ArgMax", &["output_0"], "label", &[("axis", 1)]).output("label", INT64, &[0, 1]);
        graph.node("Identity", &["token_logits"], "last_hidden_state").output("last_hidden_state", FLOAT32, &[0, 0, 3])
    };
    for (graph, tolerance, context) in [
        (cast(FLOAT16), 1e-2, "fp16"),
        (cast(BFLOAT16), 2e-2, "bf16"),
        (cast(FLOAT64), 1e-6, "fp64"),
        (row_of_one(&[0, 1, 3]), 1e-6, "[B, 1, L]"),
        (row_of_one(&[0, 0, 3]), 1e-6, "[B, n, L]"),
        (among_others().output("output_0", FLOAT32, &[0, 3]), 1e-6, "other outputs"),
    ] {
        let found = scores_of(&folder(graph, &LABELS), TEXTS[1]).await;
        assert_close(&found, &expected, tolerance, context);
    }
}

#[tokio::test]
async fn a_graph_that_cannot_be_filled_or_read_is_refused_with_what_helps() {
    let pixels = classifier(&USUAL, 3).input("pixel_values", FLOAT32, &[0, 3, 224, 224]);
    let one_dimension = TinyGraph::default()
        .input("input_ids", INT64, &[0])
        .table("table", N_IDS, 3, number)
        .node("Gather", &["table", "input_ids"], "logits")
        .output("logits", FLOAT32, &[0, 3]);
    let encoder = token_logits(&USUAL, 3).node("Identity", &["token_logits"], "last_hidden_state").output(
        "last_hidden_state",
        FLOAT32,
        &[0, 0, 3],
    );
    for (graph, parts) in [
        (pixels, &["`pixel_values` (float32, [n, 3, 224, 224])", "optimum-cli export onnx --task"][..]),
        (one_dimension, &["`input_ids` (int64, [n])", "dynamic axes"]),
        (encoder, &["none of the outputs [\"last_hidden_state\"]", "--task text-classification"]),
        (classifier(&Names { shape: [0, 4], ..USUAL }, 3), &["fixed to 4 tokens", "dynamic sequence axis"]),
    ] {
        let message = refusal(folder(graph, &LABELS).path().to_owned()).await;
        for part in parts {
            assert!(message.contains(part), "{part:?} is missing in: {message}");
        }
    }
}

/// Graphs whose answers for a window depend on the padding after it.
fn padding_sensitive() -> [(TinyGraph, &'static str); 2] {
    let no_mask = token_logits(&USUAL, 3).integers("one", &[1]);
    let no_mask = no_mask.node_with("ReduceSum", &["token_logits", "one"], "logits", &[("keepdims", 0)]);
    // The logits of the last token that is not 3, as decoders pool; the tokenizer's padding id is 0.
    let last = token_logits(&USUAL, 3).integer("pad", 3).integer("axis", 1).integer("zero", 0).integer("step", 1);
    let last = last.node("Equal", &["input_ids", "pad"], "is_pad").node("Not", &["is_pad"], "is_text");
    let last =
        last.node_with("Cast", &["is_text"], "keep", &[("to", INT64.into())]).node("Shape", &["input_ids"], "shape");
    let last = last.node("Gather", &["shape", "axis"], "length").node("Range", &["zero", "length", "step"], "columns");
    let last = last.node("Mul", &["keep", "columns"], "text_columns");
    let last = last.node_with("ArgMax", &["text_columns"], "last", &[("axis", 1), ("keepdims", 1)]);
    let last = last.node_with("GatherND", &["token_logits", "last"], "logits", &[("batch_dims", 1)]);
    let outputs = |graph: TinyGraph| graph.output("logits", FLOAT32, &[0, 3]);
    [(outputs(no_mask), "no attention_mask"), (outputs(last), "another padding id")]
}

#[tokio::test]
async fn where_padding_changes_answers_windows_run_alone() {
    for (graph, context) in padding_sensitive() {
        let folder = folder(graph, &LABELS);
        let model = Arc::new(load(&folder).await);
        assert_eq!(model.batch_limits().max_windows, 1, "{context}");
        with_note(&model, "padding or other windows change");
        // In one request, each text gets the answer that it gets alone.
        let mut alone = Vec::new();
        for text in TEXTS {
            alone.push(scores(&predict(&model, text, options()).await));
        }
        let together = TEXTS.map(|text| {
            let model = Arc::clone(&model);
            tokio::spawn(async move { scores(&predict(&model, text, options()).await) })
        });
        for (together, alone) in together.into_iter().zip(alone) {
            assert_eq!(together.await.unwrap(), alone, "{context}");
        }
    }
}

#[tokio::test]
async fn the_padding_id_of_the_config_goes_before_the_tokenizers() {
    let [_, (graph, _)] = padding_sensitive();
    let folder = folder(graph, &LABELS);
    edit_json(&folder, "config.json", |config| {
        config.insert("pad_token_id".into(), 3.into());
    });
    let model = load(&folder).await;
    assert_eq!((model.batch_limits().max_windows, &model.notes()[..]), (8, &[][..]));
}

#[tokio::test]
async fn a_model_without_a_padding_token_runs_one_window_at_a_time() {
    let folder = folder(classifier(&USUAL, 3), &LABELS);
    edit_json(&folder, "config.json", |config| {
        config.remove("pad_token_id");
    });
    std::fs::remove_file(folder.path().join("tokenizer_config.json")).unwrap();
    let path = folder.path().join("tokenizer.json");
    let text = std::fs::read_to_string(&path).unwrap().replace("[PAD]", "[PDD]");
    std::fs::write(&path, text).unwrap();
    let model = load(&folder).await;
    assert_eq!(model.batch_limits().max_windows, 1);
    assert!(model.notes()[0].contains("no padding token is known"), "{:?}", model.notes());
}

#[tokio::test]
async fn a_tagger_without_a_mask_reads_each_token() {
    let graph = token_logits(&USUAL, 3).node("Identity", &["token_logits"], "output");
    let folder = folder(graph.output("output", FLOAT32, &[0, 0, 3]), &["O", "PER", "LOC"]);
    as_tagger(&folder);
    let model = load(&folder).await;
    assert_eq!(model.batch_limits().max_windows, 8, "padding is not read by other tokens");
    assert!(predict(&model, TEXTS[2], options()).await.entities.is_some_and(|entities| !entities.is_empty()));
}
