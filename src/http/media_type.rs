//! The header `content-type`: a media type and its parameters (RFC 9110, section 8.3).

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

use super::error::{Code, Problem};
use crate::system::choice::shortened;

/// What every body is read as. US-ASCII is a part of it.
const UTF_8: [&str; 3] = ["utf-8", "utf8", "us-ascii"];

/// The media type that the headers announce, in lower case and without parameters; empty where there is none.
pub fn essence(headers: &HeaderMap) -> String {
    parts(content_type(headers)).next().unwrap_or_default().to_ascii_lowercase()
}

/// Refuses a body in another charset than UTF-8. Reading it as UTF-8 can change its text, and no error shows that.
pub fn check_charset(headers: &HeaderMap) -> Result<(), Problem> {
    let parameters = parts(content_type(headers)).skip(1).filter_map(|part| part.split_once('='));
    let charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let mut charsets = charsets.map(|(_, value)| value.trim().trim_matches('"').to_ascii_lowercase());
    match charsets.find(|charset| !UTF_8.contains(&charset.as_str())) {
        None => Ok(()),
        Some(charset) => Err(Problem::new(
            Code::UnsupportedMediaType,
            format!(
                "`content-type` names the charset `{}`, and bodies are read as UTF-8 only; send the body in UTF-8, and name `utf-8` or no charset",
                shortened(&charset)
            ),
        )),
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What semicolons separate, except those in quotes.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_separator = move |char: char| {
        let was_escaped = is_escaped;
        is_escaped = is_quoted && char == '\\' && !was_escaped;
        is_quoted ^= char == '"' && !was_escaped;
        char == ';' && !is_quoted
    };
    value.split(is_separator).map(str::trim)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn every_charset_but_utf_8_is_refused_however_it_is_written() {
        for (content_type, is_read) in [
            ("application/json", true),
            ("application/json;charset=utf-8", true),
            ("application/json; Charset=\"UTF-8\"", true),
            ("application/json; charset = utf8 ; profile=x", true),
            ("application/x-ndjson; charset=US-ASCII", true),
            ("application/json; profile=\"a; charset=latin1\"", true),
            ("application/json; profile=\"a\\\"; charset=latin1\"", true),
            ("application/json; xcharset=latin1", true),
            ("application/json; charset", true),
            ("", true),
            ("application/json; charset=latin1", false),
            ("application/json; charset=\"ISO-8859-1\"", false),
            ("application/json; charset=utf-8; charset=utf-16", false),
            ("application/json; profile=\"a\"; CHARSET=windows-1252", false),
            ("application/json; charset=", false),
            ("application/json; charset=utf-7", false),
            (";charset=latin1", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            let checked = check_charset(&headers);
            assert_eq!(checked.is_ok(), is_read, "{content_type}");
            assert!(checked.is_ok() || checked.is_err_and(|problem| problem.code == Code::UnsupportedMediaType));
        }
        assert!(check_charset(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn the_essence_has_no_parameters() {
        for (content_type, expected) in [("Application/JSON ; charset=x", "application/json"), ("", ""), (";a", "")] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            assert_eq!(essence(&headers), expected, "{content_type}");
        }
    }
}
