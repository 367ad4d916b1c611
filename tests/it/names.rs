//! Names that a model folder lists: found as `scripts/train/names.py` finds them, and what a model makes of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use ressort::classify::request::RequestLimits;
use ressort::http::App;
use ressort::inference::decode::names::NameList;
use ressort::inference::decode::titles::{TitledNames, after_initials};
use ressort::inference::decode::word_tokens::Word;
use ressort::inference::decode::words::{LINK_WORDS, words};
use ressort::models::load::Model;
use ressort::models::registry::{ByTask, Registry};
use ressort::models::report::ModelReport;
use ressort::models::spec::ModelSpec;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::{classify, router};
use crate::support::{copy_of, load, reference, refusal, settings, write};

#[derive(Deserialize)]
struct Reference {
    names: BTreeMap<String, String>,
    /// With spaces between them.
    link_words: String,
    cases: Vec<Case>,
    after_titles: Vec<AfterTitle>,
}

#[derive(Deserialize)]
struct AfterTitle {
    /// It begins with a title of one word.
    text: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    /// In its usual case, where it has lost its own.
    usual: Option<String>,
    found: Vec<(String, String)>,
}

#[test]
fn listed_names_are_found_as_before_training() {
    let Reference { names, cases, .. } = reference("names.json");
    let list: Vec<String> = names.iter().map(|(name, label)| format!("{name}\t{label}")).collect();
    let list = NameList::parse(&list.join("\n")).unwrap();
    assert!(cases.len() > 10);
    for Case { text, usual, found: expected } in cases {
        let words: Vec<Word> = words(&text).into_iter().map(|span| Word { span, tokens: vec![0] }).collect();
        let found =
            list.find_in_usual_case(&text, usual.as_deref().unwrap_or(&text), &words).into_iter().map(|listed| {
                let last = &words[listed.first + listed.n_words - 1];
                let name = text[words[listed.first].span.start..last.span.end].to_owned();
                (name, format!("{}{}", list.labels[listed.label], if listed.is_part { " part" } else { "" }))
            });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{text:?}");
    }
}

#[test]
fn the_words_that_link_a_name_are_those_of_the_training() {
    let Reference { link_words, .. } = reference("names.json");
    assert_eq!(LINK_WORDS.as_slice(), link_words.split(' ').collect::<Vec<_>>());
}

#[test]
fn a_name_follows_a_title_at_once_as_before_training() {
    let Reference { after_titles, .. } = reference("names.json");
    assert!(after_titles.len() > 20);
    for AfterTitle { text, name } in after_titles {
        let words: Vec<Word> = words(&text).into_iter().map(|span| Word { span, tokens: vec![0] }).collect();
        let titled = TitledNames::of(&text, &words, std::iter::once(0..1), &HashSet::from([0]));
        let found = titled.after(0).map(|first| {
            let last = after_initials(&text, &words, first) - 1;
            text[words[first].span.start..words[last].span.end].to_owned()
        });
        assert_eq!(found, name, "{text:?}");
    }
}

/// A folder of the model `lexicon-ner` with a list of names and these lines in `[entities]`.
fn with_names(names: &str, entities: &str) -> TempDir {
    let folder = copy_of("lexicon-ner");
    write(&folder, "names.txt", names);
    write(&folder, "ressort.toml", &format!("[entities]\n{entities}"));
    folder
}

const LISTED: &str = "aggregation = \"viterbi\"\nnames = \"names.txt\"\nnames_weight = 20.0\n";

async fn found(folder: &TempDir, text: &str, options: Value) -> Vec<(String, String)> {
    let spec = ModelSpec { name: "listed".to_owned(), path: folder.path().to_owned() };
    let registry = Registry::load(&[spec], ByTask::default(), &settings()).await.unwrap();
    let service = router(Arc::new(App::new(registry, RequestLimits::default())));
    let mut request = json!({ "text": text });
    request.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let answer = classify(&service, request).await;
    let entity = |entity: &Value| {
        let word = |name: &str| entity[name].as_str().unwrap().to_owned();
        (word("text"), word("label"))
    };
    answer["entities"].as_array().unwrap().iter().map(entity).collect()
}

#[tokio::test]
async fn a_listed_name_is_found_whole_and_a_clear_reading_stays() {
    let text = "Dann traf Käthe Größler für Zwetschgenau Süd, und Zwetschgenau Süds Torwart fiel um.";
    let names = "Zwetschgenau\tPER\nZwetschgenau Süd\tORG\nKäthe\tORG\n";
    let own =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
    let unlisted = with_names(names, "aggregation = \"viterbi\"\n");
    assert_eq!(found(&unlisted, text, json!({})).await, own(&[("Käthe Größler", "PER")]));
    let listed = with_names(names, &LISTED.replace("20.0", "6.0"));
    let expected = own(&[("Käthe Größler", "PER"), ("Zwetschgenau Süd", "ORG"), ("Zwetschgenau Süds", "ORG")]);
    assert_eq!(found(&listed, text, json!({})).await, expected);
    // Another strategy reads each word's own logits.
    let first = found(&listed, text, json!({ "aggregation": "first" })).await;
    assert_eq!(first, own(&[("Käthe Größler", "PER")]));
}

#[tokio::test]
async fn a_doubtful_name_is_left_out_unless_the_request_says_otherwise() {
    let text = "Dann traf Käthe Größler ein.";
    let with_threshold = |threshold: &str| with_names("", &format!("temperature = 8.0\nthreshold = {threshold}\n"));
    let count = async |folder: &TempDir, options: Value| found(folder, text, options).await.len();
    let (certain, doubtful) = (with_threshold("0.2"), with_threshold("0.99"));
    for (folder, options, n) in [
        (&certain, json!({}), 1),
        (&certain, json!({ "threshold": 0.99 }), 0),
        (&doubtful, json!({}), 0),
        (&doubtful, json!({ "threshold": 0 }), 1),
        (&doubtful, json!({ "threshold": { "topics": 0.1 } }), 0),
        (&doubtful, json!({ "aggregation": "average" }), 0),
        // Tokens with raw tags are no names yet.
        (&doubtful, json!({ "aggregation": "none" }), 2),
    ] {
        assert_eq!(count(folder, options.clone()).await, n, "{options}");
    }
}

#[tokio::test]
async fn a_listed_name_is_found_in_words_that_have_lost_their_case() {
    let folder = copy_of("lexicon-ner-truecase");
    write(&folder, "names.txt", "Zwetschgenau Süd\tORG\nEUROPLUS\tLOC\n");
    let rest = LISTED.to_owned() + "one_label_per_name = true\n";
    write(&folder, "ressort.toml", &format!("[model]\ntruecase = \"truecase.txt\"\n[entities]\n{rest}"));
    for (text, expected) in [
        ("ZWETSCHGENAU SÜD GEWANN", vec![("ZWETSCHGENAU SÜD", "ORG")]),
        ("zwetschgenau süd gewann", vec![("zwetschgenau süd", "ORG")]),
        ("BEI EUROPLUS WAR ES SO", vec![("EUROPLUS", "LOC")]),
        ("Bei Europlus gewann zwetschgenau süd", vec![]),
    ] {
        let found = found(&folder, text, json!({})).await;
        let found: Vec<(&str, &str)> = found.iter().map(|(text, label)| (text.as_str(), label.as_str())).collect();
        assert_eq!(found, expected, "{text:?}");
    }
}

#[tokio::test]
async fn a_listed_name_that_the_model_reads_inside_a_longer_one_has_no_weight() {
    let listed = with_names("Größler\tORG\n", LISTED);
    let whole = ("Käthe Größler".to_owned(), "PER".to_owned());
    assert_eq!(found(&listed, "Dann traf Käthe Größler ein.", json!({})).await, [whole]);
    let alone = ("Größler".to_owned(), "ORG".to_owned());
    assert_eq!(found(&listed, "Dann traf Größler ein.", json!({})).await, [alone]);
    // In a text with the whole name, the surname alone has no weight either.
    let text = "Größler traf ein. Dann traf Käthe Größler ein. Größlers Hut!";
    let found = found(&listed, text, json!({})).await;
    assert!(found.iter().all(|(_, label)| label == "PER"), "{found:?}");
}

#[tokio::test]
async fn what_is_listed_as_no_name_is_none_and_a_longer_name_stays() {
    let text = "Dann traf Käthe Größler ein.";
    for (names, expected) in [
        ("Käthe Größler\tO\n", vec![]),
        // What follows keeps no label that it had with what is no name.
        ("Käthe\tO\n", vec![]),
        // The model reads the surname inside a longer name.
        ("Größler\tO\n", vec![("Käthe Größler", "PER")]),
        ("Käthe\tO\nKäthe Größler\tORG\n", vec![("Käthe Größler", "ORG")]),
    ] {
        let found = found(&with_names(names, LISTED), text, json!({})).await;
        let found: Vec<(&str, &str)> = found.iter().map(|(text, label)| (text.as_str(), label.as_str())).collect();
        assert_eq!(found, expected, "{names:?}");
    }
}

#[tokio::test]
async fn a_listed_name_is_found_over_a_line_end_and_with_other_apostrophes() {
    for (listed, text) in [
        ("Zwetschgenau Süd", "Dann gewann Zwetschgenau\nSüd."),
        ("Zwetschgenau Süd", "Dann gewann Zwetschgenau\u{a0}Süd."),
        ("Zwetsch’au Süd", "Dann gewann Zwetsch'au Süd."),
        ("Zwetsch'au Süd", "Dann gewann Zwetsch’au Süd."),
    ] {
        let found = found(&with_names(&format!("{listed}\tORG\n"), LISTED), text, json!({})).await;
        let name = text.trim_start_matches("Dann gewann ").trim_end_matches('.');
        assert_eq!(found, [(name.to_owned(), "ORG".to_owned())], "{text:?}");
    }
}

#[tokio::test]
async fn a_compound_with_a_listed_name_leans_half_as_much_to_the_label_of_parts() {
    let text = "Dann kam ein Zwetschgenau-Trainer.";
    let entities = format!("rename = {{ LOC = \"ORGpart\" }}\n{LISTED}");
    let weighing = |weight: &str| with_names("Zwetschgenau\tORG\n", &entities.replace("20.0", weight));
    let part = [("Zwetschgenau-Trainer".to_owned(), "ORGpart".to_owned())];
    assert_eq!(found(&weighing("8.0"), text, json!({})).await, part);
    assert_eq!(found(&weighing("4.0"), text, json!({})).await, []);
    assert_eq!(found(&weighing("4.0"), "Dann kam Zwetschgenau.", json!({})).await.len(), 1);
}

#[tokio::test]
async fn the_list_of_names_can_be_seen_and_is_part_of_the_version() {
    let load_folder = async |names: &str| {
        let folder = with_names(names, LISTED);
        let spec = ModelSpec { name: "listed".to_owned(), path: folder.path().to_owned() };
        Model::load(&spec, &settings()).await.unwrap()
    };
    let (one, two) = (load_folder("Werder\tORG\n").await, load_folder("Werder\tORG\nSturm Graz\tORG\n").await);
    assert_ne!(one.version, two.version);
    let report = serde_json::to_value(ModelReport::of(&two)).unwrap();
    assert_eq!((&report["listed_names"], &report["names_weight"]), (&json!(2), &json!(20.0)));
    assert!(ModelReport::of(&two).to_string().contains("a list of 2 names with their labels, weight 20"));
    assert_eq!(serde_json::to_value(ModelReport::of(&load("lexicon-ner").await)).unwrap().get("listed_names"), None);
}

#[tokio::test]
async fn a_list_of_names_that_does_not_fit_is_refused_with_the_reason() {
    let viterbi = "aggregation = \"viterbi\"\nnames = \"names.txt\"\n";
    for (names, entities, part) in [
        (
            "Werder\tCLUB\n",
            viterbi,
            "names.txt: line 1 has the label `CLUB`, which the model does not have; use one of its labels, `PER`, `LOC`, `ORG`, `O` for what is no name",
        ),
        ("Werder ORG\n", viterbi, "names.txt: line 1 is not a name, a tab and a label: \"Werder ORG\""),
        ("", viterbi, "the list of names is empty; write one name a line"),
        ("Werder\tORG\n", "names = \"names.txt\"\n", "names needs `aggregation = \"viterbi\"`, not `first`"),
        (
            "Werder\tORG\n",
            "aggregation = \"viterbi\"\nnames = \"list.txt\"\n",
            "list.txt: missing; `names` in ressort.toml names it",
        ),
        ("Werder\tORG\n", "aggregation = \"viterbi\"\nnames = \"../list.txt\"\n", "leads out of the model folder"),
        ("Werder\tORG\n", "aggregation = \"viterbi\"\nnames = \"\"\n", "ressort.toml: it names ``, which is no file"),
        ("Werder\tORGA\n", viterbi, "which the model does not have; did you mean `ORG`?; use"),
        ("Werder\tORG\n", "names_weight = 2.0\n", "names_weight 2 needs `names`"),
        ("Werder\tORG\n", &format!("{viterbi}names_weight = 0.0\n"), "names_weight 0 must be above 0 and at most 20"),
        ("Werder\tORG\n", &format!("{viterbi}names_weight = nan\n"), "names_weight NaN must be above 0"),
    ] {
        let message = refusal(with_names(names, entities).path().to_owned()).await;
        assert!(message.contains(part), "{message}");
    }
}
