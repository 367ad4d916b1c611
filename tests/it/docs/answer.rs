//! Compares printed answers with those of the manual, and writes them as the manual shows them.

use serde_json::{Deserializer, Value};

/// Processors round differently, which moves a score by less than this.
const SCORE_TOLERANCE: f64 = 0.002;
const LINE_WIDTH: usize = 120;
/// What stands for the parts of an answer that differ from run to run.
const ANY: &str = "…";

#[derive(Clone, Copy)]
pub enum Kind {
    Json,
    Text,
}

impl Kind {
    pub fn of(tag: &str) -> Option<Self> {
        match tag {
            "json output" => Some(Self::Json),
            "text output" => Some(Self::Text),
            _ => None,
        }
    }

    pub fn compare(self, expected: &str, printed: &str) -> Result<(), String> {
        match self {
            Self::Json => compare_json(expected, printed),
            Self::Text => compare_words(expected, printed),
        }
    }

    /// An answer in the form in which the manual prints it.
    pub fn show(self, printed: &str) -> String {
        match self {
            Self::Json => values(printed).unwrap().iter().map(|(_, text)| pretty(text, 0) + "\n").collect(),
            Self::Text => printed.lines().map(|line| mask(line).trim_end().to_owned() + "\n").collect(),
        }
    }
}

/// The JSON values of a text, each with its source.
fn values(text: &str) -> Result<Vec<(Value, &str)>, String> {
    let mut values = Deserializer::from_str(text).into_iter::<Value>();
    let (mut found, mut start) = (Vec::new(), 0);
    while let Some(value) = values.next() {
        let end = values.byte_offset();
        found.push((value.map_err(|error| format!("{error} in {text}"))?, text[start..end].trim()));
        start = end;
    }
    Ok(found)
}

fn compare_json(expected: &str, printed: &str) -> Result<(), String> {
    let (expected, printed) = (values(expected)?, values(printed)?);
    let same = expected.len() == printed.len() && expected.iter().zip(&printed).all(|((a, _), (b, _))| matches(a, b));
    let lines = || printed.iter().map(|(_, text)| pretty(text, 0)).collect::<Vec<_>>().join("\n");
    if same { Ok(()) } else { Err(format!("the answer is now\n{}", lines())) }
}

fn matches(expected: &Value, printed: &Value) -> bool {
    match (expected, printed) {
        (Value::String(any), _) if any == ANY => true,
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() <= SCORE_TOLERANCE
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| matches(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| key == "version" || matches(a, b)))
        }
        (a, b) => a == b,
    }
}

fn compare_words(expected: &str, printed: &str) -> Result<(), String> {
    let printed = Kind::Text.show(printed);
    let (a, b) = (expected.split_whitespace(), printed.split_whitespace());
    let same = a.clone().count() == b.clone().count() && a.zip(b).all(|(a, b)| word_matches(a, b));
    if same { Ok(()) } else { Err(format!("the answer is now\n{printed}")) }
}

fn word_matches(expected: &str, printed: &str) -> bool {
    let number = |word: &str| word.trim_matches(['[', ']', ',', ')', '(']).parse::<f64>().ok();
    match (number(expected), number(printed)) {
        (Some(a), Some(b)) => (a - b).abs() <= SCORE_TOLERANCE,
        _ => expected == printed || is_hash(expected) && is_hash(printed),
    }
}

fn is_hash(word: &str) -> bool {
    word.len() == 16 && word.chars().all(|c| c.is_ascii_hexdigit())
}

/// Numbers of a line that tells of speed or memory are different on every machine.
fn mask(line: &str) -> String {
    const MEASURED: [&str; 5] = ["documents/s", " ms", "resident MB", "MB after", "_seconds"];
    if !MEASURED.iter().any(|unit| line.contains(unit)) {
        return line.to_owned();
    }
    let is_number = |word: &str| word.trim_matches(['(', ',']).parse::<f64>().is_ok();
    line.split(' ').map(|word| if is_number(word) { ANY } else { word }).collect::<Vec<_>>().join(" ")
}

/// JSON with its keys in the order of the answer: in one line where it fits, else one item a line.
fn pretty(json: &str, indent: usize) -> String {
    let items = items(json);
    let (open, close) = (&json[..1], &json[json.len() - 1..]);
    let flat = |json: &str| short_scores(json);
    if items.is_empty() || indent + flat(json).chars().count() <= LINE_WIDTH {
        return flat(json);
    }
    let pad = " ".repeat(indent + 2);
    let lines = items.iter().map(|item| match item.split_once("\":").filter(|_| open == "{") {
        Some((key, value)) => format!("{pad}{key}\": {}", pretty(value.trim(), indent + 2)),
        None => format!("{pad}{}", pretty(item, indent + 2)),
    });
    format!("{open}\n{}\n{}{close}", lines.collect::<Vec<_>>().join(",\n"), " ".repeat(indent))
}

/// The items of an array or the members of an object, as text; none for any other value.
fn items(json: &str) -> Vec<&str> {
    if !json.starts_with(['{', '[']) {
        return Vec::new();
    }
    let (mut depth, mut quoted, mut escaped, mut start, mut found) = (0, false, false, 1, Vec::new());
    for (at, c) in json.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
        if !quoted && ((c == ',' && depth == 1) || depth == 0) {
            found.push(json[start..at].trim());
            start = at + 1;
        }
    }
    found.retain(|item| !item.is_empty());
    found
}

/// One line of JSON, with a blank after each `:` and `,` and numbers of three decimals.
fn short_scores(json: &str) -> String {
    let items = items(json);
    if items.is_empty() {
        let rounded = json.parse::<f64>().ok().filter(|_| json.contains('.'));
        return rounded.map_or(json.to_owned(), |number| format!("{:?}", (number * 1e3).round() / 1e3));
    }
    let (open, close) = (&json[..1], &json[json.len() - 1..]);
    let parts = items.iter().map(|item| match item.split_once("\":").filter(|_| open == "{") {
        Some((key, value)) => format!("{key}\": {}", short_scores(value.trim())),
        None => short_scores(item),
    });
    format!("{open}{}{close}", parts.collect::<Vec<_>>().join(", "))
}
