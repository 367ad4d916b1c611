//! Model folders as other programs leave them: with byte order marks, pointers of Git LFS, an `onnx` folder, and links.

use ressort::models::load::Model;
use ressort::models::spec::ModelSpec;
use tempfile::TempDir;

use crate::folders::check_refusal;
use crate::support::{copy_of, found, load, options, predict, refusal, settings, spec, write};

#[tokio::test]
async fn a_byte_order_mark_is_read_in_every_file() {
    let folder = copy_of("lexicon-ner");
    write(&folder, "ressort.toml", "[entities]\nrename = { PER = \"PERSON\" }\n");
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "ressort.toml"] {
        let path = folder.path().join(name);
        let Ok(bytes) = std::fs::read(&path) else { continue };
        std::fs::write(&path, [b"\xef\xbb\xbf", bytes.as_slice()].concat()).unwrap();
    }
    let spec = ModelSpec { name: "marked".into(), path: folder.path().to_owned() };
    let model = Model::load(&spec, &settings()).await.unwrap();
    let text = "sagte Angela Merkel";
    assert_eq!(found(&predict(&model, text, options()).await, text), [("PERSON".to_owned(), "Angela Merkel")]);
}

#[tokio::test]
async fn pointers_of_git_lfs_are_named_in_every_file() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:88\nsize 5242880\n";
    for (model, file) in [
        ("lexicon-ner", "model.onnx"),
        ("lexicon-ner", "tokenizer.json"),
        ("lexicon-ner", "config.json"),
        ("lexicon-ner", "ressort.toml"),
        ("bert-cased-ner", "tokenizer_config.json"),
        ("bert-cased-ner-external-data", "model.onnx_data"),
        ("lexicon-ner-truecase", "truecase.txt"),
    ] {
        check_refusal(model, |folder| write(folder, file, pointer), &[file, "`git lfs pull`"]).await;
    }
}

#[tokio::test]
async fn the_onnx_folder_of_a_checkpoint_may_be_given_in_its_place() {
    let onnx = spec("bert-cased-ner-hub-layout").path.join("onnx");
    let named: ModelSpec = onnx.to_str().unwrap().parse().unwrap();
    assert_eq!(named.name, "bert-cased-ner-hub-layout");
    let (model, whole) = (Model::load(&named, &settings()).await.unwrap(), load("bert-cased-ner-hub-layout").await);
    assert_eq!((&model.version, model.manifest.onnx_file.ends_with("onnx/model.onnx")), (&whole.version, true));
    let folder = copy_of("bert-cased-ner-hub-layout");
    std::fs::copy(folder.path().join("onnx/model.onnx"), folder.path().join("model.onnx")).unwrap();
    let message = refusal(folder.path().join("onnx")).await;
    assert!(message.contains("/model.onnx; give ") && message.contains("[model] file"), "{message}");
}

#[tokio::test]
async fn of_several_onnx_files_without_a_usual_name_one_must_be_chosen() {
    let rename = |folder: &TempDir| {
        std::fs::copy(folder.path().join("model.onnx"), folder.path().join("b.onnx")).unwrap();
        std::fs::rename(folder.path().join("model.onnx"), folder.path().join("a.onnx")).unwrap();
    };
    check_refusal("bert-cased-ner", rename, &["[\"a.onnx\", \"b.onnx\"]", "file = \"a.onnx\""]).await;
}

/// Caches of the hub consist of links, which ONNX Runtime 1.24 does not follow out of the folder.
#[tokio::test]
#[cfg(unix)]
async fn external_data_may_be_a_link_out_of_the_folder() {
    let (folder, blobs) = (copy_of("bert-cased-ner-external-data"), tempfile::tempdir().unwrap());
    let data = folder.path().join("model.onnx_data");
    std::fs::rename(&data, blobs.path().join("88"))
        .or_else(|_| std::fs::copy(&data, blobs.path().join("88")).map(drop))
        .unwrap();
    std::fs::remove_file(&data).ok();
    std::os::unix::fs::symlink(blobs.path().join("88"), &data).unwrap();
    let linked = Model::load(&ModelSpec { name: "linked".into(), path: folder.path().to_owned() }, &settings()).await;
    let (linked, plain) = (linked.unwrap(), load("bert-cased-ner-external-data").await);
    let text = "Angela Merkel sprach in Berlin.";
    assert_eq!(predict(&linked, text, options()).await, predict(&plain, text, options()).await);
}
