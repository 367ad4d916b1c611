//! Graphs that make scores of their logits, and graphs with one logit.

use ressort::inference::pipeline::Prediction;
use ressort::manifest::task::AggregationStrategy;
use tempfile::TempDir;

use crate::graphs::{LABELS, TEXTS, USUAL, as_tagger, assert_close, classifier, folder, load, masked_mean, scores_of};
use crate::graphs::{token_logits, with_note};
use crate::support::{aggregated, edit_json, options, predict, refusal, write};
use crate::tiny_graph::{FLOAT16, FLOAT32, TinyGraph};

const MULTI_LABEL: &str = "[topics]\nproblem_type = \"multi_label_classification\"\n";
const SINGLE_LABEL: &str = "[topics]\nproblem_type = \"single_label_classification\"\n";

/// A classifier whose logits are `inner`.
fn inner(n_labels: usize) -> TinyGraph {
    masked_mean(&USUAL, n_labels).node("Squeeze", &["mean", "one"], "inner")
}

fn ending(operator: &str) -> TinyGraph {
    let attributes = [("axis", 1)];
    let attributes = if operator == "Sigmoid" { &[][..] } else { &attributes[..] };
    inner(3).node_with(operator, &["inner"], "logits", attributes).output("logits", FLOAT32, &[0, 3])
}

fn with_toml(folder: TempDir, toml: &str) -> TempDir {
    write(&folder, "ressort.toml", toml);
    folder
}

#[tokio::test]
async fn one_logit_is_a_sigmoid_whatever_the_config_says() {
    // The first label of a model with several has the same logits.
    let several = with_toml(folder(classifier(&USUAL, 3), &LABELS), MULTI_LABEL);
    let declare = |folder: &TempDir, word: &'static str| {
        edit_json(folder, "config.json", |config| {
            config.insert("problem_type".into(), word.into());
        });
    };
    let one = |labels: &[&str]| folder(classifier(&USUAL, 1), labels);
    let no_names = one(&[]);
    let single = one(&LABELS[..1]);
    declare(&single, "single_label_classification");
    let multi = one(&LABELS[..1]);
    declare(&multi, "multi_label_classification");
    let by_toml = with_toml(one(&LABELS[..1]), SINGLE_LABEL);
    for (folder, context) in [(&no_names, "no names"), (&single, "single"), (&multi, "multi"), (&by_toml, "toml")] {
        let model = load(folder).await;
        for text in TEXTS {
            let expected = scores_of(&several, text).await[0];
            let topics = predict(&model, text, options()).await.topics.unwrap();
            assert_close(&[topics[0].score], &[expected], 1e-6, context);
            assert_eq!(topics[0].accepted, topics[0].score >= 0.5, "{context}");
        }
    }
    let regression = one(&LABELS[..1]);
    declare(&regression, "regression");
    let message = refusal(regression.path().to_owned()).await;
    assert!(message.contains("set problem_type under [topics] in ressort.toml"), "{message}");
}

#[tokio::test]
async fn scores_of_a_graph_are_not_normalised_again() {
    let then = |operator: &str| inner(3).node_with("Softmax", &["inner"], operator, &[("axis", 1)]);
    let cast =
        then("f32").node_with("Cast", &["f32"], "logits", &[("to", FLOAT16.into())]).output("logits", FLOAT16, &[0, 3]);
    let steps = inner(3).node("Exp", &["inner"], "exp").node("ReduceSum", &["exp", "one"], "total");
    let steps = steps.node("Div", &["exp", "total"], "logits").output("logits", FLOAT32, &[0, 3]);
    let long = TEXTS.join(" ").repeat(6);
    for (graph, toml, tolerance, note) in [
        (ending("Softmax"), SINGLE_LABEL, 1e-5, "a Softmax"),
        (ending("LogSoftmax"), SINGLE_LABEL, 1e-5, "a LogSoftmax"),
        (ending("Sigmoid"), MULTI_LABEL, 1e-5, "a Sigmoid"),
        (cast, SINGLE_LABEL, 1e-3, "a Softmax"),
        (steps, SINGLE_LABEL, 1e-5, "a Softmax"),
    ] {
        let plain = load(&with_toml(folder(classifier(&USUAL, 3), &LABELS), toml)).await;
        // The graph says what it ends in, so the folder need not.
        let model = load(&folder(graph, &LABELS)).await;
        with_note(&model, note);
        for text in TEXTS.into_iter().chain([long.as_str()]) {
            let of = |prediction: &Prediction| prediction.topics.clone().unwrap();
            let (found, expected) =
                (of(&predict(&model, text, options()).await), of(&predict(&plain, text, options()).await));
            for (found, expected) in found.iter().zip(&expected) {
                assert_close(&[found.score], &[expected.score], tolerance, note);
                assert_eq!((found.index, found.accepted), (expected.index, expected.accepted), "{note}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn one_of_two_scores_is_taken_as_it_is() {
    let both = scores_of(&folder(classifier(&USUAL, 2), &LABELS[..2]), TEXTS[1]).await;
    let graph = inner(2).node_with("Softmax", &["inner"], "both", &[("axis", 1)]);
    let graph =
        graph.node_with("Gather", &["both", "one"], "logits", &[("axis", 1)]).output("logits", FLOAT32, &[0, 1]);
    assert_close(&scores_of(&folder(graph, &LABELS[1..2]), TEXTS[1]).await, &both[1..], 1e-6, "the second label");
}

#[tokio::test]
async fn a_softmax_that_gives_no_scores_of_labels_is_refused() {
    let other_axis =
        inner(3).node_with("Softmax", &["inner"], "logits", &[("axis", 0)]).output("logits", FLOAT32, &[0, 3]);
    let of_one = inner(1).node_with("Softmax", &["inner"], "logits", &[("axis", 1)]).output("logits", FLOAT32, &[0, 1]);
    for (graph, labels) in [(other_axis, &LABELS[..]), (of_one, &LABELS[..1])] {
        let message = refusal(folder(graph, labels).path().to_owned()).await;
        assert!(message.contains("ends in a Softmax") && message.contains("without its last Softmax"), "{message}");
    }
}

/// Entities of a tagger whose graph ends in `operator`, by each strategy.
async fn entities(operator: &str) -> Vec<(String, usize, f32)> {
    let attributes: &[(&str, i64)] = if operator.ends_with("Softmax") { &[("axis", 2)] } else { &[] };
    let graph = token_logits(&USUAL, 3).node_with(operator, &["token_logits"], "logits", attributes);
    let folder = folder(graph.output("logits", FLOAT32, &[0, 0, 3]), &["O", "B-PER", "I-PER"]);
    as_tagger(&folder);
    let model = load(&folder).await;
    assert_eq!(model.notes().len(), usize::from(operator != "Identity"), "{:?}", model.notes());
    let mut found = Vec::new();
    for strategy in [AggregationStrategy::None, AggregationStrategy::Average, AggregationStrategy::Viterbi] {
        let text = TEXTS[2].repeat(4);
        let entities = predict(&model, &text, aggregated(strategy)).await.entities.unwrap();
        assert!(!entities.is_empty());
        found.extend(entities.into_iter().map(|entity| (entity.label, entity.span.start, entity.score)));
    }
    found
}

#[tokio::test]
async fn entities_of_a_graph_that_makes_scores_are_those_of_its_logits() {
    let plain = entities("Identity").await;
    for operator in ["Softmax", "LogSoftmax"] {
        let found = entities(operator).await;
        assert_eq!(found.len(), plain.len(), "{operator}");
        for (found, expected) in found.iter().zip(&plain) {
            assert_eq!((&found.0, found.1), (&expected.0, expected.1), "{operator}");
            assert_close(&[found.2], &[expected.2], 1e-5, operator);
        }
    }
}

/// With a sigmoid, a token's scores are independent and may sum to more than one. The largest is the score of its tag.
#[tokio::test]
async fn entities_of_a_graph_that_ends_in_a_sigmoid_have_its_scores() {
    let found = entities("Sigmoid").await;
    assert!(found.iter().any(|(_, _, score)| *score > 0.9), "{found:?}");
}
