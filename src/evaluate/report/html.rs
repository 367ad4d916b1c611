//! The report as one self-contained page of HTML: metrics, plots, errors, disagreements.

use std::fmt::Write;

use super::EvaluationReport;
use super::difference::comparison_section;
use super::markup::{Table, TableLayout, escape, label_list};
use super::model_section::model_section;
use super::reliability::N_COLOURS;
use super::rows::{LabelRow, fraction, label_tables, metric_tables};
use crate::evaluate::model_metrics::ModelMetrics;
use crate::system::counted::counted;

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn page(report: &EvaluationReport) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\"><title>Evaluation on {}</title><style>{STYLE}</style></head><body>",
        escape(&report.data.file)
    );
    page += &head(report);
    page += "<main>";
    page += &metrics_section(&report.models);
    for (title, rows) in label_tables(&report.models) {
        page += &label_section(title, &rows, &report.models);
    }
    report.comparison.iter().for_each(|comparison| page += &comparison_section(comparison));
    report.models.iter().enumerate().for_each(|(index, model)| page += &model_section(model, index));
    page + "</main></body></html>\n"
}

/// The title, what was measured, and whether the requirements are met.
fn head(report: &EvaluationReport) -> String {
    let data = &report.data;
    let labelled = [("entities", data.n_with_entities), ("topics", data.n_with_topics)];
    let labelled = labelled.into_iter().filter(|(_, n)| *n > 0).map(|(task, n)| format!("{n} labelled with {task}"));
    let facts: Vec<String> = std::iter::once(counted(data.n_documents, "document"))
        .chain(labelled)
        .chain([format!("data {}", escape(&data.version)), format!("ressort {}", report.ressort)])
        .collect();
    let mut html =
        format!("<header><h1>Evaluation on {}</h1><p class=\"pale\">{}</p>", escape(&data.file), facts.join(" · "));
    if !data.labels.is_empty() {
        let _ = write!(html, "<p>Only these labels count:</p>{}", label_list(&data.labels));
    }
    data.remarks().for_each(|remark| html += &format!("<p>{}</p>", escape(&remark)));
    if !report.verdict.is_empty() {
        html += "<ul class=\"verdict\">";
        for outcome in &report.verdict {
            let class = if outcome.holds { "good" } else { "bad" };
            let _ = write!(html, "<li class=\"{class}\">{}</li>", escape(&outcome.to_string()));
        }
        html += "</ul>";
    }
    html + "</header>"
}

fn metrics_section(models: &[ModelMetrics]) -> String {
    let mut html = "<section><h2>Metrics</h2><div class=\"tables\">".to_owned();
    for (name, rows) in metric_tables(models) {
        let table = Table { name, head: head_of(&[""], models), rows, n_text: 1, layout: TableLayout::Scrolled };
        html += &table.html();
    }
    html + "</div></section>"
}

fn label_section(title: &str, rows: &[LabelRow<'_>], models: &[ModelMetrics]) -> String {
    let table = Table {
        name: title,
        head: head_of(&["label", "gold"], models),
        rows: rows.iter().map(label_cells).collect(),
        n_text: 1,
        layout: TableLayout::Scrolled,
    };
    format!("<section class=\"by-label\"><h2>{title}</h2>{}</section>", table.html())
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
        format!("<span class=\"bar\"><i class=\"m{}\" style=\"width:{width:.1}%\"></i></span>", model % N_COLOURS)
    };
    let bars: String = row.f1.iter().enumerate().map(bar).collect();
    let values = row.f1.iter().copied().map(fraction);
    [format!("{}<span class=\"bars\" aria-hidden=\"true\">{bars}</span>", escape(row.label)), row.support.to_string()]
        .into_iter()
        .chain(values)
        .collect()
}
