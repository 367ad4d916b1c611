//! `ressort inspect`: describes a model folder, and whether and how it would be served.

use anyhow::Context;
use clap::Args;
use ressort::inference::settings::RunSettings;
use ressort::models::load::Model;
use ressort::models::report::ModelReport;
use ressort::models::spec::ModelSpec;

use super::{ModelsDirArg, RunArgs, print};

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The model folder, or the name of a model in --models-dir
    #[arg(value_name = "[NAME=]PATH")]
    model: ModelSpec,
    #[command(flatten)]
    dir: ModelsDirArg,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    run: RunArgs,
}

impl InspectArgs {
    /// The model, with its folder if it was given by name.
    pub fn spec(&self) -> ModelSpec {
        self.dir.folders().resolve(&self.model)
    }

    pub fn run_settings(&self) -> RunSettings {
        self.run.settings()
    }
}

pub async fn run_inspect(args: &InspectArgs) -> anyhow::Result<()> {
    args.dir.check()?;
    let spec = args.spec();
    let load = Model::load(&spec, &args.run_settings()).await.map_err(anyhow::Error::from);
    if args.json {
        let report = match &load {
            Ok(model) => serde_json::json!({"servable": true, "model": ModelReport::of(model)}),
            Err(error) => serde_json::json!({"servable": false, "error": format!("{error:#}")}),
        };
        print::result(&format!("{report:#}"))?;
    }
    let model = load.with_context(|| format!("{} would not be served", spec.path.display()))?;
    if !args.json {
        // The report ends its last line.
        print::result(&format!("{}would be served", ModelReport::of(&model)))?;
    }
    Ok(())
}
