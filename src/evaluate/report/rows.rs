//! The tables that terminal and page share. A row has a name and a value for each model.

use std::collections::BTreeMap;

use crate::evaluate::metrics::topics::TopicMetrics;
use crate::evaluate::model_metrics::{EntityReport, ModelMetrics};
use crate::evaluate::run_record::Speed;

/// The value of a model that has none.
pub(super) const NO_VALUE: &str = "–";

/// F1 of one label for each model.
pub(super) struct LabelRow<'r> {
    pub label: &'r str,
    /// How often the label is gold, at least once.
    pub support: u64,
    pub f1: Vec<Option<f64>>,
}

/// Number of gold labels and F1, by label.
type LabelF1<'r> = BTreeMap<&'r str, (u64, f64)>;

/// Tables of metrics with their names: entities, topics, speed. Rows without a value are left out, and tables without rows.
pub(super) fn metric_tables(models: &[ModelMetrics]) -> Vec<(&'static str, Vec<Vec<String>>)> {
    let mut tables = vec![
        ("Metrics of entities", entity_rows(models)),
        ("Metrics of topics", topic_rows(models)),
        ("Speed and memory", speed_rows(models)),
    ];
    tables.iter_mut().for_each(|(_, rows)| rows.retain(|cells| cells[1..].iter().any(|value| value != NO_VALUE)));
    tables.retain(|(_, rows)| !rows.is_empty());
    tables
}

/// Tables of F1 by label, each with the name of its labels. Labels that no document has are left out.
pub(super) fn label_tables(models: &[ModelMetrics]) -> Vec<(&'static str, Vec<LabelRow<'_>>)> {
    let entities = ("F1 by entity label", label_rows(models.iter().map(entity_labels).collect()));
    let topics = ("F1 by topic", label_rows(models.iter().map(topic_labels).collect()));
    [entities, topics].into_iter().filter(|(_, rows)| !rows.is_empty()).collect()
}

/// Four digits; a dash for no value.
pub(super) fn fraction(value: impl Into<Option<f64>>) -> String {
    value.into().map_or_else(|| NO_VALUE.to_owned(), |value| format!("{value:.4}"))
}

fn row(models: &[ModelMetrics], name: &str, value: impl Fn(&ModelMetrics) -> Option<String>) -> Vec<String> {
    let cell = |model| value(model).unwrap_or_else(|| NO_VALUE.to_owned());
    std::iter::once(name.to_owned()).chain(models.iter().map(cell)).collect()
}

fn entity_rows(models: &[ModelMetrics]) -> Vec<Vec<String>> {
    let row = |name, value: fn(&EntityReport) -> f64| {
        row(models, name, |model| model.entities.as_ref().map(value).map(fraction))
    };
    vec![
        row("entities F1", |entities| entities.metrics.micro.f1),
        row("entities precision", |entities| entities.metrics.micro.precision),
        row("entities recall", |entities| entities.metrics.micro.recall),
        row("entities macro F1", |entities| entities.metrics.macro_.f1),
        row("entities F1, exact offsets", |entities| entities.schemes.exact.micro.prf.f1),
        row("entities F1, partial overlap", |entities| entities.schemes.partial.micro.prf.f1),
        row("entities F1, label and overlap", |entities| entities.schemes.type_.micro.prf.f1),
    ]
}

fn topic_rows(models: &[ModelMetrics]) -> Vec<Vec<String>> {
    let row = |name, value: fn(&TopicMetrics) -> Option<f64>| {
        row(models, name, |model| Some(fraction(value(&model.topics.as_ref()?.metrics))))
    };
    vec![
        row("topics accuracy", |topics| topics.accuracy),
        row("topics subset accuracy", |topics| Some(topics.subset_accuracy)),
        row("topics precision at 1", |topics| Some(topics.precision_at_1)),
        row("topics micro F1", |topics| Some(topics.micro_f1)),
        row("topics macro F1", |topics| Some(topics.macro_f1)),
        row("topics average precision", |topics| Some(topics.macro_average_precision)),
        row("topics log loss", |topics| Some(topics.log_loss)),
        row("topics ECE", |topics| Some(topics.ece)),
    ]
}

fn speed_rows(models: &[ModelMetrics]) -> Vec<Vec<String>> {
    let row = |name, value: fn(&Speed) -> Option<String>| row(models, name, |model| value(model.speed.as_ref()?));
    vec![
        row("streams and device", |speed| Some(format!("{} x {}", speed.streams, speed.execution_provider))),
        row("documents/s", |speed| Some(format!("{:.1}", speed.documents_per_s))),
        row("p50 ms, one at a time", |speed| Some(format!("{:.1}", speed.p50_ms))),
        row("p95 ms, one at a time", |speed| Some(format!("{:.1}", speed.p95_ms))),
        row("resident MB", |speed| Some(format!("{:.0}", speed.resident_bytes? as f64 / 1e6))),
    ]
}

fn label_rows(models: Vec<LabelF1<'_>>) -> Vec<LabelRow<'_>> {
    let with_gold = models.iter().flatten().filter(|(_, (support, _))| *support > 0);
    let supports: BTreeMap<&str, u64> = with_gold.map(|(label, (support, _))| (*label, *support)).collect();
    let row = |(label, support)| {
        let f1 = models.iter().map(|model| model.get(label).map(|(_, f1)| *f1)).collect();
        LabelRow { label, support, f1 }
    };
    supports.into_iter().map(row).collect()
}

fn entity_labels(model: &ModelMetrics) -> LabelF1<'_> {
    let labels = model.entities.iter().flat_map(|entities| &entities.metrics.per_label);
    labels.map(|(label, of)| (label.as_str(), (of.support, of.prf.f1))).collect()
}

fn topic_labels(model: &ModelMetrics) -> LabelF1<'_> {
    let labels = model.topics.iter().flat_map(|topics| &topics.metrics.per_label);
    labels.map(|(label, of)| (label.as_str(), (of.support, of.prf.f1))).collect()
}
