//! The letter case of words: the rule as `scripts/train/truecase.py` has it, and what a model with a list makes of it.

use axum::http::StatusCode;
use ressort::text::truecase::Truecaser;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{classify, get, send, service_of};
use crate::support::{copy_of, load, reference, refusal, write};

#[derive(Deserialize)]
struct Reference {
    words: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    restored: String,
}

#[test]
fn texts_are_restored_as_before_training() {
    let Reference { words, cases } = reference("truecase.json");
    let truecaser = Truecaser::parse(words.join("\n")).unwrap();
    assert!(cases.len() >= 200);
    for Case { text, restored } in cases {
        assert_eq!(truecaser.restore(&text), restored, "{text:?}");
    }
}

/// The entities of a text as (label, text, start, end).
async fn entities(text: &str) -> Vec<(String, String, u64, u64)> {
    let service = service_of(&["lexicon-ner-truecase"], Default::default()).await;
    let answer = classify(&service, json!({ "text": text })).await;
    let entity = |entity: &Value| {
        let word = |name: &str| entity[name].as_str().unwrap().to_owned();
        (word("label"), word("text"), entity["start"].as_u64().unwrap(), entity["end"].as_u64().unwrap())
    };
    answer["entities"].as_array().unwrap().iter().map(entity).collect()
}

#[tokio::test]
async fn a_text_in_capitals_or_small_letters_is_read_as_in_its_usual_case_and_answered_as_received() {
    let usual = "Jürgen Müller sprach für die EU in Köln über Siemens. Dann reiste Käthe Größler nach Bad Homburg.";
    let expected = entities(usual).await;
    assert_eq!(expected.len(), 6, "{expected:?}");
    for text in [usual.to_uppercase().replace("SS", "ß"), usual.to_lowercase()] {
        let found = entities(&text).await;
        let span = |(label, _, start, end): &(String, String, u64, u64)| (label.clone(), *start, *end);
        assert_eq!(found.iter().map(span).collect::<Vec<_>>(), expected.iter().map(span).collect::<Vec<_>>());
        for (_, slice, start, end) in found {
            let received: String = text.chars().skip(start as usize).take((end - start) as usize).collect();
            assert_eq!(slice, received);
        }
    }
}

#[tokio::test]
async fn places_hold_where_the_text_is_also_normalized() {
    let found = entities("KO\u{308}LN UND MU\u{308}N\u{ad}CHEN").await;
    let texts: Vec<&str> = found.iter().map(|(_, text, ..)| text.as_str()).collect();
    assert_eq!(texts, ["KO\u{308}LN", "MU\u{308}N\u{ad}CHEN"]);
}

#[tokio::test]
async fn a_model_without_a_list_reads_the_text_as_it_is() {
    let service = service_of(&["lexicon-ner"], Default::default()).await;
    assert_eq!(classify(&service, json!({"text": "ANGELA MERKEL SPRACH"})).await["entities"], json!([]));
}

#[tokio::test]
async fn the_list_can_be_seen_and_is_part_of_the_version() {
    let model = load("lexicon-ner-truecase").await;
    assert_eq!(model.pipeline.truecaser.as_ref().map(Truecaser::n_words), Some(57));
    let service = service_of(&["lexicon-ner-truecase", "lexicon-ner"], Default::default()).await;
    let (status, answer) = send(&service, get("/v1/models")).await;
    assert_eq!(status, StatusCode::OK);
    let words = |name: &str| {
        let mut models = answer["models"].as_array().unwrap().iter();
        models.find(|model| model["name"] == name).unwrap().get("truecase_words").cloned()
    };
    assert_eq!((words("lexicon-ner-truecase"), words("lexicon-ner")), (Some(57.into()), None));

    let folder = copy_of("lexicon-ner-truecase");
    let version = || ressort::manifest::content_hash(folder.path()).unwrap();
    let before = version();
    write(&folder, "truecase.txt", "und\n");
    assert_ne!(version(), before);
}

#[tokio::test]
async fn a_list_that_cannot_be_used_is_refused_with_the_remedy() {
    let list = |bytes: &'static [u8]| {
        move |folder: &TempDir| std::fs::write(folder.path().join("truecase.txt"), bytes).unwrap()
    };
    let toml = |text: &'static str| move |folder: &TempDir| write(folder, "ressort.toml", text);
    check(|folder| std::fs::remove_file(folder.path().join("truecase.txt")).unwrap(), "truecase.txt: missing").await;
    check(list(b""), "truecase.txt: the list of words is empty").await;
    check(list(b"f\xfcr\n"), "truecase.txt: the list of words cannot be read as text in UTF-8").await;
    check(list(b"und\nin der\n"), "truecase.txt: line 2 is not one word: \"in der\"").await;
    check(toml("[model]\ntruecase = \"words.txt\"\n"), "words.txt: missing").await;
    check(toml("[model]\ntruecase = \"../truecase.txt\"\n"), "leads out of the model folder").await;
}

async fn check(damage: impl FnOnce(&TempDir), part: &str) {
    let folder = copy_of("lexicon-ner-truecase");
    damage(&folder);
    let message = refusal(folder.path().to_owned()).await;
    assert!(message.contains(part), "{part:?} is missing in: {message}");
    let remedies = ["take `truecase` out", "put the file into the folder"];
    assert!(remedies.iter().any(|remedy| message.contains(remedy)), "{message}");
}
