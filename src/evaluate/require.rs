//! Conditions that a model must meet: `entities.f1 >= baseline - 0.5`, `topics.macro_f1 >= 0.6`.
//!
//! Metrics have the names and values of the JSON report, where most are fractions. A margin on `baseline` is in points
//! (hundredths) for fractions, and in the unit of the metric otherwise (`speed.p95_ms`).

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

use crate::system::choice::suggestion;

/// `METRIC OPERATOR BOUND`
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    pub text: String,
    /// Path in a model's part of the JSON report, joined by dots.
    metric: String,
    /// One of [`OPERATORS`].
    operator: &'static str,
    bound: Bound,
}

/// In the order in which they are looked for, since `>=` contains `>`.
const OPERATORS: [&str; 4] = [">=", "<=", ">", "<"];

/// What is written for an operator, in the order in which it is looked for, and what is meant. No metric need equal a bound.
const MISSPELT: [(&str, &str); 6] = [("=>", ">="), ("=<", "<="), ("==", ">="), ("≥", ">="), ("≤", "<="), ("=", ">=")];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    Number(f64),
    /// The baseline's metric, plus a margin.
    BaselinePlus(f64),
    /// The baseline's metric, times a factor.
    BaselineTimes(f64),
}

/// Whether a model meets a requirement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    pub model: String,
    pub requirement: String,
    pub value: f64,
    /// The number that the value is compared with.
    pub bound: f64,
    pub holds: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequireError {
    #[error(
        "`{text}` is not a requirement; write METRIC OPERATOR BOUND, like `entities.f1 >= baseline - 0.5` or `topics.macro_f1 >= 0.6`{}",
        meant.map(|operator| format!("; did you mean `{operator}`?")).unwrap_or_default()
    )]
    Form { text: String, meant: Option<&'static str> },
    #[error("`{metric}` is not a metric; names begin with `entities.`, `topics.` or `speed.`")]
    Metric { metric: String },
    #[error("{metric} is a fraction, and {bound} is not in 0 to 1; write {suggestion}", suggestion = bound_as_fraction(bound))]
    NotAFraction { metric: String, bound: String },
    #[error("model `{model}` has no metric `{metric}`; it has {known}{meant}")]
    Missing { model: String, metric: String, known: String, meant: String },
    #[error("`{0}` needs a baseline, and there is only one model; give a second --model")]
    NoBaseline(String),
}

impl FromStr for Requirement {
    type Err = RequireError;

    fn from_str(text: &str) -> Result<Self, RequireError> {
        let misspelt = || MISSPELT.iter().find(|(word, _)| text.contains(word)).map(|(_, meant)| *meant);
        let form = || RequireError::Form { text: text.to_owned(), meant: None };
        let split = OPERATORS.iter().find_map(|operator| Some((text.split_once(operator)?, *operator)));
        // The metric of `entities.f1 => 1` would end with `=`.
        let split = split.filter(|((metric, bound), _)| !metric.ends_with('=') && !bound.starts_with('='));
        let ((metric, bound), operator) =
            split.ok_or_else(|| RequireError::Form { text: text.to_owned(), meant: misspelt() })?;
        let (metric, bound) = (metric.trim().to_owned(), parse_bound(bound).ok_or_else(form)?);
        if !["entities.", "topics.", "speed."].iter().any(|section| metric.starts_with(section)) {
            return Err(RequireError::Metric { metric });
        }
        match bound {
            Bound::Number(number) if is_fraction(&metric) && !(0.0..=1.0).contains(&number) => {
                Err(RequireError::NotAFraction { metric, bound: number.to_string() })
            }
            _ => Ok(Self { text: text.trim().to_owned(), metric, operator, bound }),
        }
    }
}

fn parse_bound(text: &str) -> Option<Bound> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    let Some(rest) = text.trim().strip_prefix("baseline") else { return number(text).map(Bound::Number) };
    let rest = rest.trim();
    match rest.chars().next() {
        None => Some(Bound::BaselinePlus(0.0)),
        Some('+') => number(&rest[1..]).map(Bound::BaselinePlus),
        Some('-') => number(&rest[1..]).map(|margin| Bound::BaselinePlus(-margin)),
        Some('*') => number(&rest[1..]).map(Bound::BaselineTimes),
        Some(_) => None,
    }
}

fn bound_as_fraction(bound: &str) -> String {
    let percent = bound.parse::<f64>().ok().filter(|number| (0.0..=100.0).contains(number));
    percent.map_or_else(|| "a number in this range, like 0.845".to_owned(), |number| (number / 100.0).to_string())
}

/// All metrics but speed, counts and log loss are in 0..=1.
fn is_fraction(metric: &str) -> bool {
    const OTHERS: [&str; 8] =
        ["log_loss", "support", "predicted", "correct", "incorrect", "partial", "missed", "spurious"];
    let last = metric.rsplit('.').next().unwrap_or_default();
    let is_count = metric.contains(".counts.") || last.starts_with("n_") || OTHERS.contains(&last);
    !(metric.starts_with("speed.") || is_count)
}

/// Checks every requirement for every candidate; a single model is a candidate without a baseline. `models` are names and
/// metrics.
pub fn verdict<'m, M: Serialize + 'm>(
    models: impl IntoIterator<Item = (&'m str, &'m M)>,
    requirements: &[Requirement],
) -> Result<Vec<Outcome>, RequireError> {
    let json = |(name, metrics)| (name, serde_json::to_value(metrics).unwrap_or_default());
    let models: Vec<(&str, Value)> = models.into_iter().map(json).collect();
    let (baseline, candidates) = match models.as_slice() {
        [(name, metrics), candidates @ ..] if !candidates.is_empty() => (Some((*name, metrics)), candidates),
        models => (None, models),
    };
    let check = |(name, metrics): &(&str, Value)| {
        requirements.iter().map(|requirement| requirement.check(name, metrics, baseline)).collect::<Vec<_>>()
    };
    candidates.iter().flat_map(check).collect()
}

impl Requirement {
    pub fn needs_baseline(&self) -> bool {
        !matches!(self.bound, Bound::Number(_))
    }

    /// Checks a model; `model` and `baseline` are models' parts of the JSON report.
    pub fn check(&self, name: &str, model: &Value, baseline: Option<(&str, &Value)>) -> Result<Outcome, RequireError> {
        let value = self.value_of(name, model)?;
        let of_baseline = || {
            let (name, baseline) = baseline.ok_or_else(|| RequireError::NoBaseline(self.text.clone()))?;
            self.value_of(name, baseline)
        };
        let bound = match self.bound {
            Bound::Number(number) => number,
            Bound::BaselineTimes(factor) => factor * of_baseline()?,
            Bound::BaselinePlus(points) if is_fraction(&self.metric) => of_baseline()? + points / 100.0,
            Bound::BaselinePlus(margin) => of_baseline()? + margin,
        };
        /// 0.8 minus 0.5 points must not be below 0.795 because of the last digits.
        const ROUNDING: f64 = 1e-12;
        let holds = match self.operator {
            ">=" => value >= bound - ROUNDING,
            ">" => value > bound + ROUNDING,
            "<=" => value <= bound + ROUNDING,
            _ => value < bound - ROUNDING,
        };
        Ok(Outcome { model: name.to_owned(), requirement: self.text.clone(), value, bound, holds })
    }

    fn value_of(&self, name: &str, model: &Value) -> Result<f64, RequireError> {
        let found = find(model, &self.metric).or_else(|| {
            // `entities.f1` is short for `entities.micro.f1`.
            find(model, &self.metric.replacen("entities.", "entities.micro.", 1))
        });
        found.ok_or_else(|| {
            let section = self.metric.split('.').next().unwrap_or_default();
            let mut numbers = Vec::new();
            list_numbers(model.get(section).unwrap_or(&Value::Null), section, &mut numbers);
            let known = if numbers.is_empty() { format!("no {section} metrics") } else { numbers.join(", ") };
            let short: Vec<String> =
                numbers.iter().map(|path| path.replacen("entities.micro.", "entities.", 1)).collect();
            let meant = suggestion(&self.metric, numbers.iter().chain(&short).map(String::as_str));
            RequireError::Missing { model: name.to_owned(), metric: self.metric.clone(), known, meant }
        })
    }
}

/// The number at `path`. Names may contain dots, so each name that fits is tried.
fn find(value: &Value, path: &str) -> Option<f64> {
    value.as_object()?.iter().find_map(|(name, value)| match path.strip_prefix(name.as_str())? {
        "" => value.as_f64(),
        rest => find(value, rest.strip_prefix('.')?),
    })
}

/// The paths of all numbers; those of labels and of schemes are listed once for all of them.
fn list_numbers(value: &Value, path: &str, numbers: &mut Vec<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Number(_) => numbers.push(format!("{path}.{name}")),
            Value::Object(labels) if name == "per_label" => {
                let mut of_one = Vec::new();
                list_numbers(labels.values().next().unwrap_or(&Value::Null), "", &mut of_one);
                let labels: Vec<&str> = labels.keys().map(String::as_str).collect();
                let metrics = of_one.iter().map(|metric| metric.trim_start_matches('.')).collect::<Vec<_>>();
                numbers.push(format!("{path}.per_label.LABEL.({}) for {}", metrics.join("|"), labels.join(", ")));
            }
            Value::Object(schemes) if name == "schemes" => {
                let mut of_one = Vec::new();
                list_numbers(schemes.values().next().unwrap_or(&Value::Null), "", &mut of_one);
                let schemes = schemes.keys().map(String::as_str).collect::<Vec<_>>().join("|");
                numbers.extend(of_one.into_iter().map(|metric| format!("{path}.schemes.({schemes}){metric}")));
            }
            Value::Object(_) => list_numbers(value, &format!("{path}.{name}"), numbers),
            _ => {}
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.holds { "met" } else { "NOT MET" };
        write!(
            f,
            "requirement {word}: {}: {} (value {:.4}, bound {:.4})",
            self.model, self.requirement, self.value, self.bound
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_margin_is_in_points_and_a_bound_in_fractions() {
        let model = |f1: f64| json!({"entities": {"micro": {"f1": f1}, "per_label": {"a.b": {"f1": f1}}, "errors": {"counts": {"label": 12}}}, "speed": {"p95_ms": 100.0 * f1}});
        let (better, worse) = (model(0.80), model(0.795));
        for (text, holds) in [
            ("entities.f1 >= baseline - 0.5", true),
            ("entities.f1 >= baseline - 0.4", false),
            ("entities.micro.f1>=0.79", true),
            ("entities.micro.f1 > 0.795", false),
            ("entities.per_label.a.b.f1 < 0.8", true),
            ("speed.p95_ms <= baseline + 0", true),
            ("speed.p95_ms <= baseline * 0.9", false),
            ("entities.f1 < baseline", true),
            ("entities.errors.counts.label <= 12", true),
        ] {
            let outcome = text.parse::<Requirement>().unwrap().check("b", &worse, Some(("a", &better))).unwrap();
            assert_eq!(outcome.holds, holds, "{outcome}");
        }
    }

    #[test]
    fn a_requirement_that_cannot_be_checked_says_why() {
        for (text, part) in [
            ("entities.f1", "METRIC OPERATOR BOUND"),
            ("entities.f1 >= much", "METRIC OPERATOR BOUND"),
            ("entities.f1 >= baseline / 2", "METRIC OPERATOR BOUND"),
            ("entities.f1 => 1", "did you mean `>=`?"),
            ("entities.f1=>baseline", "did you mean `>=`?"),
            ("entities.f1 =< 1", "did you mean `<=`?"),
            ("entities.f1 == 1", "did you mean `>=`?"),
            ("entities.f1 = 1", "did you mean `>=`?"),
            ("entities.f1 ≥ 1", "did you mean `>=`?"),
            ("entities.f1 ≤ 1", "did you mean `<=`?"),
            ("f1 >= 0.5", "`entities.`"),
            ("entities.f1 >= 84.5", "write 0.845"),
            ("entities.f1 >= -1", "write a number in this range"),
            ("entities.f1 >= 845", "write a number in this range"),
        ] {
            let error = text.parse::<Requirement>().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let model = json!({"topics": {"macro_f1": 0.5, "per_label": {"x": {"f1": 1.0}}}});
        let missing = "topics.f2 >= 0.5".parse::<Requirement>().unwrap().check("b", &model, None).unwrap_err();
        assert!(
            missing.to_string().ends_with("it has topics.macro_f1, topics.per_label.LABEL.(f1) for x"),
            "{missing}"
        );
        let model = json!({"topics": {"macro_f1": 0.5}, "entities": {"micro": {"f1": 0.5}}});
        for (text, meant) in [("topics.makro_f1 > 0", "topics.macro_f1"), ("entities.F1 > 0", "entities.f1")] {
            let error = text.parse::<Requirement>().unwrap().check("b", &model, None).unwrap_err().to_string();
            assert!(error.ends_with(&format!("; did you mean `{meant}`?")), "{error}");
        }
        let alone = "topics.macro_f1 >= baseline".parse::<Requirement>().unwrap().check("b", &model, None);
        assert!(matches!(alone, Err(RequireError::NoBaseline(_))));
    }
}
