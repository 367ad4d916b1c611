//! The population stability index of two samples, and how large it gets by chance.
//!
//! PSI = Σ (p − q) ln(p / q) over bins, where p and q are the shares of a bin in the two samples. Half a document is added to each
//! bin of both samples, so that an empty bin has a logarithm. Bins with less than `MIN_BIN_DOCUMENTS` in the baseline are
//! one bin, as for a χ² test.
//!
//! Of two samples of n and m documents that differ by chance only, the index is distributed like (1/n + 1/m) χ², with one degree
//! of freedom less than there are bins (Yurdakul, B. and Naranjo, J.: Statistical properties of the population stability index,
//! Journal of Risk Model Validation 14(4), 2020). `noise` is the value that 999 of 1000 such pairs do not exceed.

use std::collections::BTreeMap;

/// Documents by bin. A document has a weight of 1 in all, which may be shared among bins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    pub n_documents: u64,
    pub bins: BTreeMap<String, f64>,
}

/// How two samples compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stability {
    pub psi: f64,
    /// What chance alone does not exceed.
    pub noise: f64,
}

/// What a comparison means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Verdict {
    /// There is nothing to compare with.
    NoBaseline,
    /// One of the samples has less than [`MIN_DOCUMENTS`].
    TooFewDocuments,
    Stable,
    /// Worth a look.
    Moderate,
    /// The documents are others than those of the baseline.
    Shifted,
}

/// Documents that each of the samples must have.
pub const MIN_DOCUMENTS: u64 = 200;
/// From here on a difference is worth a look.
pub const MODERATE: f64 = 0.1;
/// From here on the documents are others.
pub const SHIFTED: f64 = 0.25;
/// Documents that a bin of the baseline must have.
const MIN_BIN_DOCUMENTS: f64 = 5.0;
/// Added to each bin.
const SMOOTHING: f64 = 0.5;

impl Sample {
    /// Adds a document whose weight the bins share.
    pub fn add<'b>(&mut self, bins: impl ExactSizeIterator<Item = &'b str>) {
        let share = 1.0 / bins.len().max(1) as f64;
        self.n_documents += 1;
        for bin in bins {
            match self.bins.get_mut(bin) {
                Some(weight) => *weight += share,
                None => {
                    self.bins.insert(bin.to_owned(), share);
                }
            }
        }
    }

    /// Adds all documents of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.n_documents += other.n_documents;
        for (bin, weight) in &other.bins {
            *self.bins.entry(bin.clone()).or_default() += weight;
        }
    }

    /// The share of a bin; 0 for an empty sample.
    pub fn share(&self, bin: &str) -> f64 {
        self.bins.get(bin).map_or(0.0, |weight| weight / self.n_documents.max(1) as f64)
    }
}

/// Compares `live` with `baseline`; `None` where one of them has too few documents.
pub fn stability(live: &Sample, baseline: &Sample) -> Option<Stability> {
    if live.n_documents.min(baseline.n_documents) < MIN_DOCUMENTS {
        return None;
    }
    let pairs = pairs(live, baseline);
    let smoothed = |sum: f64| sum + SMOOTHING * pairs.len() as f64;
    let (n_live, n_baseline) = (smoothed(live.n_documents as f64), smoothed(baseline.n_documents as f64));
    let term = |&(live, baseline): &(f64, f64)| {
        let (p, q) = ((live + SMOOTHING) / n_live, (baseline + SMOOTHING) / n_baseline);
        (p - q) * (p / q).ln()
    };
    let psi = pairs.iter().map(term).sum();
    Some(Stability { psi, noise: noise(pairs.len(), live.n_documents, baseline.n_documents) })
}

impl Verdict {
    /// What `stability` means.
    pub fn of(stability: Option<Stability>) -> Self {
        match stability {
            None => Self::TooFewDocuments,
            Some(Stability { psi, noise }) if psi <= noise || psi < MODERATE => Self::Stable,
            Some(Stability { psi, .. }) if psi < SHIFTED => Self::Moderate,
            Some(_) => Self::Shifted,
        }
    }
}

/// The weights of each bin in both samples; rare bins, and those that the baseline lacks, are one.
fn pairs(live: &Sample, baseline: &Sample) -> Vec<(f64, f64)> {
    let is_common = |bin: &&String| baseline.bins.get(*bin).is_some_and(|&weight| weight >= MIN_BIN_DOCUMENTS);
    let weight = |sample: &Sample, bin: &String| sample.bins.get(bin).copied().unwrap_or_default();
    let common = baseline.bins.keys().filter(is_common);
    let mut pairs: Vec<(f64, f64)> = common.map(|bin| (weight(live, bin), weight(baseline, bin))).collect();
    let rare = |sample: &Sample| sample.bins.iter().filter(|(bin, _)| !is_common(bin)).map(|(_, weight)| weight).sum();
    let (live, baseline): (f64, f64) = (rare(live), rare(baseline));
    if live + baseline > 0.0 {
        pairs.push((live, baseline));
    }
    pairs
}

/// What the index does not exceed by chance, in 999 of 1000 comparisons.
fn noise(n_bins: usize, n_live: u64, n_baseline: u64) -> f64 {
    (1.0 / n_live as f64 + 1.0 / n_baseline as f64) * chi_square_quantile(n_bins.saturating_sub(1))
}

/// The 99.9% quantile of χ², by the approximation of Wilson and Hilferty.
fn chi_square_quantile(degrees: usize) -> f64 {
    const NORMAL_QUANTILE: f64 = 3.0902;
    if degrees == 0 {
        return 0.0;
    }
    let (degrees, ninth) = (degrees as f64, 2.0 / (9.0 * degrees as f64));
    degrees * (1.0 - ninth + NORMAL_QUANTILE * ninth.sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The topic mix of a general news desk.
    const NEWS: [(&str, f64); 12] = [
        ("Politik", 0.22),
        ("Sport", 0.18),
        ("Wirtschaft", 0.14),
        ("Justiz", 0.11),
        ("Kultur", 0.09),
        ("Katastrophe", 0.06),
        ("Krieg", 0.06),
        ("Gesellschaft", 0.04),
        ("Wissenschaft", 0.03),
        ("Gesundheit", 0.03),
        ("Wetter", 0.02),
        ("none", 0.02),
    ];

    fn drawn(mix: &[(&str, f64)], n: usize, random: &mut fastrand::Rng) -> Sample {
        let mut sample = Sample::default();
        for _ in 0..n {
            let mut at = random.f64() * mix.iter().map(|(_, share)| share).sum::<f64>();
            let drawn = mix.iter().find(|(_, share)| {
                at -= share;
                at <= 0.0
            });
            sample.add(std::iter::once(drawn.map_or("none", |(label, _)| *label)));
        }
        sample
    }

    fn sample(n_documents: u64, bins: &[(&str, f64)]) -> Sample {
        Sample { n_documents, bins: bins.iter().map(|(bin, weight)| ((*bin).to_owned(), *weight)).collect() }
    }

    #[test]
    fn the_index_is_that_of_the_formula() {
        let (live, baseline) = (sample(300, &[("a", 200.0), ("b", 100.0)]), sample(300, &[("a", 100.0), ("b", 200.0)]));
        // (200.5 - 100.5) / 301 * ln(200.5 / 100.5), for both bins.
        let expected = 2.0 * (100.0 / 301.0) * (200.5f64 / 100.5).ln();
        let found = stability(&live, &baseline).unwrap();
        assert!((found.psi - expected).abs() < 1e-12, "{found:?}");
        // χ² of one degree of freedom exceeds 10.828 once in 1000.
        assert!((found.noise / (2.0 / 300.0 * 10.828) - 1.0).abs() < 0.05, "{found:?}");
        assert_eq!(stability(&live, &live).unwrap().psi, 0.0);
        assert_eq!(stability(&sample(199, &[("a", 199.0)]), &baseline), None);
    }

    #[test]
    fn rare_bins_and_new_ones_are_one_bin() {
        let baseline = sample(1000, &[("a", 990.0), ("b", 4.0), ("c", 3.0), ("d", 3.0)]);
        let same = sample(1000, &[("a", 990.0), ("b", 0.0), ("e", 10.0)]);
        assert_eq!(stability(&same, &baseline).unwrap().psi, 0.0);
    }

    #[test]
    fn quiet_days_are_stable() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut n_days, mut n_unstable) = (0, 0);
        for (n_baseline, n_live) in [(200, 200), (500, 200), (1000, 1000), (5000, 300), (5000, 20_000)] {
            for _ in 0..300 {
                let (live, baseline) = (drawn(&NEWS, n_live, &mut random), drawn(&NEWS, n_baseline, &mut random));
                let verdict = Verdict::of(stability(&live, &baseline));
                assert_ne!(verdict, Verdict::Shifted, "{n_baseline} and {n_live} documents");
                n_days += 1;
                n_unstable += u32::from(verdict != Verdict::Stable);
            }
        }
        assert!(n_unstable * 500 <= n_days, "{n_unstable} of {n_days} quiet days were not stable");
    }

    #[test]
    fn another_mix_of_topics_shows() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut championship = NEWS;
        championship[1].1 = 0.80;
        for n_live in [200, 1000, 20_000] {
            let (live, baseline) = (drawn(&championship, n_live, &mut random), drawn(&NEWS, 1000, &mut random));
            let stability = stability(&live, &baseline);
            assert_eq!(Verdict::of(stability), Verdict::Shifted, "{n_live}: {stability:?}");
        }
    }
}
