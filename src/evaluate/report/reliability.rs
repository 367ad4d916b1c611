//! The reliability diagram as inline SVG. Colours come from the page's style.

use std::fmt::Write;

use crate::evaluate::metrics::calibration::ReliabilityBin;

/// Colours that the page's style has for models.
pub(super) const N_COLOURS: usize = 6;

/// The share of right labels over the score, with the number of labels in each bin; `name` says of which labels.
pub(super) fn reliability_svg(name: &str, bins: &[ReliabilityBin], model: usize) -> String {
    const SIDE: f64 = 240.0;
    let n: u64 = bins.iter().map(|bin| bin.n).sum();
    let mut svg = format!(
        "<svg viewBox=\"-34 -8 290 270\" width=\"290\" role=\"img\" aria-label=\"reliability diagram: {name}\"><rect class=\"frame\" width=\"{SIDE}\" height=\"{SIDE}\"/><line class=\"grid\" x1=\"0\" y1=\"{SIDE}\" x2=\"{SIDE}\" y2=\"0\"/>"
    );
    for bin in bins.iter().filter(|bin| bin.n > 0) {
        let (x, width) = (SIDE * bin.lower, SIDE * (bin.upper - bin.lower));
        let share = bin.n as f64 / n as f64;
        let _ = write!(
            svg,
            "<rect class=\"share\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/><circle class=\"m{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\"><title>{} labels, score {:.3}, right {:.3}</title></circle>",
            SIDE * (1.0 - share),
            SIDE * share,
            model % N_COLOURS,
            SIDE * bin.mean_score,
            SIDE * (1.0 - bin.share_right),
            bin.n,
            bin.mean_score,
            bin.share_right
        );
    }
    for (text, at) in [("0", 0.0), ("0.5", 0.5), ("1", 1.0)] {
        let (x, y) = (SIDE * at, SIDE * (1.0 - at) + 4.0);
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{x}\" y=\"256\">{text}</text><text class=\"name\" x=\"-6\" y=\"{y}\">{text}</text>"
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_bins_have_no_dot() {
        let bin = |n| ReliabilityBin { lower: 0.0, upper: 0.1, n, mean_score: 0.05, share_right: 0.5 };
        assert_eq!(reliability_svg("best topic", &[bin(3), bin(0)], 0).matches("<circle").count(), 1);
    }
}
