//! Reads the JSON of requests field by field. Every message names the field, the value found, what is expected and an example.
//!
//! Serde's derived readers would take arrays for objects and name the types of this program. They would also recurse; these
//! readers do not, so deep nesting costs no stack.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::{Code, Problem};
use crate::system::choice::{UnknownWord, shortened, suggestion};

/// A type that is read from the JSON of a request.
pub trait FromJson: Sized {
    fn from_json(body: &Field<'_>) -> Result<Self, Problem>;
}

/// A value of the request and its path, such as `documents[3].text`.
#[derive(Debug, Clone)]
pub struct Field<'b> {
    path: String,
    raw: &'b str,
    /// What a field without a path is: the body, or a line of it.
    whole: &'static str,
}

const BODY: &str = "the body";
const LINE: &str = "the line";

/// What a field may hold, for messages.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    pub what: &'static str,
    /// Valid JSON for the field.
    pub example: &'static str,
}

/// The known fields of an object. Memory is bounded: unknown and repeated fields are not kept.
#[derive(Debug)]
pub struct Object<'b> {
    path: String,
    known: &'static [&'static str],
    values: Vec<Option<&'b str>>,
    unknown: Option<String>,
    repeated: Option<&'static str>,
}

/// The first entries of a list, and how many there are in all.
pub struct List<'b> {
    pub entries: Vec<Field<'b>>,
    pub n_entries: usize,
}

impl<'b> Field<'b> {
    /// The whole body of a request.
    pub fn body(raw: &'b str) -> Self {
        Self { path: String::new(), raw, whole: BODY }
    }

    /// A line of a body of JSON lines.
    pub fn line(raw: &'b str) -> Self {
        Self { path: String::new(), raw, whole: LINE }
    }

    /// A value of the request at `path`.
    pub fn at(path: String, raw: &'b str) -> Self {
        Self { path, raw, whole: BODY }
    }

    /// The JSON of the value.
    pub fn raw(&self) -> &'b str {
        self.raw
    }

    pub fn starts_with(&self, start: char) -> bool {
        self.raw.trim_start().starts_with(start)
    }

    /// The problem of a value that is not what is expected.
    pub fn refuse(&self, expected: Expected) -> Problem {
        let Expected { what, example } = expected;
        let found = shortened(self.raw.trim());
        let detail = match self.path.as_str() {
            "" => format!("{} is `{found}`, and {what} is expected; send for example {example}", self.whole),
            path => format!("`{path}` is `{found}`, and {what} is expected; send for example {example}"),
        };
        Problem::new(Code::InvalidRequest, detail)
    }

    /// The problem of a value of the right type; `why` follows the path.
    pub fn problem(&self, why: impl fmt::Display) -> Problem {
        Problem::new(Code::InvalidRequest, format!("`{}`: {why}", self.path))
    }

    /// A problem of what the field holds, with the field's path.
    pub fn located(&self, problem: Problem) -> Problem {
        Problem { detail: format!("`{}`: {}", self.path, problem.detail), ..problem }
    }

    /// Reads an object with the fields `known`. [`Object::check`] refuses it for others.
    pub fn object(&self, known: &'static [&'static str], expected: Expected) -> Result<Object<'b>, Problem> {
        if self.raw.trim().is_empty() {
            let detail = format!("{} is empty; send for example {}", self.whole, expected.example);
            return Err(Problem::new(Code::InvalidJson, detail));
        }
        if !self.starts_with('{') {
            if !self.starts_with('[') {
                serde_json::from_str::<&RawValue>(self.raw).map_err(|error| self.syntax_problem(&error))?;
            }
            return Err(self.refuse(expected));
        }
        let (values, path) = (vec![None; known.len()], self.path.clone());
        let object = Object { path, known, values, unknown: None, repeated: None };
        let mut deserializer = serde_json::Deserializer::from_str(self.raw);
        let object = deserializer.deserialize_map(object).and_then(|object| deserializer.end().map(|()| object));
        object.map_err(|error| self.syntax_problem(&error))
    }

    /// Reads a list, and keeps its first `max` entries.
    pub fn list(&self, max: usize, expected: Expected) -> Result<List<'b>, Problem> {
        if !self.starts_with('[') {
            return Err(self.refuse(expected));
        }
        let mut deserializer = serde_json::Deserializer::from_str(self.raw);
        let (entries, n_entries) =
            deserializer.deserialize_seq(FirstEntries(max)).map_err(|error| self.syntax_problem(&error))?;
        let entry = |(index, raw): (usize, &'b RawValue)| Field {
            path: format!("{}[{index}]", self.path),
            raw: raw.get(),
            whole: BODY,
        };
        Ok(List { entries: entries.into_iter().enumerate().map(entry).collect(), n_entries })
    }

    pub fn string(&self, expected: Expected) -> Result<Cow<'b, str>, Problem> {
        let inner =
            self.raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(|| self.refuse(expected))?;
        if !inner.contains('\\') {
            return Ok(Cow::Borrowed(inner));
        }
        // The syntax was checked when the field was found, so only surrogates can be wrong.
        serde_json::from_str::<String>(self.raw).map(Cow::Owned).map_err(|_| {
            let path = &self.path;
            let detail = format!("`{path}` has a lone surrogate, half of a pair of escapes from \\ud800 to \\udfff; send both halves, or \\ufffd in its place");
            Problem::new(Code::InvalidJson, detail)
        })
    }

    /// Reads a text into shared memory, where it stays.
    pub fn text(&self, expected: Expected) -> Result<Arc<str>, Problem> {
        self.string(expected).map(Arc::from)
    }

    /// Reads a finite number that `is_valid`.
    pub fn number(&self, expected: Expected, is_valid: impl Fn(f64) -> bool) -> Result<f64, Problem> {
        let number = self.raw.parse().ok().filter(|number: &f64| number.is_finite() && is_valid(*number));
        number.ok_or_else(|| self.refuse(expected))
    }

    pub fn boolean(&self, expected: Expected) -> Result<bool, Problem> {
        self.raw.trim().parse().map_err(|_| self.refuse(expected))
    }

    /// Reads a whole number from 0 on. What is larger than this machine can count to becomes the largest number.
    pub fn count(&self, expected: Expected) -> Result<usize, Problem> {
        match self.raw.bytes().all(|byte| byte.is_ascii_digit()) {
            true => Ok(self.raw.parse().unwrap_or(usize::MAX)),
            false => Err(self.refuse(expected)),
        }
    }

    /// Reads a word of a list of words.
    pub fn word<T: FromStr<Err = UnknownWord>>(&self) -> Result<T, Problem> {
        const WORD: Expected = Expected { what: "a string", example: "\"…\"" };
        // A value of another type is no word either, and the message lists the words.
        let word = if self.starts_with('"') { self.string(WORD)? } else { Cow::Borrowed(self.raw) };
        word.parse().map_err(|error| self.problem(error))
    }

    fn syntax_problem(&self, error: &serde_json::Error) -> Problem {
        let detail = match self.path.as_str() {
            "" => syntax_message(error, self.raw, self.whole),
            path => format!("a field name of `{path}` has a lone surrogate; send both halves of the pair"),
        };
        Problem::new(Code::InvalidJson, detail)
    }
}

impl<'b> Object<'b> {
    /// Refuses unknown and repeated fields.
    pub fn check(&self) -> Result<(), Problem> {
        let of = if self.path.is_empty() { String::new() } else { format!(" of `{}`", self.path) };
        if let Some(name) = self.repeated {
            let detail = format!("`{name}`{of} is given more than once; give it once");
            return Err(Problem::new(Code::InvalidRequest, detail));
        }
        let Some(name) = &self.unknown else { return Ok(()) };
        let expected = self.known.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
        let hint = match suggestion(name, self.known.iter().copied()) {
            hint if hint.is_empty() => "; leave it out".to_owned(),
            hint => hint,
        };
        let detail = format!("unknown field `{}`{of}, expected one of {expected}{hint}", shortened(name));
        Err(Problem::new(Code::InvalidRequest, detail))
    }

    /// The problem of an object as a whole.
    pub fn problem(&self, why: impl fmt::Display) -> Problem {
        let detail = if self.path.is_empty() { why.to_string() } else { format!("`{}`: {why}", self.path) };
        Problem::new(Code::InvalidRequest, detail)
    }

    /// A field with a value; `null` means that it is absent.
    pub fn get(&self, name: &str) -> Option<Field<'b>> {
        self.at(name).filter(|field| field.raw != "null")
    }

    /// Reads a field with `read`, if it is there.
    pub fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Field<'b>) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        self.get(name).map(|field| read(&field)).transpose()
    }

    /// A field that must be there.
    pub fn require(&self, name: &str, expected: Expected) -> Result<Field<'b>, Problem> {
        self.at(name).ok_or_else(|| {
            let Expected { what, example } = expected;
            let path = self.path_of(name);
            Problem::new(
                Code::InvalidRequest,
                format!("`{path}` is missing, and {what} is expected; send for example {example}"),
            )
        })
    }

    fn at(&self, name: &str) -> Option<Field<'b>> {
        let index = self.known.iter().position(|known| *known == name)?;
        let raw = self.values.get(index).copied().flatten()?;
        Some(Field { path: self.path_of(name), raw, whole: BODY })
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl<'b> Visitor<'b> for Object<'b> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'b>>(mut self, mut fields: A) -> Result<Self, A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            let Some(index) = self.known.iter().position(|known| *known == name) else {
                fields.next_value::<IgnoredAny>()?;
                self.unknown.get_or_insert(name);
                continue;
            };
            let value = fields.next_value::<&RawValue>()?.get();
            if self.values[index].replace(value).is_some() {
                self.repeated = Some(self.known[index]);
            }
        }
        Ok(self)
    }
}

struct FirstEntries(usize);

impl<'b> Visitor<'b> for FirstEntries {
    type Value = (Vec<&'b RawValue>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut entries, mut n_entries) = (Vec::new(), 0);
        while let Some(entry) = list.next_element::<&RawValue>()? {
            n_entries += 1;
            if n_entries <= self.0 {
                entries.push(entry);
            }
        }
        Ok((entries, n_entries))
    }
}

/// Where the JSON breaks off, in words of JSON.
fn syntax_message(error: &serde_json::Error, text: &str, whole: &str) -> String {
    const REMEDY: &str = "send valid JSON in UTF-8";
    let at = last_byte(error, text);
    let (line, column) = (text.as_bytes()[..at].split(|byte| *byte == b'\n').count(), column_of(text, at));
    let position = match whole {
        // It is one of many, and the answer has its number.
        LINE => format!("at column {column} of the line"),
        _ => format!("at line {line} column {column}"),
    };
    if error.is_eof() {
        return format!("the JSON ends too early, {position}; send it whole");
    }
    let at = text.floor_char_boundary(at);
    let is_part = |char: char| char.is_alphanumeric() || "+-.\\".contains(char);
    let start = text[..at].rfind(|char| !is_part(char)).map_or(0, |before| text.ceil_char_boundary(before + 1));
    let rest: String = text[start..].chars().take(20).collect();
    let message = error.to_string();
    let (why, remedy) = match () {
        () if rest.starts_with(['\'', '“', '„']) => {
            ("quote", "strings and field names stand in double quotes (\")")
        }
        () if ["NaN", "-NaN", "Infinity", "-Infinity", "undefined", "None"]
            .iter()
            .any(|word| rest.starts_with(word)) =>
        {
            ("value", "leave the field out, or send null")
        }
        () if ["True", "False"].iter().any(|word| rest.starts_with(word)) => ("value", "send true or false"),
        () if message.starts_with("trailing comma") => ("comma before the end", REMEDY),
        () if message.starts_with("trailing characters") => {
            ("text after the end", "send one JSON value, or many as lines with `content-type: application/x-ndjson`")
        }
        () if message.starts_with("key must be") => ("field name", "field names stand in double quotes (\")"),
        () if message.starts_with("control character") => {
            ("control character", "escape it (\\n, \\t or \\u0001), and leave NUL out")
        }
        () if message.contains("surrogate") || message.contains("end of hex") || message.contains("code point") => {
            ("lone surrogate", "send both halves of the pair")
        }
        () if message.contains("escape") => ("escape", "a backslash is written \\\\"),
        () => ("text", REMEDY),
    };
    format!("{whole} is not JSON {position}: unexpected {why} at `{}`; {remedy}", shortened(&rest))
}

/// The offset of the byte at which the text stops being JSON.
fn last_byte(error: &serde_json::Error, text: &str) -> usize {
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let end = (line_start + error.column()).min(text.len());
    let last = end.saturating_sub(1);
    // `serde_json` gives a control character in a field name, but the byte before one in a value.
    let is_control = |at: usize| text.as_bytes().get(at).is_some_and(|byte| *byte < b' ');
    let is_one_early = error.to_string().starts_with("control character") && !is_control(last) && is_control(end);
    if is_one_early { end } else { last }
}

/// The column in bytes, from 1.
fn column_of(text: &str, at: usize) -> usize {
    at + 1 - text.as_bytes()[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}
