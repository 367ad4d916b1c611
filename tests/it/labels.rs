//! Labels of topics and tags of entities: in every form in which they are written, and under new names.

use ressort::manifest::tags::entity_labels;
use ressort::models::load::Model;
use ressort::models::spec::ModelSpec;

use crate::folders::edit_config;
use crate::support::{copy_of, found, options, predict, refusal, settings, write};

#[tokio::test]
async fn missing_labels_are_called_label_0_and_so_on() {
    let folder = copy_of("bert-cased-cls");
    edit_config(&folder, |config| {
        config.remove("id2label");
        config.remove("label2id");
    });
    let spec = ModelSpec { name: "unnamed".into(), path: folder.path().to_owned() };
    let model = Model::load(&spec, &settings()).await.unwrap();
    assert_eq!(model.topic_labels()[1].label, "LABEL_1");
}

#[tokio::test]
async fn default_labels_can_be_renamed_and_given_thresholds() {
    let without_labels = |model: &str, toml: &str| {
        let folder = copy_of(model);
        edit_config(&folder, |config| {
            config.remove("id2label");
            config.remove("label2id");
        });
        write(&folder, "ressort.toml", toml);
        folder
    };
    let toml = "[topics]\nrename = { LABEL_0 = \"Politik\" }\nthresholds = { LABEL_1 = 0.25 }\n";
    let folder = without_labels("lexicon-topics", toml);
    let spec = ModelSpec { name: "unnamed".into(), path: folder.path().to_owned() };
    let model = Model::load(&spec, &settings()).await.unwrap();
    let labels: Vec<_> =
        model.topic_labels().iter().take(2).map(|label| (label.label.as_str(), label.threshold)).collect();
    assert_eq!((labels[0].0, labels[1]), ("Politik", ("LABEL_1", 0.25)));

    let rename = "LABEL_0 = \"O\", LABEL_1 = \"B-PER\", LABEL_2 = \"I-PER\"";
    let folder = without_labels("lexicon-ner", &format!("[entities]\nrename = {{ {rename} }}\n"));
    let spec = ModelSpec { name: "unnamed".into(), path: folder.path().to_owned() };
    let model = Model::load(&spec, &settings()).await.unwrap();
    let text = "sagte Angela Merkel";
    assert_eq!(found(&predict(&model, text, options()).await, text), [("PER".to_owned(), "Angela Merkel")]);
    let folder = without_labels("lexicon-ner", "[entities]\nrename = { LABEL_9 = \"PER\" }\n");
    let message = refusal(folder.path().to_owned()).await;
    assert!(message.contains("names `LABEL_9`") && message.contains("`LABEL_6`"), "{message}");
}

#[tokio::test]
async fn labels_are_read_as_other_programs_write_them() {
    for (id2label, label2id, first) in [
        (serde_json::json!(["A", "B", "C", "D"]), serde_json::Value::Null, "A"),
        (serde_json::Value::Null, serde_json::json!({"D": 3, "C": 2, "B": 1, "A": 0}), "A"),
        (serde_json::json!({"0": 0, "1": 1, "2": 2, "3": 3}), serde_json::json!({"0": 0}), "0"),
    ] {
        let folder = copy_of("lexicon-topics");
        std::fs::remove_file(folder.path().join("ressort.toml")).ok();
        edit_config(&folder, |config| {
            config["id2label"] = id2label;
            config["label2id"] = label2id;
        });
        let spec = ModelSpec { name: "labelled".into(), path: folder.path().to_owned() };
        assert_eq!(Model::load(&spec, &settings()).await.unwrap().topic_labels()[0].label, first);
    }
}

#[tokio::test]
async fn labels_can_be_renamed_and_given_thresholds() {
    let folder = copy_of("lexicon-topics");
    write(
        &folder,
        "ressort.toml",
        "[topics]\nrename = { Sport = \"Leibesübungen\" }\nthresholds = { \"Leibesübungen\" = 0.25 }\npooling = \"max\"\n",
    );
    let spec = ModelSpec { name: "renamed".into(), path: folder.path().to_owned() };
    let labels: Vec<(String, f32)> = Model::load(&spec, &settings())
        .await
        .unwrap()
        .topic_labels()
        .iter()
        .map(|label| (label.label.clone(), label.threshold))
        .collect();
    assert!(labels.contains(&("Leibesübungen".to_owned(), 0.25)), "{labels:?}");

    let folder = copy_of("lexicon-ner");
    write(&folder, "ressort.toml", "[entities]\nrename = { PER = \"PERSON\" }\naggregation = \"max\"\n");
    let spec = ModelSpec { name: "renamed".into(), path: folder.path().to_owned() };
    let model = Model::load(&spec, &settings()).await.unwrap();
    assert_eq!(entity_labels(&model.pipeline.entities.as_ref().unwrap().scheme.tags), ["PERSON", "LOC", "ORG"]);
    let text = "sagte Angela Merkel";
    assert_eq!(found(&predict(&model, text, options()).await, text), [("PERSON".to_owned(), "Angela Merkel")]);
}

#[tokio::test]
async fn tags_with_underscores_are_renamed_and_joined() {
    let folder = copy_of("lexicon-ner");
    edit_config(&folder, |config| {
        for tag in config["id2label"].as_object_mut().unwrap().values_mut() {
            *tag = tag.as_str().unwrap().replace('-', "_").into();
        }
    });
    write(&folder, "ressort.toml", "[entities]\nrename = { PER = \"PERSON\" }\n");
    let spec = ModelSpec { name: "underscores".into(), path: folder.path().to_owned() };
    let model = Model::load(&spec, &settings()).await.unwrap();
    let text = "sagte Angela Merkel";
    assert_eq!(found(&predict(&model, text, options()).await, text), [("PERSON".to_owned(), "Angela Merkel")]);
    write(&folder, "ressort.toml", "[descriptions]\nPRE = { de = \"Person\" }\n");
    let message = refusal(folder.path().to_owned()).await;
    assert!(message.contains("descriptions names `PRE`, which is no label of the model"), "{message}");
    write(&folder, "ressort.toml", "[entities]\nrename = { PRE = \"PERSON\" }\n");
    let message = refusal(folder.path().to_owned()).await;
    assert!(
        message.contains("rename names `PRE`, which is no label of the model") && message.contains("`B_PER`"),
        "{message}"
    );
}
