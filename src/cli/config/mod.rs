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
mod variables;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches};

use super::{Cli, Command};
pub use error::ConfigError;
use error::Errors;
use file::{ConfigFile, Setting};
pub use keys::Kind;
#[cfg(test)]
pub use keys::check;
use keys::{configurable, id_of};
pub use show::Settings;
pub use variables::misspelt_variables;
use variables::{check_variables, hide_secret, with_variable, without_variables};

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
    let flags = match without_variables(root.clone()).try_get_matches_from(&args) {
        Ok(flags) => flags,
        // Help texts name the variables.
        Err(error) if is_help(&error) => return Err(root.try_get_matches_from(&args).err().unwrap_or(error).into()),
        Err(error) => return Err(hide_secret(error, &root).into()),
    };
    let mut errors = Errors::default();
    let serve = flags.subcommand_matches("serve");
    let file = serve.and_then(named_file).and_then(|path| errors.take(ConfigFile::read(&path, &root)));
    check_variables(&root, &flags, &mut errors);
    errors.into_result()?;
    let given = root.clone().try_get_matches_from(&args).map_err(explained)?;
    let Some(serve) = given.subcommand_matches("serve") else { return Ok(Cli::from_arg_matches(&given)?) };
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

fn is_help(error: &clap::Error) -> bool {
    use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    matches!(error.kind(), DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand | DisplayVersion)
}

/// The file of `--config` or its variable, else the default file if there is one.
fn named_file(flags: &ArgMatches) -> Option<PathBuf> {
    let named = flags.get_one::<PathBuf>("config").cloned();
    let named = named.or_else(|| std::env::var_os("RESSORT_CONFIG").map(PathBuf::from));
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
