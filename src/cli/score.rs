//! `ressort score`: its arguments, and the run.

mod interrupt;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use ressort::classify::derived::Derived;
use ressort::classify::request::{ClassifyOptions, RequestLimits};
use ressort::inference::pipeline::Overflow;
use ressort::inference::settings::{Batching, RunSettings};
use ressort::manifest::task::{AggregationStrategy, Task, Tasks};
use ressort::manifest::text_rules::TextSwitch;
use ressort::models::drift::baseline::{Baselines, ModelBaseline};
use ressort::models::drift::psi::MIN_DOCUMENTS;
use ressort::models::registry::{Assignment, ByTask, Registry};
use ressort::models::spec::ModelSpec;
use ressort::score::{
    ColumnChoice, DocumentColumns, Format, OutputChoice, ReadSettings, ScoreError, ScoreJob, Target, prepare,
};
use ressort::system::atomic_file::replace;
use ressort::system::background::end_process;
use ressort::system::progress::Progress;
use ressort::text::encoding::TextEncoding;
use ressort::text::span::OffsetUnit;

use super::number::{positive, whole};
use super::stop::stop_signal;
use super::{ModelArgs, RunArgs, SOME_ROWS_FAILED, SUCCESS, given, print};
use ressort::system::counted::counted;

#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// Files, patterns such as 'archive/*.parquet', folders, or `-` for standard input; read in this order
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
    /// The file to write, or `-` for standard output. Until it is complete, the folder OUT.parts holds the rows; the same
    /// command resumes
    #[arg(short, long, value_name = "OUT")]
    output: String,
    /// Format of the input; default: by extension (jsonl, csv, tsv, parquet, arrow, arrow-stream, txt)
    #[arg(long, value_parser = Format::of_input)]
    format: Option<Format>,
    /// Format of the output; default: by extension. For other tools: label-studio, ninjs, spacy
    #[arg(long, value_name = "FORMAT", value_parser = Format::of_output)]
    output_format: Option<Format>,
    /// The column with the text, repeatable (title and body); values that are not empty are joined by an empty line
    #[arg(long = "text-column", value_name = "NAME", default_value = "text")]
    text_columns: Vec<String>,
    /// The column with the title: documents then have the fields `title`, `lead` and `text`, and each offset names its field
    #[arg(long, value_name = "NAME")]
    title_column: Option<String>,
    /// The column with the lead, another field
    #[arg(long, value_name = "NAME")]
    lead_column: Option<String>,
    /// Repeat the text columns in the output, under their names; the text of a plain text file is called `text`
    #[arg(long)]
    keep_text: bool,
    /// Write rows that could not be scored too, with the reason in a column `error`, so that the output has a row for
    /// each row of the input
    #[arg(long)]
    keep_errors: bool,
    /// The column that identifies rows, written as `id`; default: `id`, where there is one
    #[arg(long, value_name = "NAME")]
    id_column: Option<String>,
    /// Separator of the values of a CSV that is read; default: that of a line `sep=;`, else of the header
    #[arg(long, value_parser = super::delimiter, value_name = "CHAR")]
    delimiter: Option<u8>,
    /// Separator of the values of the CSV or TSV that is written; default: a comma or a tabulator
    #[arg(long, value_parser = super::delimiter, value_name = "CHAR")]
    output_delimiter: Option<u8>,
    /// Begin the CSV or TSV that is written with a byte order mark, by which Excel knows that it is UTF-8
    #[arg(long)]
    output_bom: bool,
    /// Quotes in a CSV or TSV: `double` (around values, doubled within), or `none` (a quote is a character)
    #[arg(long, value_enum, default_value = "double", value_name = "HOW")]
    quoting: QuotingArg,
    /// Encoding of text files without a byte order mark, such as windows-1252. Without it, a file that is not UTF-8 ends
    /// the run; `utf-8` makes its invalid rows row errors
    #[arg(long, value_name = "NAME")]
    encoding: Option<TextEncoding>,
    /// Longest row, and longest plain text, in bytes; longer ones cannot be scored
    #[arg(long, default_value_t = ReadSettings::default().max_row_bytes, value_parser = positive, value_name = "BYTES")]
    max_row_bytes: usize,
    /// Where plain texts have a section: `last-line` moves a last line such as `toi-kultur` from the text to a column
    #[arg(long, value_enum)]
    section: Option<SectionArg>,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    run: RunArgs,
    /// Batch windows of different rows: `shared` is faster on a GPU, and may change the last digit of a score
    #[arg(long, default_value = "alone", value_name = "alone|shared")]
    batching: Batching,
    #[command(flatten)]
    answers: AnswerArgs,
    /// Longest text that is read, in Unicode code points
    #[arg(long, default_value_t = RequestLimits::default().max_characters, env = "RESSORT_MAX_CHARACTERS", value_parser = positive)]
    max_characters: usize,
    /// Score the first N rows of the input only
    #[arg(long, value_name = "N", value_parser = whole::<u64>(0..=u64::MAX))]
    limit: Option<u64>,
    /// Write nothing: read and check all rows, count them, and estimate the time from a few scored texts
    #[arg(long, conflicts_with = "summary")]
    dry_run: bool,
    /// Show no progress and no summary, only failures
    #[arg(long)]
    pub quiet: bool,
    /// Stop when more than N rows could not be scored; default: never
    #[arg(long, value_name = "N", value_parser = whole::<u64>(0..=u64::MAX))]
    max_errors: Option<u64>,
    /// Rows that are sorted by length, scored, and saved together
    #[arg(long, default_value_t = 512, value_parser = positive, value_name = "N")]
    look_ahead: usize,
    /// Resume although the times of the inputs, or their inodes, have changed: their content is the same. Sizes are still compared
    #[arg(long)]
    inputs_unchanged: bool,
    /// Replace OUT if it exists
    #[arg(long)]
    overwrite: bool,
    /// With `--output -`: a file for the rows that could not be scored; default: the log
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
    /// Also write the metrics of the run to a JSON file
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// Also write what is normal for these texts (labels, scores, lengths), for `ressort serve --drift-baseline`
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    baseline: Option<PathBuf>,
}

/// What the models answer, and how.
#[derive(Debug, Args)]
struct AnswerArgs {
    /// Tasks to answer (topics, entities); default: all that the models serve
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    tasks: Vec<Task>,
    /// How many topics are listed
    #[arg(long, default_value_t = ClassifyOptions::default().top_k, value_parser = positive)]
    top_k: usize,
    /// Lowest score of accepted topics and kept entities: 0.4, or topics=0.4,entities=0.2; default: the model's
    #[arg(long, value_delimiter = ',', value_name = "SCORE")]
    threshold: Vec<Threshold>,
    /// How tokens become entities (none, simple, first, average, max, viterbi); default: the model's
    #[arg(long, value_name = "STRATEGY")]
    aggregation: Option<AggregationStrategy>,
    /// Unit of start and end: codepoint, utf16, byte
    #[arg(long, default_value = "codepoint", value_name = "UNIT")]
    offset_unit: OffsetUnit,
    /// What happens to a text that is longer than one window: window (read it in several), truncate, error
    #[arg(long, default_value = "window", value_name = "HOW")]
    overflow: Overflow,
    /// Rules for texts as they arrive, each on or off (html=off,hyphens=off); default: as the model's folder says, else on
    #[arg(long, value_delimiter = ',', value_name = "RULE=on|off")]
    text_rules: Vec<TextSwitch>,
    /// Topic labels in another language, by its tag, where the model has them
    #[arg(long, value_name = "TAG")]
    label_language: Option<String>,
    /// Entities with these labels only (PER,LOC,ORG); default: all
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    labels: Vec<String>,
    /// Words derived from names (LOCderiv: `deutsch`, LOCpart: `US-Beamte`): keep, drop, fold (as LOC, with the span of the
    /// name where a hyphen separates it)
    #[arg(long, default_value = "keep", value_name = "HOW")]
    derived: Derived,
    /// Group entities that refer to the same entity (`Wladimir Putin`, `Putins`), in a column `groups`; not for
    /// label-studio and spacy
    #[arg(long)]
    group: bool,
    /// Add to each accepted topic the passages that carry it. Some models must read a text again for each sentence
    #[arg(long)]
    evidence: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum QuotingArg {
    Double,
    None,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SectionArg {
    LastLine,
}

/// A threshold for one task, or for both.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Threshold {
    task: Option<Task>,
    score: f32,
}

/// Refuses a second threshold for a task: `0,1` is two numbers, and was meant as one.
fn check_thresholds(thresholds: &[Threshold]) -> Result<(), ScoreError> {
    // One for both tasks comes first, and one for a task may differ from it.
    let is_late = thresholds.iter().skip(1).any(|given| given.task.is_none());
    let twice = |task| thresholds.iter().filter(|given| given.task == Some(task)).count() > 1;
    match is_late || twice(Task::Topics) || twice(Task::Entities) {
        true => Err(ScoreError::usage(
            "--threshold has two values for a task; give one for each, with a decimal point: 0.1, or topics=0.4,entities=0.2",
        )),
        false => Ok(()),
    }
}

impl ScoreArgs {
    pub fn models(&self) -> Vec<ModelSpec> {
        self.models.specs()
    }

    pub fn active(&self) -> ByTask<String> {
        self.models.active()
    }

    pub fn run_settings(&self) -> RunSettings {
        RunSettings { batching: self.batching, ..self.run.settings() }
    }

    /// `None`: all that the models give.
    pub fn tasks(&self) -> Option<Tasks> {
        let tasks = &self.answers.tasks;
        let asked = Tasks { topics: tasks.contains(&Task::Topics), entities: tasks.contains(&Task::Entities) };
        (!tasks.is_empty()).then_some(asked)
    }

    pub fn job(&self) -> ScoreJob {
        let answers = &self.answers;
        let threshold_of = |task: Task| {
            answers.threshold.iter().rev().find(|it| it.task.is_none_or(|only| only == task)).map(|it| it.score)
        };
        ScoreJob {
            inputs: self.inputs.clone(),
            input_format: self.format,
            reading: ReadSettings {
                delimiter: self.delimiter,
                has_quotes: matches!(self.quoting, QuotingArg::Double),
                encoding: self.encoding,
                max_row_bytes: self.max_row_bytes,
                section: self.section.is_some(),
            },
            columns: ColumnChoice {
                document: DocumentColumns {
                    title: self.title_column.clone(),
                    lead: self.lead_column.clone(),
                    text: self.text_columns.clone(),
                },
                id: self.id_column.clone(),
                keep_text: self.keep_text,
                keep_errors: self.keep_errors,
                has_groups: self.answers.group,
                has_evidence: self.answers.evidence,
            },
            target: match self.output.as_str() {
                "-" => Target::Stdout { errors_file: self.errors.clone() },
                path => Target::File { path: path.into(), overwrite: self.overwrite },
            },
            inputs_unchanged: self.inputs_unchanged,
            reports: given(&[("--summary", &self.summary), ("--baseline", &self.baseline)]),
            output: OutputChoice {
                format: self.output_format,
                delimiter: self.output_delimiter,
                has_bom: self.output_bom,
            },
            options: ClassifyOptions {
                top_k: answers.top_k,
                threshold: ByTask { topics: threshold_of(Task::Topics), entities: threshold_of(Task::Entities) },
                aggregation: answers.aggregation,
                overflow: answers.overflow,
                text_rules: answers.text_rules.iter().copied().collect(),
                offset_unit: answers.offset_unit,
                label_language: answers.label_language.clone(),
                labels: (!answers.labels.is_empty())
                    .then(|| answers.labels.iter().map(|label| label.trim().to_owned()).collect()),
                derived: answers.derived,
                group: answers.group,
                evidence: answers.evidence,
            },
            max_characters: self.max_characters,
            max_errors: self.max_errors,
            limit: self.limit,
            dry_run: self.dry_run,
            look_ahead: self.look_ahead,
        }
    }
}

/// Scores until the end, or until Ctrl-C or SIGTERM. Rows that are saved by then are kept, so that the process may end at any moment.
pub async fn run_score(args: &ScoreArgs) -> anyhow::Result<u8> {
    let progress = Arc::new(if args.quiet { Progress::hidden() } else { Progress::start(None) });
    let stopped = stop_signal().context("the signals that stop a run cannot be handled")?;
    tokio::select! {
        ended = score_files(args, &progress) => ended,
        code = stopped => {
            progress.finish();
            print::message(&interrupt::message(args));
            // The writer may be waiting for a reader of standard output.
            end_process(code)
        }
    }
}

async fn score_files(args: &ScoreArgs, progress: &Arc<Progress>) -> anyhow::Result<u8> {
    // Before the models, so that errors of the files show at once. In a thread, so that Ctrl-C ends it.
    progress.stage("reading the columns of the input");
    if args.output != "-" && args.errors.is_some() {
        let message = "--errors is for `--output -`: rows that fail are listed in OUT.errors.jsonl; remove the option";
        return Err(ScoreError::usage(message).into());
    }
    check_thresholds(&args.answers.threshold)?;
    args.models.dir.check()?;
    let job = args.job();
    let prepared = tokio::task::spawn_blocking(move || prepare(job)).await.map_err(|_| ScoreError::Broken)??;
    let specs = args.models();
    let named =
        specs.iter().map(|spec| format!("{} ({})", spec.name, spec.path.display())).collect::<Vec<_>>().join(", ");
    progress.stage(&format!("loading {named}"));
    let registry = Registry::load(&specs, args.active(), &args.run_settings()).await?;
    let models = registry.assign(args.tasks(), &ByTask::default())?;
    if args.dry_run {
        let report = prepared.dry_run(models, Arc::clone(progress)).await?;
        progress.finish();
        print::result(&report.to_string())?;
        return Ok(exit_code(report.errors));
    }
    let summary = prepared.run(models.clone(), Arc::clone(progress)).await?;
    progress.finish();
    if let Some(file) = &args.baseline {
        write_baseline(file, &models, args.quiet)?;
    }
    match args.quiet {
        false => print::message(&summary.to_string()),
        true => print::message(&summary.failures()),
    }
    if let Some(path) = &args.summary {
        let json = serde_json::to_string_pretty(&summary)? + "\n";
        std::fs::write(path, json).with_context(|| format!("{}: the summary cannot be written", path.display()))?;
    }
    Ok(exit_code(summary.counts.errors))
}

/// Writes what the models answered in this run.
fn write_baseline(file: &Path, models: &Assignment, quiet: bool) -> anyhow::Result<()> {
    let mut baselines = Baselines::default();
    for model in models.iter().filter(|model| model.traffic.n_documents() > 0) {
        if !baselines.models.iter().any(|baseline| baseline.version == model.version) {
            baselines.models.push(ModelBaseline::new(&model.name, &model.version, &model.traffic.recent.all()));
        }
    }
    let n_documents = models.iter().map(|model| model.traffic.n_documents()).min().unwrap_or_default();
    anyhow::ensure!(
        n_documents >= MIN_DOCUMENTS,
        "{}: no baseline is written: this run scored {}, and a comparison needs {MIN_DOCUMENTS}; score more texts; `--overwrite` also scores those of an earlier run again",
        file.display(),
        counted(n_documents, "document")
    );
    let json = serde_json::to_string_pretty(&baselines)? + "\n";
    replace(file, json.as_bytes()).with_context(|| format!("{}: the baseline cannot be written", file.display()))?;
    if !quiet {
        let documents = counted(n_documents, "document");
        print::message(&format!("baseline of {documents} -> {}", file.display()));
    }
    Ok(())
}

fn exit_code(n_errors: u64) -> u8 {
    if n_errors > 0 { SOME_ROWS_FAILED } else { SUCCESS }
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (task, score) = match text.split_once('=') {
            Some((task, score)) => (Some(task.parse().map_err(|error| format!("{error}"))?), score),
            None => (None, text),
        };
        match score.parse::<f32>() {
            Ok(score) if (0.0..=1.0).contains(&score) => Ok(Self { task, score }),
            _ => Err(format!("`{score}` is not a score: give a number between 0 and 1")),
        }
    }
}
