//! Calibration of scores: the bins of a reliability diagram (equal to scikit-learn's
//! `calibration_curve(strategy="uniform")`), and the expected calibration error over them.

use serde::Serialize;

use super::ratio;

/// Scores in `(lower, upper]`, one tenth of 0..=1; 0 is in the first bin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    pub lower: f64,
    pub upper: f64,
    pub n: u64,
    pub mean_score: f64,
    /// Share of its labels that are right.
    pub share_right: f64,
}

const N_BINS: usize = 10;

/// The ten bins; an empty one has `n` 0.
pub fn reliability(hits: &[bool], scores: &[f64]) -> Vec<ReliabilityBin> {
    // Rounded as by `numpy.linspace`, so that a score on an edge is in the same bin as in Python.
    let edge = |index: usize| index as f64 * (1.0 / N_BINS as f64);
    let mut sums = [(0u64, 0.0, 0.0); N_BINS];
    for (hit, score) in hits.iter().zip(scores) {
        let bin = (1..N_BINS).take_while(|index| edge(*index) < *score).count();
        sums[bin].0 += 1;
        sums[bin].1 += score;
        sums[bin].2 += f64::from(u8::from(*hit));
    }
    let bin = |(index, (n, score, right)): (usize, (u64, f64, f64))| ReliabilityBin {
        lower: index as f64 / N_BINS as f64,
        upper: (index + 1) as f64 / N_BINS as f64,
        n,
        mean_score: ratio(score, n as f64),
        share_right: ratio(right, n as f64),
    };
    sums.into_iter().enumerate().map(bin).collect()
}

/// The mean distance of score and share that is right, each bin weighted by what it holds; in 0..=1.
pub fn expected_calibration_error(bins: &[ReliabilityBin]) -> f64 {
    let n: u64 = bins.iter().map(|bin| bin.n).sum();
    let distance = |bin: &ReliabilityBin| bin.n as f64 * (bin.share_right - bin.mean_score).abs();
    ratio(bins.iter().map(distance).sum(), n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_at_the_edges_have_a_bin() {
        let bins = reliability(&[true; 5], &[0.0, 0.1, 0.100_001, 0.9, 1.0]);
        let filled: Vec<_> =
            bins.iter().enumerate().filter(|(_, bin)| bin.n > 0).map(|(at, bin)| (at, bin.n)).collect();
        assert_eq!(filled, [(0, 2), (1, 1), (8, 1), (9, 1)]);
    }

    #[test]
    fn the_error_is_the_mean_distance() {
        assert_eq!(expected_calibration_error(&reliability(&[], &[])), 0.0);
        let bins = reliability(&[true, false, true, true], &[0.55, 0.55, 1.0, 1.0]);
        assert!((expected_calibration_error(&bins) - 0.025).abs() < 1e-12);
    }
}
