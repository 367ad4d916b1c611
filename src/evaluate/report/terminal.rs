//! The report as text: a table of figures with a column for each model, then differences, labels and the verdict.

use std::collections::BTreeSet;
use std::fmt;

use super::{ModelReport, Report};
use crate::evaluate::comparison::{Comparison, Difference};
use crate::evaluate::labels::Unmatched;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = &self.data;
        writeln!(
            f,
            "{}: {} documents, {} labelled with entities, {} with topics",
            data.file, data.n_documents, data.n_with_entities, data.n_with_topics
        )?;
        if !data.labels.is_empty() {
            writeln!(f, "figures are confined to {}", data.labels.join(", "))?;
        }
        let sections =
            [entity_rows(&self.models), topic_rows(&self.models), label_rows(&self.models), speed_rows(&self.models)];
        for rows in sections.iter().filter(|rows| !rows.is_empty()) {
            writeln!(f)?;
            write_table(f, &self.models, rows)?;
        }
        self.models.iter().try_for_each(|model| write_remarks(f, model))?;
        self.comparison.iter().try_for_each(|comparison| write_comparison(f, comparison))?;
        if !self.verdict.is_empty() {
            writeln!(f)?;
        }
        self.verdict.iter().try_for_each(|outcome| writeln!(f, "{outcome}"))
    }
}

/// A figure's name and its value for each model.
pub(super) type Row = (String, Vec<Option<String>>);

fn row(models: &[ModelReport], name: &str, value: impl Fn(&ModelReport) -> Option<String>) -> Row {
    (name.to_owned(), models.iter().map(value).collect())
}

fn kept(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().filter(|(_, values)| values.iter().any(Option::is_some)).collect()
}

fn fraction(value: f64) -> String {
    format!("{value:.4}")
}

pub(super) fn entity_rows(models: &[ModelReport]) -> Vec<Row> {
    let figure = |name: &str, value: fn(&super::EntityReport) -> f64| {
        row(models, name, |model| model.entities.as_ref().map(|entities| fraction(value(entities))))
    };
    kept(vec![
        figure("entities F1", |entities| entities.figures.micro.f1),
        figure("entities precision", |entities| entities.figures.micro.precision),
        figure("entities recall", |entities| entities.figures.micro.recall),
        figure("entities macro F1", |entities| entities.figures.macro_.f1),
        figure("  exact place", |entities| entities.schemes.exact.micro.prf.f1),
        figure("  partial overlap", |entities| entities.schemes.partial.micro.prf.f1),
        figure("  type and overlap", |entities| entities.schemes.type_.micro.prf.f1),
    ])
}

pub(super) fn topic_rows(models: &[ModelReport]) -> Vec<Row> {
    let figure = |name: &str, value: fn(&super::TopicFigures) -> Option<f64>| {
        row(models, name, |model| model.topics.as_ref().and_then(|topics| value(&topics.figures)).map(fraction))
    };
    kept(vec![
        figure("topics accuracy", |topics| topics.accuracy),
        figure("topics subset accuracy", |topics| Some(topics.subset_accuracy)),
        figure("topics precision at 1", |topics| Some(topics.precision_at_1)),
        figure("topics micro F1", |topics| Some(topics.micro_f1)),
        figure("topics macro F1", |topics| Some(topics.macro_f1)),
        figure("topics average precision", |topics| Some(topics.macro_average_precision)),
        figure("topics log loss", |topics| Some(topics.log_loss)),
        figure("topics ECE", |topics| Some(topics.ece)),
    ])
}

/// F1 of each label, with the number of gold ones.
pub(super) fn label_rows(models: &[ModelReport]) -> Vec<Row> {
    let mut rows = Vec::new();
    let entities = models.iter().filter_map(|model| model.entities.as_ref());
    let labels: BTreeSet<&String> = entities.flat_map(|entities| entities.figures.per_label.keys()).collect();
    for label in labels {
        rows.push(row(models, &format!("F1 {label}"), |model| {
            let figures = model.entities.as_ref()?.figures.per_label.get(label)?;
            Some(format!("{} of {:>4}", fraction(figures.prf.f1), figures.support))
        }));
    }
    let topics = models.iter().filter_map(|model| model.topics.as_ref());
    let labels: BTreeSet<&String> = topics.flat_map(|topics| topics.figures.per_label.keys()).collect();
    for label in labels {
        rows.push(row(models, &format!("F1 {label}"), |model| {
            let figures = model.topics.as_ref()?.figures.per_label.get(label)?;
            Some(format!("{} of {:>4}", fraction(figures.prf.f1), figures.support))
        }));
    }
    rows
}

pub(super) fn speed_rows(models: &[ModelReport]) -> Vec<Row> {
    kept(vec![
        row(models, "ran on", |model| {
            let speed = model.speed.as_ref()?;
            Some(format!("{} x {}", speed.streams, speed.execution_provider))
        }),
        row(models, "documents/s", |model| Some(format!("{:.1}", model.speed.as_ref()?.documents_per_s))),
        row(models, "p50 ms, alone", |model| Some(format!("{:.1}", model.speed.as_ref()?.p50_ms))),
        row(models, "p95 ms, alone", |model| Some(format!("{:.1}", model.speed.as_ref()?.p95_ms))),
        row(models, "resident MB", |model| Some(format!("{:.0}", model.speed.as_ref()?.resident_bytes? as f64 / 1e6))),
    ])
}

fn write_table(f: &mut fmt::Formatter<'_>, models: &[ModelReport], rows: &[Row]) -> fmt::Result {
    let name_width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let width = |column: usize| {
        let values = rows.iter().map(|(_, values)| value(&values[column]).chars().count());
        values.chain([models[column].name.chars().count()]).max().unwrap_or(0)
    };
    write!(f, "{:name_width$}", "")?;
    for (column, model) in models.iter().enumerate() {
        write!(f, "  {:>1$}", model.name, width(column))?;
    }
    writeln!(f)?;
    for (name, values) in rows {
        write!(f, "{name:name_width$}")?;
        for (column, cell) in values.iter().enumerate() {
            write!(f, "  {:>1$}", value(cell), width(column))?;
        }
        writeln!(f)?;
    }
    Ok(())
}

/// What a reader of the figures must know: labels without a counterpart, documents without an answer.
fn write_remarks(f: &mut fmt::Formatter<'_>, model: &ModelReport) -> fmt::Result {
    let unmatched = [
        ("entity", model.entities.as_ref().map(|entities| &entities.unmatched)),
        ("topic", model.topics.as_ref().map(|topics| &topics.unmatched)),
    ];
    for (task, Unmatched { only_model, only_gold }) in unmatched.into_iter().filter_map(|(task, of)| Some((task, of?)))
    {
        if !only_model.is_empty() {
            writeln!(
                f,
                "\n{}: {task} labels that no document has (map them with --map): {}",
                model.name,
                only_model.join(", ")
            )?;
        }
        if !only_gold.is_empty() {
            writeln!(
                f,
                "\n{}: {task} labels of the data that the model does not give: {}",
                model.name,
                only_gold.join(", ")
            )?;
        }
    }
    let counts = model.entities.iter().flat_map(|entities| &entities.errors.counts).filter(|(_, n)| **n > 0);
    let counts: Vec<String> = counts.map(|(kind, n)| format!("{n} {}", kind.name())).collect();
    if !counts.is_empty() {
        writeln!(f, "\n{}: wrong entities: {} (examples stand in the reports)", model.name, counts.join(", "))?;
    }
    if let Some(first) = model.failures.first() {
        writeln!(
            f,
            "\n{}: {} documents failed, the first ({}): {}",
            model.name, model.n_failed, first.document, first.reason
        )?;
    }
    Ok(())
}

fn write_comparison(f: &mut fmt::Formatter<'_>, comparison: &Comparison) -> fmt::Result {
    writeln!(
        f,
        "\n{} minus {}, with the interval of 95 of 100 draws of documents:",
        comparison.candidate, comparison.baseline
    )?;
    for (name, Difference { difference, interval, .. }) in comparison.differences() {
        writeln!(f, "{name:24} {difference:+.4}  [{:+.4}, {:+.4}]", interval.low, interval.high)?;
    }
    if let Some(entities) = &comparison.entities {
        writeln!(
            f,
            "as large a difference of entities F1 comes by chance with p = {:.4} (approximate randomisation)",
            entities.p_value
        )?;
    }
    if let Some(topics) = &comparison.topics {
        let test = topics.mcnemar;
        writeln!(
            f,
            "best topic right with {} only: {}, with {} only: {}; comes by chance with p = {:.4} (McNemar)",
            comparison.baseline, test.only_baseline, comparison.candidate, test.only_candidate, test.p_value
        )?;
    }
    Ok(())
}

impl Comparison {
    /// All differences by name.
    pub(super) fn differences(&self) -> Vec<(&'static str, Difference)> {
        let mut differences = Vec::new();
        if let Some(entities) = &self.entities {
            differences.extend([
                ("entities F1", entities.f1),
                ("entities precision", entities.precision),
                ("entities recall", entities.recall),
                ("entities macro F1", entities.macro_f1),
            ]);
        }
        if let Some(topics) = &self.topics {
            differences.extend([
                ("topics precision at 1", topics.precision_at_1),
                ("topics subset accuracy", topics.subset_accuracy),
                ("topics micro F1", topics.micro_f1),
                ("topics macro F1", topics.macro_f1),
            ]);
        }
        differences
    }
}
