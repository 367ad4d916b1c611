//! The configuration file: one TOML file with a key for each flag.

use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use ressort::http::KeySpec;
use ressort::system::choice::{shortened, suggestion};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::client_keys::{KEYS, read_keys};
use super::error::{ConfigError, Errors};
use super::keys::{Kind, check, configurable, exclude, expected, id_of, is_secret, key_of, with_example};
use super::source::Source;

/// A file that was read.
#[derive(Debug)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub settings: Vec<Setting>,
    /// The keys of clients.
    pub keys: Vec<KeySpec>,
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
        let mut errors = Errors::default();
        let (table, syntax) = DeTable::parse_recoverable(&text);
        syntax.iter().for_each(|error| errors.push(source.syntax_error(error)));
        // What follows from a wrong line is not worth a message.
        errors.into_result()?;
        let mut errors = Errors::default();
        let reader = Reader { source: &source, root, args: configurable(root) };
        let mut file = Self { path: path.to_owned(), settings: Vec::new(), keys: Vec::new() };
        for (key, value) in table.get_ref() {
            if key.get_ref() == KEYS {
                file.keys = read_keys(&source, value, &mut errors);
                continue;
            }
            match reader.args.iter().find(|arg| key_of(arg) == key.get_ref().as_ref()) {
                Some(arg) => file.settings.extend(errors.take(reader.setting(arg, value))),
                None => errors.push(reader.unknown(key.get_ref(), key.span().start, value.get_ref())),
            }
        }
        file.settings.sort_by_key(|setting| setting.line);
        reader.check_exclusions(&file.settings, &mut errors);
        errors.into_result()?;
        Ok(file)
    }
}

/// The settings in a file.
struct Reader<'s> {
    source: &'s Source<'s>,
    root: &'s Command,
    args: Vec<&'s Arg>,
}

impl Reader<'_> {
    fn setting(&self, arg: &Arg, value: &Spanned<DeValue>) -> Result<Setting, ConfigError> {
        let (at, kind) = (value.span().start, Kind::of(arg));
        let values = self.values(arg, kind, value)?;
        for value in &values {
            check(arg, value).map_err(|reason| {
                let shown = if is_secret(arg) { String::new() } else { format!(" = {}", shortened(value)) };
                self.source.error(at, format!("`{}`{shown}: {}", key_of(arg), with_example(arg, &reason)))
            })?;
        }
        Ok(Setting { id: id_of(arg).to_owned(), values, line: self.source.line(at) })
    }

    /// The values of a key as the command line would have them.
    fn values(&self, arg: &Arg, kind: Kind, value: &Spanned<DeValue>) -> Result<Vec<String>, ConfigError> {
        let wrong = |value: &Spanned<DeValue>| {
            let found = match value.get_ref() {
                _ if is_secret(arg) => value.get_ref().type_str().to_owned(),
                found => format!("{} {}", found.type_str(), shortened(&self.source.text[value.span()])),
            };
            let expected = expected(arg, kind);
            self.source.error(value.span().start, format!("`{}`: expected {expected}; found the {found}", key_of(arg)))
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

    fn unknown(&self, key: &str, at: usize, value: &DeValue) -> ConfigError {
        let known = self.args.iter().map(|arg| key_of(arg)).chain([KEYS.to_owned()]);
        let known: Vec<String> = known.collect();
        let nearest = suggestion(key, known.iter().map(String::as_str));
        let hint = match value {
            DeValue::Table(_) if nearest.is_empty() => "; keys are written without sections".to_owned(),
            _ if nearest.is_empty() => "; `ressort serve --print-config` lists all keys".to_owned(),
            _ => nearest,
        };
        self.source.error(at, format!("the key `{}` is unknown{hint}", shortened(key)))
    }

    fn check_exclusions(&self, settings: &[Setting], errors: &mut Errors) {
        let key = |setting: &Setting| self.args.iter().find(|arg| id_of(arg) == setting.id).map(|arg| key_of(arg));
        for (n, one) in settings.iter().enumerate() {
            if let Some(other) = settings[..n].iter().find(|other| exclude(self.root, &one.id, &other.id)) {
                let (one_key, other_key) = (key(one).unwrap_or_default(), key(other).unwrap_or_default());
                let what = format!("`{one_key}` and `{other_key}` exclude each other; remove one of them");
                errors.push(ConfigError::at(self.source.path, one.line, what));
            }
        }
    }
}
