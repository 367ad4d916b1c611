//! The keys of the configuration file: one for each flag of `ressort serve`, with the type of its value.

use std::any::TypeId;
use std::error::Error as _;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};
use ressort::system::choice::suggestion;

/// How the names of environment variables begin.
pub const PREFIX: &str = "RESSORT_";

/// Flags that are no settings.
const NO_KEYS: [&str; 4] = ["config", "print_config", "help", "version"];

/// The kind of value that a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Integer,
    Number,
    Text,
    /// One text or an array of them.
    Texts,
}

/// The flags that have a key, in the order of the help text.
pub fn configurable(root: &Command) -> Vec<&Arg> {
    let serve = root.find_subcommand("serve").into_iter().flat_map(Command::get_arguments);
    let args = serve.chain(root.get_arguments());
    args.filter(|arg| arg.get_long().is_some() && !arg.is_hide_set() && !NO_KEYS.contains(&id_of(arg))).collect()
}

pub fn id_of(arg: &Arg) -> &str {
    arg.get_id().as_str()
}

/// The default of a key, each value of a list for itself.
pub fn default_of(arg: &Arg) -> Vec<String> {
    let values = arg.get_default_values().iter().map(|value| value.to_string_lossy());
    match arg.get_value_delimiter() {
        Some(delimiter) => {
            values.flat_map(|value| value.split(delimiter).map(str::to_owned).collect::<Vec<_>>()).collect()
        }
        None => values.map(|value| value.into_owned()).collect(),
    }
}

/// The key of a flag: `max_characters` of `--max-characters`.
pub fn key_of(arg: &Arg) -> String {
    arg.get_long().unwrap_or_default().replace('-', "_")
}

/// The environment variable of a flag.
pub fn variable(arg: &Arg) -> Option<String> {
    Some(arg.get_env()?.to_string_lossy().into_owned())
}

/// Whether a variable belongs to another command or to a flag without a key.
pub fn is_other(name: &str) -> bool {
    ["CACHE", "CONFIG", "SERVER", "SAVED_FILE", "UPDATE_DOCS"].iter().any(|other| name == format!("{PREFIX}{other}"))
}

/// Whether two flags exclude each other.
pub fn exclude(root: &Command, one: &str, other: &str) -> bool {
    let Some(serve) = root.find_subcommand("serve") else { return false };
    let excludes = |one: &str, other: &str| {
        let arg = serve.get_arguments().find(|arg| id_of(arg) == one);
        arg.is_some_and(|arg| serve.get_arg_conflicts_with(arg).into_iter().any(|arg| id_of(arg) == other))
    };
    excludes(one, other) || excludes(other, one)
}

/// Whether the value is never shown.
pub fn is_secret(arg: &Arg) -> bool {
    arg.is_hide_env_values_set()
}

impl Kind {
    pub fn of(arg: &Arg) -> Self {
        let value = arg.get_value_parser().type_id();
        let is = |types: &[TypeId]| types.iter().any(|of| value == *of);
        if matches!(arg.get_action(), ArgAction::Append) || arg.get_value_delimiter().is_some() {
            Self::Texts
        } else if is(&[TypeId::of::<bool>()]) {
            Self::Boolean
        } else if is(&[TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<usize>()]) {
            Self::Integer
        } else if is(&[TypeId::of::<f32>(), TypeId::of::<f64>()]) {
            Self::Number
        } else {
            Self::Text
        }
    }

    /// What a value must be, for messages.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Texts => "a string or an array of strings",
        }
    }

    /// A value as TOML.
    pub fn write(self, values: &[String]) -> String {
        let quoted = |value: &String| toml::Value::String(value.clone()).to_string();
        match (self, values) {
            (Self::Boolean | Self::Integer | Self::Number, [value]) => value.clone(),
            (Self::Text, [value]) => quoted(value),
            _ => format!("[{}]", values.iter().map(quoted).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// What a key takes, with the default for an example.
pub fn expected(arg: &Arg, kind: Kind) -> String {
    format!("{}{}", kind.expected(), example(arg, kind))
}

/// The reason why a value is refused, with an example.
pub fn with_example(arg: &Arg, reason: &str) -> String {
    match Kind::of(arg) {
        // The reason is a range.
        kind @ (Kind::Integer | Kind::Number) => format!("{reason}{}", example(arg, kind)),
        // A reason that says what to give needs no example.
        _ if is_secret(arg) || reason.ends_with('?') || reason.contains("give ") => reason.to_owned(),
        kind => format!("{reason}; expected {}", expected(arg, kind)),
    }
}

fn example(arg: &Arg, kind: Kind) -> String {
    let default = default_of(arg);
    if default.is_empty() { String::new() } else { format!(", such as {}", kind.write(&default)) }
}

/// Reads a value as the flag would; the error is the reason alone.
pub fn check(arg: &Arg, value: &str) -> Result<(), String> {
    let probe = Arg::new("value").allow_hyphen_values(true).value_parser(arg.get_value_parser().clone());
    let probe = Command::new("probe").no_binary_name(true).arg(probe);
    let Err(error) = probe.try_get_matches_from([value]) else { return Ok(()) };
    Err(match (error.get(ContextKind::ValidValue), error.source()) {
        (Some(ContextValue::Strings(valid)), _) if !valid.is_empty() => {
            let known: Vec<String> = valid.iter().map(|word| format!("`{word}`")).collect();
            format!("it is not one of {}{}", known.join(", "), suggestion(value, valid.iter().map(String::as_str)))
        }
        (_, Some(reason)) => reason.to_string(),
        _ => "it is empty".to_owned(),
    })
}
