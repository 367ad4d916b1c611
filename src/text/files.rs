//! What files of text have in common, whoever reads them: the delimiter of a table, JSON that other programs write and the
//! standard does not allow.

use std::fmt::Write;

/// The character that separates the columns of a table: of tabulator, semicolon and comma the one that is most frequent
/// outside of quotes in the `header`; a comma where there is none.
pub fn delimiter_of(header: &[u8]) -> u8 {
    let line = header.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let unquoted = line.split(|&byte| byte == b'"').step_by(2).flatten();
    let count = |delimiter: u8| unquoted.clone().filter(|byte| **byte == delimiter).count();
    // `max_by_key` returns the last of equals, so a comma wins where the header has no separator.
    [b'\t', b';', b','].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

/// The delimiter that Excel's first line `sep=;` names, with the bytes of that line. Some programs quote the line, write it
/// in capitals, or fill it up to the number of columns with delimiters.
pub fn sep_line(start: &[u8]) -> Option<(u8, usize)> {
    let n_line = start.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(start.len());
    let (line, end) = start.split_at(n_line);
    let (is_quoted, rest) = line.strip_prefix(b"\"").map_or((false, line), |rest| (true, rest));
    let (name, rest) = rest.split_at_checked(b"sep=".len())?;
    let (delimiter, mut rest) = rest.split_first()?;
    if is_quoted {
        rest = rest.strip_prefix(b"\"")?;
    }
    let is_separator = !delimiter.is_ascii_alphanumeric() && delimiter.is_ascii() && *delimiter != b'"';
    if !name.eq_ignore_ascii_case(b"sep=") || !is_separator || rest.iter().any(|byte| byte != delimiter) {
        return None;
    }
    let n_end = match end {
        [b'\r', b'\n', ..] => 2,
        [] => 0,
        _ => 1,
    };
    Some((*delimiter, n_line + n_end))
}

/// `json` as the standard wants it, where it only has what other programs write: `NaN`, `Infinity` and `-Infinity`, which
/// become strings, and lone surrogates, which become U+FFFD.
pub fn standard_json(json: &str) -> String {
    standardized(json, |word, out| {
        // Writing to a string cannot fail.
        let _ = write!(out, "\"{word}\"");
    })
}

/// The same with `null` for such numbers.
pub fn json_with_nulls(json: &str) -> String {
    standardized(json, |_, out| out.push_str("null"))
}

fn standardized(json: &str, push_number: impl Fn(&str, &mut String)) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find(['"', 'N', 'I', '-']) {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| found.starts_with(word));
        rest = match word {
            Some(word) => {
                push_number(word, &mut out);
                &found[word.len()..]
            }
            None if found.starts_with('"') => {
                let (string, rest) = found.split_at(end_of_string(found));
                push_string(string, &mut out);
                rest
            }
            None => {
                out.push_str(&found[..1]);
                &found[1..]
            }
        };
    }
    out + rest
}

/// Bytes of the JSON string that `text` starts with.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn push_string(string: &str, out: &mut String) {
    let mut rest = string;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let (written, n_read) = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => (&escape[..12], 12),
            (Some(0xd800..0xe000), _) => ("\\ufffd", 6),
            // The character after a backslash may be of several bytes in what is no JSON.
            _ => {
                let n = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
                (&escape[..n], n)
            }
        };
        out.push_str(written);
        rest = &escape[n_read..];
    }
    out.push_str(rest);
}

/// The code unit of an escape `\uXXXX`.
fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_the_delimiter_outside_of_quotes() {
        for (header, delimiter) in
            [("a;b", b';'), ("a\tb,c\td", b'\t'), ("text", b','), ("\"a;b;c\",d\ne;f;g", b','), ("", b',')]
        {
            assert_eq!(delimiter_of(header.as_bytes()), delimiter, "{header}");
        }
        assert_eq!(sep_line(b"sep=;\r\nid"), Some((b';', 7)));
        assert_eq!((sep_line(b"\"sep=;\"\r\nid"), sep_line(b"SEP=|\nid")), (Some((b';', 9)), Some((b'|', 6))));
        assert_eq!((sep_line(b"sep=;;;\nid"), sep_line(b"sep=ax\n")), (Some((b';', 8)), None));
        assert_eq!((sep_line(b"sep=\t\n"), sep_line(b"sep=,x"), sep_line(b"text")), (Some((b'\t', 6)), None, None));
    }

    #[test]
    fn what_the_standard_does_not_allow_is_replaced_outside_of_strings() {
        for (json, standard) in [
            (r#"{"a": NaN, "b": [-Infinity, Infinity, -1]}"#, r#"{"a": "NaN", "b": ["-Infinity", "Infinity", -1]}"#),
            (r#"{"NaN": "NaN \" Infinity"}"#, r#"{"NaN": "NaN \" Infinity"}"#),
            (r#""a\ud83d b\ude00 \ud83d\ude00 \\ud83d""#, r#""a\ufffd b\ufffd \ud83d\ude00 \\ud83d""#),
            (r#"{"ä": "\ud83d\"#, r#"{"ä": "\ufffd\"#),
            ("\\ä\"\\ä", "\\ä\"\\ä"),
        ] {
            assert_eq!(standard_json(json), standard);
        }
    }
}
