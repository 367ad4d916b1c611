//! Which documents are compared, and what the comparison counts.

use super::*;
use crate::inference::decode::entity::Entity;
use crate::text::span::ByteSpan;

#[test]
fn a_share_is_taken_at_even_distances() {
    let due = |share| (0..12).filter(|&n| is_due(n, share)).collect::<Vec<_>>();
    assert_eq!(due(0.25), [3, 7, 11]);
    assert_eq!(due(1.0), (0..12).collect::<Vec<_>>());
    assert_eq!(due(0.0), [0; 0]);
}

#[test]
fn live_documents_come_before_those_of_the_candidate() {
    let (request, now) = (RequestId::next(), Instant::now());
    let RequestContext { request: of, priority, admission, deadline } = context_of(request, now);
    assert!(of == request && deadline == now + TIMEOUT);
    assert_eq!((priority, admission), (Priority::Bulk, Admission::Try));
}

#[tokio::test]
async fn a_busy_model_is_waited_for_up_to_a_limit() {
    assert!(quiet_moment(|| false, Duration::ZERO).await);
    assert!(!quiet_moment(|| true, Duration::ZERO).await);
    let n_looks = std::cell::Cell::new(0);
    let busy_for_three_looks = || n_looks.replace(n_looks.get() + 1) < 3;
    assert!(quiet_moment(busy_for_three_looks, TIMEOUT).await);
}

#[test]
fn differences_have_a_mean_and_a_mean_distance() {
    let mut difference = Difference::default();
    assert!(difference.mean().mean.is_none() && difference.mean().mean_absolute.is_none());
    [0.5, -0.25, -0.25].into_iter().for_each(|value| difference.add(value));
    assert_eq!(difference.mean().mean, Some(0.0));
    assert_eq!(difference.mean().mean_absolute, Some(1.0 / 3.0));
}

#[test]
fn agreement_is_counted_by_label() {
    let live = BTreeMap::from([("a", 0.5), ("b", 0.5)]);
    let candidate = BTreeMap::from([("b", 0.75), ("c", 0.5)]);
    let (mut counts, mut scores) = (BTreeMap::new(), Difference::default());
    assert!(!tally(&live, &candidate, &mut counts, &mut scores, |key| (*key).to_owned()));
    let agreement = |both, only_live, only_candidate| Agreement { both, only_live, only_candidate };
    let expected = [("a", agreement(0, 1, 0)), ("b", agreement(1, 0, 0)), ("c", agreement(0, 0, 1))];
    assert_eq!(counts, expected.map(|(label, counts)| (label.to_owned(), counts)).into());
    assert_eq!(scores.mean().mean, Some(0.25));
    assert!(tally(&live, &live, &mut counts, &mut scores, |key| (*key).to_owned()));
}

#[test]
fn mentions_are_compared_by_offsets_and_label() {
    let entity = |label: &str, start, score| Entity { label: label.to_owned(), score, span: ByteSpan::new(start, 9) };
    let entities = Some(vec![entity("PER", 3, 0.5), entity("LOC", 5, 0.75)]);
    let found = entities_by_span(&Prediction { entities, ..Prediction::default() });
    assert_eq!(found, BTreeMap::from([(((3, 9), "PER".to_owned()), 0.5), (((5, 9), "LOC".to_owned()), 0.75)]));
}
