//! Average precision and the best threshold, from the order of one label's scores. Equal to scikit-learn's
//! `average_precision_score`, and to the best `f1_score` over all scores as thresholds.

use super::ratio;

/// A threshold and the F1 that it gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestThreshold {
    pub threshold: f64,
    pub f1: f64,
}

/// The labels that are accepted from a score on.
struct Step {
    score: f64,
    n_accepted: u64,
    n_right: u64,
}

/// The sum of precisions, each weighted by the recall that its score adds; `None` where no hit is true.
pub fn average_precision(hits: &[bool], scores: &[f64]) -> Option<f64> {
    let n_hits = n_hits(hits)?;
    let mut before = 0;
    let mut sum = 0.0;
    for step in steps(hits, scores) {
        sum += (step.n_right - before) as f64 / n_hits as f64 * (step.n_right as f64 / step.n_accepted as f64);
        before = step.n_right;
    }
    Some(sum)
}

/// The lowest of the scores that, taken as threshold, give the best F1; `None` where no hit is true.
pub fn best_threshold(hits: &[bool], scores: &[f64]) -> Option<BestThreshold> {
    let n_hits = n_hits(hits)?;
    let f1 = |step: &Step| ratio(2.0 * step.n_right as f64, (step.n_accepted + n_hits) as f64);
    let best = steps(hits, scores).into_iter().max_by(|a, b| f1(a).total_cmp(&f1(b)))?;
    Some(BestThreshold { threshold: best.score, f1: f1(&best) })
}

fn n_hits(hits: &[bool]) -> Option<u64> {
    Some(hits.iter().filter(|hit| **hit).count() as u64).filter(|n| *n > 0)
}

/// One step for each score that occurs, by falling score.
fn steps(hits: &[bool], scores: &[f64]) -> Vec<Step> {
    let mut order: Vec<usize> = (0..hits.len().min(scores.len())).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut steps: Vec<Step> = Vec::new();
    let mut n_right = 0;
    for (index, at) in order.into_iter().enumerate() {
        n_right += u64::from(hits[at]);
        let n_accepted = index as u64 + 1;
        match steps.last_mut().filter(|step| step.score == scores[at]) {
            Some(step) => (step.n_accepted, step.n_right) = (n_accepted, n_right),
            None => steps.push(Step { score: scores[at], n_accepted, n_right }),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_are_accepted_together() {
        let (hits, scores) = ([true, false, true], [0.5, 0.5, 0.1]);
        assert_eq!(average_precision(&hits, &scores), Some(0.5 * 0.5 + 0.5 * 2.0 / 3.0));
        assert_eq!(best_threshold(&hits, &scores), Some(BestThreshold { threshold: 0.1, f1: 0.8 }));
    }

    #[test]
    fn of_equally_good_thresholds_the_lowest_is_taken() {
        let best = best_threshold(&[true, false, false, true], &[0.9, 0.8, 0.7, 0.6]);
        // One of one accepted, or two of four: F1 is two thirds both times.
        assert_eq!(best.map(|best| best.threshold), Some(0.6));
    }

    #[test]
    fn without_a_hit_there_is_neither() {
        assert_eq!((average_precision(&[false], &[0.5]), best_threshold(&[], &[])), (None, None));
    }
}
