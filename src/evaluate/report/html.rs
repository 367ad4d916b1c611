//! The report as one page of HTML that needs nothing else: figures, plots, errors, disagreements.

use std::fmt::Write;

use super::svg::{Bars, N_COLOURS, reliability_svg};
use super::terminal::{Row, entity_rows, label_rows, speed_rows, topic_rows};
use super::{EntityErrors, ModelReport, PlacedText, Report, TopicReport};
use crate::evaluate::comparison::{Comparison, Disagreement, View};

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn page(report: &Report) -> String {
    let data = &report.data;
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
        let _ = write!(page, "<p>Figures are confined to {}.</p>", escape(&data.labels.join(", ")));
    }
    for outcome in &report.verdict {
        let class = if outcome.holds { "good" } else { "bad" };
        let _ = write!(page, "<p class=\"{class}\">{}</p>", escape(&outcome.to_string()));
    }
    page += &figures(report);
    page += &plots(report);
    report.comparison.iter().for_each(|comparison| page += &comparison_section(comparison));
    report.models.iter().enumerate().for_each(|(index, model)| page += &model_section(model, index));
    page + "</body></html>\n"
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn figures(report: &Report) -> String {
    let models = &report.models;
    let mut html = "<h2>Figures</h2>".to_owned();
    for rows in [entity_rows(models), topic_rows(models), label_rows(models), speed_rows(models)] {
        if !rows.is_empty() {
            html += &table(models, &rows);
        }
    }
    html
}

fn table(models: &[ModelReport], rows: &[Row]) -> String {
    let mut html = "<div class=\"scroll\"><table><tr><th>".to_owned();
    for model in models {
        let version = model.version.as_deref().unwrap_or("unknown version");
        let _ = write!(html, "<th class=\"n\" title=\"{}\">{}", escape(version), escape(&model.name));
    }
    for (name, values) in rows {
        let _ = write!(html, "<tr><td>{}", escape(name));
        for value in values {
            let _ = write!(html, "<td class=\"n\">{}", value.as_deref().unwrap_or("–"));
        }
    }
    html + "</table></div>"
}

fn plots(report: &Report) -> String {
    let models: Vec<&str> = report.models.iter().map(|model| model.name.as_str()).collect();
    let mut html = "<h2>F1 by label</h2><p>".to_owned();
    for (index, name) in models.iter().enumerate() {
        let _ = write!(
            html,
            "<span class=\"key\"><svg viewBox=\"0 0 8 8\"><rect class=\"m{}\" width=\"8\" height=\"8\"/></svg></span>{}",
            index % N_COLOURS,
            escape(name)
        );
    }
    html += "</p>";
    let entities = |model: &ModelReport| {
        let labels = model.entities.iter().flat_map(|entities| &entities.figures.per_label);
        labels.map(|(label, figures)| (label.clone(), figures.prf.f1)).collect()
    };
    let topics = |model: &ModelReport| {
        let labels = model.topics.iter().flat_map(|topics| &topics.figures.per_label);
        labels.map(|(label, figures)| (label.clone(), figures.prf.f1)).collect()
    };
    html += &bars(report, &models, entities);
    html += &bars(report, &models, topics);
    html
}

fn bars(report: &Report, models: &[&str], of: impl Fn(&ModelReport) -> Vec<(String, f64)>) -> String {
    let by_model: Vec<Vec<(String, f64)>> = report.models.iter().map(of).collect();
    let mut labels: Vec<&str> = by_model.iter().flatten().map(|(label, _)| label.as_str()).collect();
    labels.sort_unstable();
    labels.dedup();
    if labels.is_empty() {
        return String::new();
    }
    let value = |model: &Vec<(String, f64)>, label: &str| {
        model.iter().find(|(other, _)| other == label).map(|(_, value)| *value)
    };
    let labels = labels.into_iter().map(|label| (label, by_model.iter().map(|model| value(model, label)).collect()));
    Bars { models: models.to_vec(), labels: labels.collect() }.to_svg()
}

fn comparison_section(comparison: &Comparison) -> String {
    let (baseline, candidate) = (escape(&comparison.baseline), escape(&comparison.candidate));
    let mut html = format!(
        "<h2>{candidate} against {baseline}</h2><table><tr><th><th class=\"n\">{baseline}<th class=\"n\">{candidate}<th class=\"n\">difference<th>95 of 100 draws lie in"
    );
    for (name, figure) in comparison.differences() {
        let class = match (figure.interval.low > 0.0, figure.interval.high < 0.0) {
            (true, _) => "n good",
            (_, true) => "n bad",
            _ => "n",
        };
        let _ = write!(
            html,
            "<tr><td>{name}<td class=\"n\">{:.4}<td class=\"n\">{:.4}<td class=\"{class}\">{:+.4}<td>{:+.4} to {:+.4}",
            figure.baseline, figure.candidate, figure.difference, figure.interval.low, figure.interval.high
        );
    }
    html += "</table>";
    if let Some(entities) = &comparison.entities {
        let _ = write!(html, "<p>Approximate randomisation of entity F1: p = {:.4}.</p>", entities.p_value);
    }
    if let Some(test) = comparison.topics.as_ref().map(|topics| topics.mcnemar) {
        let _ = write!(
            html,
            "<p>Best topic right with {baseline} only: {}, with {candidate} only: {}; McNemar's exact test: p = {:.4}.</p>",
            test.only_baseline, test.only_candidate, test.p_value
        );
    }
    if !comparison.disagreements.is_empty() {
        html += "<h3>Where they disagree most</h3>";
    }
    comparison.disagreements.iter().for_each(|document| html += &disagreement(document, &baseline, &candidate));
    html
}

fn disagreement(document: &Disagreement, baseline: &str, candidate: &str) -> String {
    let mut html = format!("<p class=\"pale\">document {}</p><div class=\"side\">", escape(&document.document));
    let from = excerpt_start(document);
    for (name, view) in [("gold", &document.gold), (baseline, &document.baseline), (candidate, &document.candidate)] {
        let topics = view.topics.as_ref().map(|topics| format!("<br>topics: {}", escape(&topics.join(", "))));
        let text = marked(&document.text, view.entities.as_deref().unwrap_or_default(), from);
        let _ = write!(html, "<div><b>{name}</b>{}<br>{text}</div>", topics.unwrap_or_default());
    }
    html + "</div>"
}

/// Characters of a text that are shown.
const MAX_CHARACTERS: usize = 600;

/// From where a text is shown: its beginning, unless it is long and the models disagree further on.
fn excerpt_start(document: &Disagreement) -> usize {
    const BEFORE: usize = 200;
    let spans = |view: &View| view.entities.clone().unwrap_or_default();
    let (baseline, candidate) = (spans(&document.baseline), spans(&document.candidate));
    let only =
        |a: &[PlacedText], b: &[PlacedText]| a.iter().filter(|span| !b.contains(span)).map(|one| one.span.start).min();
    let first = only(&baseline, &candidate).into_iter().chain(only(&candidate, &baseline)).min().unwrap_or(0);
    match document.text.chars().nth(MAX_CHARACTERS) {
        Some(_) => first.saturating_sub(BEFORE),
        None => 0,
    }
}

/// The text from the character `from` on, entities marked; of entities that overlap, the first.
fn marked(text: &str, entities: &[PlacedText], from: usize) -> String {
    let end = from + MAX_CHARACTERS;
    let characters: Vec<char> = text.chars().take(end).collect();
    let slice = |start: usize, end: usize| {
        let end = end.min(characters.len());
        escape(&characters[start.min(end)..end].iter().collect::<String>())
    };
    let (mut html, mut at) = (String::new(), from);
    for PlacedText { span, .. } in entities.iter().filter(|entity| entity.span.end <= end) {
        if span.start >= at {
            let (before, name) = (slice(at, span.start), slice(span.start, span.end));
            let _ = write!(html, "{before}<mark>{name}<sub>{}</sub></mark>", escape(&span.label));
            at = span.end;
        }
    }
    let ellipsis = |is_cut| if is_cut { "…" } else { "" };
    ellipsis(from > 0).to_owned() + &html + &slice(at, characters.len()) + ellipsis(text.chars().nth(end).is_some())
}

fn model_section(model: &ModelReport, index: usize) -> String {
    let mut html = format!("<h2>{}</h2>", escape(&model.name));
    let (entities, topics) = (model.entities.as_ref(), model.topics.as_ref());
    for unmatched in entities.map(|e| &e.unmatched).into_iter().chain(topics.map(|t| &t.unmatched)) {
        for (text, labels) in [
            ("Labels that no document has", &unmatched.only_model),
            ("Labels of the data that the model does not give", &unmatched.only_gold),
        ] {
            if !labels.is_empty() {
                let _ = write!(html, "<p>{text}: {}</p>", escape(&labels.join(", ")));
            }
        }
    }
    if model.n_failed > 0 {
        let _ = write!(html, "<p class=\"bad\">{} documents failed</p>", model.n_failed);
    }
    if let Some(entities) = entities {
        html += &errors(&entities.errors);
    }
    if let Some(topics) = topics {
        html += &topic_section(topics, index);
    }
    html
}

fn errors(errors: &EntityErrors) -> String {
    let mut html = "<h3>Entity errors</h3><table><tr><th>kind<th class=\"n\">number".to_owned();
    for (kind, n) in errors.counts.iter().filter(|(_, n)| **n > 0) {
        let _ = write!(html, "<tr><td>{}<td class=\"n\">{n}", kind.name());
    }
    for confusion in &errors.confusions {
        let _ = write!(
            html,
            "<tr><td class=\"pale\">{} taken for {}<td class=\"n\">{}",
            escape(&confusion.gold),
            escape(&confusion.predicted),
            confusion.n
        );
    }
    html += "</table><details><summary>Examples</summary><table><tr><th>kind<th>document<th>gold<th>predicted<th>text";
    let side = |side: &Option<PlacedText>| {
        side.as_ref().map_or("–".to_owned(), |placed| {
            format!("{} <b>{}</b>", escape(&placed.text), escape(&placed.span.label))
        })
    };
    for example in &errors.examples {
        let _ = write!(
            html,
            "<tr><td>{}<td>{}<td>{}<td>{}<td class=\"pale\">{}",
            example.kind.name(),
            escape(&example.document),
            side(&example.gold),
            side(&example.predicted),
            escape(&example.context)
        );
    }
    html + "</table></details>"
}

fn topic_section(topics: &TopicReport, index: usize) -> String {
    let figures = &topics.figures;
    let mut html = format!(
        "<h3>Reliability</h3><div class=\"plots\"><figure>{}<figcaption>best label, ECE {:.4}</figcaption></figure><figure>{}<figcaption>all labels, ECE {:.4}</figcaption></figure></div><h3>Topics</h3><div class=\"scroll\"><table><tr><th>label<th class=\"n\">documents<th class=\"n\">precision<th class=\"n\">recall<th class=\"n\">F1<th class=\"n\">average precision<th class=\"n\">best threshold<th class=\"n\">F1 with it",
        reliability_svg(&figures.reliability, index),
        figures.ece,
        reliability_svg(&figures.reliability_all, index),
        figures.ece_all
    );
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
    for (label, of) in &figures.per_label {
        let cells = [
            Some(of.prf.precision),
            Some(of.prf.recall),
            Some(of.prf.f1),
            of.average_precision,
            of.best_threshold,
            of.best_f1,
        ];
        let cells = cells.map(|value| format!("<td class=\"n\">{}", number(value))).concat();
        let _ = write!(html, "<tr><td>{}<td class=\"n\">{}{cells}", escape(label), of.support);
    }
    html += "</table></div>";
    if figures.confusion.counts.iter().flatten().any(|n| *n > 0) {
        html += "<h3>Confusion (rows: the topic; columns: the best label; documents with one topic)</h3><div class=\"scroll\"><table><tr><th>";
        figures.confusion.labels.iter().for_each(|label| html += &format!("<th class=\"n\">{}", escape(label)));
        for (label, row) in figures.confusion.labels.iter().zip(&figures.confusion.counts) {
            let _ = write!(html, "<tr><th>{}", escape(label));
            row.iter().for_each(|n| html += &format!("<td class=\"n\">{n}"));
        }
        html += "</table></div>";
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::document::LabelledSpan;

    #[test]
    fn entities_are_marked_where_they_stand_and_text_is_escaped() {
        let text = "Zoë <b> Köln";
        let placed = |start, end| PlacedText::new(text, &LabelledSpan::new(start, end, "L&C"));
        let expected = "<mark>Zoë<sub>L&amp;C</sub></mark> &lt;b&gt; <mark>Köln<sub>L&amp;C</sub></mark>";
        assert_eq!(marked(text, &[placed(0, 3), placed(1, 3), placed(8, 12)], 0), expected);
        assert_eq!(marked(&"ä".repeat(601), &[placed(599, 601)], 0), "ä".repeat(600) + "…");
    }

    #[test]
    fn a_long_text_is_shown_from_shortly_before_the_first_disagreement() {
        let text = "ö".repeat(900);
        let placed = |start| PlacedText::new(&text, &LabelledSpan::new(start, start + 2, "LOC"));
        let view =
            |starts: &[usize]| View { topics: None, entities: Some(starts.iter().map(|at| placed(*at)).collect()) };
        let [gold, baseline, candidate] = [view(&[]), view(&[3, 500]), view(&[3])];
        let document = Disagreement { document: "x".into(), text: text.clone(), n: 1, gold, baseline, candidate };
        assert_eq!(excerpt_start(&document), 300);
        let shown = marked(&text, &[placed(3), placed(500)], 300);
        assert!(
            shown.starts_with(&format!("…{}<mark>öö<sub>LOC", "ö".repeat(200))) && !shown.ends_with('…'),
            "{shown}"
        );
        assert_eq!(excerpt_start(&Disagreement { text: "ö".repeat(600), ..document }), 0);
    }
}
