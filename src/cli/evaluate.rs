//! `ressort evaluate`: its arguments and runner.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use ressort::evaluate::compare::Resampling;
use ressort::evaluate::evaluate;
use ressort::evaluate::gold::{GoldColumns, GoldFormat, GoldSource};
use ressort::evaluate::labels::{LabelError, LabelMap, Mapping};
use ressort::evaluate::report::html::page;
use ressort::evaluate::require::Requirement;
use ressort::evaluate::settings::EvaluateSettings;
use ressort::evaluate::speed::ReadSettings;
use ressort::manifest::task::AggregationStrategy;
use ressort::manifest::text_rules::TextSwitch;
use ressort::models::spec::ModelSpec;
use ressort::text::encoding::TextEncoding;

use super::number::{positive, whole};
use super::{ModelsDirArg, REQUIREMENT_NOT_MET, RunArgs, SUCCESS, given, print};

#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Labelled documents: JSON lines, CoNLL columns or CSV
    #[arg(long, value_name = "GOLD")]
    data: PathBuf,
    /// A model folder, the name of a model in --models-dir, or a file of answers (JSON lines); repeatable, the first is the baseline
    #[arg(long = "model", required = true, value_name = "[NAME=]PATH")]
    models: Vec<ModelSpec>,
    #[command(flatten)]
    dir: ModelsDirArg,
    /// Format of --data (jsonl, conll, csv); default: from its file name
    #[arg(long)]
    format: Option<GoldFormat>,
    /// Field or column of --data with the text, repeatable; values that are not empty are joined by an empty line; default: text
    #[arg(long = "text-column", value_name = "NAME")]
    text_columns: Vec<String>,
    /// Field or column of --data with the topics; default: topics (in a CSV also topic, labels, label)
    #[arg(long, alias = "topics-field", value_name = "NAME")]
    topics_column: Option<String>,
    /// Separator of the values of a CSV; default: that of a line `sep=;`, else of the header
    #[arg(long, value_parser = super::delimiter, value_name = "CHAR")]
    delimiter: Option<u8>,
    /// Encoding of --data without a byte order mark, such as windows-1252; default: UTF-8
    #[arg(long, value_name = "NAME")]
    encoding: Option<TextEncoding>,
    /// Rename a label of models and data; `OLD=` leaves it out; repeatable
    #[arg(long, value_name = "OLD=NEW")]
    map: Vec<Mapping>,
    /// A file of mappings like those of --map, one a line
    #[arg(long, value_name = "FILE")]
    map_file: Option<PathBuf>,
    /// Count only these labels
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    labels: Vec<String>,
    /// A requirement: `topics.macro_f1 >= 0.6`, `entities.f1 >= baseline - 0.5` (points); repeatable; exit code 4 when
    /// one is not met
    #[arg(long, value_name = "CONDITION")]
    require: Vec<Requirement>,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as one page of HTML
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Folder for the models' answers; default: REPORT-predictions next to the report
    #[arg(long, value_name = "DIR")]
    predictions: Option<PathBuf>,
    /// How tokens become entities (none, simple, first, average, max, viterbi); default: as the model's folder says
    #[arg(long)]
    aggregation: Option<AggregationStrategy>,
    /// Rules for texts as they arrive, each on or off (html=off,hyphens=off); default: as the model's folder says, else on
    #[arg(long, value_delimiter = ',', value_name = "RULE=on|off")]
    text_rules: Vec<TextSwitch>,
    /// Use the topic labels of this language, where the model has them
    #[arg(long, value_name = "TAG")]
    label_language: Option<String>,
    /// Samples of documents for intervals and significance tests
    #[arg(long, default_value_t = Resampling::default().n_resamples, value_parser = positive, value_name = "N")]
    resamples: usize,
    /// Seed of the samples
    #[arg(long, default_value_t = Resampling::default().seed, value_name = "N", value_parser = whole::<u64>(0..=u64::MAX))]
    seed: u64,
    #[command(flatten)]
    run: RunArgs,
}

impl EvaluateArgs {
    /// The settings, with the map file read; answers that need not be kept go to `scratch`.
    pub fn settings(&self, scratch: &Path) -> Result<EvaluateSettings, LabelError> {
        let mut mappings = self.map_file.as_deref().map(LabelMap::read).transpose()?.unwrap_or_default();
        mappings.extend(self.map.iter().cloned());
        Ok(EvaluateSettings {
            gold: GoldSource {
                path: self.data.clone(),
                format: self.format,
                columns: GoldColumns { text: self.text_columns.clone(), topics: self.topics_column.clone() },
                encoding: self.encoding,
                delimiter: self.delimiter,
            },
            models: self.dir.folders().resolve_models_and_files(&self.models).iter().map(named_after_stem).collect(),
            map: LabelMap::new(mappings),
            labels: self.labels.clone(),
            read: ReadSettings {
                aggregation: self.aggregation,
                text_rules: self.text_rules.iter().copied().collect(),
                label_language: self.label_language.clone(),
            },
            predictions: self.predictions().unwrap_or_else(|| scratch.to_owned()),
            run: self.run.settings(),
            resampling: Resampling { n_resamples: self.resamples, seed: self.seed },
            requirements: self.require.clone(),
            read_files: given(&[("--map-file", &self.map_file)]),
            reports: given(&[("--json", &self.json), ("--html", &self.html)]),
        })
    }

    /// The folder of answers; `None` without --predictions and report.
    pub fn predictions(&self) -> Option<PathBuf> {
        let next_to = |report: &PathBuf| {
            let stem = report.file_stem().unwrap_or_default().to_string_lossy();
            report.with_file_name(format!("{stem}-predictions"))
        };
        self.predictions.clone().or_else(|| self.html.as_ref().or(self.json.as_ref()).map(next_to))
    }
}

pub async fn run_evaluate(args: &EvaluateArgs) -> anyhow::Result<u8> {
    args.dir.check()?;
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let report = evaluate(&args.settings(scratch.path())?).await?;
    let html = args.html.as_ref().map(|file| (file, page(&report)));
    let json = args
        .json
        .as_ref()
        .map(|file| Ok::<_, anyhow::Error>((file, format!("{:#}\n", serde_json::to_value(&report)?))));
    let files: Vec<_> = json.transpose()?.into_iter().chain(html).collect();
    files.iter().try_for_each(|(file, text)| write_report(file, text))?;
    let names: String = files.iter().map(|(file, _)| format!("\nreport: {}\n", file.display())).collect();
    print::result(&format!("{report}{names}"))?;
    Ok(if report.meets_requirements() { SUCCESS } else { REQUIREMENT_NOT_MET })
}

fn write_report(file: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(file, text)
    };
    write().with_context(|| format!("cannot write {}; give another path", file.display()))
}

/// A file of answers without a name is named after its file, without the ending.
fn named_after_stem(spec: &ModelSpec) -> ModelSpec {
    match (spec.path.file_name(), spec.path.file_stem()) {
        (Some(file), Some(stem)) if spec.path.is_file() && spec.name == file.to_string_lossy() => {
            ModelSpec { name: stem.to_string_lossy().into_owned(), path: spec.path.clone() }
        }
        _ => spec.clone(),
    }
}
