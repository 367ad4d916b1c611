//! `ressort doctor`: what the service needs on this machine, whether it is there, and what to do where it is not.

mod checks;
mod models;
mod trial;

use std::ffi::OsString;
use std::fmt;

use clap::Args;
use serde_json::{Value, json};

use super::config::{ParseError, parse};
use super::serve::{Finding, Report, ServeArgs, prepare};
use super::{Command, FAILURE, SUCCESS, print};

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Flags of `ressort serve` to check with, after `--`; the configuration file and the environment count as they do for it
    #[arg(last = true, value_name = "FLAGS")]
    serve: Vec<OsString>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    /// The service runs, but perhaps not as it was meant.
    Warning,
    /// The service does not run.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug)]
struct Check {
    name: String,
    status: Status,
    finding: String,
    /// What an administrator can do about it.
    remedy: Option<String>,
    /// The finding for programs.
    details: Value,
}

/// Prints each check when it ends: the trial of a large model may take long. The exit code is 1 if a check failed.
pub async fn run_doctor(args: &DoctorArgs) -> anyhow::Result<u8> {
    let (mut checks, mut printed) = (Vec::new(), Ok(()));
    let mut add = |check: Check| {
        // The first error of the output ends the command, after the checks.
        if !args.json && printed.is_ok() {
            printed = print::result(&check.to_string());
        }
        checks.push(check);
    };
    [checks::program(), checks::processor(), checks::runtime(), checks::memory(), checks::open_files()]
        .into_iter()
        .for_each(&mut add);
    match settings(&args.serve) {
        Err(message) => add(Check::failed("configuration", message)),
        Ok(serve) => check_server(&serve, &mut add).await,
    }
    printed?;
    let n_failed = checks.iter().filter(|check| check.status == Status::Failed).count();
    let json = || json!({"ok": n_failed == 0, "checks": checks.iter().map(Check::json).collect::<Vec<_>>()});
    match args.json {
        true => print::result(&format!("{:#}", json()))?,
        false if n_failed == 0 => print::result("\nnothing keeps the service from running")?,
        false => {
            print::result(&format!("\n{n_failed} of {} checks failed; the service needs all of them", checks.len()))?;
        }
    }
    Ok(if n_failed == 0 { SUCCESS } else { FAILURE })
}

/// The settings with which `ressort serve` would start; the error is its message.
fn settings(flags: &[OsString]) -> Result<Box<ServeArgs>, String> {
    let words = ["ressort", "serve"].map(OsString::from);
    match parse(words.into_iter().chain(flags.iter().cloned())) {
        Ok(cli) => match cli.command {
            Command::Serve(args) => Ok(args),
            _ => Err("the flags after `--` are those of `ressort serve`".to_owned()),
        },
        Err(ParseError::Usage(error)) => Err(error.to_string().trim_end().to_owned()),
        Err(ParseError::Config(error)) => Err(error.to_string()),
    }
}

/// Runs what `serve` runs before it waits for requests, and tries the models.
async fn check_server(serve: &ServeArgs, add: &mut impl FnMut(Check)) {
    let (reports, prepared) = prepare(serve).await.into_parts();
    reports.into_iter().map(Check::of).for_each(&mut *add);
    add(checks::model_folders(&serve.model_folders()));
    // The address is free again from here on.
    let baselines = prepared.map(|prepared| prepared.baselines);
    models::check(serve, baselines.as_ref(), add).await;
}

impl Check {
    /// What became of a step of `serve`.
    fn of(report: Report) -> Self {
        let Finding { text, warnings, details } = match report.outcome {
            Ok(finding) => finding,
            Err(error) => return Self::failed(report.name, format!("{error:#}")),
        };
        if warnings.is_empty() {
            return Self::ok(report.name, text, details);
        }
        let mut remedies: Vec<&str> = warnings.iter().map(|warning| warning.remedy).collect();
        remedies.dedup();
        let findings: Vec<String> = warnings.iter().map(|warning| warning.text.clone()).collect();
        Self { details, ..Self::warning(report.name, findings.join("\n"), &remedies.join("; ")) }
    }

    fn ok(name: &str, finding: String, details: Value) -> Self {
        Self { name: name.to_owned(), status: Status::Ok, finding, remedy: None, details }
    }

    fn warning(name: &str, finding: String, remedy: &str) -> Self {
        let remedy = Some(remedy.to_owned());
        Self { name: name.to_owned(), status: Status::Warning, finding, remedy, details: Value::Null }
    }

    /// The message of an error of this program ends with its remedy.
    fn failed(name: &str, finding: String) -> Self {
        Self { name: name.to_owned(), status: Status::Failed, finding, remedy: None, details: Value::Null }
    }

    fn json(&self) -> Value {
        let mut value = json!({"name": self.name, "status": self.status.as_str(), "finding": self.finding});
        if let Some(remedy) = &self.remedy {
            value["remedy"] = json!(remedy);
        }
        if !self.details.is_null() {
            value["details"] = self.details.clone();
        }
        value
    }
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Further lines of a message stand under its first.
        let finding = self.finding.replace('\n', &format!("\n{:30}", ""));
        write!(f, "{:<8} {:<20} {finding}", self.status.as_str(), self.name)?;
        self.remedy.iter().try_for_each(|remedy| write!(f, "\n{:30}-> {remedy}", ""))
    }
}
