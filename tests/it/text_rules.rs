//! Rules for texts as they arrive: what a model finds in such a text, and the switches of requests and model folders.

use serde_json::{Value, json};

use crate::api::{classify, service_of};
use crate::support::{copy_of, options, predict, settings, write};
use ressort::inference::pipeline::PredictOptions;
use ressort::manifest::text_rules::TextSwitch;
use ressort::models::load::Model;
use ressort::models::spec::ModelSpec;

/// The entities of the answer, after a check that each is the slice of `text` at its offsets.
fn entities(text: &str, answer: &Value) -> Vec<String> {
    let number = |entity: &Value, name: &str| entity[name].as_u64().unwrap() as usize;
    let check = |entity: &Value| {
        let (start, end) = (number(entity, "start"), number(entity, "end"));
        let slice: String = text.chars().skip(start).take(end - start).collect();
        assert_eq!(entity["text"], slice.as_str(), "{text:?}");
        slice
    };
    answer["entities"].as_array().unwrap().iter().map(check).collect()
}

#[tokio::test]
async fn names_are_found_as_a_reader_finds_them_unless_the_rule_is_off() {
    let service = service_of(&["lexicon-ner"], Default::default()).await;
    for (rule, text, on, off) in [
        ("html", "<p class=\"x\">in <b>Köln</b>&nbsp;und Ber<i>lin</i></p>", &["Köln", "Ber<i>lin"][..], &["Köln"][..]),
        ("html", "in K&ouml;ln &amp; M&#252;nchen", &["K&ouml;ln", "M&#252;nchen"], &[]),
        ("html", "<script>Paris</script>Berlin <3 <Hamburg>", &["Berlin", "Hamburg"], &["Paris", "Berlin", "Hamburg"]),
        ("hyphens", "Die Sie-\r\n mens AG in Köln", &["Sie-\r\n mens", "Köln"], &["Köln"]),
        ("addresses", "Köln: Berlin@siemens.de", &["Köln"], &["Köln", "Berlin"]),
        ("boundaries", "Angela\n\nMerkel", &["Angela", "Merkel"], &["Angela\n\nMerkel"]),
    ] {
        let found =
            async |rules: Value| entities(text, &classify(&service, json!({"text": text, "text_rules": rules})).await);
        assert_eq!(found(json!({})).await, on, "{text:?}");
        assert_eq!(found(json!({ rule: true })).await, on, "{text:?}");
        assert_eq!(found(json!({ rule: false })).await, off, "{text:?}");
    }
}

#[tokio::test]
async fn a_model_folder_switches_a_rule_for_requests_that_do_not() {
    let folder = copy_of("lexicon-ner");
    write(&folder, "ressort.toml", "[text]\nhyphens = false\n");
    let spec = ModelSpec { name: "m".to_owned(), path: folder.path().to_owned() };
    let model = Model::load(&spec, &settings()).await.unwrap();
    let text = "in Kö-\nln";
    let n_found = async |switches: &[&str]| {
        let text_rules = switches.iter().map(|switch| switch.parse::<TextSwitch>().unwrap()).collect();
        let options = PredictOptions { text_rules, ..options() };
        predict(&model, text, options).await.entities.unwrap().len()
    };
    assert_eq!((n_found(&[]).await, n_found(&["hyphens=on"]).await), (0, 1));
}
