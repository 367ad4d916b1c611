//! Gold and predicted side by side, in the forms that the figures take.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::Array2;

use super::document::{GoldDocument, LabelledSpan, PredictedDocument};
use super::metrics::spans::SpanPair;
use super::metrics::topics::TopicTable;
use crate::manifest::task::Task;

/// The labels that are looked at, by task.
pub type Labels = BTreeMap<Task, BTreeSet<String>>;

/// The entities of the documents that are labelled with entities, in their order.
pub fn span_pairs<'d>(gold: &'d [GoldDocument], predicted: &'d [PredictedDocument]) -> Vec<SpanPair<'d>> {
    let pair = |(gold, predicted): (&'d GoldDocument, &'d PredictedDocument)| {
        Some(SpanPair { gold: gold.entities.as_deref()?, predicted: predicted.entities.as_deref().unwrap_or_default() })
    };
    gold.iter().zip(predicted).filter_map(pair).collect()
}

/// The topics of the documents that are labelled with topics, in their order; a column for each of `labels`.
pub fn topic_table(gold: &[GoldDocument], predicted: &[PredictedDocument], labels: &BTreeSet<String>) -> TopicTable {
    let rows: Vec<_> = gold.iter().zip(predicted).filter(|(gold, _)| gold.topics.is_some()).collect();
    let shape = (rows.len(), labels.len());
    let columns: BTreeMap<&str, usize> =
        labels.iter().enumerate().map(|(index, label)| (label.as_str(), index)).collect();
    let mut table = TopicTable {
        labels: labels.iter().cloned().collect(),
        gold: Array2::from_elem(shape, false),
        scores: Array2::zeros(shape),
        accepted: Array2::from_elem(shape, false),
    };
    for (row, (gold, predicted)) in rows.into_iter().enumerate() {
        for column in gold.topics.iter().flatten().filter_map(|label| columns.get(label.as_str())) {
            table.gold[[row, *column]] = true;
        }
        for topic in predicted.topics.iter().flatten() {
            if let Some(column) = columns.get(topic.label.as_str()) {
                table.scores[[row, *column]] = topic.score;
                table.accepted[[row, *column]] = topic.accepted;
            }
        }
    }
    table
}

/// The document with the labels that are looked at.
pub fn confine_gold(document: &GoldDocument, labels: &Labels) -> GoldDocument {
    let topics = document.topics.as_ref();
    GoldDocument {
        topics: topics
            .map(|topics| topics.iter().filter(|label| looked_at(labels, Task::Topics, label)).cloned().collect()),
        entities: document.entities.as_deref().map(|spans| confine_spans(spans, labels)),
        ..document.clone()
    }
}

pub fn confine_predicted(document: &PredictedDocument, labels: &Labels) -> PredictedDocument {
    let topics = document.topics.as_ref();
    PredictedDocument {
        topics: topics.map(|topics| {
            topics.iter().filter(|topic| looked_at(labels, Task::Topics, &topic.label)).cloned().collect()
        }),
        entities: document.entities.as_deref().map(|spans| confine_spans(spans, labels)),
        failure: document.failure.clone(),
    }
}

fn confine_spans(spans: &[LabelledSpan], labels: &Labels) -> Vec<LabelledSpan> {
    spans.iter().filter(|span| looked_at(labels, Task::Entities, &span.label)).cloned().collect()
}

fn looked_at(labels: &Labels, task: Task, label: &str) -> bool {
    labels.get(&task).is_some_and(|labels| labels.contains(label))
}

/// The labels that occur in `predicted`, by task.
pub fn labels_of(predicted: &[PredictedDocument]) -> Labels {
    let mut labels = Labels::new();
    for document in predicted {
        if let Some(topics) = &document.topics {
            labels.entry(Task::Topics).or_default().extend(topics.iter().map(|topic| topic.label.clone()));
        }
        if let Some(spans) = &document.entities {
            labels.entry(Task::Entities).or_default().extend(spans.iter().map(|span| span.label.clone()));
        }
    }
    labels
}

/// The labels that occur in `gold`, by task.
pub fn labels_of_gold(gold: &[GoldDocument]) -> Labels {
    let mut labels = Labels::new();
    for document in gold {
        if let Some(topics) = &document.topics {
            labels.entry(Task::Topics).or_default().extend(topics.iter().cloned());
        }
        if let Some(spans) = &document.entities {
            labels.entry(Task::Entities).or_default().extend(spans.iter().map(|span| span.label.clone()));
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::document::ScoredTopic;

    #[test]
    fn only_documents_that_are_labelled_for_a_task_count_for_it() {
        let document = |topics: Option<&str>, entities: Option<Vec<LabelledSpan>>| GoldDocument {
            id: String::new(),
            text: "Köln".into(),
            topics: topics.map(|topic| [topic.to_owned()].into()),
            entities,
        };
        let gold = [document(Some("Sport"), None), document(None, Some(vec![]))];
        let topic = ScoredTopic { label: "Sport".into(), score: 0.7, accepted: true };
        let answer = PredictedDocument {
            topics: Some(vec![topic]),
            entities: Some(vec![LabelledSpan::new(0, 4, "LOC")]),
            failure: None,
        };
        let predicted = [answer.clone(), answer];
        assert_eq!(span_pairs(&gold, &predicted).len(), 1);
        let table = topic_table(&gold, &predicted, &["Kultur".to_owned(), "Sport".to_owned()].into());
        assert_eq!((table.gold, table.scores), (ndarray::array![[false, true]], ndarray::array![[0.0, 0.7]]));
    }

    #[test]
    fn labels_that_are_not_looked_at_are_gone_from_both_sides() {
        let labels = Labels::from([(Task::Entities, ["LOC".to_owned()].into())]);
        let spans = Some(vec![LabelledSpan::new(0, 1, "LOC"), LabelledSpan::new(2, 3, "PER")]);
        let predicted = PredictedDocument { entities: spans.clone(), ..Default::default() };
        assert_eq!(confine_predicted(&predicted, &labels).entities.unwrap().len(), 1);
        let gold = GoldDocument { id: String::new(), text: "".into(), topics: None, entities: spans };
        assert_eq!(confine_gold(&gold, &labels).entities.unwrap(), [LabelledSpan::new(0, 1, "LOC")]);
    }
}
