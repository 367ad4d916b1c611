//! A model compared with the baseline, as HTML: differences with their intervals, tests, the largest disagreements.

use std::fmt::Write;

use super::disagreement::disagreement;
use super::markup::{Table, TableLayout, escape};
use super::rows::fraction;
use crate::evaluate::comparison::{Comparison, Difference};

/// Disagreements that are shown at once; the others are folded.
const N_OPEN: usize = 5;

pub(super) fn comparison_section(comparison: &Comparison) -> String {
    let (baseline, candidate) = (escape(&comparison.baseline), escape(&comparison.candidate));
    let mut html = format!("<section><h2>{candidate} against {baseline}</h2>");
    let differences = comparison.differences();
    if !differences.is_empty() {
        html += &difference_table(&differences, [&baseline, &candidate]);
    }
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
    html += &disagreements(comparison);
    html + "</section>"
}

fn difference_table(differences: &[(&'static str, Difference)], [baseline, candidate]: [&str; 2]) -> String {
    let ends = differences.iter().flat_map(|(_, of)| [of.interval.low.abs(), of.interval.high.abs()]);
    let reach = ends.fold(0.01, f64::max);
    let line = |(name, metric): &(&str, Difference)| {
        let class = match (metric.interval.low > 0.0, metric.interval.high < 0.0) {
            (true, _) => "good",
            (_, true) => "bad",
            _ => "",
        };
        vec![
            (*name).to_owned(),
            interval_svg(metric, reach),
            fraction(metric.baseline),
            fraction(metric.candidate),
            format!("<span class=\"{class}\">{:+.4}</span>", metric.difference),
            format!("{:+.4} to {:+.4}", metric.interval.low, metric.interval.high),
        ]
    };
    let head = ["metric", "plot", baseline, candidate, "difference", "95% interval"];
    let table = Table {
        name: "Differences with their 95% intervals",
        head: head.map(str::to_owned).into(),
        rows: differences.iter().map(line).collect(),
        n_text: 2,
        layout: TableLayout::Stacked,
    };
    table.html()
}

/// The interval of a difference as a line with a dot, over a mark at zero; the plot reaches from `-reach` to `reach`.
fn interval_svg(metric: &Difference, reach: f64) -> String {
    let x = |value: f64| 70.0 * (value / reach).clamp(-1.0, 1.0);
    format!(
        "<svg class=\"interval\" viewBox=\"-75 -7 150 14\" width=\"150\" height=\"14\" aria-hidden=\"true\"><line class=\"zero\" y1=\"-7\" y2=\"7\"/><line class=\"reach\" x1=\"{:.1}\" x2=\"{:.1}\"/><circle cx=\"{:.1}\" r=\"4\"/></svg>",
        x(metric.interval.low),
        x(metric.interval.high),
        x(metric.difference)
    )
}

fn disagreements(comparison: &Comparison) -> String {
    let (open, folded) = comparison.disagreements.split_at(N_OPEN.min(comparison.disagreements.len()));
    if open.is_empty() {
        return String::new();
    }
    let all = |documents: &[_]| documents.iter().map(|document| disagreement(document, comparison)).collect::<String>();
    let mut html = format!("<h3>Largest disagreements</h3>{}", all(open));
    if !folded.is_empty() {
        let _ = write!(html, "<details><summary>{} more</summary>{}</details>", folded.len(), all(folded));
    }
    html
}
