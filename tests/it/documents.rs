//! Rules that hold for any text: entities are slices, windows cover everything, company changes nothing.

use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use ressort::inference::encoded::Document;
use ressort::inference::pipeline::Overflow;
use ressort::inference::pipeline::{PredictError, PredictOptions, Prediction};
use ressort::inference::windows::Sentences;
use ressort::manifest::task::ALL_STRATEGIES;
use ressort::models::load::Model;
use ressort::text::span::{OffsetConverter, OffsetUnit};
use tokio::runtime::Runtime;

use crate::support::{aggregated, found, load, options, predict, request_context};

/// One runtime and a few models of different tokenizers, for properties that run many times.
fn shared() -> &'static (Runtime, Vec<Model>) {
    static SHARED: OnceLock<(Runtime, Vec<Model>)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let names = ["bert-uncased-ner", "xlmr-ner", "roberta-ner", "deberta-ner", "two-heads", "lexicon-ner"];
        let models = names.map(|name| runtime.block_on(load(name)));
        (runtime, models.into_iter().collect())
    })
}

/// German as it is written, and anything else that a string can hold.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "Angela", " Merkel", " ", "\n", "\r\n", "\u{a0}", "\u{ad}", "\u{200b}", "„", "“", "»", "«", "(", ")", ", ", ". ",
            "Berlin-Mitte", "Bürger*innen", "U-Bahn", "EU-Kommission", "Straße 5", "Weisse Haus", "haetten", "Ko\u{308}ln",
            "München", "😀", "👩\u{200d}👧", "北京", "ß", "ﬁ", "Ⅷ", "[SEP]", "</s>", "##", "İ",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn check_places(text: &str, prediction: &Prediction) -> Result<(), TestCaseError> {
    let mut last = 0;
    for entity in prediction.entities.iter().flatten() {
        let slice = entity.span.slice(text);
        prop_assert!(slice.is_some(), "{:?} is no place in {text:?}", entity.span);
        let slice = slice.unwrap_or_default();
        prop_assert_eq!(slice.trim(), slice, "{:?}", entity);
        prop_assert!(entity.span.start >= last, "{:?} overlaps the entity before", entity);
        last = entity.span.end;
        prop_assert!((0.0..=1.0).contains(&entity.score));
        let mut code_points = OffsetConverter::new(text, OffsetUnit::Codepoint);
        let (start, end) = (code_points.convert(entity.span.start), code_points.convert(entity.span.end));
        let by_code_points: String = text.chars().skip(start).take(end - start).collect();
        prop_assert_eq!(&by_code_points, slice);
        let mut utf16 = OffsetConverter::new(text, OffsetUnit::Utf16);
        let (start, end) = (utf16.convert(entity.span.start), utf16.convert(entity.span.end));
        let units: Vec<u16> = text.encode_utf16().collect();
        prop_assert_eq!(String::from_utf16_lossy(&units[start..end]), slice);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_text_of_an_entity_is_the_slice_at_its_offsets(text in any_text()) {
        let (runtime, models) = shared();
        for model in models {
            for &strategy in ALL_STRATEGIES {
                let prediction = runtime.block_on(predict(model, &text, aggregated(strategy)));
                check_places(&text, &prediction)?;
            }
        }
    }

    #[test]
    fn a_text_is_read_whole_in_as_many_windows_as_its_sentences_need(text in any_text()) {
        let (runtime, models) = shared();
        for model in models {
            let usage = runtime.block_on(predict(model, &text, options())).usage;
            let windowing = model.pipeline.windowing;
            let n_unknown = windowing.cut(&Sentences::unknown(usage.n_tokens)).len();
            prop_assert!(usage.n_windows >= usage.n_tokens.div_ceil(windowing.capacity()));
            prop_assert!(usage.n_windows <= 2 * n_unknown + 1, "{usage:?}");
            prop_assert!(!usage.truncated);
        }
    }

    #[test]
    fn a_document_alone_is_the_same_in_company(texts in prop::collection::vec(any_text(), 1..6)) {
        let (runtime, models) = shared();
        for model in models {
            let alone: Vec<Prediction> = texts.iter().map(|text| runtime.block_on(predict(model, text, options()))).collect();
            let together = runtime.block_on(async {
                let tasks: Vec<_> = texts.iter().map(|text| {
                    let (pipeline, text) = (Arc::clone(&model.pipeline), Arc::<str>::from(text.as_str()));
                    tokio::spawn(async move { pipeline.predict(text, options()).await.unwrap() })
                }).collect();
                let mut predictions = Vec::new();
                for task in tasks {
                    predictions.push(task.await.unwrap());
                }
                predictions
            });
            for (alone, together) in alone.iter().zip(&together) {
                check_same(alone, together)?;
            }
        }
    }
}

/// The same answer, but for the last digits of scores.
fn check_same(a: &Prediction, b: &Prediction) -> Result<(), TestCaseError> {
    const LAST_DIGITS: f32 = 1e-5;
    prop_assert_eq!(a.usage, b.usage);
    let (ours, theirs) = (a.entities.iter().flatten(), b.entities.iter().flatten());
    prop_assert_eq!(ours.clone().count(), theirs.clone().count());
    for (ours, theirs) in ours.zip(theirs) {
        prop_assert_eq!((&ours.label, ours.span), (&theirs.label, theirs.span));
        prop_assert!((ours.score - theirs.score).abs() < LAST_DIGITS);
    }
    let by_index = |prediction: &Prediction| {
        let mut scores: Vec<_> = prediction.topics.iter().flatten().map(|topic| (topic.index, topic.score)).collect();
        scores.sort_by_key(|(index, _)| *index);
        scores
    };
    for ((index, ours), (other, theirs)) in by_index(a).into_iter().zip(by_index(b)) {
        prop_assert_eq!(index, other);
        prop_assert!((ours - theirs).abs() < LAST_DIGITS);
    }
    Ok(())
}

#[tokio::test]
async fn a_model_with_dynamic_activations_gives_the_same_in_company() {
    for name in ["bert-cased-ner-int8", "xlmr-cls-int8"] {
        let model = load(name).await;
        assert_eq!(model.batch_limits().max_windows, 1, "{name}");
        let texts = ["Berlin", "Angela Merkel sprach", "Am Montag in München", "Ulm"];
        let run = |text: &str| model.pipeline.predict(Document::from(text), options());
        let (a, b, c, d) = tokio::join!(run(texts[0]), run(texts[1]), run(texts[2]), run(texts[3]));
        for (text, together) in texts.into_iter().zip([a, b, c, d]) {
            assert_eq!(predict(&model, text, options()).await, together.unwrap(), "{name}: {text}");
        }
    }
}

#[tokio::test]
async fn an_entity_across_any_edge_is_found_once_and_whole() {
    let model = load("lexicon-ner").await;
    let capacity = model.pipeline.windowing.capacity();
    let middle = predict(&model, "und dann kam Angela Müller Merkel hier", options()).await;
    let score = middle.entities.as_ref().unwrap()[0].score;
    // Placed at every offset of more than three windows, the name crosses each edge in each way.
    for n_before in 0..3 * capacity {
        let text = format!("{}Angela Müller Merkel {}", "dann ".repeat(n_before), "hier ".repeat(2 * capacity));
        let prediction = predict(&model, &text, options()).await;
        assert!(prediction.usage.n_windows >= 3);
        assert_eq!(found(&prediction, &text), [("PER".to_owned(), "Angela Müller Merkel")], "after {n_before} words");
        let given = prediction.entities.as_ref().unwrap()[0].score;
        assert!((given - score).abs() < 0.02, "after {n_before} words the score is {given}, elsewhere {score}");
    }
}

#[tokio::test]
async fn topics_of_a_long_text_are_pooled_over_all_its_windows() {
    let model = load("lexicon-topics").await;
    let text = format!(
        "{}Der FC Bayern gewann das Spiel. Tor Trainer Liga Pokal",
        "Das ist ein Film und Konzert. ".repeat(20)
    );
    let whole = predict(&model, &text, options()).await;
    assert!(whole.usage.n_windows > 3);
    let first = predict(&model, &text, PredictOptions { overflow: Overflow::Truncate, ..options() }).await;
    let score = |prediction: &Prediction, label: &str| {
        let topics = prediction.topics.iter().flatten();
        topics.clone().find(|topic| model.topic_labels()[topic.index].label == label).unwrap().score
    };
    assert!(score(&whole, "Sport") > score(&first, "Sport"));
    assert!(first.usage.truncated && first.usage.n_windows == 1);
}

#[tokio::test]
async fn per_token_topics_are_the_mean_over_the_tokens_of_the_text() {
    let model = load("two-heads").await;
    let text = "Angela Merkel sprach am Montag in München.";
    let tokens = model.pipeline.tokenizer.tokenize(text).unwrap();
    let window = model.pipeline.tokenizer.window(&tokens, 0..tokens.ids.len());
    let logits = model.pipeline.scheduler.run(vec![window], request_context()).await.unwrap();
    let rows = logits[0].topics.as_ref().unwrap().rows();
    assert_eq!(rows.nrows(), tokens.ids.len());
    for topic in predict(&model, text, options()).await.topics.unwrap() {
        let mean = rows.column(topic.index).mean().unwrap();
        let score = 1.0 / (1.0 + (-mean).exp());
        assert!((topic.score - score).abs() < 1e-6, "{topic:?} where the mean of the tokens gives {score}");
    }
}

#[tokio::test]
async fn a_text_longer_than_a_window_is_refused_where_the_caller_wants_it() {
    let model = load("lexicon-ner").await;
    let options = PredictOptions { overflow: Overflow::Error, ..options() };
    let capacity = model.pipeline.windowing.capacity();
    assert!(model.pipeline.predict("dann ".repeat(capacity).as_str(), options).await.is_ok());
    let error = model.pipeline.predict("dann ".repeat(capacity + 1).as_str(), options).await.unwrap_err();
    assert!(matches!(error, PredictError::Overflow { n_tokens, .. } if n_tokens == capacity + 1), "{error}");
}

#[tokio::test]
async fn a_text_without_tokens_is_about_nothing() {
    for name in ["two-heads", "lexicon-topics", "lexicon-ner", "xlmr-cls"] {
        let model = load(name).await;
        for text in ["", " ", "\n\t", "\u{ad}\u{200b}\u{feff}"] {
            let prediction = predict(&model, text, options()).await;
            assert_eq!(prediction.topics.unwrap_or_default(), [], "{name}: {text:?}");
            assert_eq!(prediction.entities.unwrap_or_default(), [], "{name}: {text:?}");
            assert_eq!((prediction.usage.n_tokens, prediction.usage.n_windows), (0, 0), "{name}: {text:?}");
        }
    }
}

#[tokio::test]
async fn german_as_it_is_written_keeps_its_places() {
    let model = load("lexicon-ner").await;
    for (text, expected) in [
        ("(Berlin)", vec!["Berlin"]),
        ("„München“, »Köln«", vec!["München", "Köln"]),
        ("Berlin\r\nMünchen\u{a0}Paris", vec!["Berlin", "München", "Paris"]),
        ("kam nach Mu\u{308}nchen", vec!["Mu\u{308}nchen"]),
        ("kam nach Mün\u{ad}chen und Ber\u{200b}lin", vec!["Mün\u{ad}chen", "Ber\u{200b}lin"]),
        ("😀 Berlin 👩\u{200d}👧 Paris", vec!["Berlin", "Paris"]),
        ("Berlin-Mitte und die EU-Kommission", vec!["Berlin-Mitte", "EU-Kommission"]),
        ("Berlin/Hamburg", vec!["Berlin", "Hamburg"]),
        ("sagte Angela Merkel.", vec!["Angela Merkel"]),
    ] {
        let prediction = predict(&model, text, options()).await;
        let texts: Vec<&str> = found(&prediction, text).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, expected, "{text:?}");
    }
}

#[tokio::test]
async fn ten_thousand_words_are_read_whole() {
    let model = load("lexicon-ner").await;
    let text = format!("{}Angela Merkel", "dann kam er auch hier und ".repeat(1700));
    let prediction = predict(&model, &text, options()).await;
    assert!(prediction.usage.n_tokens > 10_000);
    assert_eq!(found(&prediction, &text), [("PER".to_owned(), "Angela Merkel")]);
    assert_eq!(prediction.entities.unwrap()[0].span.end, text.len());
}
