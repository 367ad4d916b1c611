//! `[[keys]]` of the configuration file: the keys of clients, by their hashes.

use ressort::http::{KeyHash, KeyLimits, KeySpec, Scope};
use ressort::system::choice::{shortened, suggestion};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Errors};
use super::source::Source;
use crate::cli::key;

/// The key of the file under which they are.
pub const KEYS: &str = "keys";

const FIELDS: [&str; 6] = ["name", "hash", "scopes", "requests_per_minute", "requests_per_day", "documents_per_day"];

/// Reads all keys; names and hashes are unique.
pub fn read_keys(source: &Source<'_>, value: &Spanned<DeValue>, errors: &mut Errors) -> Vec<KeySpec> {
    let wrong = |at| source.error(at, "`keys`: expected tables; begin each key with the line `[[keys]]`".to_owned());
    let mut keys: Vec<KeySpec> = Vec::new();
    let DeValue::Array(items) = value.get_ref() else {
        errors.push(wrong(value.span().start));
        return keys;
    };
    for item in items.iter() {
        let at = item.span().start;
        let DeValue::Table(table) = item.get_ref() else {
            errors.push(wrong(at));
            continue;
        };
        let Some(key) = read_key(source, at, table, errors) else { continue };
        if let Some(known) = keys.iter().find(|known| known.name == key.name || known.hash == key.hash) {
            let what = if known.name == key.name { "name" } else { "hash" };
            let message =
                format!("two keys have the {what} of `{}`; every key has a separate one", shortened(&known.name));
            errors.push(source.error(at, message));
        }
        keys.push(key);
    }
    keys
}

/// A key, or `None` where one of its fields is wrong. All errors are kept.
fn read_key(source: &Source<'_>, at: usize, table: &DeTable<'_>, errors: &mut Errors) -> Option<KeySpec> {
    for field in table.keys().filter(|field| !FIELDS.contains(&field.get_ref().as_ref())) {
        let name = field.get_ref();
        let hint = suggestion(name, FIELDS.into_iter());
        let hint = if hint.is_empty() { format!("; it has {}", FIELDS.join(", ")) } else { hint };
        errors.push(source.error(field.span().start, format!("a key has no `{}`{hint}", shortened(name))));
    }
    let name = errors.take(name(source, at, table));
    let hash = errors.take(hash(source, at, table));
    let scopes = errors.take(table.get("scopes").map_or(Ok(vec![Scope::Read]), |value| scopes(source, value)));
    let mut limit = |field| errors.take(limit(source, table, field));
    let (a_minute, a_day) = (limit("requests_per_minute"), limit("requests_per_day"));
    let documents = limit("documents_per_day");
    let limits = KeyLimits { requests_per_minute: a_minute?, requests_per_day: a_day?, documents_per_day: documents? };
    Some(KeySpec { name: name?, hash: hash?, scopes: scopes?, limits })
}

fn name(source: &Source<'_>, at: usize, table: &DeTable<'_>) -> Result<String, ConfigError> {
    let (value, text) = required(source, at, table, "name")?;
    key::name(&text).map_err(|reason| refused(source, "name", value, &reason))
}

fn hash(source: &Source<'_>, at: usize, table: &DeTable<'_>) -> Result<KeyHash, ConfigError> {
    const BLANK: &str = "it is the hash of a blank text, as of a variable that is not set; `ressort key new` prints a key with its hash";
    let (value, text) = required(source, at, table, "hash")?;
    // The value is not shown: it may be the key itself, by mistake.
    let hash = text.parse::<KeyHash>().map_err(|reason| refused(source, "hash", value, reason))?;
    if key::is_of_blank(hash) { Err(refused(source, "hash", value, BLANK)) } else { Ok(hash) }
}

/// A text that every key has, with its position.
fn required<'t, 'i>(
    source: &Source<'_>,
    at: usize,
    table: &'t DeTable<'i>,
    field: &'static str,
) -> Result<(&'t Spanned<DeValue<'i>>, String), ConfigError> {
    let missing = || source.error(at, format!("a key has no `{field}`; `ressort key new` prints one that has"));
    let value = table.get(field).ok_or_else(missing)?;
    match value.get_ref() {
        DeValue::String(text) => Ok((value, text.clone().into_owned())),
        other => Err(wrong_type(source, field, value.span().start, "a string", other)),
    }
}

fn refused(source: &Source<'_>, field: &str, value: &Spanned<DeValue>, reason: &str) -> ConfigError {
    source.error(value.span().start, format!("`{field}` of a key: {reason}"))
}

fn scopes(source: &Source<'_>, value: &Spanned<DeValue>) -> Result<Vec<Scope>, ConfigError> {
    const EXPECTED: &str = "an array of `read` and `admin`, such as [\"read\"]";
    let wrong = |value: &Spanned<DeValue>| wrong_type(source, "scopes", value.span().start, EXPECTED, value.get_ref());
    let DeValue::Array(items) = value.get_ref() else { return Err(wrong(value)) };
    let scope = |item: &Spanned<DeValue>| match item.get_ref() {
        DeValue::String(word) => word.parse::<Scope>().map_err(|_| {
            let hint = suggestion(word, ["read", "admin"].into_iter());
            source.error(
                item.span().start,
                format!("`scopes` of a key: `{}` is not one of `read`, `admin`{hint}", shortened(word)),
            )
        }),
        _ => Err(wrong(item)),
    };
    match items.is_empty() {
        true => Err(source.error(value.span().start, format!("`scopes` of a key is empty; expected {EXPECTED}"))),
        false => items.iter().map(scope).collect(),
    }
}

/// A limit, which is at least 1.
fn limit(source: &Source<'_>, table: &DeTable<'_>, field: &'static str) -> Result<Option<u64>, ConfigError> {
    let Some(value) = table.get(field) else { return Ok(None) };
    let at = value.span().start;
    let DeValue::Integer(number) = value.get_ref() else {
        return Err(wrong_type(source, field, at, "an integer", value.get_ref()));
    };
    match u64::from_str_radix(number.as_str(), number.radix()) {
        Ok(limit) if limit > 0 => Ok(Some(limit)),
        _ => {
            let found = shortened(&source.text[value.span()]);
            let what = format!(
                "`{field}` of a key = {found}: give a whole number of at least 1, or leave it out for no limit"
            );
            Err(source.error(at, what))
        }
    }
}

fn wrong_type(source: &Source<'_>, field: &str, at: usize, expected: &str, found: &DeValue<'_>) -> ConfigError {
    source.error(at, format!("`{field}` of a key: expected {expected}; found the {}", found.type_str()))
}
