//! Model folders: every family, precision and layout loads; broken ones are refused with the file, the value and the remedy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ressort::inference::arithmetic::{Arithmetic, ModelArithmetic};
use ressort::inference::batch::{Batch, Padding, Run};
use ressort::inference::session::{OrtSession, SessionError, SessionOptions, SharedModel};
use ressort::inference::settings::{Provider, RunSettings};
use ressort::inference::tokenize::Window;
use ressort::manifest::{FolderFiles, Manifest, content_hash};
use ressort::models::load::{LoadError, Model};
use ressort::models::spec::ModelSpec;
use tempfile::TempDir;

use crate::cli::ressort;
use crate::support::{copy_of, edit_json, load, model_names, options, predict, refusal, settings, spec, write};

#[tokio::test]
async fn every_family_precision_and_layout_answers() {
    let names = model_names();
    assert!(names.len() >= 25, "{names:?}");
    for name in names {
        let model = load(&name).await;
        let text = "Bundeskanzlerin Angela Merkel (CDU) reiste am Montag nach „Paris“. ".repeat(12);
        let prediction = predict(&model, &text, options()).await;
        assert!(prediction.usage.n_windows > 1, "{name}: {:?}", prediction.usage);
        assert!(prediction.topics.is_some_and(|topics| !topics.is_empty()) || prediction.entities.is_some(), "{name}");
    }
}

/// Loading a model holds its golden examples.
#[tokio::test]
async fn the_models_that_ship_load() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    for (name, n_layers, max_bytes) in [("ressort", 12, 64_000_000), ("ressort-mini", 5, 40_000_000)] {
        let path = models.join(name);
        let model = Model::load(&ModelSpec { name: name.into(), path: path.clone() }, &settings()).await.unwrap();
        assert!(model.manifest.golden.len() >= 3, "{name}");
        let config = std::fs::read_to_string(path.join("config.json")).unwrap();
        assert!(config.contains(&format!("\"num_hidden_layers\": {n_layers}")), "{name}: {config}");
        let files = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
        assert!(files.sum::<u64>() <= max_bytes, "{name}");
    }
}

#[tokio::test]
async fn the_precision_is_read_from_the_file() {
    for (name, precision) in [
        ("bert-cased-ner", "fp32"),
        ("bert-cased-ner-fp16", "fp16"),
        ("bert-cased-ner-int8", "int8-dynamic"),
        ("bert-cased-ner-qdq", "int8-static"),
        ("bert-cased-ner-q4", "int4"),
    ] {
        assert_eq!(load(name).await.manifest.graph.precision.to_string(), precision, "{name}");
    }
}

#[tokio::test]
async fn the_weights_that_every_run_reads_are_all_but_embedding_tables() {
    for (name, n_bytes) in [("bert-cased-ner", 67_236), ("bert-cased-ner-int8", 19_520)] {
        assert_eq!(load(name).await.manifest.graph.n_bytes_a_run, n_bytes, "{name}");
    }
}

#[tokio::test]
async fn a_hub_layout_is_found_and_the_choice_can_be_seen_and_changed() {
    let model = load("bert-cased-ner-hub-layout").await;
    assert!(model.manifest.onnx_file.ends_with("onnx/model.onnx"));
    assert!(model.manifest.other_onnx_files[0].ends_with("onnx/model_quantized.onnx"));
    let folder = copy_of("bert-cased-ner-hub-layout");
    write(&folder, "ressort.toml", "[model]\nfile = \"onnx/model_quantized.onnx\"\n");
    let spec = ModelSpec { name: "quantized".into(), path: folder.path().to_owned() };
    let model = Model::load(&spec, &settings()).await.unwrap();
    assert!(model.manifest.onnx_file.ends_with("onnx/model_quantized.onnx"));
}

#[tokio::test]
async fn truncation_and_padding_of_a_tokenizer_file_are_overruled() {
    let (plain, truncating) = (load("bert-cased-ner").await, load("bert-cased-ner-truncating").await);
    let text = "Angela Merkel sprach am Montag in München über die Außenpolitik der Europäischen Union und der Vereinten Nationen.";
    assert_eq!(predict(&plain, text, options()).await, predict(&truncating, text, options()).await);
}

#[tokio::test]
async fn golden_examples_hold_or_the_model_is_refused() {
    let folder = copy_of("lexicon-ner");
    let golden = |label| {
        format!(
            "[[golden]]\ntext = \"sagte Angela Merkel\"\nentities = [{{ text = \"Angela Merkel\", label = \"{label}\" }}]\n"
        )
    };
    write(&folder, "ressort.toml", &golden("PER"));
    let spec = ModelSpec { name: "golden".into(), path: folder.path().to_owned() };
    assert!(Model::load(&spec, &settings()).await.is_ok());
    write(&folder, "ressort.toml", &golden("LOC"));
    let message = refusal(folder.path().to_owned()).await;
    assert!(message.contains("entity `Angela Merkel` (LOC) is not found"), "{message}");
}

#[tokio::test]
async fn a_gpu_that_is_not_there_is_passed_over_or_refused() {
    let asked = RunSettings { providers: vec![Provider::Cuda, Provider::Cpu], ..settings() };
    let model = Model::load(&spec("lexicon-ner"), &asked).await.unwrap();
    if model.placement.provider == Provider::Cpu {
        assert_eq!(model.placement.passed_over[0].0, Provider::Cuda);
        let required = RunSettings { require_gpu: true, ..asked };
        let error = Model::load(&spec("lexicon-ner"), &required).await.err().unwrap();
        assert!(matches!(error, LoadError::Session(SessionError::NoGpu(_))), "{error}");
        assert!(error.to_string().contains("--require-gpu"));
    }
}

/// Breaks a copy of a folder and checks that the refusal contains each part.
pub async fn check_refusal(model: &str, damage: impl FnOnce(&TempDir), parts: &[&str]) {
    let folder = copy_of(model);
    damage(&folder);
    let message = refusal(folder.path().to_owned()).await;
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
}

#[tokio::test]
async fn missing_files_are_named() {
    let remove = |name: &'static str| move |folder: &TempDir| std::fs::remove_file(folder.path().join(name)).unwrap();
    check_refusal("bert-cased-ner", remove("config.json"), &["config.json: missing", "optimum-cli"]).await;
    check_refusal("bert-cased-ner", remove("tokenizer.json"), &["tokenizer.json: missing", "save_pretrained"]).await;
    check_refusal("bert-cased-ner", remove("model.onnx"), &["model.onnx: missing", "optimum-cli"]).await;
    check_refusal("bert-cased-ner-external-data", remove("model.onnx_data"), &["model.onnx_data: missing", "copy it"])
        .await;
    let toml = "[model]\nfile = \"other.onnx\"\n";
    check_refusal(
        "bert-cased-ner",
        |folder| write(folder, "ressort.toml", toml),
        &["other.onnx: missing", "ressort.toml"],
    )
    .await;
    assert!(refusal(PathBuf::from("/nowhere")).await.contains("/nowhere: no such model folder"));
}

#[tokio::test]
async fn corrupt_files_are_named() {
    check_refusal(
        "bert-cased-ner",
        |folder| write(folder, "model.onnx", "no model"),
        &["model.onnx: not a readable ONNX model (8 bytes)"],
    )
    .await;
    let cut = |folder: &TempDir| {
        let bytes = std::fs::read(folder.path().join("model.onnx")).unwrap();
        std::fs::write(folder.path().join("model.onnx"), &bytes[..bytes.len() / 2]).unwrap();
    };
    check_refusal("bert-cased-ner", cut, &["model.onnx", "export or copy the file again"]).await;
    check_refusal(
        "bert-cased-ner",
        |folder| write(folder, "tokenizer.json", "{}"),
        &["tokenizer.json: the tokenizer cannot be read", "save_pretrained"],
    )
    .await;
    check_refusal("bert-cased-ner", |folder| write(folder, "config.json", "{"), &["config.json: not the JSON"]).await;
    check_refusal("bert-cased-ner", |folder| write(folder, "ressort.toml", "[modle]\n"), &["ressort.toml", "modle"])
        .await;
}

#[tokio::test]
async fn labels_that_do_not_match_the_logits_are_counted() {
    let drop_label = |folder: &TempDir| {
        edit_config(folder, |config| {
            config["id2label"].as_object_mut().unwrap().remove("8");
        });
    };
    check_refusal("bert-cased-ner", drop_label, &["model.onnx: output `logits` has 9 logits", "8 labels", "exactly 9"])
        .await;
    let swap = |folder: &TempDir| {
        edit_config(folder, |config| config["architectures"] = serde_json::json!(["BertForTokenClassification"]));
    };
    check_refusal("bert-cased-cls", swap, &["gives one row a window where entities need one for each token"]).await;
    let masked = |folder: &TempDir| {
        edit_config(folder, |config| config["architectures"] = serde_json::json!(["BertForMaskedLM"]));
    };
    check_refusal(
        "bert-cased-cls",
        masked,
        &["config.json: architectures [\"BertForMaskedLM\"]", "fine-tuned classifier"],
    )
    .await;
}

#[tokio::test]
async fn inputs_that_cannot_be_filled_are_named() {
    let rename = |folder: &TempDir| {
        let path = folder.path().join("model.onnx");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, replace_all(bytes, b"input_ids", b"input_idz")).unwrap();
    };
    check_refusal(
        "bert-cased-ner",
        rename,
        &["model.onnx: input `input_idz` (int64, ", "[model.inputs] input_ids = \"input_idz\"", "optimum-cli"],
    )
    .await;
}

#[tokio::test]
async fn a_window_that_does_not_fit_the_model_is_refused() {
    let toml = |text: &'static str| move |folder: &TempDir| write(folder, "ressort.toml", text);
    check_refusal(
        "bert-cased-ner",
        toml("[model]\nmax_length = 4096\n"),
        &["ressort.toml: max_length 4096 is more than the 64 positions"],
    )
    .await;
    check_refusal(
        "bert-cased-ner",
        toml("[model]\nstride = 62\n"),
        &["stride 62 is too large", "set a stride below 62"],
    )
    .await;
    let short = |folder: &TempDir| {
        edit_config(folder, |config| config["max_position_embeddings"] = serde_json::json!(512));
        std::fs::remove_file(folder.path().join("tokenizer_config.json")).unwrap();
    };
    check_refusal("bert-cased-ner", short, &["the trial run failed"]).await;
}

#[tokio::test]
async fn a_tokenizer_of_another_model_is_refused() {
    let shrink = |folder: &TempDir| edit_config(folder, |config| config["vocab_size"] = serde_json::json!(100));
    check_refusal("bert-cased-ner", shrink, &["tokenizer.json: the tokenizer gives ids up to", "100 embeddings"]).await;
}

#[tokio::test]
async fn a_tokenizer_that_knows_no_letter_of_a_german_text_is_refused() {
    let without_letters = |folder: &TempDir| {
        write(
            folder,
            "tokenizer.json",
            r#"{"version": "1.0", "model": {"type": "BPE", "vocab": {"♞": 0}, "merges": []}}"#,
        );
    };
    check_refusal("bert-cased-ner", without_letters, &["tokenizer.json: the tokenizer gives no token for the text"])
        .await;
}

#[tokio::test]
async fn a_model_answers_before_its_other_sessions_are_open() {
    for name in ["bert-cased-ner", "two-heads"] {
        let complete = load(name).await;
        let (model, incomplete) = Model::start(&spec(name), &settings()).await.unwrap();
        let text = "Bundeskanzlerin Angela Merkel (CDU) reiste am Montag nach „Paris“. ".repeat(12);
        let expected = format!("{:?}", predict(&complete, &text, options()).await);
        assert_eq!((model.batch_limits().max_windows, model.resident_bytes()), (1, None), "{name}");
        assert!(model.notes().iter().any(|note| note.contains("still being checked")), "{:?}", model.notes());
        assert_eq!(format!("{:?}", predict(&model, &text, options()).await), expected, "{name}");
        incomplete.complete(&model).await.unwrap();
        assert_eq!((model.batch_limits(), model.notes()), (complete.batch_limits(), complete.notes()), "{name}");
        assert_eq!(format!("{:?}", predict(&model, &text, options()).await), expected, "{name}");
    }
}

/// A run of the model that ships reads 29 MB of weights. A stream that shares them takes 5 to 6 MB.
#[test]
#[cfg(target_os = "linux")]
fn streams_share_the_weights_of_their_model() {
    let resident_bytes = |n_streams: &str| {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ressort");
        let output = ressort().arg("inspect").arg(model).args(["--json", "--streams", n_streams]).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["model"]["memory"]["resident_bytes"].as_u64().unwrap()
    };
    let (one, six) = (resident_bytes("1"), resident_bytes("6"));
    let for_a_stream = six.saturating_sub(one) / 5;
    assert!(for_a_stream < 15_000_000, "{one} bytes for one stream, {six} for six");
}

type Change = fn(&Path);

/// What a copy over a model's files, a shrinking disk or a new version does to a file.
const CHANGES: [(&str, Change); 4] = [
    ("replaced", |file| {
        let other = file.with_extension("new");
        std::fs::write(&other, std::fs::read(file).unwrap().iter().map(|byte| !byte).collect::<Vec<_>>()).unwrap();
        std::fs::rename(other, file).unwrap();
    }),
    ("overwritten", |file| std::fs::write(file, vec![0x3f; std::fs::metadata(file).unwrap().len() as usize]).unwrap()),
    ("truncated", |file| std::fs::write(file, "").unwrap()),
    ("removed", |file| std::fs::remove_file(file).unwrap()),
];

const FILES_WITH_WEIGHTS: [(&str, &str); 3] = [
    ("bert-cased-ner", "model.onnx"),
    ("bert-cased-ner-external-data", "model.onnx"),
    ("bert-cased-ner-external-data", "model.onnx_data"),
];

#[tokio::test]
async fn a_model_that_answers_does_not_read_its_files_again() {
    let text = "Bundeskanzlerin Angela Merkel (CDU) reiste am Montag nach „Paris“. ".repeat(12);
    for (name, file) in FILES_WITH_WEIGHTS {
        for (change, apply) in CHANGES {
            let folder = copy_of(name);
            let spec = ModelSpec { name: name.to_owned(), path: folder.path().to_owned() };
            let model = Model::load(&spec, &settings()).await.unwrap();
            let before = predict(&model, &text, options()).await;
            apply(&folder.path().join(file));
            for _ in 0..2 {
                let after = predict(&model, &text, options()).await;
                assert_eq!(format!("{after:?}"), format!("{before:?}"), "{name}: {file} {change}");
            }
        }
    }
}

/// A worker that panics gets a new session long after the folder was read.
#[test]
fn sessions_are_opened_from_what_was_read() {
    for (name, file) in FILES_WITH_WEIGHTS {
        for (change, apply) in CHANGES {
            let folder = copy_of(name);
            let mut files = FolderFiles::new(folder.path());
            let manifest = Manifest::of(&mut files).unwrap();
            let onnx = files.onnx(&manifest.onnx_file).unwrap();
            let model = SharedModel::new(&onnx).unwrap();
            let version = content_hash(folder.path()).unwrap();
            let arithmetic = ModelArithmetic::new(manifest.graph.integer_products, Arithmetic::Exact);
            let timeout = Duration::from_secs(60);
            let options = SessionOptions { provider: Provider::Cpu, arithmetic, n_threads: 1, timeout };
            let logits = || {
                let window = Window { tokens: 0..3, input_ids: vec![2, 5, 6, 7, 3], n_prefix: 1 };
                let mut session = OrtSession::open(&manifest, options, &model).unwrap();
                format!("{:?}", session.run(&Batch::new(&[&window], Padding::default())).unwrap())
            };
            let before = logits();
            apply(&folder.path().join(file));
            assert_eq!(logits(), before, "{name}: {file} {change}");
            // As after loading.
            model.remove_name();
            assert_eq!(logits(), before, "{name}: {file} {change}, without a name");
            if change != "removed" {
                assert_eq!(files.version().unwrap(), version, "{name}: {file} {change}");
                assert_ne!(content_hash(folder.path()).unwrap(), version, "{name}: {file} {change}");
            }
            assert!(onnx.check_unchanged().is_err_and(|error| error.to_string().contains("was changed while")));
        }
    }
}

pub fn edit_config(folder: &TempDir, edit: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) {
    edit_json(folder, "config.json", edit);
}

/// Replaces bytes by as many others, everywhere.
fn replace_all(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    for at in 0..bytes.len().saturating_sub(from.len()) {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    bytes
}
