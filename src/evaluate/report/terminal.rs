//! The report as text for a terminal: tables of metrics with a column for each model, then remarks, differences and verdict.

use std::fmt;

use super::EvaluationReport;
use super::rows::{fraction, label_tables, metric_tables};
use crate::evaluate::comparison::{Comparison, Difference};
use crate::evaluate::model_metrics::ModelMetrics;
use crate::system::counted::counted;
use crate::system::table::plain_table;

impl fmt::Display for EvaluationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = &self.data;
        writeln!(
            f,
            "{}: {}, {} labelled with entities, {} with topics",
            data.file,
            counted(data.n_documents, "document"),
            data.n_with_entities,
            data.n_with_topics
        )?;
        if !data.labels.is_empty() {
            writeln!(f, "only these labels count: {}", data.labels.join("; "))?;
        }
        data.remarks().try_for_each(|remark| writeln!(f, "{remark}"))?;
        let head_of = |first: &[&str]| {
            first.iter().copied().chain(self.models.iter().map(|model| &*model.name)).map(str::to_owned).collect()
        };
        for (_, rows) in metric_tables(&self.models) {
            writeln!(f, "\n{}", plain_table(head_of(&[""]), rows, 1..))?;
        }
        for (title, rows) in label_tables(&self.models) {
            let lines = rows.into_iter().map(|row| {
                let values = row.f1.into_iter().map(fraction);
                [row.label.to_owned(), row.support.to_string()].into_iter().chain(values).collect()
            });
            writeln!(f, "\n{}", plain_table(head_of(&[title, "gold"]), lines, 1..))?;
        }
        self.models.iter().try_for_each(|model| write_remarks(f, model))?;
        self.comparison.iter().try_for_each(|comparison| write_comparison(f, comparison))?;
        if !self.verdict.is_empty() {
            writeln!(f)?;
        }
        self.verdict.iter().try_for_each(|outcome| writeln!(f, "{outcome}"))
    }
}

/// What qualifies the metrics of a model: labels without a counterpart, kinds of errors, documents without an answer.
fn write_remarks(f: &mut fmt::Formatter<'_>, model: &ModelMetrics) -> fmt::Result {
    let name = &model.name;
    for (task, unmatched) in model.unmatched() {
        for (what, labels) in [
            ("that no document has (rename them with --map)", &unmatched.only_model),
            ("of the data that the model does not give", &unmatched.only_gold),
        ] {
            if !labels.is_empty() {
                writeln!(f, "\n{name}: {task} labels {what}: {}", labels.join("; "))?;
            }
        }
    }
    let counts = model.entities.iter().flat_map(|entities| &entities.errors.counts).filter(|(_, n)| **n > 0);
    let counts: Vec<String> = counts.map(|(kind, n)| format!("{n} {}", kind.name())).collect();
    if !counts.is_empty() {
        writeln!(f, "\n{name}: entity errors: {} (--json and --html give examples)", counts.join(", "))?;
    }
    match model.failures.first() {
        Some(first) => writeln!(
            f,
            "\n{name}: {} failed, the first ({}): {}",
            counted(model.n_failed, "document"),
            first.document,
            first.reason
        ),
        None => Ok(()),
    }
}

fn write_comparison(f: &mut fmt::Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    let (baseline, candidate) = (&comparison.baseline, &comparison.candidate);
    let head = [&format!("{candidate} minus {baseline}"), "difference", "95% interval"].map(str::to_owned);
    let line = |(name, Difference { difference, interval, .. }): (&str, Difference)| {
        let interval = format!("{:+.4} to {:+.4}", interval.low, interval.high);
        vec![name.to_owned(), format!("{difference:+.4}"), interval]
    };
    let differences = comparison.differences();
    if !differences.is_empty() {
        writeln!(f, "\n{}", plain_table(head.into(), differences.into_iter().map(line), 1..))?;
    }
    if let Some(entities) = &comparison.entities {
        writeln!(f, "entities F1: p = {:.4} (approximate randomisation)", entities.p_value)?;
    }
    if let Some(test) = comparison.topics.as_ref().map(|topics| topics.mcnemar) {
        writeln!(
            f,
            "best topic right with {baseline} only: {}, with {candidate} only: {}; p = {:.4} (McNemar)",
            test.only_baseline, test.only_candidate, test.p_value
        )?;
    }
    Ok(())
}
