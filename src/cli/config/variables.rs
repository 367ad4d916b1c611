//! Environment variables: each that counts for a command line is checked, so that all wrong ones are named at once.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory};
use ressort::system::choice::{shortened, suggestion};

use super::error::{ConfigError, Errors};
use super::keys::{self, check, configurable, id_of, is_secret, variable, with_example};
use crate::cli::Cli;

/// The same commands, which read flags only.
pub fn without_variables(command: Command) -> Command {
    command.mut_args(|arg| arg.env(Resettable::Reset)).mut_subcommands(without_variables)
}

/// Checks the variables of the command in `flags`, except where a flag replaces them.
pub fn check_variables(root: &Command, flags: &ArgMatches, errors: &mut Errors) {
    let levels = levels(root, flags);
    let is_given = |id: &str| {
        levels.iter().any(|(_, matches)| {
            matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
        })
    };
    for arg in levels.iter().flat_map(|(command, _)| command.get_arguments()).filter(|arg| !is_given(id_of(arg))) {
        if let Some((name, value)) = variable(arg).and_then(|name| Some((name.clone(), std::env::var_os(name)?))) {
            check_variable(arg, &name, &value.to_string_lossy(), errors);
        }
    }
    if !errors.is_empty() {
        misspelt_variables().into_iter().for_each(|hint| errors.push(ConfigError::new(hint)));
    }
}

fn check_variable(arg: &Arg, name: &str, value: &str, errors: &mut Errors) {
    let values: Vec<&str> = match arg.get_value_delimiter() {
        Some(delimiter) => value.split(delimiter).collect(),
        None => vec![value],
    };
    for value in values {
        if let Err(reason) = check(arg, value) {
            let shown = if is_secret(arg) { String::new() } else { format!(" = {}", shortened(value)) };
            let reason = with_example(arg, &reason);
            errors.push(ConfigError::new(format!("the environment variable {name}{shown}: {reason}")));
        }
    }
}

/// The commands that were named, from the outermost.
fn levels<'c>(root: &'c Command, flags: &'c ArgMatches) -> Vec<(&'c Command, &'c ArgMatches)> {
    let mut levels = vec![(root, flags)];
    while let Some((command, matches)) = levels.last()
        && let Some((name, matches)) = matches.subcommand()
        && let Some(command) = command.find_subcommand(name)
    {
        levels.push((command, matches));
    }
    levels
}

/// Environment variables with the prefix `RESSORT_` that are probably misspelt.
pub fn misspelt_variables() -> Vec<String> {
    let root = Cli::command();
    let known: Vec<String> = configurable(&root).into_iter().filter_map(variable).collect();
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unknown = names.filter(|name| name.starts_with(keys::PREFIX) && !known.contains(name) && !keys::is_other(name));
    let hint = |name: String| {
        let suggestion = suggestion(&name, known.iter().map(String::as_str));
        (!suggestion.is_empty()).then(|| format!("the environment variable {name} is not read{suggestion}"))
    };
    unknown.filter_map(hint).collect()
}

/// Adds the name of the variable to an error about a value that no flag gave, such as one that excludes another.
pub fn with_variable(mut error: clap::Error, root: &Command, args: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else { return error };
    let long = named.split([' ', '=', '[']).next().unwrap_or_default().to_owned();
    let is_given = |arg: &OsString| arg.to_string_lossy().split('=').next() == Some(&*long);
    if args.iter().any(is_given) {
        return error;
    }
    let arg = configurable(root).into_iter().find(|arg| arg.get_long().is_some_and(|name| format!("--{name}") == long));
    if let Some(variable) = arg.and_then(variable) {
        let named = format!("{long}, read from the environment variable {variable}");
        error.insert(ContextKind::InvalidArg, ContextValue::String(named));
    }
    error
}

/// Takes the value of a secret out of an error.
pub fn hide_secret(mut error: clap::Error, root: &Command) -> clap::Error {
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else { return error };
    let secrets = root.get_subcommands().flat_map(Command::get_arguments).filter(|arg| is_secret(arg));
    let is_secret = secrets.filter_map(Arg::get_long).any(|long| named.starts_with(&format!("--{long} ")));
    if is_secret && error.get(ContextKind::InvalidValue).is_some() {
        error.insert(ContextKind::InvalidValue, ContextValue::String("(hidden)".to_owned()));
    }
    error
}
