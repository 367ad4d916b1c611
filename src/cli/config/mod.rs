//! The settings of `ressort serve` in layers: defaults, the configuration file, environment variables, flags.
//!
//! `clap` knows the type, variable and default of every flag. A value of the file becomes the default of its flag. The file therefore
//! has a key for every flag, and reads values by the same rules.

mod client_keys;
mod error;
mod file;
mod keys;
mod show;
mod source;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches};

use super::{Cli, Command};
pub use error::ConfigError;
use file::{ConfigFile, Setting};
use keys::{configurable, id_of};
pub use show::Settings;

/// The file that is read where none is named, if it exists.
const DEFAULT_FILE: &str = "/etc/ressort/ressort.toml";

/// Why the command line cannot be run.
pub enum ParseError {
    /// Help and version count as such.
    Usage(clap::Error),
    Config(ConfigError),
}

/// Reads the command line, and for `serve` the environment and the configuration file.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, ParseError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let root = Cli::command();
    let explained = |error| with_variable(hide_secret(error, &root), &root, &args);
    let given = root.clone().try_get_matches_from(&args).map_err(explained)?;
    let Some(serve) = given.subcommand_matches("serve") else { return Ok(Cli::from_arg_matches(&given)?) };
    let file = named_file(serve).map(|path| ConfigFile::read(&path, &root)).transpose()?;
    let settings = file.iter().flat_map(|file| &file.settings);
    let settings: Vec<&Setting> = settings.filter(|setting| !is_overridden(setting, &root, serve)).collect();
    let layered = settings.iter().fold(root.clone(), |command, setting| with_default(command, setting));
    let matches = layered.try_get_matches_from(&args)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    if let (Command::Serve(args), Some(matches)) = (&mut cli.command, matches.subcommand_matches("serve")) {
        args.settings = Settings::new(&root, matches, &settings, file.as_ref());
    }
    Ok(cli)
}

/// Environment variables with the prefix `RESSORT_` that are probably misspelt.
pub fn misspelt_variables() -> Vec<String> {
    let root = Cli::command();
    let known: Vec<String> = configurable(&root).into_iter().filter_map(keys::variable).collect();
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unknown = names.filter(|name| name.starts_with(keys::PREFIX) && !known.contains(name) && !keys::is_other(name));
    let hint = |name: String| {
        let suggestion = ressort::system::choice::suggestion(&name, known.iter().map(String::as_str));
        (!suggestion.is_empty()).then(|| format!("the environment variable {name} is not read{suggestion}"))
    };
    unknown.filter_map(hint).collect()
}

/// The file of `--config`, else the default file if there is one.
fn named_file(serve: &ArgMatches) -> Option<PathBuf> {
    let named = serve.get_one::<PathBuf>("config").cloned();
    named.or_else(|| Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into()))
}

/// Whether the environment or a flag has set the same, or what excludes it.
fn is_overridden(setting: &Setting, root: &clap::Command, serve: &ArgMatches) -> bool {
    let is_set =
        |arg: &Arg| matches!(serve.value_source(id_of(arg)), Some(ValueSource::CommandLine | ValueSource::EnvVariable));
    let args = configurable(root);
    args.into_iter()
        .any(|arg| is_set(arg) && (id_of(arg) == setting.id || keys::exclude(root, id_of(arg), &setting.id)))
}

fn with_default(command: clap::Command, setting: &Setting) -> clap::Command {
    let set = |arg: Arg| arg.default_values(setting.values.clone());
    let is_global = command.get_arguments().any(|arg| id_of(arg) == setting.id);
    match is_global {
        true => command.mut_arg(&setting.id, set),
        false => command.mut_subcommand("serve", |serve| serve.mut_arg(&setting.id, set)),
    }
}

/// Adds the name of the variable to an error about a value that no flag gave.
fn with_variable(mut error: clap::Error, root: &clap::Command, args: &[OsString]) -> clap::Error {
    use clap::error::{ContextKind, ContextValue};
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else { return error };
    let long = named.split([' ', '=', '[']).next().unwrap_or_default().to_owned();
    if args.iter().any(|arg| arg.to_string_lossy().starts_with(&long)) {
        return error;
    }
    let arg = configurable(root).into_iter().find(|arg| arg.get_long().is_some_and(|name| format!("--{name}") == long));
    if let Some(variable) = arg.and_then(keys::variable) {
        let named = format!("{long}, read from the environment variable {variable}");
        error.insert(ContextKind::InvalidArg, ContextValue::String(named));
    }
    error
}

/// Takes the value of a secret out of an error.
fn hide_secret(mut error: clap::Error, root: &clap::Command) -> clap::Error {
    use clap::error::{ContextKind, ContextValue};
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else { return error };
    let secrets = root.get_subcommands().flat_map(clap::Command::get_arguments).filter(|arg| keys::is_secret(arg));
    let is_secret = secrets.filter_map(Arg::get_long).any(|long| named.starts_with(&format!("--{long} ")));
    if is_secret && error.get(ContextKind::InvalidValue).is_some() {
        error.insert(ContextKind::InvalidValue, ContextValue::String("(hidden)".to_owned()));
    }
    error
}

impl From<clap::Error> for ParseError {
    fn from(error: clap::Error) -> Self {
        Self::Usage(error)
    }
}

impl From<ConfigError> for ParseError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

#[cfg(test)]
mod tests;
