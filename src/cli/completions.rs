//! `ressort completions` and `ressort man`: what shells and `man` know of the command line.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, print};

const NAME: &str = "ressort";

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell that reads the script
    shell: Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder to write the pages into; it is made where it is missing
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Prints the script for a shell.
pub fn run_completions(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    print::result(std::str::from_utf8(&script)?)
}

/// Writes `ressort.1`, and a page for each command.
pub fn run_man(args: &ManArgs) -> anyhow::Result<()> {
    let write = || {
        std::fs::create_dir_all(&args.dir)?;
        clap_mangen::generate_to(Cli::command(), &args.dir)
    };
    write().with_context(|| format!("{}: the pages cannot be written; give another folder", args.dir.display()))
}
