//! Errors of a `ressort.toml` in words of TOML: the reader names types of Rust.

use serde::de::{Deserialize, Deserializer, Visitor, value};
use serde::forward_to_deserialize_any;
use toml::de::Error;

use crate::system::choice::{shortened, suggestion};

/// A table and the keys that it may have.
pub type Section = (&'static str, &'static [&'static str]);

/// What is wrong in `text`: the line, the value or key, and what to write. `sections` are the tables in which a misplaced key may belong.
pub fn message(error: &Error, text: &str, sections: &[Section]) -> String {
    let span = error.span().unwrap_or_default();
    let line = 1 + text.get(..span.start).unwrap_or_default().matches('\n').count();
    let found = shortened(text.get(span.clone()).unwrap_or_default().trim());
    format!("line {line}: {}", plain(error.message(), &key_before(text, span.start), &found, sections))
}

/// `key` is empty where the value has none.
fn plain(message: &str, key: &str, found: &str, sections: &[Section]) -> String {
    if let Some((expected, (unknown, known))) = message.strip_prefix("unknown field `").and_then(unknown_key) {
        if let Some(places) = places_of(unknown, sections) {
            return format!("the key `{unknown}` belongs in {places}");
        }
        let suggested = suggestion(unknown, known.iter().copied());
        let known = if suggested.is_empty() { format!("; use {expected}") } else { suggested };
        return format!("the key `{unknown}` is unknown{known}");
    }
    if let Some(missing) = message.strip_prefix("missing field ") {
        return format!("the key {missing} is missing");
    }
    if message == "duplicate key" {
        return format!("`{found}` is given twice; leave one of them out");
    }
    let expected = message.strip_prefix("invalid ").and_then(|rest| rest.rsplit_once(", expected "));
    match expected {
        Some((_, expected)) => {
            let key = if key.is_empty() { String::new() } else { format!("`{key}` = ") };
            format!("{key}`{found}` must be {}", type_name(expected))
        }
        None => message.to_owned(),
    }
}

/// The unknown key and the known ones, out of the rest of a message; the latter also as the message has them.
fn unknown_key(rest: &str) -> Option<(&str, (&str, Vec<&str>))> {
    let (unknown, expected) = rest.split_once("`, expected ")?;
    let expected = expected.strip_prefix("one of ").unwrap_or(expected);
    Some((expected, (unknown, expected.split('`').skip(1).step_by(2).collect())))
}

/// The tables that have `key`.
fn places_of(key: &str, sections: &[Section]) -> Option<String> {
    let places = sections.iter().filter(|(_, keys)| keys.contains(&key)).map(|(section, _)| format!("`[{section}]`"));
    Some(places.collect::<Vec<_>>().join(" or ")).filter(|places| !places.is_empty())
}

/// The keys of a table that is read as a `T`.
pub fn keys<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // It reads nothing, and so it ends in an error.
    let _ = T::deserialize(KeysOf(&mut keys));
    keys
}

/// Keeps the names of the fields that a struct asks for.
struct KeysOf<'k>(&'k mut &'static [&'static str]);

impl<'de> Deserializer<'de> for KeysOf<'_> {
    type Error = value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, value::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
        Err(serde::de::Error::custom("nothing to read"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

/// What serde calls a type, in words of TOML.
fn type_name(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" => "a whole number, 0 or more",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "path string" | "a string" | "string" => "text in quotes",
        "a sequence" => "a list in brackets",
        "a map" => "a table",
        expected if expected.starts_with("struct ") => "a table",
        expected => expected,
    }
}

/// The key whose value begins at `at`.
fn key_before(text: &str, at: usize) -> String {
    let is_of_key = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    let before = text.get(..at).unwrap_or_default().trim_end().strip_suffix('=').unwrap_or_default().trim_end();
    let start = before.rfind(|char| !is_of_key(char)).map_or(0, |index| before.ceil_char_boundary(index + 1));
    before[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are read")]
    struct Sections {
        model: Option<Model>,
        golden: Option<Vec<Golden>>,
        rules: Option<BTreeMap<String, bool>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are read")]
    struct Model {
        file: Option<PathBuf>,
        max_length: Option<usize>,
        threshold: Option<f32>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are read")]
    struct Golden {
        text: String,
    }

    #[test]
    fn errors_name_the_line_the_value_and_what_to_write() {
        for (text, expected) in [
            ("# x\n[modle]\n", "line 2: the key `modle` is unknown; did you mean `model`?"),
            ("[model]\nfil = \"a\"", "line 2: the key `fil` is unknown; did you mean `file`?"),
            ("threshold = 0.5", "line 1: the key `threshold` belongs in `[model]`"),
            ("[[golden]]\nfile = 'a'", "line 2: the key `file` belongs in `[model]`"),
            ("[model]\nthreshold = 0.5\nthreshold = 0.6", "line 3: `threshold` is given twice; leave one of them out"),
            ("[model]\n[model]", "line 2: `model` is given twice; leave one of them out"),
            ("[model]\nsomething = 1", "line 2: the key `something` is unknown; use `file`, `max_length`, `threshold`"),
            ("[[golden]]\nquelle = 1", "line 2: the key `quelle` is unknown; use `text`"),
            ("[[golden]]\n", "line 1: the key `text` is missing"),
            ("[model]\nmax_length = 12.5", "line 2: `max_length` = `12.5` must be a whole number, 0 or more"),
            ("[model]\nmax_length = -4", "line 2: `max_length` = `-4` must be a whole number, 0 or more"),
            ("[model]\nthreshold = \"0,5\"", "line 2: `threshold` = `\"0,5\"` must be a number"),
            ("model = { file = 5 }", "line 1: `file` = `5` must be text in quotes"),
            ("model = 5", "line 1: `model` = `5` must be a table"),
            ("[rules]\nhtml = \"yes\"", "line 2: `html` = `\"yes\"` must be true or false"),
            ("golden = \"ü\"", "line 1: `golden` = `\"ü\"` must be a list in brackets"),
        ] {
            let error = toml::from_str::<Sections>(text).unwrap_err();
            assert_eq!(message(&error, text, &[("model", keys::<Model>())]), expected);
        }
        for text in ["[model]\nfile = \"a", "[model]\nfile = a", "[model", "ü = 1\nü = 2", "\n\n="] {
            let error = toml::from_str::<Sections>(text).unwrap_err();
            assert!(message(&error, text, &[]).starts_with("line "), "{}", message(&error, text, &[]));
        }
    }
}
