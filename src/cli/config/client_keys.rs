//! `[[keys]]` of the configuration file: the keys of clients, by their hashes.

use ressort::http::{KeyHash, KeyLimits, KeySpec, Scope};
use ressort::system::choice::{shortened, suggestion};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::source::Source;
use crate::cli::key;

/// The key of the file under which they are.
pub const KEYS: &str = "keys";

const FIELDS: [&str; 6] = ["name", "hash", "scopes", "requests_per_minute", "requests_per_day", "documents_per_day"];

/// Reads all keys; names and hashes are unique.
pub fn read_keys(source: &Source<'_>, value: &Spanned<DeValue>) -> Result<Vec<KeySpec>, ConfigError> {
    let wrong = |at| source.error(at, "`keys`: expected tables; begin each key with the line `[[keys]]`".to_owned());
    let DeValue::Array(items) = value.get_ref() else { return Err(wrong(value.span().start)) };
    let mut keys: Vec<KeySpec> = Vec::new();
    for item in items.iter() {
        let at = item.span().start;
        let DeValue::Table(table) = item.get_ref() else { return Err(wrong(at)) };
        let key = read_key(source, at, table)?;
        if let Some(known) = keys.iter().find(|known| known.name == key.name || known.hash == key.hash) {
            let what = if known.name == key.name { "name" } else { "hash" };
            let message =
                format!("two keys have the {what} of `{}`; every key has a separate one", shortened(&known.name));
            return Err(source.error(at, message));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn read_key(source: &Source<'_>, at: usize, table: &DeTable<'_>) -> Result<KeySpec, ConfigError> {
    if let Some(field) = table.keys().find(|field| !FIELDS.contains(&field.get_ref().as_ref())) {
        let name = field.get_ref();
        let hint = suggestion(name, FIELDS.into_iter());
        let hint = if hint.is_empty() { format!("; it has {}", FIELDS.join(", ")) } else { hint };
        return Err(source.error(field.span().start, format!("a key has no `{}`{hint}", shortened(name))));
    }
    let missing =
        |field: &str| source.error(at, format!("a key has no `{field}`; `ressort key new` prints one that has"));
    let text = |field: &'static str, value: &Spanned<DeValue>| match value.get_ref() {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        other => Err(wrong_type(source, field, value.span().start, "a string", other)),
    };
    let name = table.get("name").ok_or_else(|| missing("name"))?;
    let hash = table.get("hash").ok_or_else(|| missing("hash"))?;
    let refused = |field: &str, value: &Spanned<DeValue>, reason: &str| {
        source.error(value.span().start, format!("`{field}` of a key: {reason}"))
    };
    let named = key::name(&text("name", name)?).map_err(|reason| refused("name", name, &reason))?;
    // The value is not shown: it may be the key itself, by mistake.
    let hashed = text("hash", hash)?.parse::<KeyHash>().map_err(|reason| refused("hash", hash, reason))?;
    if key::is_of_blank(hashed) {
        let reason = "it is the hash of a blank text, as of a variable that is not set; `ressort key new` prints a key with its hash";
        return Err(refused("hash", hash, reason));
    }
    Ok(KeySpec {
        name: named,
        hash: hashed,
        scopes: table.get("scopes").map_or(Ok(vec![Scope::Read]), |value| scopes(source, value))?,
        limits: KeyLimits {
            requests_per_minute: limit(source, table, "requests_per_minute")?,
            requests_per_day: limit(source, table, "requests_per_day")?,
            documents_per_day: limit(source, table, "documents_per_day")?,
        },
    })
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
        _ => Err(source.error(at, format!("`{field}` of a key is not at least 1; leave it out for no limit"))),
    }
}

fn wrong_type(source: &Source<'_>, field: &str, at: usize, expected: &str, found: &DeValue<'_>) -> ConfigError {
    source.error(at, format!("`{field}` of a key: expected {expected}; found the {}", found.type_str()))
}
