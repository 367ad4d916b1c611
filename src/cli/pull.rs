//! `ressort pull`: brings a model from a Hugging Face hub into a model folder.

use std::fmt::Write;

use clap::Args;
use ressort::hub::{
    Cache, Choice, DEFAULT_ENDPOINT, FilePrecision, Hub, PullOrder, Pulled, Repository, token_from_env,
};
use ressort::models::spec::check_name;
use ressort::system::progress::Progress;
use ressort::system::table::plain_table;

use super::{ModelsDirArg, print};

#[derive(Debug, Args)]
pub struct PullArgs {
    /// The repository, and a branch, tag or commit of it; default: the branch `main`
    #[arg(value_name = "ORG/NAME[@REVISION]")]
    repository: Repository,
    /// Name of the model; default: that of the repository
    #[arg(long)]
    name: Option<String>,
    /// Which ONNX file, by its precision (fp32, fp16, bf16, int8, q4); default: the one that `ressort.toml` names, else model.onnx,
    /// else the first usual name
    #[arg(long, value_name = "PRECISION")]
    precision: Option<FilePrecision>,
    /// Which ONNX file, by its path in the repository
    #[arg(long, value_name = "PATH", conflicts_with = "precision")]
    file: Option<String>,
    #[command(flatten)]
    dir: ModelsDirArg,
    /// Replace a model folder of that name
    #[arg(long)]
    force: bool,
    /// Address of the hub
    #[arg(long, default_value = DEFAULT_ENDPOINT, env = "HF_ENDPOINT", value_name = "URL")]
    endpoint: String,
}

pub fn run_pull(args: &PullArgs) -> anyhow::Result<()> {
    let name = args.name.as_deref().unwrap_or(args.repository.name());
    // The name of a model, which becomes that of its folder.
    check_name(name).map_err(|error| anyhow::anyhow!("{error}; give another with --name"))?;
    let order = PullOrder {
        repository: args.repository.clone(),
        choice: Choice { file: args.file.clone(), precision: args.precision },
        models_dir: args.dir.folders().for_new().to_owned(),
        name: name.to_owned(),
        force: args.force,
    };
    let hub = Hub::new(&args.endpoint, token_from_env())?;
    let progress = Progress::start(None);
    let pulled = ressort::hub::pull(&hub, &Cache::from_env()?, &order, &progress)?;
    progress.finish();
    print::result(&report(&order, &pulled))
}

/// What was pulled, and what to do with it.
fn report(order: &PullOrder, pulled: &Pulled) -> String {
    let folder = pulled.folder.display();
    let rows = pulled.files.iter().map(|file| {
        let from = if file.was_cached { "cache" } else { "hub" };
        vec![file.path.clone(), from.to_owned(), file.n_bytes.to_string()]
    });
    let head = ["FILE", "FROM", "BYTES"].map(str::to_owned);
    let mut text = format!("pulled {} at commit {} into {folder}\n", order.repository, pulled.commit);
    let _ = writeln!(text, "{}", plain_table(head.into(), rows, 2..));
    let _ = writeln!(text, "next: ressort inspect {folder}");
    let _ = writeln!(text, "      ressort serve --model {folder}");
    text
}
