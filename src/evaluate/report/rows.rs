//! The rows of the tables that terminal and page share, with a value for each model.

use std::collections::BTreeMap;

use crate::evaluate::metrics::topics::TopicMetrics;
use crate::evaluate::model_metrics::{EntityReport, ModelMetrics};
use crate::evaluate::run_record::Speed;

/// A metric's name and its value for each model; `None` for a model without it.
pub(super) type Row = (&'static str, Vec<Option<String>>);

/// F1 of one label for each model.
pub(super) struct LabelRow<'r> {
    pub label: &'r str,
    /// How often the label is gold, at least once.
    pub support: u64,
    pub f1: Vec<Option<f64>>,
}

/// Number of gold labels and F1, by label.
type LabelF1<'r> = BTreeMap<&'r str, (u64, f64)>;

/// Tables of metrics: entities, topics, speed. Rows without a value are left out, and tables without rows.
pub(super) fn metric_tables(models: &[ModelMetrics]) -> Vec<Vec<Row>> {
    let tables = [entity_rows(models), topic_rows(models), speed_rows(models)];
    let has_value = |(_, values): &Row| values.iter().any(Option::is_some);
    let tables = tables.map(|rows| rows.into_iter().filter(has_value).collect::<Vec<_>>());
    tables.into_iter().filter(|rows| !rows.is_empty()).collect()
}

/// Tables of F1 by label, each with the name of its labels. Labels that no document has are left out.
pub(super) fn label_tables(models: &[ModelMetrics]) -> Vec<(&'static str, Vec<LabelRow<'_>>)> {
    let entities = ("F1 by entity label", label_rows(models.iter().map(entity_labels).collect()));
    let topics = ("F1 by topic", label_rows(models.iter().map(topic_labels).collect()));
    [entities, topics].into_iter().filter(|(_, rows)| !rows.is_empty()).collect()
}

pub(super) fn fraction(value: f64) -> String {
    format!("{value:.4}")
}

fn entity_rows(models: &[ModelMetrics]) -> Vec<Row> {
    let row = |name, value: fn(&EntityReport) -> f64| {
        (name, models.iter().map(|model| model.entities.as_ref().map(value).map(fraction)).collect())
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

fn topic_rows(models: &[ModelMetrics]) -> Vec<Row> {
    let row = |name, value: fn(&TopicMetrics) -> Option<f64>| {
        let of_model = |model: &ModelMetrics| model.topics.as_ref().and_then(|topics| value(&topics.metrics));
        (name, models.iter().map(|model| of_model(model).map(fraction)).collect())
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

fn speed_rows(models: &[ModelMetrics]) -> Vec<Row> {
    let row = |name, value: fn(&Speed) -> Option<String>| {
        (name, models.iter().map(|model| model.speed.as_ref().and_then(value)).collect())
    };
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
