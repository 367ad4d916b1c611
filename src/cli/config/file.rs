//! The configuration file: one TOML file with a key for each flag.

use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use ressort::system::choice::{shortened, suggestion};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::keys::{Kind, check, configurable, exclude, id_of, is_secret, key_of};

/// A file that was read.
#[derive(Debug)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub settings: Vec<Setting>,
}

/// What the file says for one flag.
#[derive(Debug)]
pub struct Setting {
    /// The flag, as `clap` names it.
    pub id: String,
    /// As the command line would have them.
    pub values: Vec<String>,
    pub line: usize,
}

/// The text of a file, for the lines of its parts.
struct Source<'s> {
    path: &'s Path,
    text: &'s str,
}

impl ConfigFile {
    /// Reads and checks a file.
    pub fn read(path: &Path, root: &Command) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError::of_file(
                path,
                format!("the configuration file cannot be read: {error}; name another with --config"),
            )
        })?;
        let source = Source { path, text: &text };
        let table = DeTable::parse(&text).map_err(|error| source.syntax_error(&error))?;
        let args = configurable(root);
        let mut settings: Vec<Setting> = Vec::new();
        for (key, value) in table.get_ref() {
            let arg = args.iter().find(|arg| key_of(arg) == key.get_ref().as_ref());
            let arg = arg.ok_or_else(|| source.unknown(key.get_ref(), key.span().start, value.get_ref(), &args))?;
            settings.push(source.setting(arg, value)?);
        }
        settings.sort_by_key(|setting| setting.line);
        source.check_exclusions(root, &args, &settings)?;
        Ok(Self { path: path.to_owned(), settings })
    }
}

impl Source<'_> {
    fn setting(&self, arg: &Arg, value: &Spanned<DeValue>) -> Result<Setting, ConfigError> {
        let (at, kind) = (value.span().start, Kind::of(arg));
        let values = self.values(arg, kind, value)?;
        for value in &values {
            check(arg, value).map_err(|reason| {
                let shown = if is_secret(arg) { String::new() } else { format!(" = {}", shortened(value)) };
                self.error(at, format!("`{}`{shown}: {reason}; expected {}", key_of(arg), expected(arg, kind)))
            })?;
        }
        Ok(Setting { id: id_of(arg).to_owned(), values, line: self.line(at) })
    }

    /// The values of a key as the command line would have them.
    fn values(&self, arg: &Arg, kind: Kind, value: &Spanned<DeValue>) -> Result<Vec<String>, ConfigError> {
        let wrong = |value: &Spanned<DeValue>| {
            let found = match value.get_ref() {
                _ if is_secret(arg) => value.get_ref().type_str().to_owned(),
                found => format!("{} {}", found.type_str(), shortened(&self.text[value.span()])),
            };
            let expected = expected(arg, kind);
            self.error(value.span().start, format!("`{}`: expected {expected}; found the {found}", key_of(arg)))
        };
        match (kind, value.get_ref()) {
            (Kind::Boolean, DeValue::Boolean(value)) => Ok(vec![value.to_string()]),
            (Kind::Integer | Kind::Number, DeValue::Integer(number)) => {
                let parsed = i128::from_str_radix(number.as_str(), number.radix());
                Ok(vec![parsed.map_err(|_| wrong(value))?.to_string()])
            }
            (Kind::Number, DeValue::Float(number)) => Ok(vec![number.as_str().to_owned()]),
            (Kind::Text | Kind::Texts, DeValue::String(text)) => Ok(vec![text.clone().into_owned()]),
            (Kind::Texts, DeValue::Array(items)) => {
                let text = |item: &Spanned<DeValue>| match item.get_ref() {
                    DeValue::String(text) => Ok(text.clone().into_owned()),
                    _ => Err(wrong(item)),
                };
                items.iter().map(text).collect()
            }
            _ => Err(wrong(value)),
        }
    }

    fn unknown(&self, key: &str, at: usize, value: &DeValue, args: &[&Arg]) -> ConfigError {
        let known: Vec<String> = args.iter().map(|arg| key_of(arg)).collect();
        let nearest = suggestion(key, known.iter().map(String::as_str));
        let hint = match value {
            DeValue::Table(_) if nearest.is_empty() => "; keys are written without sections".to_owned(),
            _ if nearest.is_empty() => "; `ressort serve --print-config` lists all keys".to_owned(),
            _ => nearest,
        };
        self.error(at, format!("the key `{}` is unknown{hint}", shortened(key)))
    }

    fn check_exclusions(&self, root: &Command, args: &[&Arg], settings: &[Setting]) -> Result<(), ConfigError> {
        let key = |setting: &Setting| args.iter().find(|arg| id_of(arg) == setting.id).map(|arg| key_of(arg));
        for (n, one) in settings.iter().enumerate() {
            if let Some(other) = settings[..n].iter().find(|other| exclude(root, &one.id, &other.id)) {
                let (one_key, other_key) = (key(one).unwrap_or_default(), key(other).unwrap_or_default());
                let what = format!("`{one_key}` and `{other_key}` exclude each other; remove one of them");
                return Err(ConfigError::at(self.path, one.line, what));
            }
        }
        Ok(())
    }

    fn syntax_error(&self, error: &toml::de::Error) -> ConfigError {
        let what = format!("this is not TOML: {}", error.message());
        match error.span() {
            Some(span) => self.error(span.start, what),
            None => ConfigError::of_file(self.path, what),
        }
    }

    fn error(&self, at: usize, what: String) -> ConfigError {
        ConfigError::at(self.path, self.line(at), what)
    }

    /// The line of a byte offset, from 1.
    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}

/// What a key takes, with the default for an example.
fn expected(arg: &Arg, kind: Kind) -> String {
    let default: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    match default.is_empty() {
        true => kind.expected().to_owned(),
        false => format!("{}, such as {}", kind.expected(), kind.write(&default)),
    }
}
