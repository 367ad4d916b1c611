//! The paired bootstrap: the interval of a difference over samples of documents, the same samples for both models
//! (Efron & Tibshirani, percentile interval).

use serde::Serialize;

/// The samples of documents, for the bootstrap and for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Resampling {
    pub n_resamples: usize,
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { n_resamples: 1000, seed: 1 }
    }
}

/// The range of 95 of 100 samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// The intervals of the `K` values that `statistic` gives for documents drawn with replacement.
///
/// `statistic` gets for each of `n_documents` how often it was drawn.
pub fn bootstrap<const K: usize>(
    n_documents: usize,
    resampling: Resampling,
    statistic: impl Fn(&[u32]) -> [f64; K],
) -> [Interval; K] {
    let mut random = fastrand::Rng::with_seed(resampling.seed);
    let mut drawn: [Vec<f64>; K] = std::array::from_fn(|_| Vec::with_capacity(resampling.n_resamples));
    let mut times = vec![0u32; n_documents];
    for _ in 0..resampling.n_resamples {
        times.fill(0);
        for _ in 0..n_documents {
            times[random.usize(..n_documents)] += 1;
        }
        for (values, value) in drawn.iter_mut().zip(statistic(&times)) {
            values.push(value);
        }
    }
    drawn.map(|mut values| {
        values.sort_by(f64::total_cmp);
        Interval { low: quantile(&values, 0.025), high: quantile(&values, 0.975) }
    })
}

/// Interpolated between the two nearest values, as `numpy.quantile` does by default; 0 for no value.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * sorted.len().saturating_sub(1) as f64;
    let value = |index: usize| sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default();
    let (low, high) = (value(at.floor() as usize), value(at.floor() as usize + 1));
    low + (high - low) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_that_every_document_has_is_certain() {
        let resampling = Resampling { n_resamples: 50, seed: 7 };
        let mean = |times: &[u32]| [times.iter().map(|n| f64::from(*n) * 0.5).sum::<f64>() / times.len() as f64];
        assert_eq!(bootstrap(8, resampling, mean), [Interval { low: 0.5, high: 0.5 }]);
    }

    #[test]
    fn the_same_seed_draws_the_same_documents() {
        let first = |times: &[u32]| [f64::from(times[0])];
        let interval = |seed| {
            bootstrap(100, Resampling { n_resamples: 200, seed }, |times| {
                [times.iter().enumerate().map(|(index, n)| f64::from(*n) * index as f64).sum::<f64>()]
            })
        };
        assert_eq!(interval(1), interval(1));
        assert_ne!(interval(1), interval(2));
        assert_eq!(bootstrap(1, Resampling { n_resamples: 3, seed: 1 }, first), [Interval { low: 1.0, high: 1.0 }]);
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        for (share, expected) in [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (0.25, 1.75)] {
            assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], share), expected);
        }
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
