//! `ressort inspect`: describes a model folder, and whether and how it would be served.

use anyhow::Context;
use clap::Args;
use ressort::inference::settings::RunSettings;
use ressort::models::load::Model;
use ressort::models::report::ModelReport;
use ressort::models::spec::ModelSpec;

use super::{RunArgs, print};

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The model folder
    #[arg(value_name = "[NAME=]PATH")]
    pub model: ModelSpec,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    run: RunArgs,
}

impl InspectArgs {
    pub fn run_settings(&self) -> RunSettings {
        self.run.settings()
    }
}

pub async fn run_inspect(args: &InspectArgs) -> anyhow::Result<()> {
    let load = Model::load(&args.model, &args.run_settings()).await.map_err(anyhow::Error::from);
    if args.json {
        let report = match &load {
            Ok(model) => serde_json::json!({"servable": true, "model": ModelReport::of(model)}),
            Err(error) => serde_json::json!({"servable": false, "error": format!("{error:#}")}),
        };
        print::result(&format!("{report:#}"))?;
    }
    let model = load.with_context(|| format!("{} would not be served", args.model.path.display()))?;
    if !args.json {
        // The report ends its last line.
        print::result(&format!("{}would be served", ModelReport::of(&model)))?;
    }
    Ok(())
}
