//! The settings of a server as TOML, with the origin of each value.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use ressort::http::KeySpec;

use super::file::{ConfigFile, Setting};
use super::keys::{self, Kind, configurable, id_of, is_secret, key_of, variable};

/// The origin of a value that nobody set.
const DEFAULT: &str = "default";

/// The settings of a server; [`fmt::Display`] writes them as a configuration file.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The configuration file, if one was read.
    pub file: Option<PathBuf>,
    /// The keys of clients in the file.
    pub keys: Vec<KeySpec>,
    values: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    key: String,
    /// As TOML; `None` where nothing is set.
    value: Option<String>,
    is_secret: bool,
    origin: String,
}

impl Settings {
    /// `set` are the settings of `file` that hold.
    pub fn new(root: &Command, matches: &ArgMatches, set: &[&Setting], file: Option<&ConfigFile>) -> Self {
        let path = file.map(|file| file.path.as_path());
        let value = |arg: &Arg| {
            let raw = matches.get_raw(id_of(arg)).into_iter().flatten();
            let values: Vec<String> = raw.map(|value| value.to_string_lossy().into_owned()).collect();
            let line = set.iter().find(|setting| setting.id == id_of(arg)).map(|setting| setting.line);
            let source = matches.value_source(id_of(arg));
            Value {
                key: key_of(arg),
                value: (source.is_some() || line.is_some()).then(|| Kind::of(arg).write(&values)),
                is_secret: is_secret(arg),
                origin: origin(arg, source, path.zip(line)),
            }
        };
        let keys = file.map(|file| file.keys.clone()).unwrap_or_default();
        Self { file: path.map(Path::to_owned), keys, values: configurable(root).into_iter().map(value).collect() }
    }
}

impl Settings {
    /// The keys whose values differ. A key that only one of the two sets counts too.
    pub fn changed(&self, other: &Self) -> Vec<&str> {
        let differs = |value: &&Value| {
            let known = other.values.iter().find(|known| known.key == value.key);
            known.is_none_or(|known| known.value != value.value)
        };
        self.values.iter().filter(differs).map(|value| value.key.as_str()).collect()
    }

    /// The value of a key whose default depends on the machine, as it was found there.
    #[must_use]
    pub fn with_found(mut self, key: &str, found: &Path) -> Self {
        let found = Kind::Text.write(&[found.to_string_lossy().into_owned()]);
        let is_default = |value: &&mut Value| value.key == key && value.origin == DEFAULT;
        if let Some(value) =
            self.values.iter_mut().find(is_default).filter(|value| value.value.as_ref() != Some(&found))
        {
            (value.value, value.origin) = (Some(found), format!("{DEFAULT}, as found on this machine"));
        }
        self
    }

    /// Takes over the values of these keys.
    pub fn adopt(&mut self, other: &Self, keys: &[&str]) {
        for value in self.values.iter_mut().filter(|value| keys.contains(&value.key.as_str())) {
            if let Some(new) = other.values.iter().find(|new| new.key == value.key) {
                *value = new.clone();
            }
        }
    }
}

fn origin(arg: &Arg, source: Option<ValueSource>, line: Option<(&Path, usize)>) -> String {
    match (source, line) {
        (Some(ValueSource::CommandLine), _) => format!("flag --{}", arg.get_long().unwrap_or_default()),
        (Some(ValueSource::EnvVariable), _) => format!("environment variable {}", variable(arg).unwrap_or_default()),
        (_, Some((path, line))) => format!("{}:{line}", path.display()),
        (Some(_), None) => DEFAULT.to_owned(),
        (None, None) => "not set".to_owned(),
    }
}

/// The entry of a client's key. Nobody can use the hash as a key, and a file without it would lose the key.
fn write_key(f: &mut fmt::Formatter<'_>, key: &KeySpec) -> fmt::Result {
    let KeySpec { name, hash, scopes, limits } = key;
    let scopes: Vec<String> = scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
    writeln!(f, "\n[[keys]]\nname = {}", toml::Value::String(name.clone()))?;
    writeln!(f, "hash = \"{hash}\"\nscopes = [{}]", scopes.join(", "))?;
    for (limit, value) in [
        ("requests_per_minute", limits.requests_per_minute),
        ("requests_per_day", limits.requests_per_day),
        ("documents_per_day", limits.documents_per_day),
    ] {
        value.map_or(Ok(()), |value| writeln!(f, "{limit} = {value}"))?;
    }
    Ok(())
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => writeln!(f, "# Settings of `ressort serve`, with {} read.", file.display())?,
            None => writeln!(f, "# Settings of `ressort serve`, without a configuration file.")?,
        }
        for Value { key, value, is_secret, origin } in &self.values {
            let line = match value {
                None => format!("# {key} ="),
                // Not as a value, which would replace the secret where the output is used as a file.
                Some(_) if *is_secret => format!("# {key} = (hidden)"),
                Some(value) => format!("{key} = {value}"),
            };
            let note = match value {
                Some(_) if *is_secret => format!("; not printed: set {}{} again", keys::PREFIX, key.to_uppercase()),
                _ => String::new(),
            };
            writeln!(f, "{line:<40} # {origin}{note}")?;
        }
        self.keys.iter().try_for_each(|key| write_key(f, key))
    }
}
