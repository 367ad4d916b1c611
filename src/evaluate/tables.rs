//! Gold and predicted labels paired up, in the forms that the metrics take.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::Array2;

use super::document::{GoldDocument, PredictedDocument};
use super::metrics::spans::SpanPair;
use super::metrics::topics::TopicTable;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::document::{LabelledSpan, ScoredTopic};

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
}
