//! The metrics against those of seqeval, nervaluate, scikit-learn and SciPy (`scripts/reference/make_metrics.py`).

use ndarray::Array2;
use ressort::evaluate::compare::{Resampling, approximate_randomisation, bootstrap, mcnemar};
use ressort::evaluate::document::LabelledSpan;
use ressort::evaluate::metrics::MatchCounts;
use ressort::evaluate::metrics::calibration::{expected_calibration_error, reliability};
use ressort::evaluate::metrics::schemes::Schemes;
use ressort::evaluate::metrics::spans::{SpanPair, span_metrics};
use ressort::evaluate::metrics::topics::{TopicTable, topic_metrics};
use serde::Deserialize;
use serde_json::Value;

use crate::support::reference;

#[derive(Deserialize)]
struct Reference {
    entities: Vec<EntityCase>,
    topics: Vec<TopicCase>,
    mcnemar: Vec<McNemarCase>,
    comparison: ComparisonCase,
}

#[derive(Deserialize)]
struct EntityCase {
    name: String,
    gold: Vec<Vec<LabelledSpan>>,
    predicted: Vec<Vec<LabelledSpan>>,
    seqeval: Value,
    nervaluate: Value,
}

#[derive(Deserialize)]
struct TopicCase {
    name: String,
    labels: Vec<String>,
    gold: Vec<Vec<u8>>,
    scores: Vec<Vec<f64>>,
    threshold: f64,
    #[serde(rename = "figures")]
    metrics: Value,
    confusion: Value,
    per_label: Value,
}

#[derive(Deserialize)]
struct McNemarCase {
    first: u64,
    second: u64,
    p_value: f64,
}

#[derive(Deserialize)]
struct ComparisonCase {
    first: Vec<[u64; 3]>,
    second: Vec<[u64; 3]>,
    difference: f64,
    low: f64,
    high: f64,
    p_value: f64,
}

#[derive(Deserialize)]
struct CalibrationReference {
    cases: Vec<CalibrationCase>,
}

#[derive(Deserialize)]
struct CalibrationCase {
    name: String,
    scores: Vec<f64>,
    hits: Vec<bool>,
    bin_sizes: Vec<u64>,
    ece: f64,
}

impl EntityCase {
    fn pairs(&self) -> Vec<SpanPair<'_>> {
        self.gold.iter().zip(&self.predicted).map(|(gold, predicted)| SpanPair { gold, predicted }).collect()
    }
}

impl TopicCase {
    fn table(&self) -> TopicTable {
        let shape = (self.gold.len(), self.labels.len());
        let gold = self.gold.iter().flatten().map(|gold| *gold == 1).collect();
        let scores = Array2::from_shape_vec(shape, self.scores.concat()).unwrap();
        TopicTable {
            labels: self.labels.clone(),
            gold: Array2::from_shape_vec(shape, gold).unwrap(),
            accepted: scores.mapv(|score| score >= self.threshold),
            scores,
        }
    }
}

/// Asserts that `found` contains everything in `expected`, numbers up to rounding.
fn assert_holds(expected: &Value, found: &Value, at: &str) {
    match expected {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            let found = found.get(name).unwrap_or(&Value::Null);
            assert_holds(value, found, &format!("{at}.{name}"));
        }),
        Value::Array(items) => {
            assert_eq!(found.as_array().map(Vec::len), Some(items.len()), "{at}");
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| assert_holds(item, &found[index], &format!("{at}[{index}]")));
        }
        Value::Number(number) => {
            let (expected, found) = (number.as_f64().unwrap(), found.as_f64().unwrap_or(f64::NAN));
            assert!((expected - found).abs() < 1e-9, "{at}: {expected} was expected, {found} was found");
        }
        _ => assert_eq!(expected, found, "{at}"),
    }
}

#[test]
fn strict_span_f1_is_that_of_seqeval() {
    for case in reference::<Reference>("metrics.json").entities {
        let metrics = serde_json::to_value(span_metrics(case.pairs())).unwrap();
        let mut expected = case.seqeval.as_object().unwrap().clone();
        for average in ["micro", "macro"] {
            let mut row = expected.remove(average).unwrap();
            row.as_object_mut().unwrap().remove("support");
            assert_holds(&row, &metrics[average], &format!("{}.{average}", case.name));
        }
        assert_eq!(expected.len(), metrics["per_label"].as_object().unwrap().len(), "{}", case.name);
        assert_holds(&expected.into(), &metrics["per_label"], &case.name);
    }
}

#[test]
fn the_four_schemes_are_those_of_nervaluate() {
    for case in reference::<Reference>("metrics.json").entities {
        let schemes = serde_json::to_value(Schemes::of(&case.pairs())).unwrap();
        for (scheme, metrics) in case.nervaluate.as_object().unwrap() {
            let at = format!("{}.{scheme}", case.name);
            let mut expected = metrics.as_object().unwrap().clone();
            assert_holds(&expected.remove("micro").unwrap(), &schemes[scheme]["micro"], &format!("{at}.micro"));
            let sum: f64 = expected.values().map(|row| row["f1"].as_f64().unwrap()).sum();
            let mean = if expected.is_empty() { 0.0 } else { sum / expected.len() as f64 };
            assert_holds(&mean.into(), &schemes[scheme]["macro"]["f1"], &format!("{at}.macro.f1"));
            assert_holds(&expected.into(), &schemes[scheme]["per_label"], &at);
        }
    }
}

#[test]
fn topic_metrics_are_those_of_scikit_learn() {
    for case in reference::<Reference>("metrics.json").topics {
        let metrics = serde_json::to_value(topic_metrics(&case.table())).unwrap();
        assert_holds(&case.metrics, &metrics, &case.name);
        assert_holds(&case.confusion, &metrics["confusion"]["counts"], &format!("{}.confusion", case.name));
        assert_holds(&case.per_label, &metrics["per_label"], &case.name);
    }
}

#[test]
fn a_score_on_the_edge_of_a_bin_is_in_the_lower_one_as_in_scikit_learn() {
    for case in reference::<CalibrationReference>("calibration.json").cases {
        let bins = reliability(&case.hits, &case.scores);
        assert_eq!(bins.iter().map(|bin| bin.n).collect::<Vec<_>>(), case.bin_sizes, "{}", case.name);
        let ece = expected_calibration_error(&bins);
        assert!((ece - case.ece).abs() < 1e-12, "{}: {ece} was found, {} was expected", case.name, case.ece);
    }
}

#[test]
fn mcnemars_test_is_that_of_scipys_binomial() {
    for McNemarCase { first, second, p_value } in reference::<Reference>("metrics.json").mcnemar {
        let found = mcnemar(first, second);
        assert!((found - p_value).abs() < 1e-9, "{first} against {second}: {p_value} was expected, {found} was found");
    }
}

#[test]
fn intervals_and_p_values_are_close_to_those_of_numpy() {
    let case = reference::<Reference>("metrics.json").comparison;
    let f1 = |rows: &mut dyn Iterator<Item = (&[u64; 3], u64)>| {
        let mut sum = MatchCounts::default();
        rows.for_each(|([correct, predicted, gold], times)| {
            sum.add_times(MatchCounts { correct: *correct, predicted: *predicted, gold: *gold }, times);
        });
        sum.f1()
    };
    let resampling = Resampling { n_resamples: 20_000, seed: 11 };
    let drawn = |times: &[u32]| {
        let of = |rows: &[[u64; 3]]| f1(&mut rows.iter().zip(times.iter().map(|n| u64::from(*n))));
        [of(&case.second) - of(&case.first)]
    };
    let [interval] = bootstrap(case.first.len(), resampling, drawn);
    assert!((interval.low - case.low).abs() < 0.01 && (interval.high - case.high).abs() < 0.01, "{interval:?}");
    let exchanged = |exchanged: &[bool]| {
        let pairs = || case.first.iter().zip(&case.second).zip(exchanged);
        let first = f1(&mut pairs().map(|((first, second), exchange)| (if *exchange { second } else { first }, 1)));
        let second = f1(&mut pairs().map(|((first, second), exchange)| (if *exchange { first } else { second }, 1)));
        second - first
    };
    assert!((exchanged(&[false; 12]) - case.difference).abs() < 1e-12);
    let p_value = approximate_randomisation(case.first.len(), resampling, exchanged);
    assert!((p_value - case.p_value).abs() < 0.02, "{p_value} was found, {} was expected", case.p_value);
}
