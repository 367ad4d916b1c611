//! One model in the HTML report: labels without a counterpart, entity errors, reliability, topics, confusion.

use std::fmt::Write;

use super::markup::{Table, TableLayout, escape, label_list};
use super::reliability::reliability_svg;
use super::rows::NO_VALUE;
use crate::evaluate::document::QuotedSpan;
use crate::evaluate::entity_errors::EntityErrors;
use crate::evaluate::metrics::topics::{Confusion, TopicMetrics};
use crate::evaluate::model_metrics::ModelMetrics;
use crate::system::counted::counted;

pub(super) fn model_section(model: &ModelMetrics, index: usize) -> String {
    let mut html = format!("<section><h2>{}</h2>", escape(&model.name));
    for (task, unmatched) in model.unmatched() {
        for (what, labels) in [
            ("that no document has", &unmatched.only_model),
            ("of the data that the model does not give", &unmatched.only_gold),
        ] {
            if !labels.is_empty() {
                let _ = write!(html, "<p>Labels ({task}) {what}:</p>{}", label_list(labels));
            }
        }
    }
    if model.n_failed > 0 {
        let _ = write!(html, "<p class=\"bad\">{} failed</p>", counted(model.n_failed, "document"));
    }
    if let Some(entities) = &model.entities {
        html += &entity_errors(&entities.errors);
    }
    if let Some(topics) = &model.topics {
        html += &topic_section(&topics.metrics, index);
    }
    html + "</section>"
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
    let counts = Table {
        name: "Entity errors by kind",
        head: ["kind", "number"].map(str::to_owned).into(),
        rows: counts.chain(confusions).map(|(name, n)| vec![name, n.to_string()]).collect(),
        n_text: 1,
        layout: TableLayout::Scrolled,
    };
    let side = |side: &Option<QuotedSpan>| {
        side.as_ref().map_or(NO_VALUE.to_owned(), |quoted| {
            format!("{} <b>{}</b>", escape(&quoted.text), escape(&quoted.span.label))
        })
    };
    let example = |example: &crate::evaluate::entity_errors::ErrorExample| {
        vec![
            example.kind.name().to_owned(),
            escape(&example.document),
            side(&example.gold),
            side(&example.predicted),
            format!("<span class=\"pale\">{}</span>", escape(&example.context)),
        ]
    };
    let examples = Table {
        name: "Examples of entity errors",
        head: ["kind", "document", "gold", "predicted", "text"].map(str::to_owned).into(),
        rows: errors.examples.iter().map(example).collect(),
        n_text: 5,
        layout: TableLayout::Stacked,
    };
    format!("<h3>Entity errors</h3>{}<details><summary>Examples</summary>{}</details>", counts.html(), examples.html())
}

fn topic_section(metrics: &TopicMetrics, index: usize) -> String {
    let head = ["topic", "documents", "precision", "recall", "F1", "average precision", "best threshold", "F1 with it"];
    let number = |value: Option<f64>| value.map_or(NO_VALUE.to_owned(), |value| format!("{value:.3}"));
    let rows = metrics.per_label.iter().filter(|(_, of)| of.support > 0).map(|(label, of)| {
        let prf = [of.prf.precision, of.prf.recall, of.prf.f1].map(Some);
        let numbers = prf.into_iter().chain([of.average_precision, of.best_threshold, of.best_f1]).map(number);
        [escape(label), of.support.to_string()].into_iter().chain(numbers).collect()
    });
    let topics = Table {
        name: "Topics",
        head: head.map(str::to_owned).into(),
        rows: rows.collect(),
        n_text: 1,
        layout: TableLayout::Stacked,
    };
    let figure = |name: &str, bins, ece: f64| {
        format!("<figure>{}<figcaption>{name}, ECE {ece:.4}</figcaption></figure>", reliability_svg(name, bins, index))
    };
    format!(
        "<h3>Reliability</h3><p class=\"pale\">Dots: the share of labels that is right, over their score; the line is where both are equal. Bars: the share of all labels that has this score.</p><div class=\"plots\">{}{}</div><h3>Topics</h3>{}{}",
        figure("best topic", &metrics.reliability, metrics.ece),
        figure("all topics", &metrics.reliability_all, metrics.ece_all),
        topics.html(),
        confusion_section(&metrics.confusion)
    )
}

/// The wrong best topics, most frequent first, and the whole matrix.
fn confusion_section(confusion: &Confusion) -> String {
    let cells =
        confusion.counts.iter().enumerate().flat_map(|(gold, row)| {
            row.iter().enumerate().filter(|(_, n)| **n > 0).map(move |(best, n)| (gold, best, *n))
        });
    let cells: Vec<(usize, usize, u64)> = cells.collect();
    let n: u64 = cells.iter().map(|(.., n)| n).sum();
    if n == 0 {
        return String::new();
    }
    let mut wrong: Vec<_> = cells.iter().filter(|(gold, best, _)| gold != best).collect();
    wrong.sort_by_key(|(gold, best, n)| (std::cmp::Reverse(*n), *gold, *best));
    let label = |index: usize| escape(confusion.labels.get(index).map_or("", String::as_str));
    let n_right = n - wrong.iter().map(|(.., n)| n).sum::<u64>();
    let mut html = format!(
        "<h3>Confusion</h3><p>Of {} with one topic, the best topic is right for {n_right}.</p>",
        counted(n, "document")
    );
    if !wrong.is_empty() {
        let pairs = Table {
            name: "Wrong best topics",
            head: ["topic", "best topic of the model", "documents"].map(str::to_owned).into(),
            rows: wrong.iter().map(|(gold, best, n)| vec![label(*gold), label(*best), n.to_string()]).collect(),
            n_text: 2,
            layout: TableLayout::Stacked,
        };
        html += &pairs.html();
    }
    let _ = write!(html, "<details><summary>Matrix</summary>{}</details>", matrix(confusion, label));
    html
}

/// Rows: the topic; columns: the best topic of the model, by its number. Topics without documents that are never best are left out.
fn matrix(confusion: &Confusion, label: impl Fn(usize) -> String) -> String {
    let is_used = |index: &usize| {
        let row = confusion.counts.get(*index).is_some_and(|row| row.iter().any(|n| *n > 0));
        row || confusion.counts.iter().any(|row| row.get(*index).is_some_and(|n| *n > 0))
    };
    let used: Vec<usize> = (0..confusion.labels.len()).filter(is_used).collect();
    let number = |index: usize| format!("<span title=\"{}\">{}</span>", label(used[index]), index + 1);
    let cell = |gold: usize, best: usize| match confusion.counts.get(gold).and_then(|row| row.get(best)) {
        None | Some(0) => "<span class=\"pale\">·</span>".to_owned(),
        Some(n) if gold == best => format!("<b>{n}</b>"),
        Some(n) => n.to_string(),
    };
    let table = Table {
        name: "Confusion matrix",
        head: std::iter::once("topic".to_owned()).chain((0..used.len()).map(number)).collect(),
        rows: (used.iter().enumerate())
            .map(|(row, gold)| {
                let name = format!("{} {}", row + 1, label(*gold));
                std::iter::once(name).chain(used.iter().map(|best| cell(*gold, *best))).collect()
            })
            .collect(),
        n_text: 1,
        layout: TableLayout::Scrolled,
    };
    format!(
        "<p class=\"pale\">Rows: the topic; columns: the best topic of the model, by the numbers of the rows.</p>{}",
        table.html()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_has_no_topic_without_documents() {
        let confusion = Confusion {
            labels: ["a, b", "none", "c"].map(str::to_owned).into(),
            counts: vec![vec![2, 0, 1], vec![0, 0, 0], vec![0, 0, 0]],
        };
        let html = confusion_section(&confusion);
        assert!(html.contains("Of 3 documents with one topic, the best topic is right for 2."), "{html}");
        assert!(html.contains("<th scope=\"row\">a, b</th><td data-name=\"best topic of the model\">c</td>"), "{html}");
        assert!(html.contains("1 a, b") && html.contains("2 c") && !html.contains("none"), "{html}");
    }
}
