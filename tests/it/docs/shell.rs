//! Runs the commands of a page, or only checks that they exist.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::manual::{Block, root};
use crate::cli::Server;

const ADDRESS: &str = "http://127.0.0.1:8080";
const BINARY: &str = env!("CARGO_BIN_EXE_ressort");
/// Functions that check a command instead of running it.
const DRY_RUN: &str = include_str!("dry_run.sh");

/// A temporary folder that looks like the repository's root, and a server where the page speaks to one.
pub struct Shell {
    folder: TempDir,
    server: Option<Server>,
}

impl Shell {
    pub fn new(blocks: &[Block]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["docs", "models", "scripts", "tests"] {
            std::os::unix::fs::symlink(root().join(name), folder.path().join(name)).unwrap();
        }
        let speaks = |block: &Block| block.text.contains(ADDRESS) || block.text.contains("ressort models");
        let needs_server = blocks.iter().any(|block| block.tag == "sh run" && speaks(block));
        let server = needs_server.then(|| start_server(folder.path()));
        Self { folder, server }
    }

    /// What a script prints; the error holds what it said when it failed.
    pub fn run(&self, script: &str) -> Result<String, String> {
        let url = &self.server.as_ref().map_or(ADDRESS.to_owned(), Server::url);
        let script = format!("set -euo pipefail\n{}", script.replace(ADDRESS, url));
        let search = std::env::join_paths(
            [Path::new(BINARY).parent().unwrap().to_owned()]
                .into_iter()
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
        );
        let output = self.bash(&script).env("PATH", search.unwrap()).env("RESSORT_SERVER", url).output().unwrap();
        printed(&output)
    }

    /// Whether every command of a script exists, with its flags.
    pub fn check(&self, script: &str) -> Result<(), String> {
        let failures = self.folder.path().join("failures");
        let mut bash = self.bash(&format!("{DRY_RUN}\n{script}"));
        let output = bash.env("RESSORT", BINARY).env("ROOT", root()).env("FAILURES", &failures).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match std::fs::read_to_string(&failures) {
            Ok(failures) => Err(failures),
            Err(_) if output.status.success() => Ok(()),
            Err(_) => Err(said),
        }
    }

    fn bash(&self, script: &str) -> Command {
        let mut bash = Command::new("bash");
        bash.args(["-c", script]).current_dir(self.folder.path());
        // The same lines on a machine with a GPU or more cores.
        bash.env("RESSORT_PROVIDERS", "cpu").env("RESSORT_STREAMS", "2").env("RUST_LOG", "error");
        bash
    }
}

/// A server over the shipped models, whose log goes nowhere.
fn start_server(folder: &Path) -> Server {
    let mut command = Command::new(BINARY);
    command.current_dir(folder).stderr(Stdio::null());
    // A server that somebody runs from this checkout holds the folder of jobs in models/.
    let settings = ["--providers", "cpu", "--streams", "2", "--state-file", "active.json", "--jobs-dir", "jobs"];
    Server::start_with(command, &settings)
}

fn printed(output: &Output) -> Result<String, String> {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(stdout.into_owned()) } else { Err(format!("{}\n{stdout}{stderr}", output.status)) }
}

/// Both streams of one run of the binary.
pub fn ressort(args: &[&str]) -> String {
    let output = Command::new(BINARY).args(args).output().unwrap();
    (String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr)).into_owned()
}

/// The help texts of all commands.
pub fn helps() -> String {
    ["serve", "score", "inspect", "pull", "models", "key", "evaluate", "doctor", "health", "completions", "man"]
        .map(|command| ressort(&[command, "--help"]))
        .concat()
}
