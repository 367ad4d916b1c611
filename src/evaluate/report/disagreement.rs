//! One document on which two models disagree, as HTML: the gold labels and both answers.

use std::fmt::Write;

use super::markup::{escape, label_list};
use crate::evaluate::comparison::{Comparison, Disagreement, View};
use crate::evaluate::document::QuotedSpan;

pub(super) fn disagreement(document: &Disagreement, comparison: &Comparison) -> String {
    let mut html = format!("<article><h4>document {}</h4><div class=\"side\">", escape(&document.document));
    let from = excerpt_start(document);
    for (name, view) in [
        ("gold", &document.gold),
        (comparison.baseline.as_str(), &document.baseline),
        (comparison.candidate.as_str(), &document.candidate),
    ] {
        let topics = view.topics.as_ref().filter(|topics| !topics.is_empty()).map(|topics| label_list(topics));
        let entities = view.entities.as_deref().unwrap_or_default();
        let text = marked(&document.text, entities, document.gold.entities.as_deref(), from);
        let _ = write!(html, "<div><h5>{}</h5>{}<p>{text}</p></div>", escape(name), topics.unwrap_or_default());
    }
    html + "</div></article>"
}

/// Characters of an excerpt.
const MAX_CHARACTERS: usize = 600;

/// The first character of the excerpt: 0, unless the text is long and the models disagree later.
fn excerpt_start(document: &Disagreement) -> usize {
    const BEFORE: usize = 200;
    let spans = |view: &View| view.entities.clone().unwrap_or_default();
    let (baseline, candidate) = (spans(&document.baseline), spans(&document.candidate));
    let only =
        |a: &[QuotedSpan], b: &[QuotedSpan]| a.iter().filter(|span| !b.contains(span)).map(|one| one.span.start).min();
    let first = only(&baseline, &candidate).into_iter().chain(only(&candidate, &baseline)).min().unwrap_or(0);
    match document.text.chars().nth(MAX_CHARACTERS) {
        Some(_) => first.saturating_sub(BEFORE),
        None => 0,
    }
}

/// The text from the character `from` on, with entities marked, and those that gold labels lack as wrong; of overlapping entities the
/// first.
fn marked(text: &str, entities: &[QuotedSpan], gold: Option<&[QuotedSpan]>, from: usize) -> String {
    let end = from + MAX_CHARACTERS;
    let characters: Vec<char> = text.chars().take(end).collect();
    let slice = |start: usize, end: usize| {
        let end = end.min(characters.len());
        escape(&characters[start.min(end)..end].iter().collect::<String>())
    };
    let (mut html, mut at) = (String::new(), from);
    for entity in entities.iter().filter(|entity| entity.span.end <= end) {
        let span = &entity.span;
        if span.start >= at {
            let (before, name) = (slice(at, span.start), slice(span.start, span.end));
            let (class, note) = match gold.is_none_or(|gold| gold.contains(entity)) {
                true => ("", ""),
                false => (" class=\"wrong\"", " wrong"),
            };
            let _ = write!(html, "{before}<mark{class}>{name}<sub>{}{note}</sub></mark>", escape(&span.label));
            at = span.end;
        }
    }
    let ellipsis = |is_cut| if is_cut { "…" } else { "" };
    ellipsis(from > 0).to_owned() + &html + &slice(at, characters.len()) + ellipsis(text.chars().nth(end).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::document::LabelledSpan;

    #[test]
    fn entities_are_marked_and_text_is_escaped() {
        let text = "Zoë <b> Köln";
        let quoted = |start, end| QuotedSpan::new(text, &LabelledSpan::new(start, end, "L&C"));
        let expected = "<mark>Zoë<sub>L&amp;C</sub></mark> &lt;b&gt; <mark>Köln<sub>L&amp;C</sub></mark>";
        assert_eq!(marked(text, &[quoted(0, 3), quoted(1, 3), quoted(8, 12)], None, 0), expected);
        assert_eq!(marked(&"ä".repeat(601), &[quoted(599, 601)], None, 0), "ä".repeat(600) + "…");
        let wrong = "<mark class=\"wrong\">Zoë<sub>L&amp;C wrong</sub></mark> &lt;b&gt; Köln";
        assert_eq!(marked(text, &[quoted(0, 3)], Some(&[quoted(8, 12)]), 0), wrong);
    }

    #[test]
    fn the_excerpt_of_a_long_text_begins_before_the_first_disagreement() {
        let text = "ö".repeat(900);
        let quoted = |start| QuotedSpan::new(&text, &LabelledSpan::new(start, start + 2, "LOC"));
        let view =
            |starts: &[usize]| View { topics: None, entities: Some(starts.iter().map(|at| quoted(*at)).collect()) };
        let [gold, baseline, candidate] = [view(&[]), view(&[3, 500]), view(&[3])];
        let document = Disagreement { document: "x".into(), text: text.clone(), n: 1, gold, baseline, candidate };
        assert_eq!(excerpt_start(&document), 300);
        let shown = marked(&text, &[quoted(3), quoted(500)], None, 300);
        assert!(
            shown.starts_with(&format!("…{}<mark>öö<sub>LOC", "ö".repeat(200))) && !shown.ends_with('…'),
            "{shown}"
        );
        assert_eq!(excerpt_start(&Disagreement { text: "ö".repeat(600), ..document }), 0);
    }
}
