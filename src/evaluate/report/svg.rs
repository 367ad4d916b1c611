//! Plots as inline SVG: bars of F1 by label, a reliability diagram. Colours come from the page's style.

use std::fmt::Write;

use super::html::escape;
use crate::evaluate::metrics::calibration::ReliabilityBin;

/// A bar for each model and label.
pub(super) struct Bars<'r> {
    pub models: Vec<&'r str>,
    /// Labels with a value in 0..=1 for each model; `None` where there is none.
    pub labels: Vec<(&'r str, Vec<Option<f64>>)>,
}

const BAR_HEIGHT: usize = 12;
const PLOT_WIDTH: f64 = 480.0;
const NAME_WIDTH: f64 = 200.0;

impl Bars<'_> {
    pub fn to_svg(&self) -> String {
        let group = BAR_HEIGHT * self.models.len() + 8;
        let height = group * self.labels.len() + 20;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {} {height}\" width=\"{}\" role=\"img\" aria-label=\"F1 by label\">",
            NAME_WIDTH + PLOT_WIDTH + 60.0,
            NAME_WIDTH + PLOT_WIDTH + 60.0
        );
        for tick in 0..=4 {
            let x = NAME_WIDTH + PLOT_WIDTH * f64::from(tick) / 4.0;
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{x}\" y1=\"0\" x2=\"{x}\" y2=\"{}\"/><text class=\"tick\" x=\"{x}\" y=\"{}\">{}</text>",
                height - 16,
                height - 4,
                f64::from(tick) / 4.0
            );
        }
        for (index, (label, values)) in self.labels.iter().enumerate() {
            let top = index * group;
            let middle = top + BAR_HEIGHT * self.models.len() / 2 + 4;
            let _ =
                write!(svg, "<text class=\"name\" x=\"{}\" y=\"{middle}\">{}</text>", NAME_WIDTH - 8.0, escape(label));
            for (model, value) in values.iter().enumerate() {
                let Some(value) = value else { continue };
                let y = top + model * BAR_HEIGHT;
                let _ = write!(
                    svg,
                    "<rect class=\"m{}\" x=\"{NAME_WIDTH}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\"><title>{} {}: {value:.4}</title></rect>",
                    model % N_COLOURS,
                    PLOT_WIDTH * value,
                    BAR_HEIGHT - 1,
                    escape(self.models[model]),
                    escape(label)
                );
            }
        }
        svg + "</svg>"
    }
}

/// The share of right labels over the score, with the number of labels in each bin.
pub(super) fn reliability_svg(bins: &[ReliabilityBin], model: usize) -> String {
    const SIDE: f64 = 240.0;
    let n: u64 = bins.iter().map(|bin| bin.n).sum();
    let mut svg = format!(
        "<svg viewBox=\"-34 -8 290 290\" width=\"290\" role=\"img\" aria-label=\"reliability diagram\"><rect class=\"frame\" width=\"{SIDE}\" height=\"{SIDE}\"/><line class=\"grid\" x1=\"0\" y1=\"{SIDE}\" x2=\"{SIDE}\" y2=\"0\"/>"
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
    svg + "<text class=\"tick\" x=\"120\" y=\"274\">bars: how many; dots: share that is right</text></svg>"
}

/// Colours that the page's style has for models.
pub(super) const N_COLOURS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_value_and_names_are_escaped() {
        let svg = Bars { models: vec!["a<b"], labels: vec![("PER", vec![Some(0.5)]), ("LOC", vec![None])] }.to_svg();
        assert!(svg.contains("width=\"240.0\"") && svg.contains("a&lt;b PER: 0.5000"), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 1);
    }

    #[test]
    fn empty_bins_have_no_dot() {
        let bin = |n| ReliabilityBin { lower: 0.0, upper: 0.1, n, mean_score: 0.05, share_right: 0.5 };
        assert_eq!(reliability_svg(&[bin(3), bin(0)], 0).matches("<circle").count(), 1);
    }
}
