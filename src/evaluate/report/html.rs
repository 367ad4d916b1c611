//! The report as one self-contained page of HTML: metrics, plots, errors, disagreements.

use std::fmt::Write;

use super::EvaluationReport;
use super::disagreement::disagreement;
use super::markup::{escape, label_list, table};
use super::reliability::{N_COLOURS, reliability_svg};
use super::rows::{LabelRow, NO_VALUE, fraction, label_tables, metric_tables};
use crate::evaluate::comparison::{Comparison, Difference};
use crate::evaluate::document::QuotedSpan;
use crate::evaluate::entity_errors::EntityErrors;
use crate::evaluate::metrics::topics::{Confusion, TopicMetrics};
use crate::evaluate::model_metrics::ModelMetrics;

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn page(report: &EvaluationReport) -> String {
    let (data, models) = (&report.data, &report.models);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Evaluation on {file}</title><style>{STYLE}</style><body><h1>Evaluation on {file}</h1><p class=\"pale\">{} documents, {} labelled with entities, {} with topics; data {}; ressort {}</p>",
        data.n_documents,
        data.n_with_entities,
        data.n_with_topics,
        escape(&data.version),
        report.ressort,
        file = escape(&data.file)
    );
    if !data.labels.is_empty() {
        let _ = write!(page, "<p>Only these labels count: {}</p>", label_list(&data.labels));
    }
    for outcome in &report.verdict {
        let class = if outcome.holds { "good" } else { "bad" };
        let _ = write!(page, "<p class=\"{class}\">{}</p>", escape(&outcome.to_string()));
    }
    page += "<h2>Metrics</h2>";
    for rows in metric_tables(models) {
        page += &table(&head_of(&[""], models), rows, 1);
    }
    for (title, rows) in label_tables(models) {
        let _ = write!(page, "<h2>{title}</h2>");
        page += &table(&head_of(&["label", "gold"], models), rows.iter().map(label_cells), 1);
    }
    report.comparison.iter().for_each(|comparison| page += &comparison_section(comparison));
    models.iter().enumerate().for_each(|(index, model)| page += &model_section(model, index));
    page + "</body></html>\n"
}

/// The first columns of a table, then one for each model with its colour.
fn head_of(first: &[&str], models: &[ModelMetrics]) -> Vec<String> {
    let model = |(index, model): (usize, &ModelMetrics)| {
        let version = model.version.as_deref().unwrap_or("unknown version");
        let (colour, name) = (index % N_COLOURS, escape(&model.name));
        format!("<span title=\"{}\"><i class=\"key m{colour}\"></i>{name}</span>", escape(version))
    };
    first.iter().map(|name| (*name).to_owned()).chain(models.iter().enumerate().map(model)).collect()
}

/// The label with a bar of F1 for each model, then the numbers.
fn label_cells(row: &LabelRow<'_>) -> Vec<String> {
    let bar = |(model, f1): (usize, &Option<f64>)| {
        let width = 100.0 * f1.unwrap_or_default();
        format!("<div class=\"bar m{}\" style=\"width:{width:.1}%\"></div>", model % N_COLOURS)
    };
    let bars: String = row.f1.iter().enumerate().map(bar).collect();
    let values = row.f1.iter().copied().map(fraction);
    [format!("{}<div class=\"bars\">{bars}</div>", escape(row.label)), row.support.to_string()]
        .into_iter()
        .chain(values)
        .collect()
}

fn comparison_section(comparison: &Comparison) -> String {
    let (baseline, candidate) = (escape(&comparison.baseline), escape(&comparison.candidate));
    let mut html = format!("<h2>{candidate} against {baseline}</h2>");
    let line = |(name, metric): (&str, Difference)| {
        let class = match (metric.interval.low > 0.0, metric.interval.high < 0.0) {
            (true, _) => "good",
            (_, true) => "bad",
            _ => "",
        };
        vec![
            name.to_owned(),
            fraction(metric.baseline),
            fraction(metric.candidate),
            format!(
                "<span class=\"{class}\">{:+.4}</span><br><small class=\"pale\">{:+.4} to {:+.4}</small>",
                metric.difference, metric.interval.low, metric.interval.high
            ),
        ]
    };
    let head = ["", &baseline, &candidate, "difference, 95% interval"].map(str::to_owned);
    html += &table(&head, comparison.differences().into_iter().map(line), 1);
    if let Some(entities) = &comparison.entities {
        let _ = write!(html, "<p>Approximate randomisation of entities F1: p = {:.4}.</p>", entities.p_value);
    }
    if let Some(test) = comparison.topics.as_ref().map(|topics| topics.mcnemar) {
        let _ = write!(
            html,
            "<p>Best topic right with {baseline} only: {}, with {candidate} only: {}; McNemar's exact test: p = {:.4}.</p>",
            test.only_baseline, test.only_candidate, test.p_value
        );
    }
    if !comparison.disagreements.is_empty() {
        html += "<h3>Largest disagreements</h3>";
    }
    comparison.disagreements.iter().for_each(|document| html += &disagreement(document, comparison));
    html
}

fn model_section(model: &ModelMetrics, index: usize) -> String {
    let mut html = format!("<h2>{}</h2>", escape(&model.name));
    for (task, unmatched) in model.unmatched() {
        for (what, labels) in [
            ("that no document has", &unmatched.only_model),
            ("of the data that the model does not give", &unmatched.only_gold),
        ] {
            if !labels.is_empty() {
                let _ = write!(html, "<p>Labels ({task}) {what}: {}</p>", label_list(labels));
            }
        }
    }
    if model.n_failed > 0 {
        let _ = write!(html, "<p class=\"bad\">{} documents failed</p>", model.n_failed);
    }
    if let Some(entities) = &model.entities {
        html += &entity_errors(&entities.errors);
    }
    if let Some(topics) = &model.topics {
        html += &topic_section(&topics.metrics, index);
    }
    html
}

fn entity_errors(errors: &EntityErrors) -> String {
    if errors.examples.is_empty() {
        return "<h3>Entity errors</h3><p>None.</p>".to_owned();
    }
    let counts = errors.counts.iter().filter(|(_, n)| **n > 0).map(|(kind, n)| (kind.name().to_owned(), *n));
    let confusions = errors.confusions.iter().map(|confusion| {
        let (gold, predicted) = (escape(&confusion.gold), escape(&confusion.predicted));
        (format!("<span class=\"pale\">{gold} predicted as {predicted}</span>"), confusion.n)
    });
    let lines = counts.chain(confusions).map(|(name, n)| vec![name, n.to_string()]);
    let side = |side: &Option<QuotedSpan>| {
        side.as_ref().map_or(NO_VALUE.to_owned(), |quoted| {
            format!("{} <b>{}</b>", escape(&quoted.text), escape(&quoted.span.label))
        })
    };
    let examples = errors.examples.iter().map(|example| {
        vec![
            example.kind.name().to_owned(),
            escape(&example.document),
            side(&example.gold),
            side(&example.predicted),
            format!("<span class=\"pale\">{}</span>", escape(&example.context)),
        ]
    });
    format!(
        "<h3>Entity errors</h3>{}<details><summary>Examples</summary>{}</details>",
        table(&["kind", "number"].map(str::to_owned), lines, 1),
        table(&["kind", "document", "gold", "predicted", "text"].map(str::to_owned), examples, 5)
    )
}

fn topic_section(metrics: &TopicMetrics, index: usize) -> String {
    let head = ["topic", "documents", "precision", "recall", "F1", "average precision", "best threshold", "F1 with it"];
    let number = |value: Option<f64>| value.map_or(NO_VALUE.to_owned(), |value| format!("{value:.3}"));
    let lines = metrics.per_label.iter().filter(|(_, of)| of.support > 0).map(|(label, of)| {
        let prf = [of.prf.precision, of.prf.recall, of.prf.f1].map(Some);
        let numbers = prf.into_iter().chain([of.average_precision, of.best_threshold, of.best_f1]).map(number);
        [escape(label), of.support.to_string()].into_iter().chain(numbers).collect()
    });
    let topics = table(&head.map(str::to_owned), lines, 1);
    format!(
        "<h3>Reliability</h3><div class=\"plots\"><figure>{}<figcaption>best topic, ECE {:.4}</figcaption></figure><figure>{}<figcaption>all topics, ECE {:.4}</figcaption></figure></div><h3>Topics</h3>{topics}{}",
        reliability_svg(&metrics.reliability, index),
        metrics.ece,
        reliability_svg(&metrics.reliability_all, index),
        metrics.ece_all,
        confusion_table(&metrics.confusion)
    )
}

/// Topics without documents and topics that are never best are left out.
fn confusion_table(confusion: &Confusion) -> String {
    let columns: Vec<usize> =
        (0..confusion.labels.len()).filter(|column| confusion.counts.iter().any(|row| row[*column] > 0)).collect();
    if columns.is_empty() {
        return String::new();
    }
    let head: Vec<String> = std::iter::once(String::new())
        .chain(columns.iter().map(|column| format!("<span class=\"up\">{}</span>", escape(&confusion.labels[*column]))))
        .collect();
    let rows = confusion.labels.iter().zip(&confusion.counts).filter(|(_, row)| row.iter().any(|n| *n > 0));
    let lines = rows.map(|(label, row)| {
        std::iter::once(escape(label)).chain(columns.iter().map(|column| row[*column].to_string())).collect()
    });
    format!(
        "<h3>Confusion</h3><p class=\"pale\">Documents with one topic. Rows: the topic; columns: the best topic of the model.</p>{}",
        table(&head, lines, 1)
    )
}
