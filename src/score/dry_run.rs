//! A run that writes nothing: every row is read and checked, and a few texts are scored to estimate the time of all.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::error::{RowError, ScoreError};
use super::flow::{join, thread};
use super::inputs::Source;
use super::job::Target;
use super::n_saved_rows;
use super::plan::plan_of;
use super::prepare::{Prepared, check_absent};
use super::reading::{Input, Start};
use super::summary::{Counts, listed};
use crate::classify::classifier::Classifier;
use crate::classify::request::{CheckedText, batch_context};
use crate::models::registry::Assignment;
use crate::parts::would_resume;
use crate::system::counted::counted;
use crate::system::progress::{Progress, in_words};

/// Texts that are scored for the estimate.
const N_SAMPLED: usize = 64;

/// Texts that are scored at the same time, until [`MAX_SAMPLING`] is over.
const N_AT_ONCE: usize = 16;

/// The longest that texts are scored for the estimate, but for the last of them.
const MAX_SAMPLING: Duration = Duration::from_secs(10);

/// Longer texts are no part of the sample, which bounds its memory.
const MAX_SAMPLED_BYTES: usize = 1 << 18;

/// Rows between two reports of progress.
const REPORT_INTERVAL: u64 = 1024;

/// What a run would find.
#[derive(Debug, Default, PartialEq)]
pub struct DryRun {
    pub n_inputs: usize,
    pub n_rows: u64,
    /// Of texts that can be read.
    pub n_characters: u64,
    /// Rows that cannot be scored.
    pub errors: u64,
    pub errors_by_code: BTreeMap<String, u64>,
    pub first_error: Option<String>,
    pub n_sampled: u64,
    /// The estimate for all rows; `None` where no text was scored.
    pub seconds: Option<f64>,
    /// What a run would do with the output that is there; `None` where nothing is.
    pub output: Option<String>,
}

/// Texts from all over the input, each with the same chance.
struct Sample {
    texts: Vec<CheckedText>,
    n_met: usize,
    random: fastrand::Rng,
}

/// What was read.
struct Survey {
    report: DryRun,
    sample: Sample,
    n_bytes: usize,
}

impl Prepared {
    /// Reads and checks all rows, and scores a few of them.
    pub async fn dry_run(self, models: Assignment, progress: Arc<Progress>) -> Result<DryRun, ScoreError> {
        let options = self.options_for(&models)?;
        progress.expect(self.n_bytes()?);
        let (n_inputs, output) = (self.sources.len(), self.output_in_words(&models)?);
        let reader = Arc::clone(&progress);
        let Survey { mut report, sample, n_bytes } = join(thread("read", move || survey(self, &reader))?).await??;
        (report.n_inputs, report.output) = (n_inputs, output);
        progress.expect(None);
        progress.stage("scoring a few texts to estimate the time");
        let classifier = Classifier { models, options, cache: None, memory: None, shadow: None };
        report.estimate(Arc::new(classifier), sample.texts, n_bytes).await?;
        Ok(report)
    }

    /// What a run would do with an output, or a part of one, that is there.
    fn output_in_words(&self, models: &Assignment) -> Result<Option<String>, ScoreError> {
        let Target::File { path, overwrite } = &self.job.target else { return Ok(None) };
        let refused = |error: ScoreError| Ok(Some(format!("the run would be refused: {error}")));
        if !overwrite && let Err(error) = check_absent(path, &self.sources) {
            return refused(error);
        }
        if self.sources.iter().any(Source::is_read_once) {
            return Ok(None);
        }
        match would_resume(path, &plan_of(&self.job, &self.sources, self.format, models)?, self.saved_rows()) {
            Err(error) => refused(error.into()),
            Ok(true) => {
                let rows = counted(n_saved_rows(path), "row");
                Ok(Some(format!("the run would resume after {rows} of {}.parts", path.display())))
            }
            Ok(false) if path.exists() => Ok(Some(format!("the run would replace {}", path.display()))),
            Ok(false) => Ok(None),
        }
    }
}

fn survey(prepared: Prepared, progress: &Progress) -> Result<Survey, ScoreError> {
    let sample = Sample { texts: Vec::new(), n_met: 0, random: fastrand::Rng::with_seed(0) };
    let mut survey = Survey { report: DryRun::default(), sample, n_bytes: 0 };
    let mut input = Input::new(prepared);
    let count = input.count.clone();
    input.read(Start::default(), |row| {
        survey.report.n_rows += 1;
        match row.text {
            Ok(text) => {
                survey.n_bytes += text.as_str().len();
                survey.report.n_characters += text.as_str().chars().count() as u64;
                survey.sample.offer(text);
            }
            Err(error) => survey.report.add_error(&format!("{}: {error}", row.origin), &error),
        }
        if survey.report.n_rows.is_multiple_of(REPORT_INTERVAL) {
            progress.show(count.get(), &format!("{} read", counted(survey.report.n_rows, "row")));
        }
        ControlFlow::Continue(())
    })?;
    Ok(survey)
}

impl Sample {
    /// Reservoir sampling (Vitter 1985, algorithm R).
    fn offer(&mut self, text: CheckedText) {
        if text.as_str().len() > MAX_SAMPLED_BYTES {
            return;
        }
        self.n_met += 1;
        if self.texts.len() < N_SAMPLED {
            self.texts.push(text);
        } else if let Some(replaced) = self.texts.get_mut(self.random.usize(..self.n_met)) {
            *replaced = text;
        }
    }
}

impl DryRun {
    fn add_error(&mut self, message: &str, error: &RowError) {
        self.errors += 1;
        *self.errors_by_code.entry(error.code().to_owned()).or_default() += 1;
        self.first_error.get_or_insert_with(|| message.to_owned());
    }

    /// Scores `texts` and estimates the time of all `n_bytes` from theirs.
    async fn estimate(
        &mut self,
        classifier: Arc<Classifier>,
        texts: Vec<CheckedText>,
        n_bytes: usize,
    ) -> Result<(), ScoreError> {
        let (start, mut counts, mut n_scored_bytes) = (Instant::now(), Counts::default(), 0);
        for texts in texts.chunks(N_AT_ONCE) {
            if start.elapsed() >= MAX_SAMPLING {
                break;
            }
            n_scored_bytes += texts.iter().map(|text| text.as_str().len()).sum::<usize>();
            let texts: Vec<Result<CheckedText, RowError>> = texts.iter().cloned().map(Ok).collect();
            let answers = Arc::clone(&classifier).classify_all(texts, batch_context(), N_AT_ONCE);
            for answer in answers.collect::<Vec<_>>().await {
                match answer {
                    Ok(answer) => counts.add(&answer),
                    Err(RowError::Classify(source)) if source.ends_run() => {
                        return Err(ScoreError::Predict { origin: "a text of the sample".to_owned(), source });
                    }
                    Err(error) => counts.add_error(error.code()),
                }
            }
        }
        self.n_sampled = counts.documents + counts.errors;
        self.seconds = (self.n_sampled > 0).then(|| seconds_of_all(start.elapsed(), n_scored_bytes, n_bytes));
        Ok(())
    }
}

/// The time of `n_bytes`, if `n_scored_bytes` of them took `elapsed`.
fn seconds_of_all(elapsed: Duration, n_scored_bytes: usize, n_bytes: usize) -> f64 {
    elapsed.as_secs_f64() * n_bytes as f64 / n_scored_bytes.max(1) as f64
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_scored = self.n_rows - self.errors;
        writeln!(
            f,
            "dry run: {} in {}; {n_scored} can be scored ({})",
            counted(self.n_rows, "row"),
            counted(self.n_inputs, "input"),
            counted(self.n_characters, "character")
        )?;
        if let Some(first) = &self.first_error {
            writeln!(f, "{} cannot be scored ({})", counted(self.errors, "row"), listed(&self.errors_by_code))?;
            writeln!(f, "the first is {first}")?;
        }
        if let Some(seconds) = self.seconds {
            let time = in_words(Duration::from_secs_f64(seconds));
            let rate = n_scored as f64 / seconds.max(f64::MIN_POSITIVE);
            let sample = counted(self.n_sampled, "text");
            writeln!(f, "estimate from {sample}: {time} for all rows ({rate:.1} documents/s)")?;
        }
        if let Some(output) = &self.output {
            writeln!(f, "{output}")?;
        }
        writeln!(f, "nothing was written")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_bounded_and_comes_from_all_over_the_input() {
        let mut sample = Sample { texts: Vec::new(), n_met: 0, random: fastrand::Rng::with_seed(0) };
        let text = |i: usize| CheckedText::new(format!("{i}").into(), 10).unwrap();
        (0..10_000).for_each(|i| sample.offer(text(i)));
        let numbers: Vec<usize> = sample.texts.iter().map(|text| text.as_str().parse().unwrap()).collect();
        assert_eq!(numbers.len(), N_SAMPLED);
        let n_late = numbers.iter().filter(|&&number| number >= 5_000).count();
        assert!((N_SAMPLED / 4..N_SAMPLED * 3 / 4).contains(&n_late), "{n_late} of the second half");
    }

    #[test]
    fn the_estimate_grows_with_the_bytes_that_were_not_scored() {
        assert_eq!(seconds_of_all(Duration::from_secs(3), 200, 1000), 15.0);
        assert_eq!(seconds_of_all(Duration::from_secs(3), 0, 0), 0.0);
    }
}
