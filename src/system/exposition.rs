//! The text format of Prometheus, for metrics that are read at the moment of a scrape. Those of a removed model are then gone
//! at once, which recorded metrics never are.

use std::fmt::{Display, Write};

use super::histogram::Histogram;
use super::metric_names::{Kind, Metric};

/// Metrics as text.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// The samples of one metric.
pub struct Family<'t> {
    text: &'t mut String,
    metric: &'static Metric,
}

impl Exposition {
    /// Starts a metric; its samples follow.
    pub fn family(&mut self, metric: &'static Metric) -> Family<'_> {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Neither name nor help has a line break or a backslash; a test holds that.
        let _ = write!(self.text, "# HELP {} {}\n# TYPE {} {kind}\n", metric.name, metric.help, metric.name);
        Family { text: &mut self.text, metric }
    }

    pub fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// Adds one sample; `labels` are names with their values.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, None, value);
    }

    pub fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) {
        let snapshot = histogram.snapshot();
        for (bound, count) in &snapshot.cumulative {
            self.line("_bucket", labels, Some(&bound.to_string()), count);
        }
        self.line("_bucket", labels, Some("+Inf"), snapshot.count);
        self.line("_sum", labels, None, snapshot.sum);
        self.line("_count", labels, None, snapshot.count);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: impl Display) {
        let labels = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        let labels: Vec<String> = labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        // A string takes whatever is written to it.
        let _ = writeln!(self.text, "{}{suffix}{labels} {value}", self.metric.name);
    }
}

/// A label's value as the format writes it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: Metric = Metric { name: "a_total", kind: Kind::Counter, help: "Things" };
    const HISTOGRAM: Metric = Metric { name: "b_seconds", kind: Kind::Histogram, help: "Times" };

    #[test]
    fn samples_follow_the_help_and_the_type() {
        let mut exposition = Exposition::default();
        let mut family = exposition.family(&COUNTER);
        family.sample(&[], 1);
        family.sample(&[("label", "a\"b\\c\nd"), ("model", "m")], 0.5);
        let histogram = Histogram::new(&[0.5, 1.0]);
        histogram.observe(0.75);
        exposition.family(&HISTOGRAM).histogram(&[("model", "m")], &histogram);
        let expected = r#"# HELP a_total Things
# TYPE a_total counter
a_total 1
a_total{label="a\"b\\c\nd",model="m"} 0.5
# HELP b_seconds Times
# TYPE b_seconds histogram
b_seconds_bucket{model="m",le="0.5"} 0
b_seconds_bucket{model="m",le="1"} 1
b_seconds_bucket{model="m",le="+Inf"} 1
b_seconds_sum{model="m"} 0.75
b_seconds_count{model="m"} 1
"#;
        assert_eq!(exposition.into_text(), expected);
    }
}
