//! What a run has done, in numbers: kept in the checkpoint while it runs, shown at its end.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::classify::answer::Answer;
use crate::system::counted::counted;

/// Counts over all rows that were written so far, by this process and those before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows that were scored.
    pub documents: u64,
    /// Rows that could not be.
    pub errors: u64,
    pub characters: u64,
    pub tokens: u64,
    pub windows: u64,
    /// Documents that were cut to one window (`--overflow truncate`).
    pub truncated: u64,
    /// Documents by accepted topic.
    pub topics: BTreeMap<String, u64>,
    /// Entities by label.
    pub entities: BTreeMap<String, u64>,
    /// Rows that failed, by code.
    pub errors_by_code: BTreeMap<String, u64>,
    /// Seconds that the processes took, without loading the models.
    pub seconds: f64,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    #[serde(flatten)]
    pub counts: Counts,
    pub documents_per_second: f64,
    pub tokens_per_second: f64,
    /// Documents that an earlier process had scored.
    pub resumed_from: u64,
    /// How each model's integer products were computed, by its name: `float`, `exact` or `saturating`.
    pub arithmetic: BTreeMap<String, &'static str>,
    pub output: String,
    /// Where the rows that failed are listed; `None` where there are none.
    pub errors_file: Option<String>,
}

impl Counts {
    pub fn add(&mut self, answer: &Answer) {
        self.documents += 1;
        self.characters += answer.usage.characters as u64;
        self.tokens += answer.usage.tokens as u64;
        self.windows += answer.usage.windows as u64;
        self.truncated += u64::from(answer.usage.truncated);
        for topic in answer.topics.iter().flatten().filter(|topic| topic.accepted) {
            *self.topics.entry(topic.label.clone()).or_default() += 1;
        }
        for entity in answer.entities.iter().flatten() {
            *self.entities.entry(entity.label.clone()).or_default() += 1;
        }
    }

    pub fn add_error(&mut self, code: &str) {
        self.errors += 1;
        *self.errors_by_code.entry(code.to_owned()).or_default() += 1;
    }

    /// `n` for each second of the whole run.
    pub fn rate(&self, n: u64) -> f64 {
        if self.seconds > 0.0 { n as f64 / self.seconds } else { 0.0 }
    }
}

impl Summary {
    /// How many rows failed, and where they are listed; empty where there are none.
    pub fn failures(&self) -> String {
        let list = match &self.errors_file {
            Some(file) => format!("see {file}"),
            None => "the log lists them".to_owned(),
        };
        match self.counts.errors {
            0 => String::new(),
            n => {
                let codes = listed(&self.counts.errors_by_code);
                format!("{} could not be scored ({codes}): {list}\n", counted(n, "row"))
            }
        }
    }
}

/// A line of progress.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_rows = self.documents + self.errors;
        write!(f, "{}, {:.1}/s", counted(n_rows, "row"), self.rate(n_rows))?;
        match self.errors {
            0 => Ok(()),
            n_errors => write!(f, ", {}", counted(n_errors, "error")),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        writeln!(
            f,
            "{} in {:.1} s ({:.1} documents/s, {:.0} tokens/s), {} in {} -> {}",
            counted(counts.documents, "document"),
            counts.seconds,
            self.documents_per_second,
            self.tokens_per_second,
            counted(counts.tokens, "token"),
            counted(counts.windows, "window"),
            self.output
        )?;
        if self.resumed_from > 0 {
            writeln!(f, "{} of them were scored before, and this run resumed after them", self.resumed_from)?;
        }
        for (model, arithmetic) in &self.arithmetic {
            writeln!(f, "arithmetic of {model}: {arithmetic}")?;
        }
        for (what, labels) in [("topics", &counts.topics), ("entities", &counts.entities)] {
            if !labels.is_empty() {
                writeln!(f, "{what}: {}", listed(labels))?;
            }
        }
        if counts.truncated > 0 {
            writeln!(f, "truncated: {}", counted(counts.truncated, "document"))?;
        }
        f.write_str(&self.failures())
    }
}

/// Labels with their counts, the most frequent first. Labels such as `Medizin, Gesundheit` have commas.
pub fn listed(counts: &BTreeMap<String, u64>) -> String {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by_key(|&(_, n)| std::cmp::Reverse(*n));
    sorted.into_iter().map(|(label, n)| format!("{label} {n}")).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_commas_stay_apart() {
        let counts = [("Medizin, Gesundheit", 1), ("Sport", 2)].map(|(label, n)| (label.to_owned(), n));
        assert_eq!(listed(&counts.into()), "Sport 2; Medizin, Gesundheit 1");
    }
}
